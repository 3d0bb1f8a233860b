//! One error type: operation, object, errno.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

/// What can go wrong, one variant for each operation.
///
/// The message is complete (it contains the errno in words); the [`io::Error`] is also the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No file system of type `cgroup` or `cgroup2` is mounted.
    #[error("cannot find the cgroup hierarchies: neither cgroup nor cgroup2 is mounted")]
    NoHierarchy,
    /// A limit was asked for whose controller this host does not offer.
    #[error(
        "cannot limit {limit}: the {controller} controller is neither mounted as cgroup v1 nor \
         offered by cgroup v2"
    )]
    ControllerAbsent {
        /// The limit as a user knows it, e.g. `memory`.
        limit: &'static str,
        /// The controller that would be needed.
        controller: String,
    },
    /// A value that no kernel would take, refused before anything is made.
    #[error("cannot use {value:?} as {what}: {why}")]
    Invalid {
        /// The kind of value.
        what: &'static str,
        /// The value as it was given.
        value: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Our own group lies outside what the mounted hierarchy shows, so nothing can be made below it.
    #[error(
        "cannot place a group below our own group {own:?}: {mount_point:?} shows only {root:?}"
    )]
    OwnGroupHidden {
        /// Our own group in this hierarchy.
        own: PathBuf,
        /// The group that the mount shows.
        root: PathBuf,
        /// Where the hierarchy is mounted.
        mount_point: PathBuf,
    },
    /// A path that is not below any mounted hierarchy.
    #[error("cannot use {0:?} as a control group: it is not below a mounted cgroup hierarchy")]
    NotAGroup(PathBuf),
    /// mkdir(2) of a group.
    #[error("cannot create the control group {}: {}", directory.display(), why(source))]
    Create {
        /// The group's directory.
        directory: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// A v2 group refused to distribute controllers to its children.
    #[error("cannot enable {controllers} in {}: {}", file.display(), enable_why(source))]
    Enable {
        /// What was written, e.g. `+memory +pids`.
        controllers: String,
        /// The `cgroup.subtree_control` file.
        file: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// The kernel refused a limit.
    #[error(
        "cannot set the {controller} limit: cannot write {value:?} to {}: {}{}",
        file.display(), why(source), usage_note(*usage)
    )]
    Write {
        /// The controller.
        controller: String,
        /// The file.
        file: PathBuf,
        /// What was written.
        value: String,
        /// The group's memory usage in bytes when the kernel could not reclaim enough (EBUSY).
        usage: Option<u64>,
        /// The errno.
        source: io::Error,
    },
    /// The kernel took a limit and keeps another value.
    #[error(
        "cannot set the {controller} limit: wrote {value:?} to {}, the kernel keeps {found:?}",
        file.display()
    )]
    ReadBack {
        /// The controller.
        controller: String,
        /// The file.
        file: PathBuf,
        /// What was written.
        value: String,
        /// What was read afterwards.
        found: String,
    },
    /// bpf(2) refused to load or attach the device program.
    #[error("cannot {operation} the device program of {}: {}", directory.display(), why(source))]
    DeviceProgram {
        /// `load` or `attach`.
        operation: &'static str,
        /// The group's directory.
        directory: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// open(2) of a group's file or directory.
    #[error("cannot open {}: {}", file.display(), why(source))]
    Open {
        /// The file.
        file: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// read(2) of a file.
    #[error("cannot read {}: {}", file.display(), why(source))]
    Read {
        /// The file.
        file: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// A kernel file that does not look as documented.
    #[error("cannot understand {}: {text:?}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// The text found there.
        text: String,
    },
    /// A process could not be moved into a group.
    #[error("cannot attach process {pid} by {}: {}", file.display(), why(source))]
    Attach {
        /// The process.
        pid: u32,
        /// The `cgroup.procs` file.
        file: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// A control file (freeze, thaw, kill) refused the write.
    #[error("cannot {operation} the processes in {}: {}", directory.display(), why(source))]
    Control {
        /// `freeze`, `thaw` or `kill`.
        operation: &'static str,
        /// The group's directory.
        directory: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// Not supported by the hierarchies that the group is in.
    #[error("cannot {operation}: {needs}")]
    Unsupported {
        /// The operation.
        operation: &'static str,
        /// What the host lacks.
        needs: &'static str,
    },
    /// The processes did not all freeze in time; they were thawed again.
    #[error("cannot freeze the processes in {}: not all stopped within {after:?}", directory.display())]
    FreezeTimeout {
        /// The group's directory.
        directory: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// rmdir(2) of a group.
    #[error(
        "cannot remove the control group {}: {} ({processes} processes in it)",
        directory.display(), why(source)
    )]
    Remove {
        /// The group's directory.
        directory: PathBuf,
        /// How many processes it still has.
        processes: usize,
        /// The errno.
        source: io::Error,
    },
}

impl Error {
    /// The errno behind the error, where a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        use std::error::Error as _;
        self.source()?.downcast_ref::<io::Error>()?.raw_os_error()
    }

    /// What the user could do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Enable { source, .. } if source.raw_os_error() == Some(libc::EBUSY) => Some(
                "move the processes of that group into a child group, or choose another parent \
                 group",
            ),
            Self::ReadBack { controller, .. } if controller == "cpuset" => {
                Some("ask only for what the parent group has: see its cpuset.*.effective files")
            }
            Self::Write { usage: Some(_), .. } => Some("stop processes first, or ask for more"),
            Self::Create { source, .. } | Self::Write { source, .. } => {
                match source.raw_os_error()? {
                    libc::EROFS => Some("the cgroup file system is mounted read-only here"),
                    libc::EACCES | libc::EPERM => {
                        Some("control groups need root, or a group delegated to this user")
                    }
                    _ => None,
                }
            }
            Self::ControllerAbsent { .. } => {
                Some("see /proc/cgroups; a controller may be disabled on the kernel command line")
            }
            _ => None,
        }
    }
}

