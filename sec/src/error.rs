//! What can be wrong with a request, and which query of the kernel failed.

use std::io;

use crate::{MAX_ID, Resource};

/// A refused request or a failed query. The texts of refused requests are docker's.
///
/// Applying a step reports a plain [`io::Error`] instead, because that allocates nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No capability has this name.
    #[error("unknown capability: \"{0}\"")]
    UnknownCapability(String),

    /// The capability exists, but the caller does not have it and so cannot give it away.
    #[error(
        "capability not supported by your kernel or not available in the current environment: \
         \"{0}\""
    )]
    UnavailableCapability(String),

    /// A resource limit without `=`.
    #[error("invalid ulimit argument: {0}")]
    UlimitSyntax(String),

    /// A resource limit of an unknown resource.
    #[error("invalid ulimit type: {0}")]
    UlimitResource(String),

    /// A limit that is neither a whole number nor -1.
    #[error("invalid ulimit value: \"{0}\" is neither a number from 0 nor -1 (unlimited)")]
    UlimitValue(String),

    /// More than `soft:hard`.
    #[error("too many limit value arguments - {0}, can only have up to two, `soft[:hard]`")]
    UlimitTooManyValues(String),

    /// The soft limit lies above the hard limit.
    #[error("ulimit soft limit must be less than or equal to hard limit: {0}")]
    UlimitOrder(String),

    /// A user or group specification that is not `user[:group]`.
    #[error("invalid user \"{0}\": it must be user[:group], by name or number")]
    UserSyntax(String),

    /// A name that the image's passwd file does not hold.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),

    /// A name that the image's group file does not hold.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),

    /// A user or group id outside 0 to [`MAX_ID`].
    #[error("uids and gids must be in range 0-{MAX_ID}: {0}")]
    IdRange(String),

    /// More groups than a process can be in.
    #[error("{0} supplementary groups are more than the kernel's 65536")]
    TooManyGroups(usize),

    /// A passwd or group file beyond what is read from an image.
    #[error("the {file} file has {size} bytes, more than the {limit} that are read")]
    FileTooLarge {
        /// `passwd` or `group`.
        file: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The accepted size in bytes.
        limit: usize,
    },

    /// The capabilities of the calling thread could not be read.
    #[error("cannot read the capabilities of this thread: {0}")]
    ReadCapabilities(#[source] io::Error),

    /// A resource limit of the calling process could not be read.
    #[error("cannot read the {resource} limit of this process: {source}")]
    ReadRlimit {
        /// The resource.
        resource: Resource,
        /// Why.
        source: io::Error,
    },

    /// A system call filter's profile that is not JSON, or not of the expected shape.
    #[error("decoding seccomp profile failed: {0}")]
    SeccompJson(#[source] serde_json::Error),

    /// Something that a system call filter cannot be or contain.
    #[error("invalid seccomp profile: {place}: {problem}")]
    Seccomp {
        /// Where, such as `syscalls[3].args[0]`.
        place: String,
        /// What is wrong.
        problem: String,
    },

    /// System call filters are not known for this machine.
    #[error("system call filters are not supported on this architecture")]
    SeccompArch,

    /// The compiled filter is longer than the kernel takes.
    #[error("the system call filter has {0} instructions, more than the kernel's 4096")]
    SeccompLength(usize),

    /// The version of the running kernel could not be read.
    #[error("cannot read the version of the kernel: {0}")]
    ReadKernel(#[source] io::Error),
}
