//! A place for one test's containers.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use minidock_image::store::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::user::{self, User};
use crate::watch::Ids;
use crate::{Invocation, Leftovers, NetNs, Output, Running, places, procfs, sys};

/// The directories of a store.
const STORE: [&str; 2] = ["images", "layers"];

/// Set in the environment of every program that a sandbox starts.
const MARKER: &str = "MINIDOCK_TEST_SANDBOX";

/// Long enough for the kernel to end a network namespace, which it does in the background.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a test asks for something that an emulated machine may take long to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for one test's containers: root and state directory, network namespace and images.
///
/// Dropping it ends its processes, removes the directories and asserts nothing; see
/// [`Sandbox::assert_clean`].
#[derive(Debug)]
pub struct Sandbox {
    directory: Option<TempDir>,
    netns: NetNs,
    ids: Ids,
    /// Who works here, when it is not root.
    user: Option<User>,
}

impl Sandbox {
    /// Makes one with the image `alpine`. Needs root.
    ///
    /// # Panics
    /// When the kernel refuses, or no image store has been prepared.
    #[allow(clippy::new_without_default, reason = "making one is not a default")]
    pub fn new() -> Sandbox {
        let sandbox = Sandbox::without_images();
        let store = places::store();
        for part in STORE {
            symlink(store.join(part), sandbox.root().join(part)).expect("linking the images");
        }
        sandbox
    }

    /// Makes one with images of its own, which are `alpine` at first: to add some, and to remove
    /// their names. Needs root.
    ///
    /// # Panics
    /// When the kernel refuses, or no image store has been prepared.
    pub fn with_own_images() -> Sandbox {
        let sandbox = Sandbox::without_images();
        let [images, layers] =
            STORE.map(|part| (places::store().join(part), sandbox.root().join(part)));
        user::copy(&images.0, &images.1);
        symlink(&layers.0, &layers.1).expect("linking the layers");
        sandbox
    }

    /// Makes one with images and layers of its own, which are `alpine`'s at first: to remove them.
    /// Needs root.
    ///
    /// # Panics
    /// When the kernel refuses, or no image store has been prepared.
    pub fn with_own_layers() -> Sandbox {
        let sandbox = Sandbox::without_images();
        for part in STORE {
            user::copy(&places::store().join(part), &sandbox.root().join(part));
        }
        sandbox
    }

