//! What is shown of a container that the options alone do not say.

use std::path::{Path, PathBuf};

use minidock_image::config::Config;
use oci_spec::runtime::Process;
use serde::{Deserialize, Serialize};

use super::mounts;
use crate::{
    Engine, Error, Exposed, Healthcheck, MountSource, NetworkMode, Propagation, RunOptions,
};

/// What the image and the options come to together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Described {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`: what comes after the entrypoint.
    pub command: Vec<String>,
    /// `NAME=value`, without what only a start adds.
    pub environment: Vec<String>,
    /// The working directory.
    pub directory: String,
    /// `user[:group]`, as it was given.
    pub user: String,
    /// The image's labels, and the options' over them, sorted.
    pub labels: Vec<(String, String)>,
    /// All but what every container has.
    pub mounts: Vec<MountPoint>,
    /// The network that it gets.
    pub network: Option<NetworkMode>,
    /// The ports that it means to be reached by, the image's and the options'.
    pub exposed: Vec<Exposed>,
    /// The image's layers, the uppermost first, or the directory that is the container's root.
    pub root: Vec<PathBuf>,
    /// How its health is checked.
    pub healthcheck: Option<Healthcheck>,
}

/// A mount of a container, beside those that every container has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MountPoint {
    /// What is mounted.
    pub kind: MountKind,
    /// On the host; empty for a tmpfs.
    pub source: PathBuf,
    /// In the container.
    pub target: String,
    /// It cannot be written through this mount.
    pub read_only: bool,
    /// Whether mounts of the host that are made later appear.
    pub slave: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume; an anonymous one has no name.
    Volume(Option<String>),
    /// A tmpfs.
    Tmpfs,
}

pub(super) fn describe(
    options: &RunOptions,
    config: &Config,
    (process, trees): (&Process, &[PathBuf]),
    (engine, directory): (&Engine, &Path),
) -> Result<Described, Error> {
    let entrypoint = match options.entrypoint.as_deref() {
        Some("") => Vec::new(),
        Some(program) => vec![program.to_owned()],
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    let arguments = process.args().clone().unwrap_or_default();
    let user = options.user.as_deref().unwrap_or(&config.user);
    Ok(Described {
        command: arguments.get(entrypoint.len()..).unwrap_or_default().to_vec(),
        entrypoint,
        environment: environment(options, config, process),
        directory: process.cwd().display().to_string(),
        user: user.to_owned(),
        labels: labels(options, config),
        mounts: points(options, config, &engine.root, directory)?,
        network: Some(options.network()),
        exposed: exposed(options, config)?,
        root: trees.to_vec(),
        healthcheck: None,
    })
}

fn exposed(options: &RunOptions, config: &Config) -> Result<Vec<Exposed>, Error> {
    let mut all = options.publishing.expose.clone();
    for text in &config.exposed_ports {
        let exposed = text.parse().map_err(|why| {
            Error::new(format!("the image exposes a port that is none: {text:?}: {why}"))
        })?;
        all.push(exposed);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// A start adds the host name, the home directory and the terminal.
fn environment(options: &RunOptions, config: &Config, process: &Process) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let asked = config.env.iter().chain(&options.env);
    let mut names: Vec<String> = asked.map(|entry| name(entry)).collect();
    names.push("PATH".to_owned());
    let all = process.env().clone().unwrap_or_default();
    all.into_iter().filter(|entry| names.contains(&name(entry))).collect()
}

fn labels(options: &RunOptions, config: &Config) -> Vec<(String, String)> {
    let mut labels = config.labels.clone();
    labels.extend(options.lifecycle.labels.iter().cloned());
    labels.into_iter().collect()
}

fn points(
    options: &RunOptions,
    config: &Config,
    root: &Path,
    directory: &Path,
) -> Result<Vec<MountPoint>, Error> {
    let point = |(index, request): (usize, crate::MountRequest)| {
        let (kind, source) = match request.source {
            MountSource::Bind { path, .. } => (MountKind::Bind, path),
            MountSource::Volume { name } => {
                let source = mounts::volume(name.as_deref(), root, directory, index)?;
                (MountKind::Volume(name), source)
            }
            MountSource::Tmpfs { .. } => (MountKind::Tmpfs, PathBuf::new()),
        };
        let slave = request.propagation == Some(Propagation::Slave);
        let (target, read_only) = (request.target, request.read_only);
        Ok(MountPoint { kind, source, target, read_only, slave })
    };
    mounts::requests(options, config).into_iter().enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::ProcessBuilder;

    use super::*;
    use crate::{MountRequest, RootSource};

    #[test]
    fn the_image_and_the_options_come_together() {
        let text = |text: &str| text.to_owned();
        let config = Config {
            entrypoint: Some(vec![text("/entry")]),
            env: vec![text("A=1")],
            labels: [(text("a"), text("1")), (text("b"), text("2"))].into(),
            volumes: [text("/data")].into(),
            user: text("www"),
            ..Config::default()
        };
        let process = ProcessBuilder::default()
            .args(["/entry", "x"].map(text))
            .env(["PATH=/bin", "HOSTNAME=h", "A=1", "B=2", "HOME=/"].map(text))
            .cwd("/srv")
            .build()
            .unwrap();
        let mut options = RunOptions::new(RootSource::Image(text("x")));
        options.env = vec![text("B=2")];
        options.lifecycle.labels = vec![(text("b"), text("3"))];
        options.publishing.expose = vec!["80".parse().unwrap()];
        let name = Some(text("vol"));
        let source = MountSource::Volume { name: name.clone() };
        let request =
            MountRequest { source, target: text("/v"), read_only: true, propagation: None };
        options.mounts = vec![request];
        let engine = Engine::new("/root".into(), "/state".into());
        let places = (&engine, Path::new("/root/containers/i"));
        let described =
            describe(&options, &config, (&process, &[PathBuf::from("/tree")]), places).unwrap();
        let point = |kind, source: &str, target: &str, read_only| MountPoint {
            kind,
            source: source.into(),
            target: text(target),
            read_only,
            slave: false,
        };
        assert_eq!(
            described,
            Described {
                entrypoint: vec![text("/entry")],
                command: vec![text("x")],
                environment: ["PATH=/bin", "A=1", "B=2"].map(text).to_vec(),
                directory: text("/srv"),
                user: text("www"),
                labels: vec![(text("a"), text("1")), (text("b"), text("3"))],
                mounts: vec![
                    point(MountKind::Volume(name), "/root/volumes/vol/_data", "/v", true),
                    point(MountKind::Volume(None), "/root/containers/i/volumes/1", "/data", false),
                ],
                network: Some(NetworkMode::bridge()),
                exposed: vec!["80/tcp".parse().unwrap()],
                root: vec!["/tree".into()],
                healthcheck: None,
            }
        );
    }
}
