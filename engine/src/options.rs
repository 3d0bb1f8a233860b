//! What a caller asks for, parsed: no value in here can be malformed, only impossible.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Lifecycle, NetworkMode, Publishing};

/// Everything that `minidock run` can be told. [`RunOptions::new`] gives docker's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Where the root file system comes from.
    pub source: RootSource,
    /// The command and its arguments; empty means the image's own.
    pub command: Vec<String>,
    /// `--entrypoint`: `Some("")` removes the image's.
    pub entrypoint: Option<String>,
    /// `--name`; one is generated otherwise.
    pub name: Option<String>,
    /// `--hostname`; the first 12 digits of the id otherwise.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// `-i`: the caller's standard input is the container's.
    pub interactive: bool,
    /// `-t`: a terminal of the container's own.
    pub tty: bool,
    /// `--init`: a process that reaps zombies and forwards signals is PID 1.
    pub init: bool,
    /// `--privileged`: all capabilities, all devices, nothing masked.
    pub privileged: bool,
    /// `--read-only`: the root file system cannot be written.
    pub read_only: bool,
    /// In order, over the image's: `NAME=value` sets a variable, `NAME` alone removes it.
    pub env: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`: `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// `--group-add`.
    pub group_add: Vec<String>,
    /// `-v`, `--mount` and `--tmpfs`, in order.
    pub mounts: Vec<MountRequest>,
    /// `--device`.
    pub devices: Vec<DeviceRequest>,
    /// `--ulimit`, in docker's grammar, for instance `nofile=1024:2048`.
    pub ulimits: Vec<String>,
    /// `--shm-size`, bytes.
    pub shm_size: u64,
    /// `--sysctl`: name with dots, value.
    pub sysctls: Vec<(String, String)>,
    /// `--add-host`: name, address or `host-gateway`.
    pub add_hosts: Vec<(String, String)>,
    /// `--dns`.
    pub dns: Vec<String>,
    /// `--dns-search`.
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    pub dns_options: Vec<String>,
    /// Limits on resources.
    pub resources: Resources,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<PathBuf>,
    /// `--oom-score-adj`, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// `--network`. When it is not given: [`NetworkMode::bridge`], and without root what of
    /// [`UserMode::ALL`](crate::UserMode::ALL) is installed, or else [`NetworkMode::None`].
    pub network: Option<NetworkMode>,
    /// `-p`, `-P` and `--expose`.
    pub publishing: Publishing,
    /// `--cap-add`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--security-opt seccomp=…`.
    pub system_calls: SystemCalls,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--hardened`: fewer capabilities, `no_new_privs`, a read-only root, fewer processes, no
    /// system calls of other architectures, and a user namespace where one is possible.
    pub hardened: bool,
    /// `--userns`. When it is not given: [`UserNamespace::Host`], and with `hardened`
    /// [`UserNamespace::Auto`] where that is possible.
    pub user_namespace: Option<UserNamespace>,
    /// `--pull`.
    pub pull: PullPolicy,
    /// `--platform`, for instance `linux/amd64`.
    pub platform: Option<String>,
    /// How long it lives, and what is kept of it.
    pub lifecycle: Lifecycle,
}

/// Where a root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootSource {
    /// A name in the local store, `name[:tag]`.
    Image(String),
    /// Any directory. The container writes to the directory itself.
    Directory(PathBuf),
}

/// Limits on resources; `None` is no limit of our own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// `-m`, bytes.
    pub memory: Option<u64>,
    /// `--memory-swap`, bytes of memory and swap together; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// `--memory-reservation`, bytes.
    pub memory_reservation: Option<u64>,
    /// `--cpus`, in processors, more than 0.
    pub cpus: Option<f64>,
    /// `--cpu-quota`, microseconds of processor time in each period; negative is unlimited. Not
    /// together with `cpus`.
    pub cpu_quota: Option<i64>,
    /// `--cpu-period`, microseconds, 1000 to 1000000. Not together with `cpus`.
    pub cpu_period: Option<u64>,
    /// `--cpu-shares`, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// `--cpuset-cpus`, for instance `0-2,7`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; -1 is unlimited.
    pub pids: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `--device-read-bps` and the like.
    pub throttles: Vec<ThrottleRequest>,
}

/// One block device throttle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleRequest {
    /// The block device's node on the host.
    pub device: PathBuf,
    /// What is throttled.
    pub kind: ThrottleKind,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// What a throttle limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThrottleKind {
    /// `--device-read-bps`.
    ReadBytes,
    /// `--device-write-bps`.
    WriteBytes,
    /// `--device-read-iops`.
    ReadOperations,
    /// `--device-write-iops`.
    WriteOperations,
}

/// One `-v`, `--mount` or `--tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// No writing through this mount.
    pub read_only: bool,
    /// Mount propagation of a bind: `private` is the default.
    pub propagation: Option<Propagation>,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// Absolute path on the host.
        path: PathBuf,
        /// Made as a directory when missing (`-v`); else a missing source is an error (`--mount`).
        create: bool,
        /// Not the mounts below it (`--mount bind-recursive=disabled`).
        non_recursive: bool,
    },
    /// A named volume below the engine's root, or an anonymous one that ends with the container.
    Volume {
        /// Its name.
        name: Option<String>,
    },
    /// A new tmpfs.
    Tmpfs {
        /// How it is made and mounted.
        options: TmpfsOptions,
    },
}

