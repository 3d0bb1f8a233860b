//! A unit of systemd for a container: nothing of minidock's runs after a boot that would start it.

use std::env;
use std::fs;

use anyhow::Context;
use clap::{ArgAction, Parser};
use minidock_engine::{
    Engine, Info, MountSource, NetworkMode, RestartPolicy, RootSource, RunOptions,
};

use super::Do;
use crate::args::words::words;
use crate::exit::UsageError;
use crate::format::unit::Unit;
use crate::output;
use crate::values::ValueError;

/// Flags of `minidock generate systemd`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Systemd {
    /// Write the unit into a file here, and print its path
    #[arg(short, long)]
    files: bool,
    /// Name the unit and the container by the container's name instead of its id
    #[arg(short, long)]
    name: bool,
    /// Make a new container at each start instead of starting this one
    #[arg(long)]
    new: bool,
    /// When systemd starts it again: no, on-success, on-failure, on-abnormal, on-watchdog,
    /// on-abort, always (on-failure)
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    restart_policy: Option<String>,
    /// Seconds until a stop kills it, -1 never (the container's time-out, or 10)
    #[arg(
        short = 't',
        long = "time",
        visible_alias = "stop-timeout",
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    time: Option<i64>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    container: Vec<String>,
}

/// `Restart=` of systemd.service(5).
const POLICIES: [&str; 7] =
    ["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"];

fn policy(text: &str) -> Result<String, ValueError> {
    match POLICIES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(ValueError::new(format!("must be one of {}", POLICIES.join(", ")))),
    }
}

impl Do for Systemd {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let id = engine.find(self.container.first().map_or("", String::as_str))?;
        let program = env::current_exe().context("cannot tell where this program is")?;
        let (root, state) = engine.places();
        let places = [("root", root), ("state", state)];
        let mut command = vec![program.display().to_string()];
        command.extend(places.map(|(name, path)| format!("--{name}={}", path.display())));
        let mut unit = self.unit(&engine.inspect(&id)?, &command).map_err(UsageError::failed)?;
        let mounts = places.map(|(_, path)| path.display().to_string());
        unit.mounts = [&mounts[..], &unit.mounts].concat();
        if !self.files {
            return output::print(&unit.text());
        }
        let directory = env::current_dir().context("no current directory")?;
        let path = directory.join(format!("{}.service", unit.name));
        fs::write(&path, unit.text())
            .with_context(|| format!("cannot write {}", path.display()))?;
        output::print(&format!("{}\n", path.display()))
    }
}

impl Systemd {
    fn unit(&self, info: &Info, command: &[String]) -> Result<Unit, String> {
        let called = if self.name { info.name.as_str() } else { info.id.as_str() };
        let seconds = self.time.or(info.options.lifecycle.stop_timeout).unwrap_or(10);
        let (start, stop) = match self.new {
            true => (new(info, self.name)?, None),
            false => {
                let stop = ["stop".to_owned(), format!("--timeout={seconds}"), called.to_owned()];
                (existing(info, called)?, Some([command, &stop].concat()))
            }
        };
        let policy = match info.options.lifecycle.restart {
            RestartPolicy::Always | RestartPolicy::UnlessStopped => "always",
            RestartPolicy::No | RestartPolicy::OnFailure(_) => "on-failure",
        };
        Ok(Unit {
            name: format!("minidock-{called}"),
            description: format!("Container {} of minidock", info.name),
            mounts: sources(&info.options),
            network: info.options.network == Some(NetworkMode::Host),
            start: [command, &start].concat(),
            stop,
            signal: info.stop_signal,
            timeout: u64::try_from(seconds).ok(),
            restart: self.restart_policy.clone().unwrap_or_else(|| policy.to_owned()),
            unset: if self.new { removed(&info.options) } else { Vec::new() },
        })
    }
}

