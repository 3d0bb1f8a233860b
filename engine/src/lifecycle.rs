//! How long a container lives, and what is kept of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Healthcheck, LogOptions};

/// The part of a container's options that is about its life rather than about its isolation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lifecycle {
    /// `--rm`: nothing is kept after its end.
    pub auto_remove: bool,
    /// `--restart`.
    pub restart: RestartPolicy,
    /// `--stop-signal`, a number; the image's otherwise, or SIGTERM.
    pub stop_signal: Option<i32>,
    /// `--stop-timeout`, seconds until it is killed, -1 never; 10 otherwise.
    pub stop_timeout: Option<i64>,
    /// `run -d`: the container's input stays open when one who is attached to it has nothing more.
    #[serde(default)]
    pub stdin_stays: bool,
    /// `--cidfile`: the id is written there; the file must not exist.
    #[serde(skip)]
    pub id_file: Option<PathBuf>,
    /// `--log-driver` and `--log-opt`.
    pub log: LogOptions,
    /// `--health-cmd` and the like; the image's otherwise.
    #[serde(default)]
    pub health: Option<Healthcheck>,
    /// `--label`, in order.
    pub labels: Vec<(String, String)>,
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When its exit code is not 0; so many times at most, 0 for any number.
    OnFailure(u32),
    /// Always, but when it was stopped by hand.
    Always,
    /// Likewise, and after a reboot only if it ran before.
    UnlessStopped,
}
