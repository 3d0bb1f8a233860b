//! `minidock exec`: a further program in a container that runs.

#[cfg(test)]
mod plan_snapshots;
mod target;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use minidock_cgroup::Hierarchies;

use crate::diagnose::Tree;
use crate::events::{self, Action};
use crate::explain::{self, Reporter};
use crate::host::Host;
use crate::launch::{Launch, Running, launch};
use crate::lower::{self, Facts};
use crate::plan::{Plan, Stdio};
use crate::relay::Relay;
use crate::settle::settled;
use crate::signals::Signals;
use crate::stdio::{self, Prepared};
use crate::supervise::{Front, supervise_until_left};
use crate::{
    Attached, ContainerId, Engine, Error, Explain, Keys, Kind, Reporting, seal, spec, sys,
};

use target::Target;

/// Everything that `minidock exec` can be told. The default is an interactive nothing: only
/// `command` has to be given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecOptions {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `-i`: the caller's standard input is the program's.
    pub interactive: bool,
    /// `-t`: a terminal of the program's own; not together with `detach`.
    pub tty: bool,
    /// `-d`: the program is not waited for, and its streams are the null device.
    pub detach: bool,
    /// In order, over the container's: `NAME=value` sets a variable, `NAME` alone removes it.
    pub env: Vec<String>,
    /// `-w`; the container's otherwise.
    pub workdir: Option<String>,
    /// `-u`: `user[:group]`, names or numbers; the container's otherwise.
    pub user: Option<String>,
    /// The keys that leave a program on a terminal that it is typed to; docker's when not given.
    pub detach_keys: Option<Keys>,
    /// `--privileged`: all capabilities. The container's system call filter stays, as in docker.
    pub privileged: bool,
}

impl ExecOptions {
    /// The keys that leave the program, if any do.
    pub(crate) fn keys(&self) -> Option<Keys> {
        let terminal = self.tty && self.interactive && !self.detach;
        let keys = self.detach_keys.clone().unwrap_or_default();
        Some(keys).filter(|keys| terminal && !keys.is_empty())
    }
}

pub(crate) fn exec(
    engine: &Engine,
    id: &ContainerId,
    options: &ExecOptions,
    reporting: Reporting,
) -> Result<Attached, Error> {
    let mut prepared = match options.detach || reporting.dry_run {
        true => Prepared::default(),
        false => Prepared::new(options.interactive, options.tty, false)?,
    };
    let joining = plan(engine, id, options, prepared.stdio)?;
    if reporting.explain == Explain::Shell {
        let error = Error::new("cannot write the plan as a script: it joins a container");
        return Err(error.hint(
            "a shell cannot give up its powers after it has gone where the container's programs \
             are: use --explain=text",
        ));
    }
    if reporting.dry_run {
        return explain::print(reporting.explain, &joining.plan, id.as_str()).map(Attached::Ended);
    }
    let reporter = Reporter::new(reporting.explain);
    let mut signals = Signals::collect()?;
    let journal = Journal { engine, id, exec: ContainerId::random()? };
    let line = options.command.join(" ");
    journal.note(|exec| Action::ExecCreate(line.clone(), exec));
    let running = carry_out((engine, id, joining), &reporter, &mut prepared, &mut signals);
    journal.note(|exec| Action::ExecStart(line, exec));
    let attended = running.and_then(|running| match options.detach {
        true => Ok(None),
        false => attend(running, prepared, options, &mut signals).map(Some),
    });
    match &attended {
        // Nobody waits for its end.
        Ok(None) => {}
        Ok(Some(Attached::Detached)) => journal.note(Action::ExecDetach),
        Ok(Some(Attached::Ended(code))) => journal.note(|exec| Action::ExecDie(*code, exec)),
        Err(error) => journal.note(|exec| Action::ExecDie(error.exit_code(), exec)),
    }
    attended.map(|attached| attached.unwrap_or(Attached::Ended(0)))
}

/// What becomes of one program, for others to read.
struct Journal<'a> {
    engine: &'a Engine,
    id: &'a ContainerId,
    /// One for each program.
    exec: ContainerId,
}

