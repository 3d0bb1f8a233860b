//! The caller's terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Rows and columns of the terminal that the caller looks at.
pub(crate) fn size_of_terminal() -> Option<(u16, u16)> {
    let of = |fd: std::os::fd::BorrowedFd<'_>| tcgetwinsize(fd).ok();
    let size: Winsize = of(io::stdout().as_fd()).or_else(|| of(io::stdin().as_fd()))?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Gives a container's terminal the size of the caller's.
pub(crate) fn follow_size(master: &OwnedFd) -> io::Result<()> {
    size_of_terminal().map_or(Ok(()), |size| set_size(master, size))
}

/// Gives a container's terminal so many rows and columns.
pub(crate) fn set_size(master: &OwnedFd, (ws_row, ws_col): (u16, u16)) -> io::Result<()> {
    let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(master, size)?)
}

/// Standard input in raw mode: each key goes to the container as it is. Dropping it restores what
/// was before.
#[derive(Debug)]
pub(crate) struct RawMode(Termios);

impl RawMode {
    /// Nothing when standard input is no terminal.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !isatty(&stdin) {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone by now; then there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
