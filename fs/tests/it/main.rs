//! The steps against the kernel. Each test has a mount namespace of its own, and every step runs
//! under an allocator that counts: `kit::apply` asserts that it was never called.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests may fail like tests")]

mod binds;
mod devices;
mod hostile;
mod kit;
mod layers;
mod lookup;
mod mounts;
mod programs;
mod propagation;
mod races;
mod removal;
mod roots;
#[allow(unsafe_code)]
mod sys;
mod trees;