impl Journal<'_> {
    fn note(&self, action: impl FnOnce(ContainerId) -> Action) {
        events::note(self.engine, self.id, action(self.exec.clone()));
    }
}

/// Starts a program in a container, on streams that are prepared. A request to end among the signals
/// ends the start.
pub(crate) fn join(
    engine: &Engine,
    id: &ContainerId,
    options: &ExecOptions,
    prepared: &mut Prepared,
    signals: &mut Signals,
) -> Result<Running, Error> {
    let joining = plan(engine, id, options, prepared.stdio)?;
    carry_out((engine, id, joining), &Reporter::new(Explain::Off), prepared, signals)
}

/// What it takes to join a container.
struct Joining {
    target: Target,
    plan: Plan,
    warnings: Vec<String>,
}

fn plan(
    engine: &Engine,
    id: &ContainerId,
    options: &ExecOptions,
    stdio: Stdio,
) -> Result<Joining, Error> {
    let Some(config) = engine.containers.config(id)? else {
        return Err(Error::new(format!("No such container: {id}")).kind(Kind::NoSuchContainer));
    };
    let mut host = Host::read()?;
    let hierarchies = Hierarchies::detect()?;
    let init_hides = host.rootless && config.options.init;
    let target = Target::find(engine, id, &hierarchies, init_hides)?;
    seal::check(target.maps.as_ref())?;
    host.ids.clone_from(&target.maps);
    let run = settled(&config)?;
    let further = spec::further((id, &run), config.base.as_ref(), options, (&target.root, &host))?;
    let state = &engine.state.container(id);
    let facts = Facts { host: &host, hierarchies: &hierarchies, state, stdio };
    let plan = lower::exec(&further, &target.facts()?, &facts)?;
    Ok(Joining { target, plan, warnings: further.warnings })
}

/// Starts the program.
fn carry_out(
    (engine, id, joining): (&Engine, &ContainerId, Joining),
    reporter: &Reporter,
    prepared: &mut Prepared,
    signals: &mut Signals,
) -> Result<Running, Error> {
    joining.warnings.iter().for_each(|warning| reporter.warn(warning));
    let Target { process, root, cgroup, .. } = joining.target;
    let launching = Launch {
        engine,
        plan: &joining.plan,
        reporter,
        session: None,
        cgroup,
        keep: &[process.as_fd().as_raw_fd()],
        tree: Tree::Open(&root),
        signals,
    };
    let launched = launch(launching, std::mem::take(&mut prepared.child_ends));
    launched.map_err(|error| target::cause(id, &process, error))
}

/// Stays with the program until its end, or until the caller has typed the keys to leave it.
fn attend(
    mut running: Running,
    prepared: Prepared,
    options: &ExecOptions,
    signals: &mut Signals,
) -> Result<Attached, Error> {
    let attended = watch(&mut running, prepared, options, signals);
    if attended.is_err() {
        crate::launch::end(&running.child);
    }
    attended
}

fn watch(
    running: &mut Running,
    prepared: Prepared,
    options: &ExecOptions,
    signals: &mut Signals,
) -> Result<Attached, Error> {
    let (interactive, keys) = (options.interactive, options.keys());
    let mut relays = prepared.relays;
    if let Some(master) = &running.master {
        relays.extend(stdio::terminal_relays(master, interactive, keys)?);
    }
    // It is one process of many in the container.
    let relays = relays.into_iter().map(Relay::outlived).collect();
    let failed = |error| Error::io("hold", "the program's terminal", &error);
    let terminal = running.master.as_ref().map(OwnedFd::try_clone).transpose().map_err(failed)?;
    let child = &running.child;
    let master = running.master.take();
    let front = Front { child, relays, master, interactive, watch: None };
    match (supervise_until_left(front, signals)?, terminal) {
        (Some(status), _) => Ok(Attached::Ended(status.code())),
        (None, Some(terminal)) => {
            // Its terminal would be hung up, and fill up, with nobody at its other end.
            sys::spawn_keeper(terminal.as_fd(), child.as_fd())?;
            Ok(Attached::Detached)
        }
        (None, None) => Err(Error::new("the program was left without a terminal")),
    }
}
