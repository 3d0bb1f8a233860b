//! One start of a container: from its options, through the plan, to its executing program.

mod network;

use std::os::fd::OwnedFd;

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_net::PortReservation;
use minidock_ns::Process;

use crate::connect::Connected;
use crate::containers::Config;
use crate::diagnose::Tree;
use crate::explain::{self, Reporter};
use crate::failpoints::failpoint;
use crate::host::Host;
use crate::ids::{self, Range, Ranges};
use crate::launch::{self, Launch, Running};
use crate::lower::{self, Facts};
use crate::plan::{Plan, Stdio};
use crate::settle::settle;
use crate::signals::Signals;
use crate::spec::{self, Container};
use crate::state::{Claim, Record};
use crate::stdio::Prepared;
use crate::store::Image;
use crate::{
    ContainerId, Engine, Error, Explain, NetworkMode, RunOptions, UserNamespace, rollback,
};

/// What a start is about, before anything is made.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) engine: &'a Engine,
    options: RunOptions,
    /// What it is made from, unless that is a directory.
    image: Option<Image>,
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    host: Host,
    /// Those in which this process may make groups.
    hierarchies: Hierarchies,
    /// All that are mounted: in which others have made some.
    pub(crate) mounted: Hierarchies,
    pub(crate) reporter: Reporter,
    /// The range of ids for its user namespace.
    range: Option<Range>,
    /// Of the container whose network it shares.
    shared: Option<Process>,
    /// The host's ports, until the program takes them that connects a container without root.
    ports: Option<PortReservation>,
}

/// All that there is before anything is made.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) container: Container,
    plan: Plan,
    connected: Option<Connected>,
    prepared: Prepared,
}

/// A container whose program is executing, and the copying of its streams.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) prepared: Prepared,
    pub(crate) interactive: bool,
    /// Whoever is in charge keeps the host's ports.
    pub(crate) ports: Vec<OwnedFd>,
}

