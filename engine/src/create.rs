//! Making a container's name, directory and description: from then on it exists, whether it runs
//! or not.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::monitor::StartedBy;
use crate::signals::Signals;
use crate::spec::Container;
use crate::start::Start;
use crate::state::{Claim, Record};
use crate::{
    AttachOptions, Attached, ContainerId, Engine, Error, Explain, RunOptions, attach, console,
    control, id, monitor, rollback, store,
};

/// A new id, and the name that was asked for or a random one.
pub(crate) fn identity(options: &RunOptions) -> Result<(ContainerId, String), Error> {
    let name = options.name.clone().map_or_else(|| id::random_name(0), Ok)?;
    id::check_name(&name)?;
    Ok((ContainerId::random()?, name))
}

/// Takes charge of a new container, and describes it. Until the record says `keep`, whoever finds
/// it without a process in charge removes all of it.
pub(crate) fn claim(
    start: &mut Start<'_>,
    options: &RunOptions,
    container: &Container,
    record: Record,
    signals: Option<&mut Signals>,
) -> Result<Claim, Error> {
    let claim = claim_name(start, options.name.is_none(), record, signals)?;
    let durable = !options.lifecycle.auto_remove;
    let config = start.config(options, container);
    let written = start.engine.containers.write_config(&config, durable);
    failpoint!("claim-config");
    let noted =
        written.map(|()| events::note_of(start.engine, &config.id, Some(&config), Action::Create));
    match noted.and_then(|()| write_id(options, &config.id)) {
        Ok(()) => Ok(claim),
        Err(error) => {
            // The first error is the one to tell; the next command tries again to remove it.
            drop(rollback::undo(start.engine, &start.mounted, &claim));
            Err(error)
        }
    }
}

fn write_id(options: &RunOptions, id: &ContainerId) -> Result<(), Error> {
    let Some(path) = &options.lifecycle.id_file else { return Ok(()) };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::new(format!(
            "container ID file found, make sure the other container isn't running or delete {}",
            path.display()
        ))),
        file => file
            .and_then(|mut file| {
                let written = file.write_all(id.as_str().as_bytes());
                // Half an id would refuse the next attempt.
                written.inspect_err(|_| drop(fs::remove_file(path)))
            })
            .map_err(|error| Error::path("write", path, &error)),
    }
}

/// A start has failed: when nothing of the container is left, its id is not to be found in the file
/// that names it, which would refuse the next attempt.
pub(crate) fn forget_id(
    engine: &Engine,
    options: &RunOptions,
    id: &ContainerId,
) -> Result<(), Error> {
    let Some(path) = &options.lifecycle.id_file else { return Ok(()) };
    let is_own = fs::read(path).is_ok_and(|text| text == id.as_str().as_bytes());
    if engine.containers.directory(id).exists() || !is_own {
        return Ok(());
    }
    fs::remove_file(path).map_err(|error| Error::path("remove", path, &error))
}

fn claim_name(
    start: &mut Start<'_>,
    any_name: bool,
    mut record: Record,
    mut signals: Option<&mut Signals>,
) -> Result<Claim, Error> {
    let engine = start.engine;
    if let Some(claim) = engine.state.claim(record.clone(), &engine.containers)? {
        return Ok(claim);
    }
    // Perhaps the name belongs to a container whose engine was killed, or whose remains another
    // process is just removing.
    let interrupted = || signals.as_mut().map_or(Ok(()), |signals| signals.check());
    let turn = engine.state.next_turn(interrupted)?;
    let swept = rollback::sweep(engine, &start.mounted, &turn);
    drop(turn);
    for attempt in 1..100 {
        if any_name {
            start.name = id::random_name(attempt)?;
            record.name.clone_from(&start.name);
        }
        if let Some(claim) = engine.state.claim(record.clone(), &engine.containers)? {
            return Ok(claim);
        }
        // Whoever had the name may have gone just now.
        if let (false, Some(conflict)) = (any_name, engine.containers.conflict(&start.name)) {
            start.warn_of(swept);
            return Err(conflict);
        }
    }
    start.warn_of(swept);
    Err(Error::new(format!("cannot take the name {:?}: others take it all the time", start.name)))
}

/// A container that does not run yet.
pub(crate) fn create(engine: &Engine, options: &RunOptions) -> Result<ContainerId, Error> {
    let claim = make(engine, options)?;
    engine.state.forget(&claim)?;
    Ok(claim.record.id)
}

/// A container with a monitor of its own.
pub(crate) fn run_detached(engine: &Engine, options: &RunOptions) -> Result<ContainerId, Error> {
    let claim = make(engine, options)?;
    let id = claim.record.id.clone();
    spawn(engine, options, claim, StartedBy::default(), &mut Signals::collect()?)?;
    Ok(id)
}

/// The same, and the caller looks at it from its first byte on.
pub(crate) fn run_attached(
    engine: &Engine,
    options: &RunOptions,
    attached: &AttachOptions,
) -> Result<Attached, Error> {
    let claim = make(engine, options)?;
    let id = claim.record.id.clone();
    let mut signals = Signals::collect()?;
    let size = console::size_of_terminal().filter(|_| options.tty);
    let how = StartedBy { attached: true, size };
    let connection = spawn(engine, options, claim, how, &mut signals)?;
    let left = attach::attach(engine, &id, connection, attached, &mut signals)?;
    drop(signals);
    control::leave(engine, &id, left)
}

/// Starts the monitor of a new container.
fn spawn(
    engine: &Engine,
    options: &RunOptions,
    claim: Claim,
    how: StartedBy,
    signals: &mut Signals,
) -> Result<OwnedFd, Error> {
    let id = claim.record.id.clone();
    monitor::spawn(engine, claim, how, signals).inspect_err(|_| {
        // The first error is the one to tell.
        drop(forget_id(engine, options, &id));
    })
}

/// Nothing is going to be made but the directory and the name. What cannot be had is refused
/// before.
fn make(engine: &Engine, options: &RunOptions) -> Result<Claim, Error> {
    let (images, image) = store::take(engine, options, false)?;
    let mut start = Start::new(engine, options, identity(options)?, Explain::Off, image)?;
    let container = start.describe()?;
    engine.prepare()?;
    let record = start.bare_record(false);
    let claim = claim(&mut start, options, &container, record, None)?;
    drop(images);
    start.warn_of(start.sweep_if_nobody_does());
    Ok(claim)
}
