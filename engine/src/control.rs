//! What is done to containers that exist: starting, attaching, freezing.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_ns::Process;

use crate::containers::Config;
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::known::{self, Info};
use crate::lower::mounts::WORK;
use crate::monitor::{self, StartedBy, channel};
use crate::signals::Signals;
use crate::state::{Claim, Record};
use crate::{
    AttachOptions, Attached, ContainerId, Engine, Error, Kind, RestartPolicy, adrift, attach,
    console, host, ids, repair, rollback, survivor,
};

/// How long somebody else may be in charge of a container that does not run.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the processes of a container may take to stand still.
const FREEZE: Duration = Duration::from_secs(10);

pub(crate) fn config(engine: &Engine, id: &ContainerId) -> Result<Config, Error> {
    engine.containers.config(id)?.ok_or_else(|| gone(id))
}

fn gone(id: &ContainerId) -> Error {
    Error::new(format!("No such container: {id}")).kind(Kind::NoSuchContainer)
}

/// The container's first process.
pub(crate) fn process(engine: &Engine, id: &ContainerId) -> Result<Option<Process>, Error> {
    let directory = engine.state.container(id);
    match directory.exists() {
        true => survivor::find(&directory),
        false => adrift::process(engine, id),
    }
}

/// The same of one that has to run.
pub(crate) fn running(engine: &Engine, id: &ContainerId) -> Result<Process, Error> {
    config(engine, id)?;
    let not = || Error::new(format!("container {id} is not running"));
    process(engine, id)?.ok_or_else(not)
}

/// Takes charge of a container that nobody is in charge of, and waits for whoever is only changing
/// it, or has not cleaned up after it yet. Nothing when it runs.
pub(crate) fn take(engine: &Engine, id: &ContainerId, keep: bool) -> Result<Option<Claim>, Error> {
    engine.prepare()?;
    let until = Instant::now() + PATIENCE;
    loop {
        let config = config(engine, id)?;
        let record = Record::bare(engine, (id, &config.name), host::boot()?, keep);
        if let Some(claim) = engine.state.take(record)? {
            // It may have been removed just before.
            if engine.containers.config(id)?.is_none() {
                engine.state.forget(&claim)?;
                return Err(gone(id));
            }
            if adrift::process(engine, id)?.is_some() {
                engine.state.forget(&claim)?;
                return Err(adrift::refused(engine, id));
            }
            if adrift::was_cut_off(engine, id)? {
                let hierarchies = Hierarchies::detect()?;
                let record = repair::record(engine, &hierarchies, id, keep)?;
                rollback::undo_run(engine, &hierarchies, &record)?;
            }
            return Ok(Some(claim));
        }
        let Some(charge) = engine.state.charge(id)? else { continue };
        if !charge.lasts()? {
            sweep_for(engine, id)?;
            continue;
        }
        if is_active(engine, &config)? {
            return Ok(None);
        }
        if is_over(engine, &config)? {
            // Nobody waits any more for those who do not take its output.
            charge.stop()?;
        }
        let left = until.saturating_duration_since(Instant::now());
        if !charge.wait_for(left, || is_active(engine, &config))? {
            return Err(busy(engine, id));
        }
    }
}

/// Undoes what somebody has left who was in charge of the container and has died.
pub(crate) fn sweep_for(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let turn = engine.state.next_turn(|| Ok(()))?;
    let swept = rollback::sweep(engine, &Hierarchies::detect()?, &turn);
    // What cannot be undone of others holds up nobody.
    match engine.state.container(id).exists() {
        true => swept,
        false => Ok(()),
    }
}

/// It has ended for good, and whoever is in charge has that to clean up only. In the moment before
/// it is written down how it has ended it may be started again by its policy.
fn is_over(engine: &Engine, config: &Config) -> Result<bool, Error> {
    let id = &config.id;
    if !survivor::has_ended(&engine.state.container(id))? {
        return Ok(false);
    }
    if config.options.lifecycle.restart == RestartPolicy::No {
        return Ok(true);
    }
    let last = engine.containers.outcome(id)?;
    let closed = last.is_some_and(|last| last.finished.is_some());
    Ok(closed && !engine.state.is_restarting(id))
}

/// Whoever is in charge of the container does not let go of it.
pub(crate) fn busy(engine: &Engine, id: &ContainerId) -> Error {
    if let Ok(Some(copier)) = engine.state.copier(id) {
        let process = copier.pid();
        return Error::new(format!(
            "the files of container {id} are being copied by another minidock (process {process})"
        ))
        .hint("wait until that has ended: nobody may be taking what it copies");
    }
    let owner = survivor::in_charge(&engine.state.container(id)).ok().flatten();
    let owner = owner.map_or(String::new(), |owner| format!(" (process {})", owner.pid()));
    Error::new(format!("another minidock{owner} is in charge of container {id} and keeps it"))
        .hint("nobody may be taking what it writes, or it is stopped: end it, or remove the container by `rm -f`")
}