/// The options of a tmpfs, `tmpfs(5)`. The default is docker's: `nosuid,nodev,noexec`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsOptions {
    /// How much it holds, half of the memory otherwise.
    pub size: Option<TmpfsSize>,
    /// How many files it holds, half of the number of memory pages otherwise; 0 is unlimited.
    pub inodes: Option<u64>,
    /// Permissions of its root, 1777 otherwise.
    pub mode: Option<u32>,
    /// Owner of its root, 0 otherwise.
    pub uid: Option<u32>,
    /// Group of its root, 0 otherwise.
    pub gid: Option<u32>,
    /// Programs may be executed from it.
    pub exec: bool,
    /// Set-user-id bits count.
    pub suid: bool,
    /// Device nodes can be opened.
    pub dev: bool,
    /// When a read changes a file's access time.
    pub access_times: AccessTimes,
    /// `nodiratime`: reading a directory never does.
    pub no_directory_access_times: bool,
}

/// How much a tmpfs holds; 0 is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TmpfsSize {
    /// Bytes.
    Bytes(u64),
    /// Hundredths of the host's memory.
    Percent(u32),
}

/// When a read changes a file's access time, `mount(8)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessTimes {
    /// `relatime`: when it is older than the last change, or a day.
    #[default]
    Relative,
    /// `strictatime`.
    Always,
    /// `noatime`.
    Never,
}

/// Mount propagation, `mount_namespaces(7)`. The `r` forms are recursive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// `private` and `rprivate`.
    Private,
    /// `slave` and `rslave`.
    Slave,
    /// `shared` and `rshared`.
    Shared,
}

/// One `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// The node on the host.
    pub host: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Allowed: some of `r`, `w`, `m`.
    pub access: String,
}

/// `--security-opt seccomp=…`: which system calls can be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SystemCalls {
    /// Those of docker's default profile; with `--privileged` all.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of a profile in docker's JSON.
    Profile(Vec<u8>),
}

/// `--userns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespace {
    /// The caller's: root inside is root outside, less its capabilities. Without root there is
    /// always a user namespace of the container's own, in which the caller is root.
    Host,
    /// One of the container's own, with host ids that nothing else has. Files keep their owners:
    /// they are seen through id-mapped mounts.
    Auto,
}

/// `--pull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PullPolicy {
    /// Only what is not in the store.
    #[default]
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a caller wants to see of a run beside the container itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reporting {
    /// Each step as it happens, on standard error.
    pub explain: Explain,
    /// The plan on standard output, and nothing done.
    pub dry_run: bool,
}

/// How a run is explained to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Explain {
    /// Not at all.
    #[default]
    Off,
    /// A line a step.
    Text,
    /// A JSON object a step.
    Json,
    /// A shell script of the steps; nothing is run.
    Shell,
}

impl RunOptions {
    /// The network, docker's where none was chosen.
    pub(crate) fn network(&self) -> NetworkMode {
        self.network.clone().unwrap_or_else(NetworkMode::bridge)
    }

    /// Docker's defaults for a container from this source.
    #[must_use]
    pub fn new(source: RootSource) -> Self {
        Self {
            source,
            command: Vec::new(),
            entrypoint: None,
            name: None,
            hostname: None,
            domainname: None,
            interactive: false,
            tty: false,
            init: false,
            privileged: false,
            read_only: false,
            env: Vec::new(),
            workdir: None,
            user: None,
            group_add: Vec::new(),
            mounts: Vec::new(),
            devices: Vec::new(),
            ulimits: Vec::new(),
            shm_size: 64 << 20,
            sysctls: Vec::new(),
            add_hosts: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            resources: Resources::default(),
            cgroup_parent: None,
            oom_score_adj: None,
            network: None,
            publishing: Publishing::default(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            system_calls: SystemCalls::default(),
            no_new_privileges: false,
            hardened: false,
            user_namespace: None,
            pull: PullPolicy::default(),
            platform: None,
            lifecycle: Lifecycle::default(),
        }
    }
}

/// The word of `--add-host` that stands for the host's address on the container's network.
pub const HOST_GATEWAY: &str = "host-gateway";

/// Checks an address of `--dns`.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<std::net::Ipv6Addr>().is_ok()
}
