use clap::Args;
use minidock_engine::{Keys, LogOptions, RestartPolicy, RunOptions};

use super::{Problem, given};
use crate::caller::Caller;
use crate::commands::run::How;
use crate::values::process;

/// How long it lives, and what is kept of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Life")]
pub(super) struct LifecycleArgs {
    /// Run it behind the caller's back and print its id
    #[arg(short, long)]
    detach: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Start it again when it ends: no, on-failure, on-failure:TIMES, always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = process::restart)]
    restart: Option<RestartPolicy>,
    /// End it by this signal (the image's, or TERM)
    #[arg(long, value_name = "SIGNAL", value_parser = process::signal)]
    stop_signal: Option<i32>,
    /// Seconds until a stop kills it, -1 never (10)
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<i64>,
    /// Write its id to a file that does not exist
    #[arg(long, value_name = "FILE")]
    cidfile: Option<String>,
    /// Leave the container by these keys (ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", value_parser = Keys::parse)]
    pub(super) detach_keys: Option<Keys>,
    /// Keep its output: json-file, none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Bound what is kept of its output: max-size, max-file
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
    /// Note something on it
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = process::label)]
    label: Vec<(String, String)>,
}

impl LifecycleArgs {
    pub(super) fn how(&self, command: &str) -> How {
        match (command, self.detach) {
            ("create", _) => How::Create,
            (_, true) => How::Detached,
            (_, false) => How::Foreground,
        }
    }

    pub(super) fn fill(self, options: &mut RunOptions, caller: &Caller) -> Result<(), Problem> {
        let lifecycle = &mut options.lifecycle;
        lifecycle.auto_remove = self.rm;
        lifecycle.stdin_stays = self.detach;
        lifecycle.restart = self.restart.unwrap_or_default();
        if self.rm && lifecycle.restart != RestartPolicy::No {
            let message = "conflicting options: cannot specify both --restart and --rm";
            return Err(Problem::Together(message.to_owned()));
        }
        lifecycle.stop_signal = self.stop_signal;
        lifecycle.stop_timeout = self.stop_timeout;
        lifecycle.labels = self.label;
        let driver = given(self.log_driver);
        lifecycle.log = LogOptions::parse(driver.as_deref(), &self.log_opt)
            .map_err(|error| Problem::Together(error.to_string()))?;
        if let Some(file) = given(self.cidfile) {
            let path = caller.absolute(file.as_ref());
            let path = path.map_err(|error| Problem::Value("cidfile", file.clone(), error))?;
            lifecycle.id_file = Some(path);
        }
        Ok(())
    }
}
