//! One `run` from the options to the exit code.

use std::io::Write;
use std::path::Path;

use minidock_cgroup::Hierarchies;
use minidock_net::{Leases, LinkName, Session};
use minidock_ns::ExitStatus;

use crate::explain::{self, Reporter};
use crate::host::{Host, NetworkFacts};
use crate::launch::{self, Launch};
use crate::lower::{self, Facts};
use crate::plan::{Plan, Stdio};
use crate::spec::{self, Container};
use crate::state::{Claim, LeasePlace, Record};
use crate::stdio::Prepared;
use crate::supervise::{Front, Signals, supervise};
use crate::{
    ContainerId, Engine, Error, Explain, NetworkMode, Reporting, RunOptions, id, rollback, stdio,
};

/// What a run is about, before anything is made.
struct Run<'a> {
    engine: &'a Engine,
    options: &'a RunOptions,
    id: ContainerId,
    name: String,
    host: Host,
    hierarchies: Hierarchies,
    reporter: Reporter,
}

pub(crate) fn run(
    engine: &Engine,
    options: &RunOptions,
    reporting: Reporting,
) -> Result<u8, Error> {
    let mut run = Run {
        engine,
        options,
        id: ContainerId::random()?,
        name: options.name.clone().map_or_else(|| id::random_name(0), Ok)?,
        host: Host::read()?,
        hierarchies: Hierarchies::detect()?,
        reporter: Reporter::new(reporting.explain),
    };
    if reporting.dry_run || reporting.explain == Explain::Shell {
        return run.dry(reporting.explain);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::new("cannot run a container: not root, and CAP_SYS_ADMIN is missing")
            .hint("run it with sudo; --dry-run shows the plan without it"));
    }
    // What can fail without the kernel fails here, before the first side effect.
    id::check_name(&run.name)?;
    run.describe()?;
    engine.prepare()?;
    let session = match run.session() {
        Ok(session) => session,
        // Perhaps for want of an address that a killed engine's container still holds.
        Err(_) => {
            rollback::sweep(engine, &run.hierarchies)?;
            run.session()?
        }
    };
    let container = run.describe()?;
    // No signal ends this process before everything is undone.
    let mut signals = Signals::collect()?;
    let claim = run.claim(&container)?;
    let status = run.carry_out(container, session, &claim, &mut signals);
    let undone = rollback::undo(&engine.state, &run.hierarchies, &claim.record);
    drop(claim);
    // Now there is time for what killed engines have left.
    if let Err(error) = rollback::sweep(engine, &run.hierarchies) {
        run.reporter.warn(&error.to_string());
    }
    match (status, undone) {
        (Ok(status), Ok(())) => Ok(status.code()),
        (Ok(status), Err(error)) => {
            run.reporter.warn(&error.to_string());
            Ok(status.code())
        }
        // The first error is the one to tell; what could not be removed is tried again by the
        // next command, from the record that is still there.
        (Err(error), _) => Err(error),
    }
}

