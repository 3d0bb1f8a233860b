use clap::Args;
use minidock_engine::{Explain, PullPolicy, Reporting, RunOptions};

use super::{Problem, given};
use crate::caller::Caller;
use crate::values::env::{self, Variable};
use crate::values::{ValueError, network, process};

/// What runs, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub(super) struct ProcessArgs {
    /// Keep the caller's standard input open for the container
    #[arg(short, long)]
    interactive: bool,
    /// Give the container a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Set a variable; NAME alone copies the caller's, or removes the image's
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = env::variable)]
    env: Vec<Variable>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Add a supplementary group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Start in this directory
    #[arg(short, long, value_name = "DIR", value_parser = process::workdir)]
    workdir: Option<String>,
    /// Replace the image's entry point; empty removes it
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Reap zombies and forward signals as PID 1
    #[arg(long)]
    init: bool,
    /// Name the container
    #[arg(long, value_name = "NAME", value_parser = process::name)]
    name: Option<String>,
    /// Name the host in the container
    #[arg(short = 'h', long, value_name = "NAME", value_parser = network::hostname)]
    hostname: Option<String>,
    /// Name the NIS domain in the container
    #[arg(long, value_name = "NAME", value_parser = network::domainname)]
    domainname: Option<String>,
    /// Take a directory for the root file system; no IMAGE is named then
    #[arg(long, value_name = "DIR")]
    pub(super) rootfs: Option<String>,
    /// When to pull the image: always, missing or never
    #[arg(long, value_name = "WHEN", value_parser = process::pull)]
    pull: Option<PullPolicy>,
    /// Choose among an image's platforms, such as linux/amd64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Print no progress of a pull
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl ProcessArgs {
    pub(super) fn fill(self, options: &mut RunOptions, caller: &Caller) -> Result<(), Problem> {
        options.env = variables(&self.env_file, &self.env, caller)?;
        options.interactive = self.interactive;
        options.tty = self.tty;
        options.init = self.init;
        options.user = given(self.user);
        options.group_add = self.group_add;
        options.workdir = given(self.workdir);
        options.entrypoint = self.entrypoint;
        options.name = given(self.name);
        options.hostname = given(self.hostname);
        options.domainname = given(self.domainname);
        options.pull = self.pull.unwrap_or_default();
        options.platform = given(self.platform);
        Ok(())
    }
}

/// Those of files come first, so that `-e` has the last word. A name that the caller has no
/// value for removes the variable with `-e`, and means nothing in a file.
pub(crate) fn variables(
    files: &[String],
    given: &[Variable],
    caller: &Caller,
) -> Result<Vec<String>, Problem> {
    let mut variables = Vec::new();
    for file in files {
        let failed = |error| Problem::Value("env-file", file.clone(), error);
        for variable in env::read_file(file).map_err(failed)? {
            variables.extend(resolve(variable, caller).map_err(failed)?);
        }
    }
    for variable in given {
        let name = match variable {
            Variable::Set(text) | Variable::Copied(text) => text,
        };
        let failed = |error| Problem::Value("env", name.clone(), error);
        let resolved = resolve(variable.clone(), caller).map_err(failed)?;
        variables.push(resolved.unwrap_or_else(|| name.clone()));
    }
    Ok(variables)
}

fn resolve(variable: Variable, caller: &Caller) -> Result<Option<String>, ValueError> {
    match variable {
        Variable::Set(text) => Ok(Some(text)),
        Variable::Copied(name) => caller.variable(&name),
    }
}

/// What is told of the run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Other")]
pub(crate) struct ReportingArgs {
    /// Tell every step: text, json, or sh for a script instead of a container
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = process::explain,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    explain: Option<Explain>,
    /// Check everything and run nothing
    #[arg(long)]
    dry_run: bool,
}

impl ReportingArgs {
    pub(crate) fn reporting(&self) -> Reporting {
        Reporting { explain: self.explain.unwrap_or_default(), dry_run: self.dry_run }
    }
}
