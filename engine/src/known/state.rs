use crate::Health;

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct State {
    /// In one word.
    pub status: Status,
    /// The first process, by the caller's PID namespace, while it runs.
    pub pid: Option<u32>,
    /// When it was last started, nanoseconds since the epoch.
    pub started: Option<u64>,
    /// When it has last ended, nanoseconds since the epoch.
    pub finished: Option<u64>,
    /// Of the last run.
    pub exit_code: u8,
    /// The kernel has ended the last run for want of memory.
    pub oom_killed: bool,
    /// Why it did not start, or could not be looked after any longer.
    pub error: Option<String>,
    /// How often its restart policy has started it again.
    pub restarts: u32,
    /// What its probes have told, when its health is checked.
    pub health: Option<Health>,
    /// Why its health is not known.
    pub warning: Option<String>,
}

/// The status of a container, docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Status {
    /// It was never started.
    #[default]
    Created,
    /// Its program executes.
    Running,
    /// It is frozen.
    Paused,
    /// It has ended and its restart policy is going to start it again.
    Restarting,
    /// It has ended.
    Exited,
    /// What was written down of it cannot be understood.
    Dead,
}

impl Status {
    /// Docker's word, lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// It runs, or waits for its next start.
    #[must_use]
    pub fn is_active(self) -> bool {
        self.is_running() || self == Self::Restarting
    }

    /// It has processes.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}
