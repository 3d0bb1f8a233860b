//! What can be said of containers: the facts that are written down and those that the kernel
//! tells, from which their status follows.

mod state;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_ns::Process;

use crate::containers::{Config, Outcome};
use crate::lower::mounts::{UPPER, WORK};
use minidock_image::Digest;

use crate::{
    Connections, ContainerId, Described, Engine, Error, Kind, LogDriver, RootSource, RunOptions,
    address, adrift, health, survivor,
};

pub use state::{State, Status};

/// A container.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// How the image was named.
    pub image: String,
    /// The image's id; nothing when its root is a directory of the caller's.
    pub image_id: Option<Digest>,
    /// When it was made, nanoseconds since the epoch.
    pub created: u64,
    /// The program and its arguments, as the image and the options have it.
    pub command: Vec<String>,
    /// The number of the signal by which it is asked to end.
    pub stop_signal: i32,
    /// What it was asked for with.
    pub options: RunOptions,
    /// What the image and the options come to together.
    pub described: Described,
    /// What it is doing.
    pub state: State,
    /// The networks that it is on and its published ports, as long as it runs.
    pub connections: Connections,
    /// Where its layer and its log are.
    pub directory: PathBuf,
}

impl Info {
    /// A container of which nothing else is known.
    #[must_use]
    pub fn new(id: ContainerId, name: &str, options: RunOptions) -> Self {
        Self {
            id,
            name: name.to_owned(),
            image: crate::spec::image_name(&options.source),
            image_id: None,
            created: 0,
            command: Vec::new(),
            stop_signal: libc::SIGTERM,
            options,
            described: Described::default(),
            state: State::default(),
            connections: Connections::default(),
            directory: PathBuf::new(),
        }
    }

    /// The newest file of its log, when it has one.
    #[must_use]
    pub fn log_file(&self) -> Option<PathBuf> {
        match self.options.lifecycle.log.driver {
            LogDriver::JsonFile => Some(self.directory.join(crate::monitor::log_name(&self.id))),
            LogDriver::None => None,
        }
    }

    /// Of its own layer: what takes the changes, and what the kernel works with. Nothing when its
    /// root is a directory of the caller's; of an image, [`Described::root`] is below.
    #[must_use]
    pub fn layer(&self) -> Option<[PathBuf; 2]> {
        let own = |name| self.directory.join(name);
        match self.options.source {
            RootSource::Image(_) => Some([own(UPPER), own(WORK)]),
            RootSource::Directory(_) => None,
        }
    }
}

/// The id that a text names: a whole id, a name, or the beginning of one id only.
pub(crate) fn find(engine: &Engine, text: &str) -> Result<ContainerId, Error> {
    let exists = |id: &ContainerId| engine.containers.directory(id).is_dir();
    if let Some(id) = text.parse().ok().filter(exists) {
        return Ok(id);
    }
    // `inspect` shows names as docker does, with a slash.
    let name = text.strip_prefix('/').unwrap_or(text);
    if let Some(id) = engine.containers.owner(name).filter(exists) {
        return Ok(id);
    }
    let unknown = || Error::new(format!("No such container: {text}")).kind(Kind::NoSuchContainer);
    if text.is_empty() {
        return Err(unknown());
    }
    let ids = engine.containers.ids()?;
    let mut matching = ids.into_iter().filter(|id| id.as_str().starts_with(text));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Error::new(format!("multiple IDs found with provided prefix: {text}")))
        }
        _ => Err(unknown()),
    }
}

/// What is known of a container. Nothing when it has gone meanwhile.
pub(crate) fn info(
    engine: &Engine,
    hierarchies: &Hierarchies,
    id: &ContainerId,
) -> Result<Option<Info>, Error> {
    let Some(config) = engine.containers.config(id)? else { return Ok(None) };
    let state = state_of(engine, hierarchies, &config)?;
    let connections = connections(engine, id, &state)?;
    Ok(Some(Info { connections, ..known(engine, config, state) }))
}

/// One that does not run has none.
fn connections(engine: &Engine, id: &ContainerId, state: &State) -> Result<Connections, Error> {
    match state.status.is_active() {
        true => address::of(engine, id),
        false => Ok(Connections::default()),
    }
}

fn known(engine: &Engine, config: Config, state: State) -> Info {
    let Config { id, name, image, created, command, stop_signal, options, base, described } =
        config;
    let image_id = base.map(|base| base.id);
    let directory = engine.containers.directory(&id);
    let info = Info::new(id, &name, options);
    Info { image, image_id, created, command, stop_signal, described, state, directory, ..info }
}