impl Run<'_> {
    fn describe(&self) -> Result<Container, Error> {
        spec::describe(self.engine, self.options, self.id.clone(), &self.host)
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
    fn dry(&mut self, explain: Explain) -> Result<u8, Error> {
        self.describe()?;
        drop(self.session()?);
        let container = self.describe()?;
        let plan = self.lower(&container, Stdio::default())?;
        let text = explain::plan(explain, &plan, self.id.as_str());
        match std::io::stdout().write_all(text.as_bytes()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::io("write", "the plan", &error))
            }
            _ => Ok(0),
        }
    }

    /// The connection to the host's network, and the place on it that the container would get.
    fn session(&mut self) -> Result<Option<Session>, Error> {
        if self.options.network != NetworkMode::Bridge {
            return Ok(None);
        }
        let session = Session::new(None)?;
        let name = LinkName::default_bridge();
        let lock = self.engine.state.bridge_lock(name.as_str());
        let bridge = session.plan_bridge(&name, &lock)?;
        let leases = Leases::open(self.engine.state.leases(name.as_str()), bridge.address)?;
        let address = match leases.next()? {
            Some(address) => address,
            // Let allocate() say which subnet is exhausted.
            None => leases.allocate(self.id.as_str())?,
        };
        self.host.network = Some(NetworkFacts { bridge, address });
        Ok(Some(session))
    }

    /// Writes down everything that is going to be made.
    fn claim(&mut self, container: &Container) -> Result<Claim, Error> {
        if let Some(claim) = self.engine.state.claim(self.record(container)?)? {
            return Ok(claim);
        }
        // Perhaps the name belongs to a container whose engine was killed.
        rollback::sweep(self.engine, &self.hierarchies)?;
        for attempt in 1..100 {
            if self.options.name.is_none() {
                self.name = id::random_name(attempt)?;
            }
            match self.engine.state.claim(self.record(container)?)? {
                Some(claim) => return Ok(claim),
                None if self.options.name.is_some() => break,
                None => {}
            }
        }
        Err(self.engine.state.conflict(&self.name))
    }

    fn record(&self, container: &Container) -> Result<Record, Error> {
        let plan = self.lower(container, Stdio::default())?;
        let lease = self.host.network.as_ref().map(|network| {
            let file = self.engine.state.leases(network.bridge.name.as_str());
            LeasePlace::new(file, network.bridge.address)
        });
        Ok(Record {
            id: self.id.clone(),
            name: self.name.clone(),
            image: container.image.clone(),
            created: self.host.now,
            boot: self.host.boot.clone(),
            cgroups: plan.cgroup.directories(),
            directory: container.directory.clone(),
            lease,
        })
    }

    fn carry_out(
        &mut self,
        mut container: Container,
        session: Option<Session>,
        claim: &Claim,
        signals: &mut Signals,
    ) -> Result<ExitStatus, Error> {
        if self.take_address(claim)? {
            container = self.describe()?;
        }
        for warning in &container.warnings {
            self.reporter.warn(warning);
        }
        let terminal = self.options.tty;
        let prepared = Prepared::new(container.interactive, terminal)?;
        let plan = self.lower(&container, prepared.stdio)?;
        let launch =
            Launch { plan: &plan, reporter: &self.reporter, session, tree: tree(&container) };
        let running = launch::launch(launch, prepared.child_ends)?;
        let mut relays = prepared.relays;
        if let Some(master) = &running.master {
            relays.extend(stdio::terminal_relays(master, container.interactive)?);
        }
        let interactive = container.interactive;
        let front = Front { child: &running.child, relays, master: running.master, interactive };
        let status = match supervise(front, signals) {
            Ok(status) => status,
            Err(error) => {
                launch::end(&running.child);
                return Err(error);
            }
        };
        if let Err(error) = self.tell_oom(&running.cgroup, status) {
            self.reporter.warn(&error.to_string());
        }
        Ok(status)
    }

    /// Takes an address for good. True when it is another one than was planned with.
    fn take_address(&mut self, claim: &Claim) -> Result<bool, Error> {
        let (Some(network), Some(lease)) = (&mut self.host.network, &claim.record.lease) else {
            return Ok(false);
        };
        let leases = Leases::open(&lease.file, network.bridge.address)?;
        let address = leases.allocate(self.id.as_str())?;
        let other = address != network.address;
        network.address = address;
        Ok(other)
    }

    fn tell_oom(&self, cgroup: &minidock_cgroup::Cgroup, status: ExitStatus) -> Result<(), Error> {
        let killed = status.code() == ExitStatus::Signaled(9).code();
        if killed && cgroup.oom_kills()?.is_some_and(|kills| kills > 0) {
            let limit = self
                .options
                .resources
                .memory
                .map_or(String::new(), |bytes| format!(" (limit {})", size(bytes)));
            self.reporter.tell(&format!("{} was killed: out of memory{limit}", self.name));
        }
        Ok(())
    }
}

fn tree(container: &Container) -> &Path {
    container.spec.root().as_ref().map_or(Path::new("/"), |root| root.path())
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
