//! The one process that stays with a detached container: the same program, executed again. It owns
//! the log, the terminal and the restart policy, writes down the end, and cleans up.
//!
//! It is executed once more when the container's program executes: what stays for as long as the
//! container runs is then a small process, without the memory that the start took. The container's
//! first process stays its child all the while.

pub(crate) mod channel;
mod client;
mod handover;
mod hub;
mod input;
mod listener;
mod restart;
mod small;
mod spawn;
mod stay;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use minidock_cgroup::Hierarchies;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use self::channel::Kind;
use self::client::Client;
use self::restart::Restarts;
use crate::containers::{Config, Outcome};
use crate::control;
use crate::failpoints::failpoint;
use crate::launch;
use crate::logs::Writer;
use crate::run::begin;
use crate::signals::Signals;
use crate::start::{Start, Started};
use crate::state::Claim;
use crate::stdio::Prepared;
use crate::{
    ContainerId, Engine, Error, Explain, LogDriver, LogOptions, RunOptions, host, rollback, sys,
};

pub(crate) use handover::{StartedBy, Words};
pub(crate) use hub::Watch;
pub(crate) use small::{Clean, let_go_of_clean_pages};
pub(crate) use spawn::spawn;
pub(crate) use stay::was_out_of_memory;

/// Does what the words say that a monitor is executed with: starts the container, or stays with it.
pub(crate) fn monitor(engine: &Engine, id: &ContainerId, words: &[String]) -> Result<(), Error> {
    let mut words = Words::parse(words)?;
    let lock = File::from(words.descriptor("lock")?);
    if words.has("pid") {
        return stay::stay(engine, id, lock, &mut words);
    }
    let mut caller = Caller::new(&mut words)?;
    let hierarchies = Hierarchies::detect()?;
    let started = engine.state.resume(id, lock).and_then(|mut claim| {
        let started = start(engine, &mut claim, &mut caller, &mut words);
        let Err(error) = started;
        if caller.connection.is_none() {
            // It is one of many starts, by the restart policy.
            return restart::failed(engine, claim, &words, error);
        }
        // The first error is the one to tell; the next command tries again to undo, from the record.
        drop(restart::refused(engine, &claim, &error));
        drop(rollback::undo(engine, &hierarchies, &claim));
        Err(error)
    });
    caller.tell(started)
}

/// Starts the container, and has this process executed as what stays with it.
fn start(
    engine: &Engine,
    claim: &mut Claim,
    caller: &mut Caller,
    words: &mut Words,
) -> Result<std::convert::Infallible, Error> {
    failpoint!("monitor-charge");
    leave_session(caller.connection.is_some())?;
    let mut signals = Signals::collect()?;
    let config = control::config(engine, &claim.record.id)?;
    // What nobody asked for was decided when it was described.
    let network = Some(config.network());
    let image = config.image()?;
    let Config { id, name, options, described, .. } = config;
    let options = RunOptions { network, ..options };
    let listener = channel::listener(&engine.state.container(&id))?;
    failpoint!("monitor-socket");
    // What stays with the container opens it again; that it can is known before there is one.
    drop(log_writer(engine, &id, &options.lifecycle.log)?);
    let mut start = Start::new(engine, &options, (id.clone(), name), Explain::Off, image)?;
    start.set_terminal_size(caller.by.size);
    let (mut prepared, ends) = Prepared::piped(options.interactive, options.tty)?;
    let ready = start.ready(|_| Ok(std::mem::take(&mut prepared)))?;
    engine.state.rewrite(claim, start.record(&ready, claim.record.keep))?;
    failpoint!("monitor-record");
    if caller.connection.is_none() && engine.state.is_stopping(&id) {
        // It was stopped while this start by the restart policy was being prepared.
        return Err(Error::interrupted(Signal::SIGTERM));
    }
    let Started { running, ports, .. } = start.carry_out(ready, claim, &mut signals)?;
    let restarts = Restarts::of(words, options.lifecycle.restart);
    let outcome =
        Outcome { restarts: restarts.count(), ..Outcome::started(start.boot(), host::now()) };
    let check = described.healthcheck.as_ref();
    let begun = begin(&start, claim, &outcome, check).and_then(|()| caller.ready());
    let handed = begun.map(|starter| {
        failpoint!("monitor-ready");
        let child = (running.child.pid(), running.child.as_fd());
        let mut words = Words::default();
        words.say("pid", child.0);
        words.hand("pidfd", child.1);
        words.hand("lock", claim.lock().as_fd());
        words.hand("listener", listener.as_fd());
        starter.iter().for_each(|client| words.hand("starter", client.as_fd()));
        ends.hand_over(&mut words);
        words.hand_all("ports", &ports);
        running.master.iter().for_each(|master| words.hand("terminal", master.as_fd()));
        restarts.say(&mut words);
        words.execute(engine, &id)
    });
    // Nobody would stay with it.
    launch::end(&running.child);
    Err(match handed {
        Ok(error) | Err(error) => error,
    })
}