/// How long whoever is in charge may take to write down an end that has come.
const CLOSING: Duration = Duration::from_secs(1);

/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(2);

fn state_of(engine: &Engine, hierarchies: &Hierarchies, config: &Config) -> Result<State, Error> {
    let since = Instant::now();
    loop {
        let state = state_now(engine, hierarchies, config)?;
        let unsure = match state.status {
            // It has just ended, and nobody knows yet how.
            Status::Running => state.pid.is_none(),
            // It was just started.
            Status::Exited => state.finished.is_none() && engine.state.is_held(&config.id)?,
            _ => false,
        };
        if !unsure || since.elapsed() >= CLOSING {
            return Ok(state);
        }
        thread::sleep(LOOK);
    }
}

fn state_now(engine: &Engine, hierarchies: &Hierarchies, config: &Config) -> Result<State, Error> {
    let held = engine.state.is_held(&config.id)?;
    let process = match held {
        true => survivor::find(&engine.state.container(&config.id))?,
        false if engine.state.container(&config.id).exists() => None,
        false => adrift::process(engine, &config.id)?,
    };
    // After that: whoever lets go of it has written down how it ended.
    let outcome = engine.containers.outcome(&config.id)?;
    let frozen = match &process {
        Some(_) => is_frozen(engine, hierarchies, &config.id)?,
        None => false,
    };
    let waits = held && engine.state.is_restarting(&config.id);
    let mut state = state(outcome, (held, waits), (process.as_ref(), frozen));
    if state.status.is_running() {
        match health::read(&engine.state.container(&config.id)) {
            Ok(health) => state.health = health,
            Err(error) => state.warning = Some(error.to_string()),
        }
    }
    Ok(state)
}

