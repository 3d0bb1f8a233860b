//! A program that is running, on pipes.

use std::io::Write;
use std::process::{Child, ChildStdin, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Output;
use crate::capture::Capture;

/// How long the streams may stay open after the program has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// A program that is running. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Capture>,
    stderr: Arc<Capture>,
    deadline: Instant,
}

impl Running {
    pub(crate) fn start(mut command: Command, deadline: Instant) -> Running {
        let line = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let stdout = match child.stdout.take() {
            Some(pipe) => Capture::of(pipe),
            // It goes elsewhere.
            None => Capture::of(std::io::empty()),
        };
        let stderr = Capture::of(child.stderr.take().expect("a pipe"));
        let stdin = child.stdin.take();
        Running { command: line, child, stdin, stdout, stderr, deadline }
    }

    /// The process id; valid until [`Running::wait`].
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Writes to the program's standard input.
    ///
    /// # Panics
    /// When it is not open.
    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("an open standard input");
        match stdin.write_all(text.as_ref()) {
            // Whoever does not read its input may end before it is written.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            result => result.expect("writing to standard input"),
        }
    }

    /// Gives the program an end of file.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until standard output holds `text`; everything so far.
    ///
    /// # Panics
    /// When standard output ends, or time is over, without it.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str) -> String {
        if self.stdout.wait_for(text, 0, self.deadline).is_none() {
            self.fail(&format!("standard output has no {text:?}"));
        }
        self.stdout.text()
    }

    /// Waits until standard error holds `text`.
    ///
    /// # Panics
    /// When standard error ends, or time is over, without it.
    #[track_caller]
    pub fn wait_for_error(&mut self, text: &str) {
        if self.stderr.wait_for(text, 0, self.deadline).is_none() {
            self.fail(&format!("standard error has no {text:?}"));
        }
    }

    /// Sends a signal to the program.
    ///
    /// # Panics
    /// When that fails.
    pub fn signal(&self, signal: Signal) {
        // The process is not waited for yet, so its id is still its own.
        kill(Pid::from_raw(self.pid()), signal).expect("sending a signal");
    }

    /// Kills the program.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the program does not end in time, or something keeps its output open.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        self.close_stdin();
        let status = wait_until(&mut self.child, self.deadline);
        let Some(status) = status else { self.fail("it does not end") };
        let end = Instant::now() + DRAIN;
        if !self.stdout.wait_for_end(end) || !self.stderr.wait_for_end(end) {
            self.fail("it has ended, but something holds its output open");
        }
        Output {
            command: self.command.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Waits for the end of the program alone, whoever holds its output open.
    ///
    /// # Panics
    /// When the program does not end in time.
    #[track_caller]
    pub fn wait_for_end(mut self) {
        if wait_until(&mut self.child, self.deadline).is_none() {
            self.fail("it does not end");
        }
    }

    #[track_caller]
    fn fail(&mut self, problem: &str) -> ! {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        let command = &self.command;
        panic!("{problem}: {command}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Waits until a deadline.
pub(crate) fn wait_until(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("waiting for a child") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a child that may already have ended.
pub(crate) fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        // Both fail only when the child has just ended by itself.
        child.kill().ok();
        child.wait().ok();
    }
}