/// It runs, or waits for its next start.
fn is_active(engine: &Engine, config: &Config) -> Result<bool, Error> {
    // Until it is written down how it has ended it is shown to run.
    if is_over(engine, config)? {
        return Ok(false);
    }
    let info = known::info(engine, &Hierarchies::detect()?, &config.id)?;
    Ok(info.is_some_and(|info| info.state.status.is_active()))
}

fn take_to_start(engine: &Engine, id: &ContainerId) -> Result<Option<Claim>, Error> {
    let auto_remove = config(engine, id)?.options.lifecycle.auto_remove;
    // One that is to leave nothing leaves nothing of a start that fails either, as with docker.
    let Some(claim) = take(engine, id, !auto_remove)? else { return Ok(None) };
    if auto_remove {
        // The kernel does not mount a volatile layer again, which a crash could have damaged; here
        // it was none, and its mark lies in the directory that is for scratch.
        ids::remove_tree(&engine.containers.directory(id).join(WORK))?;
    }
    failpoint!("start-work");
    Ok(Some(claim))
}

/// Starts a container with a monitor of its own. False when it runs already.
pub(crate) fn start(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    let Some(claim) = take_to_start(engine, id)? else { return Ok(false) };
    let mut signals = Signals::collect()?;
    monitor::spawn(engine, claim, StartedBy::default(), &mut signals).map(|_| true)
}

/// The same, and the caller looks at it from its first byte on.
pub(crate) fn start_attached(
    engine: &Engine,
    id: &ContainerId,
    options: &AttachOptions,
) -> Result<Attached, Error> {
    let Some(claim) = take_to_start(engine, id)? else { return attach(engine, id, options) };
    let mut signals = Signals::collect()?;
    let size = console::size_of_terminal().filter(|_| options.tty);
    let how = StartedBy { attached: true, size };
    let connection = monitor::spawn(engine, claim, how, &mut signals)?;
    let left = attach::attach(engine, id, connection, options, &mut signals)?;
    drop(signals);
    leave(engine, id, left)
}

/// When a container has ended for good nothing is left when the caller goes on.
pub(crate) fn leave(engine: &Engine, id: &ContainerId, left: Attached) -> Result<Attached, Error> {
    let policy = engine.containers.config(id)?.map(|config| config.options.lifecycle.restart);
    if let (Attached::Ended(_), None | Some(RestartPolicy::No)) = (left, policy) {
        wait_for_release(engine, id)?;
    }
    Ok(left)
}

/// Attaches the caller to a running container.
pub(crate) fn attach(
    engine: &Engine,
    id: &ContainerId,
    options: &AttachOptions,
) -> Result<Attached, Error> {
    let connection = connect(engine, id)?;
    attach::attach(engine, id, connection, options, &mut Signals::collect()?)
}

/// A connection with the monitor of a running container.
fn connect(engine: &Engine, id: &ContainerId) -> Result<OwnedFd, Error> {
    running(engine, id)?;
    let directory = engine.state.container(id);
    channel::connected(&directory).map_err(|error| match channel::is_served(&directory) {
        true => error,
        false => Error::new(format!("cannot attach to {id}: it runs in the foreground of the command that started it"))
            .hint("`minidock logs -f` shows what it writes; containers that are started with -d can be attached to"),
    })
}

/// The container's control groups while it runs.
pub(crate) fn cgroup(engine: &Engine, id: &ContainerId) -> Result<Option<Cgroup>, Error> {
    let hierarchies = Hierarchies::detect()?;
    let record = match engine.state.record(id) {
        Ok(None) => return Ok(None),
        Ok(Some(record)) => record,
        Err(_) => repair::record(engine, &hierarchies, id, true)?,
    };
    Ok(Some(Cgroup::open(&hierarchies, &record.cgroups)?))
}

/// Waits until the process that is in charge has cleaned up.
pub(crate) fn wait_for_release(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let charge = engine.state.charge(id)?;
    charge.map_or(Ok(()), |charge| charge.wait(|| Ok(false)))
}

/// Freezes all of the container's processes, or lets them go on.
pub(crate) fn freeze(engine: &Engine, id: &ContainerId, freeze: bool) -> Result<(), Error> {
    running(engine, id)?;
    let unsupported =
        |_: &ContainerId| Error::new("cannot freeze the container: it has no control group");
    let cgroup = cgroup(engine, id)?.filter(|cgroup| !cgroup.directories().is_empty());
    let Some(cgroup) = cgroup else { return Err(adrift::or(engine, id, unsupported)?) };
    match (freeze, cgroup.is_frozen()?) {
        (true, true) => return Err(Error::new(format!("container {id} is already paused"))),
        (false, false) => return Err(Error::new(format!("container {id} is not paused"))),
        (true, false) => {
            engine.state.pause(id)?;
            cgroup.freeze(FREEZE)?;
        }
        (false, true) => cgroup.thaw()?,
    }
    events::note(engine, id, if freeze { Action::Pause } else { Action::Unpause });
    Ok(())
}

/// What is known of a container.
pub(crate) fn inspect(engine: &Engine, id: &ContainerId) -> Result<Info, Error> {
    known::info(engine, &Hierarchies::detect()?, id)?.ok_or_else(|| gone(id))
}
