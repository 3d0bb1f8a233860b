//! Health checks: a program that is run in the container again and again, and what follows from how
//! it ends. Whoever is in charge of the container has a child for each probe, which does all of it
//! and writes the result to `health.json` in the container's state directory.

mod check;
mod probe;
mod prober;
mod status;

use std::fs;
use std::io;
use std::path::Path;

use crate::containers::{Config, write};
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::{ContainerId, Engine, Error};

pub use check::Healthcheck;
pub(crate) use probe::probe;
pub(crate) use prober::Prober;
pub use status::{Health, HealthProbe, HealthStatus};

const FILE: &str = "health.json";

/// What the options and the image come to together.
pub(crate) fn merged(
    options: Option<&Healthcheck>,
    image: Option<&Healthcheck>,
) -> Option<Healthcheck> {
    match (options, image) {
        (Some(own), Some(image)) => Some(own.clone().over(image)),
        (own, image) => own.or(image).cloned(),
    }
}

/// A container that has a check is about to be started: nothing is known of it yet.
pub(crate) fn begin(
    engine: &Engine,
    id: &ContainerId,
    check: Option<&Healthcheck>,
) -> Result<(), Error> {
    if check.is_none_or(|check| check.command().is_none()) {
        return Ok(());
    }
    write(&engine.state.container(id), FILE, &Health::default(), false)?;
    failpoint!("health-begun");
    Ok(())
}

/// What was written last. Nothing for a container without a check.
pub(crate) fn read(directory: &Path) -> Result<Option<Health>, Error> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Error::path("read", &path, &error))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(format!("{} is damaged: {error}", path.display()))
            .hint("the next probe replaces it")
    })
}

/// What is left to say of a container that has ended; docker has it unhealthy then.
pub(crate) fn last(engine: &Engine, id: &ContainerId) -> Option<Health> {
    // What is damaged is nothing.
    let health = read(&engine.state.container(id)).ok().flatten()?;
    Some(Health { status: HealthStatus::Unhealthy, ..health })
}

/// Adds the result of a probe. For one process at a time.
fn record(engine: &Engine, config: &Config, probe: HealthProbe) -> Result<(), Error> {
    let Some(check) = &config.described.healthcheck else { return Ok(()) };
    let directory = engine.state.container(&config.id);
    // What is damaged has been told to whoever looked at it, and is replaced.
    let mut health = read(&directory).unwrap_or_default().unwrap_or_default();
    let outcome = engine.containers.outcome(&config.id)?;
    let started = outcome.map_or(0, |outcome| outcome.started);
    let changed = health.note(check, started, probe);
    write(&directory, FILE, &health, false)?;
    failpoint!("health-recorded");
    if changed {
        events::note_of(engine, &config.id, Some(config), Action::Health(health.status));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        write(directory.path(), FILE, &Health::default(), false).unwrap();
        assert_eq!(read(directory.path()).unwrap(), Some(Health::default()));
        let whole = fs::read(directory.path().join(FILE)).unwrap();
        for length in 0..whole.len() {
            fs::write(directory.path().join(FILE), &whole[..length]).unwrap();
            let error = read(directory.path()).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
        }
    }
}
