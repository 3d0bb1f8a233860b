use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::clone::spawn_command;
use crate::{
    Child, CloneOptions, Error, Event, Exec, ExitStatus, Gate, IdMaps, Namespaces, Process, Step,
};

/// Builds and starts a program in new namespaces, in the manner of [`std::process::Command`].
///
/// Standard input, output and error are the caller's. The environment is the caller's unless
/// [`Command::env_clear`] is called.
#[derive(Debug, Clone)]
pub struct Command {
    arguments: Vec<OsString>,
    environment: Option<Vec<OsString>>,
    namespaces: Namespaces,
    id_maps: Option<IdMaps>,
    steps: Vec<Step>,
    /// A process's pidfd and those of its namespaces that are joined.
    joined: Option<(Arc<OwnedFd>, Namespaces)>,
}

impl Command {
    /// A command that runs `program`, looked for in `PATH` when it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            arguments: vec![program.as_ref().to_owned()],
            environment: None,
            namespaces: Namespaces::empty(),
            id_maps: None,
            steps: vec![Step::ResetSignals, Step::CloseDescriptorsOnExec],
            joined: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Starts with an empty environment.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.environment = Some(Vec::new());
        self
    }

    /// Adds `name=value` to the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut entry = name.as_ref().to_owned();
        entry.push("=");
        entry.push(value.as_ref());
        self.environment.get_or_insert_with(inherited).push(entry);
        self
    }

    /// Adds to the namespaces that are made new.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.namespaces |= namespaces;
        self
    }

    /// The id maps of a new user namespace, which is added to the namespaces.
    #[must_use]
    pub fn id_maps(mut self, maps: IdMaps) -> Self {
        self.id_maps = Some(maps);
        self.namespaces(Namespaces::USER)
    }

    /// The host name inside; adds the UTS namespace.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.steps.push(Step::Hostname(name.into()));
        self.namespaces(Namespaces::UTS)
    }

    /// Joins namespaces of a process, in the manner of `nsenter(1)`: all in one `setns(2)`, and
    /// before the steps that are asked for otherwise. Unlike there, the program is the caller's own
    /// child also in a PID namespace. Joining a mount namespace leads to its root directory.
    ///
    /// # Errors
    /// `EMFILE`: the process is held by a descriptor of the command's own.
    pub fn join(mut self, process: &Process, namespaces: Namespaces) -> Result<Self, Error> {
        let failed = |source| Error::Process { operation: "hold", pid: process.pid(), source };
        let pidfd = process.as_fd().try_clone_to_owned().map_err(failed)?;
        self.joined = Some((Arc::new(pidfd), namespaces));
        Ok(self)
    }

    /// Starts the program and returns when it is executing.
    ///
    /// # Errors
    /// [`Error::Clone`], [`Error::IdMap`], or [`Error::Child`] with the step that failed: an
    /// unknown program is `execute …` with `ENOENT`. No process is left behind on an error.
    pub fn spawn(&self) -> Result<Child, Error> {
        let environment = self.environment.clone().unwrap_or_else(inherited);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let exec = Exec::new(&self.arguments, &environment, &path)?;
        let (gate, child_gate) = Gate::pair()?;
        let options = CloneOptions { namespaces: self.namespaces, cgroup: None };
        let joins = self.joins();
        let child = spawn_command(&options, &child_gate, (&joins, &self.steps), &exec)?;
        drop(child_gate);
        let mut sibling = None;
        match self.finish(&gate, &child, &mut sibling) {
            Ok(()) => match sibling {
                Some(sibling) => child.wait().map(|_| sibling),
                None => Ok(child),
            },
            Err(error) => {
                // The child is of no use without its parent's half; the first error is told.
                for child in sibling.iter().chain([&child]) {
                    drop(child.kill(libc::SIGKILL));
                    drop(child.wait());
                }
                Err(error)
            }
        }
    }

    fn joins(&self) -> Vec<Step> {
        let step = |(pidfd, namespaces): &(Arc<OwnedFd>, Namespaces)| Step::Join {
            descriptor: pidfd.as_raw_fd(),
            namespaces: *namespaces,
        };
        self.joined.iter().map(step).collect()
    }

    fn finish(&self, gate: &Gate, child: &Child, sibling: &mut Option<Child>) -> Result<(), Error> {
        if let Some(maps) = &self.id_maps {
            maps.write(child.pid())?;
        }
        gate.open()?;
        loop {
            match gate.receive()? {
                Event::Sibling(child) => *sibling = Some(child),
                Event::Failed { index, errno } => {
                    if sibling.is_none() && self.joined.is_some() {
                        *sibling = gate.late_sibling()?;
                    }
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(Error::Child { step: self.describe(index), source });
                }
                _ => return Ok(()),
            }
        }
    }

    fn describe(&self, index: u32) -> String {
        let steps = [self.joins(), self.steps.clone()].concat();
        match steps.get(index as usize) {
            Some(step) => step.to_string(),
            None if index as usize == steps.len() => {
                format!(
                    "execute {}",
                    self.arguments
                        .first()
                        .map(OsString::as_os_str)
                        .unwrap_or_default()
                        .to_string_lossy()
                )
            }
            None => "pass the gate".to_owned(),
        }
    }

    /// Starts the program and waits until it has ended.
    ///
    /// # Errors
    /// Those of [`Command::spawn`] and [`Child::wait`].
    pub fn status(&self) -> Result<ExitStatus, Error> {
        self.spawn()?.wait()
    }
}

fn inherited() -> Vec<OsString> {
    std::env::vars_os()
        .map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            entry
        })
        .collect()
}