/// The log of a container that has one.
pub(crate) fn log_writer(
    engine: &Engine,
    id: &ContainerId,
    options: &LogOptions,
) -> Result<Option<Writer>, Error> {
    let directory = engine.containers.directory(id);
    match options.driver {
        LogDriver::None => Ok(None),
        LogDriver::JsonFile => Writer::open(&directory, &log_name(id), options).map(Some),
    }
}

/// Docker's.
pub(crate) fn log_name(id: &ContainerId) -> String {
    format!("{id}-json.log")
}

fn null() -> Result<File, Error> {
    let path = Path::new("/dev/null");
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map_err(|error| Error::path("open", path, &error))
}

/// Nothing that ends the caller's terminal or session, or empties its directory, is about this
/// process from here on. It may have been done before.
fn leave_session(first: bool) -> Result<(), Error> {
    let failed = |errno: Errno| Error::io("leave", "the caller's session", &errno.into());
    if first {
        // What the caller had open is not held open for as long as the container runs.
        sys::close_on_exec().map_err(|error| Error::io("close", "descriptors", &error))?;
        nix::unistd::setsid().map_err(failed)?;
        nix::unistd::chdir("/").map_err(failed)?;
    }
    let null = null()?;
    rustix::stdio::dup2_stdin(&null).map_err(|error| Error::io("close", "input", &error.into()))?;
    rustix::stdio::dup2_stdout(&null).map_err(|error| Error::io("close", "output", &error.into()))
}

/// Whoever has started this process, until it knows how that went.
#[derive(Debug)]
struct Caller {
    /// Nothing when the restart policy has started it.
    connection: Option<OwnedFd>,
    by: StartedBy,
}

impl Caller {
    fn new(words: &mut Words) -> Result<Self, Error> {
        let connection = words.has("caller").then(|| words.descriptor("caller")).transpose()?;
        Ok(Self { connection, by: words.started_by() })
    }

    /// The program executes. Who looks at the container stays connected.
    fn ready(&mut self) -> Result<Option<Client>, Error> {
        let Some(connection) = self.connection.take() else { return Ok(None) };
        // From here on nobody reads what this process would print.
        rustix::stdio::dup2_stderr(&null()?)
            .map_err(|error| Error::io("close", "standard error", &error.into()))?;
        let mut client = Client::new(connection, self.by.attached);
        client.send(Kind::Ready, &[]);
        Ok(self.by.attached.then_some(client))
    }

    /// The error goes to whoever still waits; later nobody can be told.
    fn tell(self, lived: Result<(), Error>) -> Result<(), Error> {
        if let (Some(connection), Err(error)) = (self.connection, &lived) {
            let text = serde_json::to_vec(&error.shortened()).unwrap_or_default();
            Client::new(connection, true).send(Kind::Failed, &text);
            return Ok(());
        }
        lived
    }
}
