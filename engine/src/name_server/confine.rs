//! What a name server gives up before it reads what others send.

use std::io;
use std::os::fd::RawFd;

use minidock_net::names::Limits;
use minidock_sec::{CapSets, Resource, Rlimit, no_new_privs};
use nix::unistd::{getgroups, setgroups};

use super::filter::filter;
use crate::Error;

/// Descriptors beside those of listeners, queries and connections: standard streams, the lock, the
/// records' directory, random numbers, what watches the records, a timer, a pipe, and a few to read
/// files with.
const OTHERS: u64 = 24;

/// The longest file that it writes, its lock.
const LONGEST_FILE: u64 = 4096;

/// As much as its descriptors allow.
pub(super) fn limits(listeners: usize) -> Result<(Limits, Rlimit), Error> {
    let hard = Rlimit::current(Resource::Nofile)?.hard;
    Ok(within(hard, listeners))
}

fn within(hard: u64, listeners: usize) -> (Limits, Rlimit) {
    let mut limits = Limits::default();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let fixed = OTHERS + 2 * count(listeners) + count(limits.connections);
    // One is what it takes to be of any use.
    let queries = count(limits.queries).min(hard.saturating_sub(fixed)).max(1);
    limits.queries = usize::try_from(queries).unwrap_or(limits.queries);
    let most = (fixed + queries).min(hard);
    (limits, Rlimit { resource: Resource::Nofile, soft: most, hard: most })
}

/// Gives up all that a server does not need, for good. `lock` and `ready` are what it still
/// writes to.
///
/// # Errors
/// A step failed: nobody is to be served then.
pub(super) fn confine(descriptors: Rlimit, lock: RawFd, ready: RawFd) -> Result<(), Error> {
    let filter = filter(lock, ready)?;
    let limit = |resource, value| Rlimit { resource, soft: value, hard: value };
    for limit in [descriptors, limit(Resource::Core, 0), limit(Resource::Fsize, LONGEST_FILE)] {
        done("set", "its limits", limit.apply())?;
    }
    // Without CAP_SETGID one who is in no group can still start servers.
    if !getgroups().is_ok_and(|groups| groups.is_empty()) {
        done("leave", "its groups", setgroups(&[]).map_err(io::Error::from))?;
    }
    let nothing = CapSets::default();
    done("give up", "capabilities", nothing.drop_bounding().and_then(|()| nothing.apply()))?;
    done("set", "no_new_privs", no_new_privs())?;
    done("load", "its system call filter", filter.load())
}

fn done(operation: &str, object: &str, result: io::Result<()>) -> Result<(), Error> {
    let object = format!("{object} for a name server");
    result.map_err(|error| Error::io(operation, object, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_no_more_than_its_descriptors_allow() {
        let (limits, limit) = within(1 << 20, 2);
        assert_eq!(limits, Limits::default());
        assert_eq!((limit.soft, limit.hard), (24 + 4 + 64 + 512, 24 + 4 + 64 + 512));
        let (limits, limit) = within(256, 1);
        assert_eq!((limits.queries, limit.hard), (256 - 24 - 2 - 64, 256));
        assert_eq!(within(8, 1).0.queries, 1);
    }
}
