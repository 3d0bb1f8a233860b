//! A further process of a container: what its first process would be with another command.

use minidock_fs::Root;
use oci_spec::runtime::{LinuxSeccomp, Process};

use super::{hostname, process, seccomp, users};
use crate::host::Host;
use crate::store::Base;
use crate::{ContainerId, Error, ExecOptions, RunOptions};

/// A process that is to join a container.
#[derive(Debug)]
pub(crate) struct Further {
    pub(crate) process: Process,
    /// The container's own filter.
    pub(crate) seccomp: Option<LinuxSeccomp>,
    /// It outlives its parent.
    pub(crate) detached: bool,
    /// What could not be had in full although nothing forbids to go on.
    pub(crate) warnings: Vec<String>,
}

/// Describes it. `root` is the container's as it is now, and `host.ids` are the maps of its user
/// namespace.
pub(crate) fn further(
    (id, options): (&ContainerId, &RunOptions),
    image: Option<&Base>,
    exec: &ExecOptions,
    (root, host): (&Root, &Host),
) -> Result<Further, Error> {
    let config = image.map(|image| image.config.clone()).unwrap_or_default();
    let hostname = hostname(options, id, host);
    let mut warnings = Vec::new();
    let own = with_command(options, exec);
    let mut process = process::describe(&own, &config, root, (&hostname, host), &mut warnings)?;
    if let Some(maps) = &host.ids {
        users::limit_groups(&own, &mut process, maps)?;
        users::check_process(&process, maps)?;
    }
    // As in docker, more capabilities leave the filter as it is.
    let seccomp = seccomp::describe(options, process::bounding(options, host)?, host)?;
    let detached = exec.detach || exec.keys().is_some();
    Ok(Further { process, seccomp, detached, warnings })
}

/// The container's options with what is asked for in their place.
fn with_command(options: &RunOptions, exec: &ExecOptions) -> RunOptions {
    let mut own = options.clone();
    own.command.clone_from(&exec.command);
    own.entrypoint = Some(String::new());
    own.tty = exec.tty && !exec.detach;
    own.env.extend(exec.env.iter().cloned());
    own.user = exec.user.clone().or(own.user);
    own.workdir = exec.workdir.clone().or(own.workdir);
    own.privileged |= exec.privileged;
    own
}