/// The errno in words and by name: `device or resource busy (EBUSY)`.
fn why(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else {
        return error.to_string();
    };
    let errno = Errno::from_raw(code);
    let words = errno.desc();
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    format!("{}{} ({errno:?})", first.map(String::from).unwrap_or_default(), letters.as_str())
}

fn enable_why(error: &io::Error) -> String {
    match error.raw_os_error() {
        // The "no internal processes" rule of cgroups(7).
        Some(libc::EBUSY) => "the group has processes of its own (EBUSY)".to_owned(),
        Some(libc::ENOENT) => "the parent group does not offer it (ENOENT)".to_owned(),
        _ => why(error),
    }
}

fn usage_note(usage: Option<u64>) -> String {
    usage.map(|bytes| format!("; {bytes} bytes are in use")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_operation_object_and_errno() {
        let error = Error::Write {
            controller: "memory".into(),
            file: "/sys/fs/cgroup/memory/x/memory.limit_in_bytes".into(),
            value: "4096".into(),
            usage: Some(65536),
            source: io::Error::from_raw_os_error(libc::EBUSY),
        };
        assert_eq!(
            error.to_string(),
            "cannot set the memory limit: cannot write \"4096\" to \
             /sys/fs/cgroup/memory/x/memory.limit_in_bytes: device or resource busy (EBUSY); \
             65536 bytes are in use"
        );
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }

    #[test]
    fn enabling_in_a_group_with_processes_is_explained() {
        let error = Error::Enable {
            controllers: "+memory".into(),
            file: "/sys/fs/cgroup/cgroup.subtree_control".into(),
            source: io::Error::from_raw_os_error(libc::EBUSY),
        };
        assert!(error.to_string().ends_with("the group has processes of its own (EBUSY)"));
        assert!(error.hint().is_some_and(|hint| hint.contains("child group")));
    }
}
