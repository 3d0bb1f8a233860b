//! A program to be run, and what came of it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Pty, Running};

/// Long enough for a busy machine; a test that gets here has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The same for the emulated processors of the virtual machines.
const TIMEOUT_EMULATED: Duration = Duration::from_secs(240);

fn timeout() -> Duration {
    match std::env::var_os("MINIDOCK_VM_LAYOUT") {
        Some(_) => TIMEOUT_EMULATED,
        None => TIMEOUT,
    }
}

/// A program to be run: a builder over [`Command`].
#[derive(Debug)]
#[must_use]
pub struct Invocation {
    command: Command,
    input: Input,
    stdout: Option<Stdio>,
    timeout: Duration,
}

/// What the program finds on its standard input.
#[derive(Debug)]
enum Input {
    Empty,
    Text(Vec<u8>),
    Open,
    From(Stdio),
}

impl Invocation {
    /// Runs a program with an empty standard input for at most a minute, in a
    /// virtual machine for four.
    pub fn new(command: Command) -> Invocation {
        Invocation { command, input: Input::Empty, stdout: None, timeout: timeout() }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Invocation {
        self.command.args(args);
        self
    }

    /// Sets an environment variable of the program.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Invocation {
        self.command.env(name, value);
        self
    }

    /// Starts the program in a directory.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Invocation {
        self.command.current_dir(directory);
        self
    }

    /// Feeds the program this and then end of file.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Invocation {
        self.input = Input::Text(text.into());
        self
    }

    /// Keeps standard input open, for [`Running::send`].
    pub fn open_stdin(mut self) -> Invocation {
        self.input = Input::Open;
        self
    }

    /// Gives the program a file or socket as its standard input.
    pub fn stdin_from(mut self, stream: impl Into<Stdio>) -> Invocation {
        self.input = Input::From(stream.into());
        self
    }

    /// Gives the program a file or socket as its standard output, of which nothing is collected.
    pub fn stdout_to(mut self, stream: impl Into<Stdio>) -> Invocation {
        self.stdout = Some(stream.into());
        self
    }

    /// Kills the program and fails the test after this time.
    pub fn timeout(mut self, timeout: Duration) -> Invocation {
        self.timeout = timeout;
        self
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// When the program cannot be started or does not end in time.
    pub fn output(self) -> Output {
        self.spawn().wait()
    }

    /// Starts, with the standard streams on pipes.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn spawn(mut self) -> Running {
        let (stdin, text) = match self.input {
            Input::Empty => (Stdio::null(), None),
            Input::Text(text) => (Stdio::piped(), Some(text)),
            Input::Open => (Stdio::piped(), None),
            Input::From(stream) => (stream, None),
        };
        let stdout = self.stdout.unwrap_or_else(Stdio::piped);
        self.command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let deadline = Instant::now() + self.timeout;
        let mut running = Running::start(self.command, deadline);
        if let Some(text) = text {
            running.send(text);
            running.close_stdin();
        }
        running
    }

    /// Starts on a new pseudo-terminal of the given size, as the leader of a session.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn pty(self, rows: u16, columns: u16) -> Pty {
        Pty::start(self.command, rows, columns, Instant::now() + self.timeout)
    }
}

/// What a program that has ended has left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The exit code.
    ///
    /// # Panics
    /// When a signal ended the program.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self}"))
    }

    /// Fails the test unless the exit code is this one.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Output {
        assert_eq!(self.code(), code, "exit code of {self}");
        self
    }

    /// Standard output without surrounding blanks.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} ({})", self.command, self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}
