//! Standard streams on the container's own /dev, after pivot_root: every path here is the
//! container's. Child-safe.

use std::io;

use minidock_ns::ChildGate;
use rustix::fs::{FileType, Mode, OFlags, fchown, fstat, major, minor, open};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::plan::Terminal;

/// The system calls of [`make`].
pub(crate) const SYSCALLS: &[&str] = &[
    "open",
    "openat",
    "fstat",
    "newfstatat",
    "ioctl",
    "fchown",
    "open_tree",
    "move_mount",
    "dup2",
    "dup3",
    "sendmsg",
    "close",
];

/// A terminal on the container's own devpts; its master goes to the parent.
pub(crate) fn make(terminal: Terminal, gate: &ChildGate) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = open(c"/dev/pts/ptmx", flags, Mode::empty())?;
    // Whatever the caller has mounted there must not pass for the multiplexer.
    let stat = fstat(&master)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || (major(stat.st_rdev), minor(stat.st_rdev)) != (5, 2)
    {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    unlockpt(&master)?;
    // By descriptor: a path would have to be looked up again.
    let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, peer)?;
    if let Some((rows, columns)) = terminal.size {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size)?;
    }
    if terminal.owner != 0 {
        fchown(&slave, Some(rustix::fs::Uid::from_raw(terminal.owner)), None)?;
    }
    if terminal.first {
        make_console(&slave)?;
        rustix::process::ioctl_tiocsctty(&slave)?;
    }
    dup2_stdin(&slave)?;
    dup2_stdout(&slave)?;
    dup2_stderr(&slave)?;
    gate.send(std::os::fd::AsFd::as_fd(&master))
}

fn make_console(slave: &std::os::fd::OwnedFd) -> io::Result<()> {
    let create = OFlags::CREATE | OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let console = open(c"/dev/console", create | OFlags::NOFOLLOW, Mode::from_raw_mode(0o600))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(slave, c"", clone | OpenTreeFlags::AT_EMPTY_PATH)?;
    let onto = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&tree, c"", &console, c"", onto)?)
}

/// Standard input becomes the controlling terminal, for the leader of a session that has none.
pub(crate) fn control() -> io::Result<()> {
    Ok(rustix::process::ioctl_tiocsctty(stdin())?)
}

/// The system calls of [`null`].
pub(crate) const NULL_SYSCALLS: &[&str] =
    &["open", "openat", "fstat", "newfstatat", "dup2", "dup3", "close"];

/// The null device as those standard streams that are true.
pub(crate) fn null(streams: [bool; 3]) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let null = open(c"/dev/null", flags, Mode::empty())?;
    let stat = fstat(&null)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || (major(stat.st_rdev), minor(stat.st_rdev)) != (1, 3)
    {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let [input, output, error] = streams;
    if input {
        dup2_stdin(&null)?;
    }
    if output {
        dup2_stdout(&null)?;
    }
    if error {
        dup2_stderr(&null)?;
    }
    Ok(())
}

/// Changes the owner of those standard streams that are true.
pub(crate) fn give(streams: [bool; 3], owner: u32) -> io::Result<()> {
    let owner = Some(rustix::fs::Uid::from_raw(owner));
    for (pipe, wanted) in [stdin(), stdout(), stderr()].into_iter().zip(streams) {
        if wanted {
            fchown(pipe, owner, None)?;
        }
    }
    Ok(())
}
