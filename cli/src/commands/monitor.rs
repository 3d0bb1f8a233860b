use std::ffi::OsString;
use std::path::PathBuf;

use minidock_engine::{ContainerId, Engine};

/// What this program is executed with by itself: as the monitor of a detached container, as a probe
/// of a container's health, or as the name server of a network.
#[derive(Debug)]
pub(crate) struct Monitor {
    engine: Engine,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// What it has to know.
    Monitor(ContainerId, Vec<String>),
    /// The process that is in charge of the container.
    Probe(ContainerId, u32),
    /// The network's name, and what it has to know.
    Names(String, Vec<String>),
}

impl Monitor {
    /// Nothing when it is executed as anything else. Looked at before everything else: a monitor is
    /// small.
    pub(crate) fn find(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let roles = ["monitor", "probe", "names"];
        let command = arguments.next().filter(|word| roles.iter().any(|role| word == role))?;
        let (root, state) = (PathBuf::from(arguments.next()?), PathBuf::from(arguments.next()?));
        let whose = arguments.next()?.into_string().ok()?;
        let words = arguments.map(|word| word.into_string().ok()).collect::<Option<Vec<_>>>()?;
        let role = match command.to_str()? {
            "names" => Role::Names(whose, words),
            "probe" => Role::Probe(whose.parse().ok()?, words.first()?.parse().ok()?),
            _ => Role::Monitor(whose.parse().ok()?, words),
        };
        Some(Self { engine: Engine::new(root, state), role })
    }

    pub(crate) fn run(&self) -> anyhow::Result<u8> {
        match &self.role {
            Role::Monitor(id, words) => self.engine.monitor(id, words)?,
            Role::Probe(id, parent) => self.engine.probe(id, *parent)?,
            Role::Names(network, words) => self.engine.serve_names(network, words)?,
        }
        Ok(0)
    }
}
