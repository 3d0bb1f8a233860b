//! What a process may still do: capabilities, user and groups, resource limits, `no_new_privs`,
//! system calls.
//!
//! Everything here narrows the calling **thread** (or, for resource limits, its process) on the
//! way to `execve(2)`. Values are worked out and checked beforehand; applying them is a handful
//! of raw system calls that neither allocate nor lock, so it is safe in the child of a program
//! with many threads.
//!
//! # Terms
//! - **Capability**: one of the 41 parts that the power of root is divided into,
//!   `capabilities(7)`. [`Caps`] is a set of them.
//! - **Bounding set**: what no program that is executed from here on can ever gain.
//! - **Permitted, effective**: what the thread may switch on, and what is on.
//! - **Inheritable, ambient**: what is handed through `execve(2)` to a program of another user.
//!   Containers leave both empty.
//! - **Supplementary groups**: the groups of a process besides its primary one.
//! - **Soft and hard limit**: what the kernel enforces, and how far the process may raise it.
//! - **System call filter**: which requests to the kernel a process may make at all; see
//!   [`seccomp`] for its own terms.
//!
//! # Example
//! ```
//! use minidock_sec::{Caps, Rlimit, user};
//!
//! # fn main() -> Result<(), minidock_sec::Error> {
//! let caps = Caps::from_flags(
//!     Caps::DOCKER_DEFAULT, &["net_admin".into()], &["ALL".into()], Caps::ALL)?;
//! assert_eq!(caps, Caps::NET_ADMIN);
//!
//! let limit: Rlimit = "nofile=1024:2048".parse()?;
//! assert_eq!((limit.soft, limit.hard), (1024, 2048));
//!
//! let passwd = b"www:x:82:82:web server:/var/www:/sbin/nologin\n";
//! let www = user::resolve("www", passwd, b"media:x:500:www\n", &[])?;
//! assert_eq!((www.uid, www.gid, www.groups), (82, 82, vec![82, 500]));
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//! [`Step`] is one such narrowing as data: to print, to compare and to apply. The order that
//! works is resource limits → bounding set → credentials (keeping capabilities) → capability
//! sets → `no_new_privs` → system call filter, because each step needs a power that a later one
//! takes away.
//!
//! # Needs
//! Linux 5.12 on a 64-bit machine. Changing the user needs `CAP_SETUID` and `CAP_SETGID`, shrinking
//! the bounding set `CAP_SETPCAP`, raising a hard limit `CAP_SYS_RESOURCE`, a system call filter
//! `no_new_privs` or `CAP_SYS_ADMIN`; the rest needs nothing.
//!
//! # What it does not do
//! It installs no LSM label, holds no listener of a filter, reads no file (the
//! caller hands over the bytes of passwd, group and profiles), and cannot give back what was
//! dropped.

mod capability;
mod capsets;
mod credentials;
mod error;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
mod privs;
mod rlimit;
pub mod seccomp;
mod step;
#[allow(unsafe_code)]
mod sys;
pub mod user;

pub use capability::Caps;
pub use capsets::CapSets;
pub use credentials::Credentials;
pub use error::Error;
pub use privs::{no_new_privs, parent_death_signal, session_keyring, set_dumpable};
pub use rlimit::{Clamped, Resource, Rlimit};
pub use step::Step;

/// The largest user or group id that is accepted. Larger ones are negative to some programs, and
/// the very largest means "leave as it is" to `setresuid(2)`.
pub const MAX_ID: u32 = i32::MAX as u32;
