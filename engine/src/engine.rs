use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::*;
use crate::{containers::Containers, state::StateDir};

/// The directories that a minidock works with.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Images, volumes and the containers' own layers.
    pub(crate) root: PathBuf,
    pub(crate) containers: Containers,
    /// What is known of running containers; on a file system that does not outlive a reboot.
    pub(crate) state: StateDir,
    /// What is executed as a detached container's monitor.
    pub(crate) program: PathBuf,
    /// Who hears of images that are pulled and pushed.
    pub(crate) transfers: Arc<dyn Transfers>,
}

impl Engine {
    /// An engine with these directories, which are made when they are first needed.
    #[must_use]
    pub fn new(root: PathBuf, state: PathBuf) -> Self {
        let containers = Containers::new(root.clone());
        let (program, transfers) = ("/proc/self/exe".into(), Arc::new(transfer::Silent));
        Self { root, containers, state: StateDir::new(state), program, transfers }
    }

    /// The directory of what is kept, and that of what runs.
    #[must_use]
    pub fn places(&self) -> (&Path, &Path) {
        (&self.root, self.state.path())
    }

    /// Makes the directories, which only their owner can enter.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        self.containers.prepare()?;
        self.state.prepare()?;
        bound::bind(&self.root, self.state.path())
    }

    /// Whether these directories belong together: for commands that do not make them.
    ///
    /// # Errors
    /// Since this boot the root directory is used with another state directory, which exists.
    pub fn check(&self) -> Result<(), Error> {
        bound::check(&self.root, self.state.path())
    }

    /// Runs a container in the foreground, as the caller's own program: standard input, output
    /// and error are the caller's, signals that the calling thread gets are the container's, and
    /// the container ends when this process does. Returns the program's exit code, 128 + n after
    /// signal n; one that comes before the program is executed ends the start. What the run has
    /// made in the kernel is removed before this returns, and with `auto_remove`, or when the
    /// program could not be executed, the container itself.
    ///
    /// # Errors
    /// One line that says which step failed on which object and why; [`Error::exit_code`] tells
    /// a program that does not exist (127) or cannot be executed (126) from all others (125).
    pub fn run(&self, options: &RunOptions, reporting: Reporting) -> Result<u8, Error> {
        run::run(self, options, reporting)
    }

    /// Runs a further program in a container that runs, in all of its namespaces and control groups
    /// and with no more powers than the container's own. Standard streams and signals are the
    /// caller's, as with [`Engine::run`]; when this process or the container ends, so does the
    /// program. Returns the program's exit code, 128 + n after signal n; when it is detached, 0 once
    /// it executes. On a terminal it can be left, and then outlives this process; but when this
    /// process is killed, its terminal is hung up.
    ///
    /// # Errors
    /// As with [`Engine::run`]; no plan to join a container is written as a script; also for a program that is not [sealed](crate::seal()) and that the
    /// container could write to. [`Kind::NotRunning`](crate::Kind::NotRunning) for a container that
    /// does not run or is paused. A working directory that does not exist counts as a program that
    /// does not (127).
    pub fn exec(
        &self,
        id: &ContainerId,
        options: &ExecOptions,
        reporting: Reporting,
    ) -> Result<Attached, Error> {
        exec::exec(self, id, options, reporting)
    }

    /// Is the monitor of a detached container. The program that the engine executes for it (itself)
    /// calls this when its arguments are `monitor ROOT STATE ID WORD...`, on an engine with these
    /// directories and with these words, and nothing else does.
    ///
    /// # Errors
    /// What could not be told to whoever started it.
    pub fn monitor(&self, id: &ContainerId, words: &[String]) -> Result<(), Error> {
        monitor::monitor(self, id, words)
    }

    /// Is one probe of a container's health. The program that the engine executes for it (itself)
    /// calls this when its arguments are `probe ROOT STATE ID PARENT`, on an engine with these
    /// directories and with the process id that is the last of them, and nothing else does. Whoever
    /// runs containers that have a health check is such a program.
    ///
    /// # Errors
    /// What could not be written down.
    pub fn probe(&self, id: &ContainerId, parent: u32) -> Result<(), Error> {
        health::probe(self, id, parent)
    }

    /// Serves the names of a network until no container is on it. The program that the engine
    /// executes for it (itself) calls this when its arguments are `names ROOT STATE NETWORK WORD...`,
    /// on an engine with these directories, with this network's name and with these words, and
    /// nothing else does. The process has given up all its powers when this returns: it can only
    /// end.
    ///
    /// # Errors
    /// What could not be told to whoever started it, and what ends the service.
    pub fn serve_names(&self, network: &str, words: &[String]) -> Result<(), Error> {
        name_server::serve(self, network, words)
    }

    /// Makes a container that does not run yet.
    ///
    /// # Errors
    /// What [`Engine::run`] refuses before it makes anything; a name in use.
    pub fn create(&self, options: &RunOptions) -> Result<ContainerId, Error> {
        create::create(self, options)
    }

    /// Makes a container and starts it, with a monitor of its own; when that fails nothing is
    /// left.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_detached(&self, options: &RunOptions) -> Result<ContainerId, Error> {
        create::run_detached(self, options)
    }

    /// The same, and attaches the caller from the first byte on.
    ///
    /// # Errors
    /// As [`Engine::run`] and [`Engine::attach`].
    pub fn run_attached(
        &self,
        options: &RunOptions,
        attached: &AttachOptions,
    ) -> Result<Attached, Error> {
        create::run_attached(self, options, attached)
    }

    /// Starts a container. True when it did not run already.
    ///
    /// # Errors
    /// As [`Engine::run`]; the container stays, unless it was made with `auto_remove`.
    pub fn start(&self, id: &ContainerId) -> Result<bool, Error> {
        control::start(self, id)
    }

    /// Starts a container and attaches the caller from its first byte on.
    ///
    /// # Errors
    /// As [`Engine::start`] and [`Engine::attach`].
    pub fn start_attached(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Attached, Error> {
        control::start_attached(self, id, options)
    }

    /// Shows what a running container writes from now on, and passes on what is typed.
    ///
    /// # Errors
    /// It does not run, or in the foreground of another program.
    pub fn attach(&self, id: &ContainerId, options: &AttachOptions) -> Result<Attached, Error> {
        control::attach(self, id, options)
    }

    /// The id that a text names: a whole id, a name, or the beginning of one id only.
    ///
    /// # Errors
    /// [`Kind::NoSuchContainer`], or several ids begin so.
    pub fn find(&self, text: &str) -> Result<ContainerId, Error> {
        known::find(self, text)
    }

    /// What is known of a container.
    ///
    /// # Errors
    /// It is gone, or what is written down cannot be understood.
    pub fn inspect(&self, id: &ContainerId) -> Result<Info, Error> {
        control::inspect(self, id)
    }

    /// Containers, the youngest first: `all`, or those that run or are just being changed. One
    /// that cannot be understood is among them as [`Status::Dead`], and why is told beside them.
    ///
    /// # Errors
    /// The directory of containers cannot be read.
    pub fn list(&self, all: bool) -> Result<(Vec<Info>, Vec<Error>), Error> {
        known::list(self, all)
    }

    /// Delivers what a container has written, in order, until `deliver` wants no more; with
    /// [`LogQuery::follow`] also what it is yet to write, until it has ended. Returns how many
    /// lines of the log are damaged, and were left out.
    ///
    /// # Errors
    /// The container is gone, has no log, or it cannot be read.
    pub fn logs(
        &self,
        id: &ContainerId,
        query: &LogQuery,
        deliver: impl FnMut(&LogEntry<'_>) -> ControlFlow<()>,
    ) -> Result<u64, Error> {
        logs::read(self, id, query, deliver)
    }

    /// Connects a container to a further network, at once if it runs.
    ///
    /// # Errors
    /// It is on the network already, or has no networks of its own; what [`Engine::run`] refuses
    /// of addresses.
    pub fn connect(&self, id: &ContainerId, endpoint: &EndpointOptions) -> Result<(), Error> {
        joining::connect(self, id, endpoint)
    }

    /// Parts a container from a network, at once if it runs.
    ///
    /// # Errors
    /// It is not on the network.
    pub fn disconnect(&self, id: &ContainerId, network: &str) -> Result<(), Error> {
        joining::disconnect(self, id, network)
    }

    /// Makes the firewall anew: for when somebody has wiped it. With `open` the host passes packets on
    /// for others, too, from then on.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn reload_networks(&self, open: bool) -> Result<(), Error> {
        if open {
            reload::open(self)?;
        }
        reload::reload(self)
    }

    /// What is wrong with the firewall, if anything is and containers need it.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn network_fault(&self) -> Result<Option<String>, Error> {
        reload::fault(self)
    }

    /// How many bytes the files in a container's own layer have, and how many together with its
    /// image. Hard links are counted once; a root directory of the caller's is not counted.
    ///
    /// # Errors
    /// A directory cannot be read, or is nested too deep.
    pub fn size(&self, info: &Info) -> Result<(u64, u64), Error> {
        size::of(info)
    }

    /// Ends a container by a signal, its stop signal when none is given, and by SIGKILL when that
    /// has not ended it within so many seconds, its own time-out or 10 when none are given; a
    /// negative number waits for ever. One that does not run is left as it is. Returns why the
    /// signal has not ended it, or what keeps its remains from being undone, if so.
    ///
    /// # Errors
    /// The container is gone, a signal is refused, or its start or its end takes too long.
    pub fn stop(
        &self,
        id: &ContainerId,
        signal: Option<i32>,
        seconds: Option<i64>,
    ) -> Result<Option<String>, Error> {
        ending::stop(self, id, (signal, seconds))
    }

    /// What can be said of the engine and its host, and of containers that cannot be understood.
    ///
    /// # Errors
    /// Something of it cannot be read.
    pub fn about(&self) -> Result<(About, Vec<Error>), Error> {
        about::about(self)
    }

    /// Stops a container as [`Engine::stop`] does, and starts it again.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub fn restart(
        &self,
        id: &ContainerId,
        signal: Option<i32>,
        seconds: Option<i64>,
    ) -> Result<Option<String>, Error> {
        ending::restart(self, id, (signal, seconds))
    }

    /// Delivers what has happened to containers, from [`EventQuery::since`] on, and what is yet to
    /// happen, until [`EventQuery::until`] or until `deliver` wants no more.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn events(
        &self,
        query: &EventQuery,
        deliver: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        events::read(self, query, deliver)
    }

    /// Sends a signal to the container's first process. By SIGKILL it has ended when this returns;
    /// one that waits for its next start is not started again.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn kill(&self, id: &ContainerId, signal: i32) -> Result<(), Error> {
        ending::kill(self, id, signal)
    }

    /// Freezes the container's processes (`cgroups(7)`).
    ///
    /// # Errors
    /// It does not run, is paused already, has no control group, or does not stand still.
    pub fn pause(&self, id: &ContainerId) -> Result<(), Error> {
        control::freeze(self, id, true)
    }

    /// Lets frozen processes go on.
    ///
    /// # Errors
    /// It is not paused.
    pub fn unpause(&self, id: &ContainerId) -> Result<(), Error> {
        control::freeze(self, id, false)
    }

    /// Waits until the container does not run; its exit code.
    ///
    /// # Errors
    /// It is gone, and its exit code with it.
    pub fn wait(&self, id: &ContainerId) -> Result<u8, Error> {
        waiting::wait(self, id)
    }

    /// Removes a container; one that runs only when `force` says so, which ends it, and whoever is
    /// in charge of it when that does not let go of it within 10 seconds.
    ///
    /// # Errors
    /// It runs, or something cannot be removed.
    pub fn remove(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        ending::remove(self, id, force)
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// The name is not one, or in use.
    pub fn rename(&self, id: &ContainerId, name: &str) -> Result<(), Error> {
        rename::rename(self, id, name)
    }

    /// Removes the containers that neither run nor are about to, and that are `wanted`; of those that
    /// cannot be understood there is no description.
    ///
    /// # Errors
    /// The directory of containers cannot be read.
    pub fn prune_containers(
        &self,
        wanted: impl Fn(Option<&Info>) -> bool,
    ) -> Result<Pruned, Error> {
        prune::containers(self, wanted)
    }

    /// Every object of the kernel and of the disk that belongs to these directories, and whose it
    /// is. Nothing is changed.
    ///
    /// # Errors
    /// What there is cannot be read or understood.
    pub fn inventory(&self) -> Result<Vec<Item>, Error> {
        inventory::inventory(self)
    }

    /// Undoes what killed engines have left, unless another process is about it.
    ///
    /// # Errors
    /// What could not be undone.
    pub fn sweep(&self) -> Result<(), Error> {
        let drafts = networks::Networks::of(self).sweep();
        if let Some(turn) = self.state.turn_if_free()? {
            rollback::sweep(self, &minidock_cgroup::Hierarchies::detect()?, &turn)?;
        }
        drafts
    }
}