    /// Makes one with an empty store. Needs root.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn without_images() -> Sandbox {
        let directory = tempfile::Builder::new().prefix("minidock-test-").tempdir();
        let directory = directory.expect("a temporary directory");
        let containers = ["root", "state"].map(|name| directory.path().join(name));
        let containers = containers.map(|tree| {
            fs::create_dir(&tree).expect("making a directory");
            fs::set_permissions(&tree, PermissionsExt::from_mode(0o700)).expect("permissions");
            let containers = tree.join("containers");
            fs::create_dir(&containers).expect("making a directory");
            containers
        });
        let ids = Ids::watch(&containers.each_ref().map(PathBuf::as_path));
        Sandbox { directory: Some(directory), netns: NetNs::new(), ids, user: None }
    }

    /// Makes one with the image `alpine` in which a user without privileges works, with a copy of
    /// the image and of the binary that it can reach. It finds no program that would connect
    /// containers, see [`Sandbox::offer`]. Needs root.
    ///
    /// # Panics
    /// When the kernel refuses, or no image store has been prepared.
    pub fn rootless() -> Sandbox {
        let mut sandbox = Sandbox::with_own_layers();
        let user = User::new();
        user::copy_program(&places::binary(), &sandbox.path().join("minidock"));
        user.own(sandbox.path());
        sandbox.user = Some(user);
        sandbox
    }

    /// Lets that user find these programs of the host's, such as `pasta`, and what they need. It works
    /// in the sandbox's network namespace from here on, and asks the servers of `resolv_conf`.
    ///
    /// # Panics
    /// When a program is not installed.
    pub fn offer(&mut self, programs: &[&str], resolv_conf: &str) {
        let directory = self.path().to_path_buf();
        for program in programs {
            let place = places::installed(program);
            symlink(place, directory.join(program)).expect("linking a program");
        }
        let (tun, resolv) = (directory.join("tun"), directory.join("resolv.conf"));
        // On most hosts everybody may open it; on this one perhaps not.
        let device = nix::sys::stat::makedev(10, 200);
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
        nix::sys::stat::mknod(&tun, nix::sys::stat::SFlag::S_IFCHR, mode, device).expect("mknod");
        fs::set_permissions(&tun, PermissionsExt::from_mode(0o666)).expect("permissions");
        fs::write(&resolv, resolv_conf).expect("writing a file");
        self.work_inside();
        let user = self.user.as_mut().expect("a sandbox without root");
        user.replace(tun, "/dev/net/tun".into());
        user.replace(resolv, "/etc/resolv.conf".into());
    }

    /// Lets that user's programs work in the sandbox's network namespace.
    pub fn work_inside(&mut self) {
        self.user.as_mut().expect("a sandbox without root").inside = true;
    }

    /// The user who works in a sandbox that [`Sandbox::rootless`] has made.
    pub fn user(&self) -> Option<u32> {
        self.user.as_ref().map(|user| user.id)
    }

    /// Lets that user's programs start in a control group, by its `cgroup.procs`.
    pub fn start_in(&mut self, procs: PathBuf) {
        self.user.as_mut().expect("a sandbox without root").group = Some(procs);
    }

    /// Gives that user `count` further ids from `first` on, as an administrator would in
    /// `/etc/subuid`.
    pub fn grant_ids(&mut self, first: u32, count: u32) {
        let directory = self.path().to_path_buf();
        self.user.as_mut().expect("a sandbox without root").grant(&directory, first, count);
    }

    /// The sandbox's own directory, which holds [`Sandbox::root`] and [`Sandbox::state`] and is
    /// free for a test's files.
    pub fn path(&self) -> &Path {
        self.directory.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// What `--root` names.
    pub fn root(&self) -> PathBuf {
        self.path().join("root")
    }

    /// What `--state` names.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Its images.
    pub fn images(&self) -> Store {
        Store::open(&self.root())
    }

    /// The unpacked tree of the image `alpine`, shared by all sandboxes: for reading only.
    pub fn alpine(&self) -> PathBuf {
        let store = self.images();
        let image = store.resolve("alpine").expect("the image alpine").image;
        let layer = image.config.rootfs.diff_ids.first().expect("its layer");
        store.layer_path(layer).canonicalize().expect("its files")
    }

    /// The network namespace that stands for the host's.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The file of the default network's address leases.
    ///
    /// # Panics
    /// When no container was on a network, or on several.
    pub fn leases(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.state().join("net")).expect("the network's files");
        let files = entries.map(|entry| entry.expect("an entry").path());
        let leases: Vec<_> =
            files.filter(|path| path.extension() == Some("leases".as_ref())).collect();
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases[0].clone()
    }

    /// `minidock --root … --state … ARGS`, inside the sandbox's network namespace.
    pub fn minidock<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Invocation {
        let mut command = Command::new(match self.user {
            Some(_) => self.path().join("minidock"),
            None => places::binary(),
        });
        command.arg("--root").arg(self.root()).arg("--state").arg(self.state()).args(args);
        self.invocation(command)
    }

    /// Any program inside the sandbox's network namespace.
    pub fn invocation(&self, mut command: Command) -> Invocation {
        // Who has no privilege cannot choose a network namespace, nor do anything in the host's.
        let Some(user) = &self.user else { return self.as_root(command) };
        command.current_dir(self.path()).env("PATH", self.path());
        if user.inside {
            sys::start_in_netns(&mut command, self.netns.fd());
        }
        user.start(&mut command);
        self.started(command)
    }

    /// The same of root's, whoever works here.
    pub fn as_root(&self, mut command: Command) -> Invocation {
        sys::start_in_netns(&mut command, self.netns.fd());
        self.started(command)
    }

    fn started(&self, mut command: Command) -> Invocation {
        command.env(MARKER, self.path()).env_remove("MINIDOCK_ROOT").env_remove("MINIDOCK_STATE");
        sys::start_with_default_signals(&mut command);
        Invocation::new(command)
    }

    /// `minidock run --rm ARGS`, to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.prepare_run(args).output()
    }

    /// `minidock run --rm ARGS`, running.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        self.prepare_run(args).spawn()
    }

    /// `minidock run --rm ARGS`, to be started.
    pub fn prepare_run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Invocation {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.minidock(["run".into(), "--rm".into()].into_iter().chain(args))
    }

    /// `minidock run --rm OPTIONS alpine sh -c SCRIPT`, to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn sh(&self, options: &[&str], script: &str) -> Output {
        self.prepare_sh(options, script).output()
    }

    /// `minidock run --rm OPTIONS alpine sh -c SCRIPT`, to be started.
    pub fn prepare_sh(&self, options: &[&str], script: &str) -> Invocation {
        let after = ["alpine", "sh", "-c", script];
        self.prepare_run(without_network(options).iter().chain(options).chain(&after))
    }

    /// Asks again until the answer, with exit code 0, is the wanted one.
    ///
    /// # Panics
    /// When a minute does not bring it.
    #[track_caller]
    pub fn eventually(&self, args: &[&str], wanted: impl Fn(&Output) -> bool) -> Output {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.minidock(args).output().expect_code(0);
            if wanted(&output) {
                return output;
            }
            assert!(Instant::now() < deadline, "{output}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The ids of all containers that this sandbox has had.
    pub fn ids(&self) -> Vec<String> {
        self.ids.seen().into_iter().collect()
    }

    /// The processes inside the sandbox's containers, by the host's ids.
    pub fn contained_processes(&self) -> Vec<i32> {
        let mut processes = procfs::contained_processes(&self.ids.seen());
        processes.extend(self.user.iter().flat_map(User::processes));
        processes
    }

    /// Waits until there are so many processes inside the containers.
    ///
    /// # Panics
    /// When there are not within a minute.
    #[track_caller]
    pub fn wait_for_processes(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.contained_processes().len() != count {
            assert!(Instant::now() < deadline, "{:?}", self.contained_processes());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The processes that this sandbox has started, and theirs that kept the environment.
    pub fn started_processes(&self) -> Vec<i32> {
        procfs::processes_with(&format!("{MARKER}={}", self.path().display()))
    }

    /// The cgroup directories of the sandbox's containers, of all hierarchies.
    pub fn cgroup_directories(&self) -> Vec<PathBuf> {
        procfs::cgroup_directories(&self.ids.seen())
    }

    /// The content of the first of these files that a cgroup of the sandbox's containers has,
    /// such as `["memory.limit_in_bytes", "memory.max"]`.
    ///
    /// # Panics
    /// When no cgroup has any of them.
    #[track_caller]
    pub fn cgroup_value(&self, files: &[&str]) -> String {
        let directories = self.cgroup_directories();
        let mut candidates =
            files.iter().flat_map(|file| directories.iter().map(move |dir| dir.join(file)));
        let text = candidates.find_map(|path| fs::read_to_string(path).ok());
        text.map(|text| text.trim().to_owned())
            .unwrap_or_else(|| panic!("none of {files:?} in {directories:?}"))
    }

    /// Fails the test unless every trace of the sandbox's containers goes within five seconds.
    ///
    /// # Panics
    /// When something stays, with a list of it.
    #[track_caller]
    pub fn assert_clean(&self) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let found = Leftovers::sweep(self);
            if found.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What a failed test leaves running would disturb the others.
        for pid in self.contained_processes().into_iter().chain(self.started_processes()) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
        let mounts = Leftovers::mounts(self.path());
        if mounts.is_empty() {
            return;
        }
        // Removing a tree with something mounted in it would remove what is mounted.
        if let Some(directory) = self.directory.take() {
            eprintln!("kept {}, where this is mounted: {mounts:?}", directory.keep().display());
        }
    }
}

/// The option for no network, where none is among the others.
pub fn without_network(options: &[&str]) -> &'static [&'static str] {
    match options.iter().any(|option| option.starts_with("--net")) {
        true => &[],
        false => &["--network", "none"],
    }
}
