//! Against the kernel. Whatever makes a link does so in network namespaces of its own threads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bridge;
mod container;
mod leases;
mod namespace;
mod session;
