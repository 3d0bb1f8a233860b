//! The system call filter: which requests to the kernel a process may make at all, `seccomp(2)`.
//!
//! Most programs use a small part of the kernel. The rest is where most ways out of a container
//! have been found, and a filter keeps it out of reach even of code that no one has checked.
//!
//! # Terms
//! - **Filter**: a program that the kernel runs at each system call, with its number and arguments
//!   and the interface it came through. [`Filter`] is one, ready to be attached.
//! - **Action**: the filter's answer: go ahead, fail with an errno, end the process, ….
//! - **Interface**, or architecture: the same kernel takes system calls of 64-bit programs, of
//!   32-bit programs and, on x86_64, of x32 programs, with different numbers.
//! - **Policy**: rules by the names of system calls. [`Policy`] is what an OCI runtime
//!   specification carries.
//! - **Profile**: rules that depend on who runs and where. [`Profile`] is docker's form, its
//!   default among them.
//! - **Multiplexer**: a system call that does the work of many, `socketcall(2)` and `ipc(2)`.
//!
//! # Example
//! ```
//! use minidock_sec::seccomp::{Arch, Context, Profile};
//! use minidock_sec::{Caps, Step};
//!
//! # fn main() -> Result<(), minidock_sec::Error> {
//! let context = Context { caps: Caps::DOCKER_DEFAULT, kernel: (6, 1), arch: Arch::X86_64 };
//! let policy = Profile::docker_default().resolve(&context);
//! assert!(policy.rules.iter().all(|rule| !rule.names.contains(&"mount".into())));
//!
//! let filter = policy.compile()?;
//! let step = Step::Seccomp(filter); // after Step::NoNewPrivs, and right before execve(2)
//! assert!(step.to_string().starts_with("load the system call filter ("));
//! # Ok(())
//! # }
//! ```
//!
//! # What a filter cannot do
//! It sees registers, not what they point to: no path, no socket address, no flags of `clone3`,
//! and nothing that `socketcall` is asked for. It is no substitute for capabilities and
//! namespaces.

mod checks;
mod compile;
mod docker;
mod emit;
mod filter;
#[cfg(any(test, fuzzing))]
#[allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a property that does not hold is a panic"
)]
pub(crate) mod fuzzing;
mod json;
mod keys;
mod mux;
mod policy;
mod profile;
mod table;
#[cfg(test)]
mod tests;

// What the kernel does with a program and what a policy means, for the tests and the fuzz target.
#[cfg(any(test, fuzzing))]
#[allow(dead_code, reason = "the tests use more of it")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it takes part in tests only"
)]
#[path = "seccomp/tests/bpf.rs"]
mod bpf;
#[cfg(any(test, fuzzing))]
#[allow(dead_code, reason = "the tests use more of it")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it takes part in tests only"
)]
#[path = "seccomp/tests/reference.rs"]
mod reference;

pub use filter::{Filter, Instruction};
pub use policy::{Action, Arch, Condition, Flags, Operator, Policy, Rule};
pub use profile::{Context, Profile};