impl<'a> Start<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        options: &RunOptions,
        (id, name): (ContainerId, String),
        explain: Explain,
        image: Option<Image>,
    ) -> Result<Self, Error> {
        let host = Host::read()?;
        let mounted = Hierarchies::detect()?;
        let hierarchies = match host.rootless {
            true => mounted.clone().delegated()?,
            false => mounted.clone(),
        };
        let reporter = Reporter::new(explain);
        let may_limit = !host.rootless || hierarchies.mode() != minidock_cgroup::Mode::None;
        let options = settle(options, &host, may_limit)?;
        if options.hardened && options.resources.pids.is_none() {
            reporter.warn("--hardened without a limit of processes: no control group is delegated");
        }
        let mut start = Self {
            engine,
            options,
            image,
            id,
            name,
            hierarchies,
            mounted,
            host,
            reporter,
            range: None,
            shared: None,
            ports: None,
        };
        start.ids()?;
        Ok(start)
    }

    pub(crate) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// What is written down of the container. `options` are those that it was asked for with: what
    /// the host decides is decided again when it is started again.
    pub(crate) fn config(&self, options: &RunOptions, container: &Container) -> Config {
        let process = container.spec.process().as_ref();
        Config {
            id: self.id.clone(),
            name: self.name.clone(),
            image: spec::image_name(&options.source),
            created: crate::host::now(),
            stop_signal: container.stop_signal,
            command: process.and_then(|process| process.args().clone()).unwrap_or_default(),
            options: options.clone(),
            base: self.image.as_ref().map(|image| image.base.clone()),
            described: container.described.clone(),
        }
    }

    /// The size of a terminal that another process looks at.
    pub(crate) fn set_terminal_size(&mut self, size: Option<(u16, u16)>) {
        self.host.terminal_size = size;
    }

    /// The kernel that it starts under.
    pub(crate) fn boot(&self) -> &str {
        &self.host.boot
    }

    /// Works out the plan, with the streams that `prepare` gives; once, when nothing has come up
    /// since the container was described.
    pub(crate) fn ready(
        &mut self,
        prepare: impl FnOnce(&Container) -> Result<Prepared, Error>,
    ) -> Result<Ready, Error> {
        // What can fail without the kernel fails here, before the first side effect.
        self.share()?;
        let mut container = self.describe()?;
        self.engine.prepare()?;
        let connected = match self.connect(&container) {
            Ok(connected) => connected,
            Err(_) => self.connect_after_sweep(&container)?,
        };
        if connected.is_some() || self.host.user_network.is_some() {
            container = self.describe()?;
        }
        let prepared = prepare(&container)?;
        let plan = self.lower(&container, prepared.stdio)?;
        Ok(Ready { container, plan, connected, prepared })
    }

    pub(crate) fn describe(&self) -> Result<Container, Error> {
        let made_from = (&self.options, self.image.as_ref());
        spec::describe(self.engine, made_from, self.id.clone(), &self.host)
    }

    fn lower(&self, container: &Container, stdio: Stdio) -> Result<Plan, Error> {
        let facts = Facts {
            host: &self.host,
            hierarchies: &self.hierarchies,
            state: &self.engine.state.container(&self.id),
            stdio,
        };
        lower::lower(container, &facts)
    }

    /// The plan as the kernel would be asked now, and nothing asked.
    pub(crate) fn dry(&mut self, explain: Explain) -> Result<u8, Error> {
        self.share()?;
        let container = self.describe()?;
        drop(self.connect(&container)?);
        let container = self.describe()?;
        if explain == Explain::Shell && self.host.ids.is_some() {
            return Err(Error::new("cannot write the plan as a script: it has a user namespace")
                .hint("a shell cannot map ids from outside: use --explain=text"));
        }
        let plan = self.lower(&container, Stdio::default())?;
        explain::print(explain, &plan, self.id.as_str())
    }

    /// For want of an address or a port, perhaps, that a killed engine's container still holds.
    fn connect_after_sweep(&mut self, container: &Container) -> Result<Option<Connected>, Error> {
        let turn = self.engine.state.next_turn(|| Ok(()))?;
        let swept = rollback::sweep(self.engine, &self.mounted, &turn);
        drop(turn);
        let connected = self.connect(container);
        if connected.is_err() {
            self.warn_of(swept);
        }
        connected
    }

    pub(crate) fn sweep_if_nobody_does(&self) -> Result<(), Error> {
        let turn = self.engine.state.turn_if_free()?;
        turn.map_or(Ok(()), |turn| rollback::sweep(self.engine, &self.mounted, &turn))
    }

    /// A sweep that has failed is not what the caller wanted, and may be why that was not possible.
    pub(crate) fn warn_of(&self, swept: Result<(), Error>) {
        if let Err(error) = swept {
            self.reporter.warn(&error.to_string());
        }
    }

    /// The ids that the container would get.
    fn ids(&mut self) -> Result<(), Error> {
        let wanted = self.options.user_namespace;
        if self.host.rootless {
            self.host.ids = Some(ids::of_caller(wanted)?);
            return Ok(());
        }
        let own = match wanted {
            Some(mode) => mode == UserNamespace::Auto,
            None => self.options.hardened && self.may_have_ids()?,
        };
        if own {
            let range = Ranges::new(self.engine.state.ids()).next(&self.id)?;
            self.range = Some(range);
            self.host.ids = Some(range.maps());
        }
        Ok(())
    }

    /// Whether a hardened container can have ids of its own; if not, says why.
    fn may_have_ids(&self) -> Result<bool, Error> {
        let why = match self.options.network() {
            NetworkMode::Host | NetworkMode::Container(_) => {
                Error::new("it shares the network of others")
            }
            _ => match ids::possible(
                &spec::trees(&self.options, self.image.as_ref())?,
                self.host.kernel,
            ) {
                Ok(None) => return Ok(true),
                Ok(Some(why)) => why,
                Err(error) => return Err(error),
            },
        };
        self.reporter.warn(&format!("--hardened without a user namespace: {why}"));
        Ok(false)
    }

    /// Everything that is going to be made, by name. `keep` is what of it stays.
    pub(crate) fn record(&self, ready: &Ready, keep: bool) -> Record {
        Record {
            cgroups: ready.plan.cgroup.directories(),
            ids: self.range.map(|_| self.engine.state.ids()),
            ..self.bare_record(keep)
        }
    }

    /// Nothing is going to be made but the container's directory.
    pub(crate) fn bare_record(&self, keep: bool) -> Record {
        Record::bare(self.engine, (&self.id, &self.name), self.host.boot.clone(), keep)
    }

    /// Makes everything and starts the program. When that fails no process is left, and what was
    /// made is for the caller to undo.
    pub(crate) fn carry_out(
        &mut self,
        ready: Ready,
        claim: &Claim,
        signals: &mut Signals,
    ) -> Result<Started, Error> {
        let Ready { mut container, mut plan, mut connected, mut prepared } = ready;
        if self.take_ids()? | self.take_addresses(claim, connected.as_mut())? {
            container = self.describe()?;
            plan = self.lower(&container, prepared.stdio)?;
        }
        for warning in &container.warnings {
            self.reporter.warn(warning);
        }
        let (reporter, tree) = (&self.reporter, Tree::At(&container.described.root));
        let cgroup = Cgroup::new(&plan.cgroup);
        let (session, ports) = match connected {
            Some(Connected { session, ports, .. }) => (Some(session), ports.into_sockets()),
            None => (None, Vec::new()),
        };
        // From here on it is the program's to take them.
        self.ports = None;
        let keep: Vec<_> = self.host.shared.iter().map(|shared| shared.process).collect();
        let engine = self.engine;
        let launch =
            Launch { engine, plan: &plan, reporter, session, cgroup, keep: &keep, tree, signals };
        let running = launch::launch(launch, std::mem::take(&mut prepared.child_ends))?;
        Ok(Started { running, prepared, interactive: container.interactive, ports })
    }

    /// Takes ids for good. True when they are others than were planned with.
    fn take_ids(&mut self) -> Result<bool, Error> {
        let Some(wanted) = self.range else { return Ok(false) };
        let range = Ranges::new(self.engine.state.ids()).take(wanted, &self.id)?;
        failpoint!("launch-ids");
        self.range = Some(range);
        self.host.ids = Some(range.maps());
        Ok(range != wanted)
    }

    /// The kernel has killed the container for want of memory.
    pub(crate) fn tell_oom(&self) {
        let limit = self.options.resources.memory;
        let limit = limit.map_or(String::new(), |bytes| format!(" (limit {})", size(bytes)));
        self.reporter.tell(&format!("{} was killed: out of memory{limit}", self.name));
    }
}

/// Bytes in the largest binary unit that divides them: `64MiB`.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    units
        .into_iter()
        .find(|(_, shift)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift)
        .map_or(format!("{bytes}B"), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_exact() {
        assert_eq!(size(64 << 20), "64MiB");
        assert_eq!(size(1536 << 20), "1536MiB");
        assert_eq!(size(2 << 30), "2GiB");
        assert_eq!(size(1000), "1000B");
    }
}
