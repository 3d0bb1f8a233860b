//! Tests through the public API: on a fake v2 tree, and (as root) on the host's own layout.

// The lints spare only functions marked as tests, and not the helpers around them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod fake;
mod kernel;
mod kit;
