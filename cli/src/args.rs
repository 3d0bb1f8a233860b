//! The flags of `minidock run`, in the groups of its help.

use clap::{ArgAction, ArgMatches, Parser};
use minidock_engine::{Keys, MountRequest, MountSource, RootSource, RunOptions};

use crate::caller::Caller;
use crate::commands::run::How;
use crate::values::ValueError;

mod health;
mod lifecycle;
mod mounts;
mod network;
pub(crate) mod process;
pub(crate) mod resources;
mod security;
pub(crate) mod words;

/// All of `minidock run`'s command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    process: process::ProcessArgs,
    #[command(flatten)]
    lifecycle: lifecycle::LifecycleArgs,
    #[command(flatten)]
    health: health::HealthArgs,
    #[command(flatten)]
    resources: resources::ResourceArgs,
    #[command(flatten)]
    mounts: mounts::MountArgs,
    #[command(flatten)]
    network: network::NetworkArgs,
    #[command(flatten)]
    security: security::SecurityArgs,
    #[command(flatten)]
    pub(crate) reporting: process::ReportingArgs,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// What follows the flags: IMAGE and the command, or with `--rootfs` the command alone.
    #[arg(trailing_var_arg = true)]
    rest: Vec<String>,
}

/// Why flags that are well-formed each for itself are not obeyed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// A value that does not hold here: the flag's long name, the value, the reason.
    Value(&'static str, String, ValueError),
    /// Flags that exclude one another, or make no sense together.
    Together(String),
    /// Neither IMAGE nor `--rootfs`.
    NoImage,
}

impl RunArgs {
    /// What becomes of the container, by the command that is given, and the keys to leave it.
    pub(crate) fn how(&self, command: &str) -> (How, Option<Keys>) {
        (self.lifecycle.how(command), self.lifecycle.detach_keys.clone())
    }

    /// Whether nothing is told of an image that is pulled.
    pub(crate) fn is_quiet(&self) -> bool {
        self.process.quiet
    }

    /// The engine's options. `matches` knows the order of flags.
    pub(crate) fn options(
        mut self,
        matches: &ArgMatches,
        caller: &Caller,
    ) -> Result<RunOptions, Problem> {
        let source = match self.process.rootfs.take() {
            Some(directory) => RootSource::Directory(
                caller
                    .absolute(directory.as_ref())
                    .map_err(|error| Problem::Value("rootfs", directory, error))?,
            ),
            None if self.rest.is_empty() => return Err(Problem::NoImage),
            None => RootSource::Image(self.rest.remove(0)),
        };
        let mut options = RunOptions::new(source);
        options.command = self.rest;
        self.process.fill(&mut options, caller)?;
        self.lifecycle.fill(&mut options, caller)?;
        self.health.fill(&mut options)?;
        self.resources.fill(&mut options);
        options.mounts = mounts::in_order(matches);
        for mount in &mut options.mounts {
            make_absolute(mount, caller)?;
        }
        self.mounts.fill(&mut options);
        self.network.fill(&mut options)?;
        self.security.fill(&mut options)?;
        Ok(options)
    }
}

fn make_absolute(mount: &mut MountRequest, caller: &Caller) -> Result<(), Problem> {
    if let MountSource::Bind { path, create, .. } = &mut mount.source {
        let flag = if *create { "volume" } else { "mount" };
        *path = caller
            .absolute(path)
            .map_err(|error| Problem::Value(flag, path.display().to_string(), error))?;
    }
    Ok(())
}

/// Docker takes an empty value for "not given".
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