fn is_frozen(engine: &Engine, hierarchies: &Hierarchies, id: &ContainerId) -> Result<bool, Error> {
    let Some(record) = engine.state.record(id)? else { return Ok(false) };
    match Cgroup::open(hierarchies, &record.cgroups)?.is_frozen() {
        Ok(frozen) => Ok(frozen),
        // It has ended meanwhile.
        Err(_) if survivor::find(&engine.state.container(id))?.is_none() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `held` is whether a process is in charge, and `waits` whether it is going to start the container
/// again; then the container's first process, and whether it is frozen.
fn state(
    outcome: Option<Outcome>,
    (held, waits): (bool, bool),
    (process, frozen): (Option<&Process>, bool),
) -> State {
    let Some(outcome) = outcome else { return State::default() };
    let status = match (process, outcome.finished) {
        (Some(_), None) if frozen => Status::Paused,
        // Without a process it has just ended, and that is not written down yet.
        (_, None) if process.is_some() || held => Status::Running,
        (_, Some(_)) if waits => Status::Restarting,
        // It could not be started.
        (None, Some(_)) if outcome.started == 0 => Status::Created,
        _ => Status::Exited,
    };
    let running = status.is_running();
    // Nobody was left to write down the end: the machine was switched off.
    let lost = !running && outcome.finished.is_none();
    State {
        status,
        pid: process.filter(|_| running).map(Process::pid),
        started: Some(outcome.started).filter(|at| *at > 0),
        finished: outcome.finished.filter(|at| *at > 0),
        exit_code: if lost { 255 } else { outcome.code },
        oom_killed: outcome.oom_killed,
        error: outcome.error,
        restarts: outcome.restarts,
        health: outcome.health,
        warning: None,
    }
}

/// Containers, the youngest first, and what cannot be understood: `all`, or those that run or are
/// just being changed.
pub(crate) fn list(engine: &Engine, all: bool) -> Result<(Vec<Info>, Vec<Error>), Error> {
    let hierarchies = Hierarchies::detect()?;
    let ids = engine.containers.ids()?;
    // The others are not even looked at.
    let is_wanted = |id: &&ContainerId| all || may_run(engine, id);
    let look_at = |part: &[ContainerId]| -> Vec<_> {
        let wanted = part.iter().filter(is_wanted);
        wanted.filter_map(|id| look(engine, &hierarchies, id)).collect()
    };
    // Asking the kernel takes the time, and processors do that side by side.
    let looked: Vec<_> = thread::scope(|scope| {
        let parts: Vec<_> =
            ids.chunks(PART).map(|part| scope.spawn(move || look_at(part))).collect();
        let done =
            parts.into_iter().map(|part| part.join().unwrap_or_else(|why| resume_unwind(why)));
        done.flatten().collect()
    });
    let (mut known, mut errors) = (Vec::new(), Vec::new());
    for (info, error) in looked {
        known.push(info);
        errors.extend(error);
    }
    known.sort_by_key(|info| std::cmp::Reverse(info.created));
    Ok((known, errors))
}

/// Somebody is in charge of it, or was until its state directory was removed.
fn may_run(engine: &Engine, id: &ContainerId) -> bool {
    engine.state.container(id).exists() || !matches!(adrift::process(engine, id), Ok(None))
}

/// How many containers one thread looks at.
const PART: usize = 50;

/// A container, and why it cannot be understood, if so. Nothing when it has gone meanwhile.
fn look(
    engine: &Engine,
    hierarchies: &Hierarchies,
    id: &ContainerId,
) -> Option<(Info, Option<Error>)> {
    match engine.containers.config(id) {
        Ok(None) => None,
        Ok(Some(config)) => Some(match state_of(engine, hierarchies, &config) {
            Ok(state) => match connections(engine, id, &state) {
                Ok(connections) => (Info { connections, ..known(engine, config, state) }, None),
                Err(error) => (known(engine, config, state), Some(error)),
            },
            Err(error) => (known(engine, config, dead(&error)), Some(error)),
        }),
        Err(error) => Some((damaged(engine, id.clone(), &error), Some(error))),
    }
}

fn dead(error: &Error) -> State {
    State { status: Status::Dead, error: Some(error.to_string()), ..State::default() }
}

/// One whose description cannot be read: its directory has an age, and its name may be found.
fn damaged(engine: &Engine, id: ContainerId, error: &Error) -> Info {
    let directory = engine.containers.directory(&id);
    let changed = directory.metadata().and_then(|meta| meta.modified()).ok();
    let age = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let name = engine.containers.name_of(&id).ok().flatten().unwrap_or_default();
    let options = RunOptions::new(RootSource::Image(String::new()));
    Info {
        created: age.and_then(|age| u64::try_from(age.as_nanos()).ok()).unwrap_or_default(),
        state: dead(error),
        directory,
        ..Info::new(id, &name, options)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(name: &str, created: u64) -> Config {
        Config {
            id: ContainerId::random().unwrap(),
            name: name.to_owned(),
            image: "alpine".to_owned(),
            created,
            command: Vec::new(),
            stop_signal: 15,
            options: RunOptions::new(RootSource::Image("alpine".to_owned())),
            base: None,
            described: Described::default(),
        }
    }

    #[test]
    fn the_youngest_is_listed_first_and_a_damaged_one_is_dead() {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let engine = Engine::new(top.path().join("root"), top.path().join("state"));
        engine.prepare().unwrap();
        let configs = [config("old", 1), config("young", u64::MAX), config("hurt", 2)];
        for config in &configs {
            engine.containers.write_config(config, false).unwrap();
            engine.containers.take_name(&config.name, &config.id).unwrap();
        }
        let [_, _, hurt] = &configs;
        fs::write(engine.containers.directory(&hurt.id).join("config.json"), "{").unwrap();
        let (infos, errors) = list(&engine, true).unwrap();
        let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        assert_eq!((names.as_slice(), errors.len()), (&["young", "hurt", "old"][..], 1));
        let statuses: Vec<Status> = infos.iter().map(|info| info.state.status).collect();
        assert_eq!(statuses, [Status::Created, Status::Dead, Status::Created]);
        assert_eq!(infos[1].id, hurt.id);
        // None of them runs.
        let (infos, errors) = list(&engine, false).unwrap();
        assert!(infos.is_empty() && errors.is_empty());
    }

    #[test]
    fn states_follow_from_what_is_known() {
        let outcome =
            |finished| Some(Outcome { started: 5, finished, code: 3, ..Outcome::default() });
        let status = |outcome, held, waits| {
            let state = state(outcome, (held, waits), (None, false));
            (state.status, state.exit_code)
        };
        assert_eq!(status(None, true, false), (Status::Created, 0));
        assert_eq!(status(outcome(Some(9)), false, false), (Status::Exited, 3));
        // Whoever is in charge may be copying from it, or removing it.
        assert_eq!(status(outcome(Some(9)), true, false), (Status::Exited, 3));
        // Nobody has written down yet how it has ended.
        assert_eq!(status(outcome(None), true, false).0, Status::Running);
        // The machine was switched off.
        assert_eq!(status(outcome(None), false, false), (Status::Exited, 255));
        assert_eq!(status(outcome(Some(9)), true, true), (Status::Restarting, 3));
        let not_started = Outcome { code: 127, finished: Some(0), ..Outcome::default() };
        let state = state(Some(not_started), (false, false), (None, false));
        assert_eq!((state.status, state.exit_code), (Status::Created, 127));
        assert_eq!((state.started, state.finished), (None, None));
    }
}
