//! The kit of the end-to-end tests: containers are run by the binary `minidock`, and what they
//! leave behind is searched for without it.
//!
//! ```no_run
//! use minidock_tests::Sandbox;
//!
//! let sandbox = Sandbox::new();
//! sandbox.run(["alpine", "true"]).expect_code(0);
//! sandbox.assert_clean();
//! ```
//!
//! A [`Sandbox`] has its own root and state directory and its own network namespace, so tests run
//! in parallel. Environment:
//!
//! | variable | what it names | otherwise |
//! |---|---|---|
//! | `MINIDOCK_BIN` | the binary | `minidock` in the test's target directory |
//! | `MINIDOCK_FAILPOINTS_BIN` | the binary with the feature `failpoints` | `failpoints/debug/minidock` in the target directory |
//! | `MINIDOCK_TEST_STORE` | a store with the image `alpine` | `test-store` in the target directory |
//!
//! Running containers needs root.
//!
//! # What a test may run
//! An engine that fails must not take the host along. So a command is written for the case that
//! nothing isolates and nothing limits it: it starts a bounded number of processes, uses a bounded
//! amount of memory, ends by itself, and probes what must not be writable by opening it.

// The kit's way to report anything unexpected is to fail the test that uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod canary;
mod capture;
mod consistency;
mod doomed;
mod invocation;
mod layout;
mod lease;
mod leftovers;
mod netns;
mod payload;
mod places;
mod probe;
mod procfs;
mod pty;
mod running;
mod sandbox;
#[allow(unsafe_code)]
mod sys;
mod uplink;
mod user;
mod watch;

pub use canary::{Canary, SECRET, differences, snapshot};
pub use consistency::Found;
pub use doomed::{kill_group, kill_process, wait_for_group};
pub use invocation::{Invocation, Output};
pub use layout::{CANARY, Entry, Tree};
pub use lease::HeldUp;
pub use leftovers::Leftovers;
pub use netns::NetNs;
pub use payload::Payload;
pub use places::{binary, failpoints_binary, require_virtual_machine};
pub use probe::{Check, Report};
pub use procfs::monitor_of;
pub use pty::Pty;
pub use running::Running;
pub use sandbox::{Sandbox, without_network};
pub use uplink::Uplink;