/// The command that starts a container and stays until its end.
fn existing(info: &Info, called: &str) -> Result<Vec<String>, String> {
    let name = &info.name;
    if info.options.lifecycle.auto_remove {
        return Err(format!("container {name} is removed when it ends: use --new"));
    }
    if info.options.lifecycle.restart != RestartPolicy::No {
        return Err(format!(
            "container {name} has a restart policy: both its monitor and systemd would start it \
             again (`minidock update --restart no {name}` leaves it to systemd, or use --new)"
        ));
    }
    Ok(["start", "--attach", called].map(str::to_owned).to_vec())
}

/// The command that makes and runs one like it. Nobody types to it, and systemd starts it again.
fn new(info: &Info, named: bool) -> Result<Vec<String>, String> {
    let mut options = info.options.clone();
    if named {
        options.name = Some(info.name.clone());
    }
    options.interactive = false;
    options.lifecycle.stdin_stays = false;
    options.lifecycle.auto_remove = true;
    options.lifecycle.restart = RestartPolicy::No;
    let words = words(&options).map_err(|what| {
        format!(
            "container {} has options that no flags say ({}): without --new its unit starts the \
             container that there is",
            info.name,
            what.join(", ")
        )
    })?;
    Ok([vec!["run".to_owned()], words].concat())
}

/// What the host has to have mounted before.
fn sources(options: &RunOptions) -> Vec<String> {
    let root = match &options.source {
        RootSource::Directory(path) => Some(path),
        RootSource::Image(_) => None,
    };
    let binds = options.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind { path, .. } => Some(path),
        _ => None,
    });
    root.into_iter().chain(binds).map(|path| path.display().to_string()).collect()
}

/// Variables that a container is not to have of its image: for `-e NAME` the caller must have none.
fn removed(options: &RunOptions) -> Vec<String> {
    options.env.iter().filter(|variable| !variable.contains('=')).cloned().collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::commands::tests::info;

    fn unit(flags: &[&str], info: &Info) -> Result<Unit, String> {
        Systemd::try_parse_from(flags).unwrap().unit(info, &["/bin/minidock".to_owned()])
    }

    #[test]
    fn a_unit_starts_the_container_that_there_is() {
        let mut info = info("web");
        info.options.lifecycle.stop_timeout = Some(3);
        let unit_of = |flags: &[&str]| unit(flags, &info).unwrap();
        let by_id = unit_of(&["web"]);
        assert_eq!(by_id.start, ["/bin/minidock", "start", "--attach", info.id.as_str()]);
        assert_eq!((by_id.timeout, by_id.restart.as_str()), (Some(3), "on-failure"));
        let by_name = unit_of(&["-n", "-t", "-1", "--restart-policy", "always", "web"]);
        assert_eq!(by_name.name, "minidock-web");
        assert_eq!(by_name.stop.unwrap(), ["/bin/minidock", "stop", "--timeout=-1", "web"]);
        assert_eq!((by_name.timeout, by_name.restart.as_str()), (None, "always"));
    }

    #[test]
    fn a_new_container_is_one_like_it() {
        let mut info = info("web");
        info.options.interactive = true;
        info.options.lifecycle.stdin_stays = true;
        info.options.env = vec!["A=1".to_owned(), "GONE".to_owned()];
        info.options.lifecycle.restart = RestartPolicy::Always;
        let unit = unit(&["--new", "--name", "web"], &info).unwrap();
        let words = "/bin/minidock run --name=web --env=A=1 --env=GONE --rm alpine";
        assert_eq!(unit.start.join(" "), words);
        assert_eq!((unit.stop, unit.restart.as_str()), (None, "always"));
        assert_eq!(unit.unset, ["GONE"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut info = info("web");
        info.options.lifecycle.restart = RestartPolicy::Always;
        assert!(unit(&["web"], &info).unwrap_err().contains("update --restart no web"));
        info.options.lifecycle.restart = RestartPolicy::No;
        info.options.lifecycle.auto_remove = true;
        assert!(unit(&["web"], &info).unwrap_err().contains("use --new"));
        info.options.system_calls = minidock_engine::SystemCalls::Profile(Vec::new());
        assert!(unit(&["--new", "web"], &info).unwrap_err().contains("(system_calls)"));
        assert!(Systemd::try_parse_from(["--restart-policy", "never", "web"]).is_err());
    }
}
