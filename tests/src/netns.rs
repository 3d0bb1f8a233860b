//! A network namespace of one's own.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::sys;

/// A network namespace with nothing but a loopback device. It ends with its last process and the
/// last clone of this value.
#[derive(Debug, Clone)]
pub struct NetNs {
    fd: Arc<OwnedFd>,
}

impl NetNs {
    /// Makes one. Needs root.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[allow(clippy::new_without_default, reason = "making one is not a default")]
    pub fn new() -> NetNs {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
            sys::loopback_up();
            File::open("/proc/thread-self/ns/net").expect("the namespace's file")
        };
        // Namespaces belong to threads, so the others of the test stay where they are.
        let file = thread::spawn(make).join().expect("the thread that makes a namespace");
        NetNs { fd: Arc::new(file.into()) }
    }

    /// Runs a function in a thread inside the namespace.
    ///
    /// # Panics
    /// When the function does.
    pub fn run<T: Send + 'static>(&self, function: impl FnOnce() -> T + Send + 'static) -> T {
        let fd = self.fd();
        let inside = move || {
            setns(fd.as_fd(), CloneFlags::CLONE_NEWNET).expect("entering the namespace");
            function()
        };
        thread::spawn(inside).join().expect("the thread inside the namespace")
    }

    /// The namespace's file, for whoever wants to put a link into it.
    pub fn file(&self) -> Arc<OwnedFd> {
        self.fd()
    }

    pub(crate) fn fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }
}
