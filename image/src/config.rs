//! The configuration of an image: what its containers are to be, and how it was made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{arguments, keys, or_default};
use crate::manifest::Platform;
use crate::{Digest, manifest::Manifest};

/// How large a configuration may be, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;

/// The document that a manifest's `config` names; its digest is the image's id (OCI image
/// specification, `config.md`). Fields that are not known here are kept, so that one who writes it
/// again loses nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The processor that it is for, in Go's words.
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// The generation of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system that it is for.
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// What its containers are to be.
    #[serde(default, deserialize_with = "or_default")]
    pub config: Config,
    /// The layers.
    pub rootfs: RootFs,
    /// How it was made: an entry for each layer, and for each step that made none.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// What else the document says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// What the containers of an image are to be, unless whoever makes one says otherwise. `None` means
/// that the image says nothing about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// The name of the machine. Docker writes it and does not read it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Whom the program runs as: `user[:group]`, names or numbers.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports that the program listens on: `port[/protocol]`.
    #[serde(default, with = "keys", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// The environment: `NAME=value`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What is executed, before the arguments.
    #[serde(default, deserialize_with = "arguments", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or the program when there is no entry point.
    #[serde(default, deserialize_with = "arguments", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// `cmd` is a line for the command processor of Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
    /// Directories whose contents outlive the container.
    #[serde(default, with = "keys", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Where the program is started.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// What somebody has noted about the image.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What ends the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long the program has to end, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// How to find out whether the program is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for a build that begins with the image.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// What executes instructions that are given as one line.
    #[serde(default, deserialize_with = "arguments", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// What else is said: `Domainname`, `Tty`, `MacAddress` and what came later.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// How to find out whether a container's program is well. Times are in nanoseconds, and nothing
/// stands for zero, as with docker: the default is meant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and arguments, or `CMD-SHELL` and a line; empty means the inherited one.
    #[serde(default, deserialize_with = "arguments", skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// From one probe to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// How long a probe may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// During this time a probe that fails does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<i64>,
    /// From one probe to the next during that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<i64>,
    /// After so many failures the container is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// What else is said.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`; there is nothing else.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the layers' archives without compression, the lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<Digest>,
}

/// One step of how an image was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What was noted about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It has made no layer.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// What else is said.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A configuration that is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It has more bytes than [`MAX_CONFIG`].
    #[error("the image's configuration has {0} bytes; no more than {MAX_CONFIG} are read")]
    TooLarge(u64),
    /// It is no JSON, or a field of it is not what it has to be.
    #[error("the image's configuration is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Its root is made of something else.
    #[error("the image's root is made of {0:?} and not of layers")]
    RootFs(String),
    /// It tells of other layers than the manifest has.
    #[error("the image's configuration names {named} layers, and its manifest {layers}")]
    Layers {
        /// How many the configuration names.
        named: usize,
        /// How many there are.
        layers: usize,
    },
}

impl ImageConfig {
    /// Reads a configuration. Fields that are `null` are as those that are missing.
    ///
    /// # Errors
    /// It is none, or larger than what is accepted.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(ConfigError::TooLarge(bytes.len() as u64));
        }
        let config: Self = serde_json::from_slice(bytes)?;
        match config.rootfs.kind.as_str() {
            "layers" => Ok(config),
            other => Err(ConfigError::RootFs(other.chars().take(200).collect())),
        }
    }

    /// The document. The same configuration always has the same bytes.
    ///
    /// # Errors
    /// None that is known: there is nothing in it that JSON cannot say.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ConfigError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Checks that the manifest has the layers that are named here.
    ///
    /// # Errors
    /// It has more, or fewer.
    pub fn check(&self, manifest: &Manifest) -> Result<(), ConfigError> {
        let (named, layers) = (self.rootfs.diff_ids.len(), manifest.layers.len());
        if named == layers { Ok(()) } else { Err(ConfigError::Layers { named, layers }) }
    }

    /// What it is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
