//! The name server on real sockets, on the loopback device of a network namespace.

mod forwarding;
mod kit;
mod limits;
mod own;
