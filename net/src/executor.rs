use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::runtime::{Builder, Handle, Runtime};

/// A private runtime that makes asynchronous requests synchronous, wherever it is called from.
#[derive(Debug)]
pub(crate) struct Executor {
    // None only while it is being dropped.
    runtime: Option<Runtime>,
}

impl Executor {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { runtime: Some(Builder::new_current_thread().enable_io().build()?) })
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| io::Error::other("the runtime has ended"))
    }

    /// Waits for a future on the calling thread. A thread that belongs to a runtime of the
    /// caller must not block in a second one: there it happens on a thread made for it.
    pub(crate) fn run<F>(&self, future: F) -> io::Result<F::Output>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let runtime = self.runtime()?;
        match Handle::try_current() {
            Err(_) => Ok(runtime.block_on(future)),
            Ok(_) => on_thread(|| runtime.block_on(future)),
        }
    }

    /// Calls `open` inside the runtime with a thread that is in the network namespace
    /// `namespace`: a socket belongs to the namespace it was made in, and the calling thread must
    /// not leave its own.
    pub(crate) fn inside<T: Send>(
        &self,
        namespace: BorrowedFd<'_>,
        open: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let runtime = self.runtime()?;
        on_thread(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            let _context = runtime.enter();
            open()
        })?
    }

    /// Calls `open` inside the runtime.
    pub(crate) fn here<T>(&self, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let _context = self.runtime()?.enter();
        open()
    }
}

fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("minidock-net".to_owned());
        match worker.spawn_scoped(scope, work)?.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

impl Drop for Executor {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which panics on a thread of another runtime;
        // this one has no threads to wait for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
