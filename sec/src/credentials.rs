//! User, group and supplementary groups of a process.

use std::io;

use crate::{Error, MAX_ID, sys};

/// `NGROUPS_MAX` of the kernel.
const MAX_GROUPS: usize = 65536;

/// User id, group id and supplementary groups that a thread is to take on for good: real,
/// effective and saved ids alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    keep_capabilities: bool,
    keep_groups: bool,
}

impl Credentials {
    /// Checks the ids: `setresuid(2)` takes the largest number for "leave as it is", which would
    /// silently keep root.
    ///
    /// # Errors
    /// [`Error::IdRange`] for an id above [`MAX_ID`], [`Error::TooManyGroups`].
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Result<Credentials, Error> {
        if let Some(id) = [uid, gid].iter().chain(&groups).find(|id| **id > MAX_ID) {
            return Err(Error::IdRange(id.to_string()));
        }
        if groups.len() > MAX_GROUPS {
            return Err(Error::TooManyGroups(groups.len()));
        }
        Ok(Credentials { uid, gid, groups, keep_capabilities: false, keep_groups: false })
    }

    /// Keeps the permitted capabilities when the user changes from root to another, for
    /// [`CapSets::apply`](crate::CapSets::apply) to narrow (`PR_SET_KEEPCAPS`, `prctl(2)`).
    #[must_use]
    pub fn keeping_capabilities(mut self) -> Credentials {
        self.keep_capabilities = true;
        self
    }

    /// Leaves the supplementary groups as they are, instead of replacing them: for a user namespace
    /// that denies `setgroups(2)`, as one must that was made without privileges
    /// (`user_namespaces(7)`). The process keeps the groups of whoever made it.
    #[must_use]
    pub fn keeping_groups(mut self) -> Credentials {
        self.groups.clear();
        self.keep_groups = true;
        self
    }

    /// Whether the supplementary groups stay as they are.
    pub fn keeps_groups(&self) -> bool {
        self.keep_groups
    }

    /// The user id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The primary group id.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The supplementary groups.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Replaces the supplementary groups, so that none of the caller's remains; then the group, then the user: `setgroups(2)`, `setresgid(2)`, `setresuid(2)`.
    ///
    /// Child-safe. The raw system calls change the calling thread only, not the process.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID` or `CAP_SETUID`, or when the user namespace denies setgroups;
    /// `EINVAL` for an id that the user namespace does not map.
    pub fn apply(&self) -> io::Result<()> {
        if self.keep_capabilities {
            sys::set_keep_capabilities(true)?;
        }
        if !self.keep_groups {
            sys::setgroups(&self.groups)?;
        }
        sys::setresgid(self.gid)?;
        sys::setresuid(self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_mean_no_change_or_are_negative_elsewhere_are_refused() {
        for bad in [u32::MAX, MAX_ID + 1] {
            assert!(Credentials::new(bad, 0, vec![]).is_err());
            assert!(Credentials::new(0, bad, vec![]).is_err());
            assert!(Credentials::new(0, 0, vec![1, bad]).is_err());
        }
        assert!(Credentials::new(MAX_ID, MAX_ID, vec![MAX_ID]).is_ok());
    }

    #[test]
    fn more_groups_than_the_kernel_takes_are_refused() {
        assert!(Credentials::new(0, 0, vec![1; MAX_GROUPS]).is_ok());
        assert!(Credentials::new(0, 0, vec![1; MAX_GROUPS + 1]).is_err());
    }
}
