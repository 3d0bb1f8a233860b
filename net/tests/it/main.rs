//! Against the kernel. Whatever makes a link does so in network namespaces of its own threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bridge;
mod container;
mod firewall;
mod leases;
mod links;
mod names;
mod namespace;
mod nft;
mod ports;
mod session;
#[allow(unsafe_code)]
mod sys;
