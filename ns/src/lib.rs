//! Linux namespaces for programs that start processes in them.
//!
//! A *namespace* wraps one global resource (host name, process ids, mounts, network, …) so that
//! the processes inside see their own instance of it. This crate makes a process in new
//! namespaces with **one `clone3(2)`**, hands back a [`Child`] that is held by a *pidfd* (a file
//! descriptor that can never come to mean another process), and joins existing namespaces with
//! `setns(2)`.
//!
//! ```no_run
//! use minidock_ns::{Command, Namespaces};
//!
//! # fn main() -> Result<(), minidock_ns::Error> {
//! let status = Command::new("/bin/hostname")
//!     .namespaces(Namespaces::UTS | Namespaces::PID)
//!     .hostname("inside")
//!     .status()?;
//! assert!(status.success());
//! # Ok(())
//! # }
//! ```
//!
//! `nsenter(1)` in two lines: a process is held by its pidfd, and a program runs in all namespaces
//! of it that are not the caller's.
//!
//! ```no_run
//! use minidock_ns::{Command, Process};
//!
//! # fn main() -> Result<(), minidock_ns::Error> {
//! if let Some(process) = Process::open(4711)? {
//!     let namespaces = process.foreign_namespaces()?;
//!     Command::new("/bin/ps").join(&process, namespaces)?.status()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Terms
//! * **pidfd**: `pidfd_open(2)`; all waiting and signalling here goes through it.
//! * **gate**: a `SOCK_SEQPACKET` pair between parent and child ([`Gate`]). The child waits at it
//!   until the parent has done its half (id maps, network), and reports steps and failures
//!   through it. It is close-on-exec: end of file tells the parent that `execve` succeeded.
//! * **sibling**: a copy of a process that is a child of the same parent
//!   ([`ChildGate::sibling`]). Joining a PID namespace moves children only, so whoever has joined
//!   one goes on as its own sibling.
//! * **child-safe**: a function that makes raw system calls only: no allocation, no lock, no
//!   formatting. Only such functions may run between the clone and the exec, because the parent
//!   may have other threads whose locks are held forever in the child's copy of the memory.
//!
//! # Safe beside threads
//! Everything that the child needs is prepared before the clone, so a program with a hundred
//! threads can call this crate. It never installs a signal handler, never touches `SIGCHLD` and
//! never waits for a process that is not its own [`Child`].
//!
//! # What it needs
//! Linux 5.11 (`close_range(2)` with `CLOSE_RANGE_CLOEXEC` is the youngest call). All
//! namespaces but `USER` need `CAP_SYS_ADMIN`, or a new `USER` namespace in the same call.
//!
//! # What it does not do
//! Mounts, control groups, networks and capabilities: those are the sister crates' work. A
//! namespace alone is not a security boundary.

mod child;
mod clone;
mod command;
mod error;
mod exec;
mod gate;
mod idmap;
mod init;
mod join;
mod namespace;
mod process;
mod step;
#[allow(unsafe_code)]
mod sys;
mod userns;

pub use child::{Child, ExitStatus};
pub use clone::{CloneOptions, spawn};
pub use command::Command;
pub use error::Error;
pub use exec::Exec;
pub use gate::{ChildGate, Event, Gate};
pub use idmap::{IdMap, IdMaps};
pub use init::Init;
pub use join::join;
pub use namespace::Namespaces;
pub use process::Process;
pub use step::Step;
pub use sys::exit_now;
pub use userns::user_namespace;
