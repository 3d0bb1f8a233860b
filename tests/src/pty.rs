//! A program on a pseudo-terminal, driven from its other side.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

use crate::capture::Capture;
use crate::running::{end, wait_until};
use crate::sys;

/// A program on a pseudo-terminal. Dropping it kills the program.
#[derive(Debug)]
pub struct Pty {
    command: String,
    child: Child,
    terminal: File,
    before: Termios,
    screen: Arc<Capture>,
    seen: usize,
    deadline: Instant,
}

impl Pty {
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16, deadline: Instant) -> Pty {
        let line = format!("{command:?}");
        let pair = openpty(None, None).expect("a pseudo-terminal");
        sys::set_window_size(pair.master.as_fd(), rows, columns);
        let before = tcgetattr(&pair.master).expect("the terminal's settings");
        let clone = || Stdio::from(pair.slave.try_clone().expect("a descriptor"));
        command.stdin(clone()).stdout(clone()).stderr(clone());
        sys::start_on_terminal(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let terminal = File::from(pair.master);
        let screen = Capture::of(terminal.try_clone().expect("a descriptor"));
        // `command` and `pair.slave` end here: the program alone holds its side of the terminal.
        Pty { command: line, child, terminal, before, screen, seen: 0, deadline }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.terminal.write_all(keys.as_ref()).expect("writing to the terminal");
    }

    /// Reads until `text` appears; everything since the last call, including `text`.
    ///
    /// # Panics
    /// When the program's output ends, or time is over, without it.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) -> String {
        let Some(found) = self.screen.wait_for(text, self.seen, self.deadline) else {
            self.fail(&format!("the terminal shows no {text:?}"));
        };
        let read = self.screen.slice(self.seen, found);
        self.seen = found;
        read
    }

    /// Everything that the terminal has shown.
    pub fn screen(&self) -> String {
        self.screen.text()
    }

    /// Changes the size of the window; the program gets SIGWINCH.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        sys::set_window_size(self.terminal.as_fd(), rows, columns);
    }

    /// Whether bytes pass the terminal unchanged: no line editing, no echo, no signal keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn is_raw(&self) -> bool {
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        !self.settings().local_flags.intersects(cooked)
    }

    /// Whether the terminal's settings are those from before the program started.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn is_restored(&self) -> bool {
        self.settings() == self.before
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.terminal).expect("the terminal's settings")
    }

    /// The process id of the program; valid until [`Pty::wait`].
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end; its exit code.
    ///
    /// # Panics
    /// When it does not end in time, or by a signal.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        match wait_until(&mut self.child, self.deadline) {
            Some(status) => status.code().unwrap_or_else(|| self.fail("a signal ended it")),
            None => self.fail("it does not end"),
        }
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        panic!("{problem}: {}\n--- screen\n{}", self.command, self.screen())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
