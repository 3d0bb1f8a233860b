//! What the container executes once it has executed.

use std::fs;
use std::io;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{Error, Kind};

/// Which file a process executes: device, inode and mount.
type Identity = ((u32, u32), u64, u64);

/// Checks that it is not this process' own program, on the host's mount: that would be the file of
/// the engine, in the hands of the container. The child has looked before its exec, but what it
/// looked at may lie in a volume that others change.
///
/// With an init PID 1 is a copy of this process, and the program its child.
///
/// # Errors
/// It is, or it cannot be seen.
pub(crate) fn check(pid: u32, init: bool) -> Result<(), Error> {
    let own = identity("self").map_err(|error| Error::io("look at", "/proc/self/exe", &error))?;
    let processes = match init {
        true => children(pid)?,
        false => vec![pid.to_string()],
    };
    // One that has ended executes nothing any more.
    match processes.iter().any(|process| identity(process).is_ok_and(|theirs| theirs == own)) {
        false => Ok(()),
        true => Err(Error::new("the program leads through a magic link of /proc to the engine's")
            .kind(Kind::NotExecutable)),
    }
}

fn identity(process: &str) -> io::Result<Identity> {
    let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
    let stat = statx(CWD, format!("/proc/{process}/exe"), AtFlags::empty(), wanted)?;
    Ok(((stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino, stat.stx_mnt_id))
}

fn children(pid: u32) -> Result<Vec<String>, Error> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        // It was not waited for, so its directory is there even when it has ended; what a kernel
        // without CONFIG_PROC_CHILDREN does not tell cannot be checked.
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_this_process_is_told_from_other_programs() {
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        check(other.id(), false).unwrap();
        check(std::process::id(), true).unwrap();
        assert!(check(std::process::id(), false).is_err());
        other.kill().unwrap();
        other.wait().unwrap();
        check(other.id(), false).unwrap();
    }
}
