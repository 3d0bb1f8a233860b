//! The five capability sets of a thread.

use std::io;

use crate::{Caps, Error, sys};

/// The five capability sets of a thread, `capabilities(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapSets {
    /// What no program executed from here on can gain.
    pub bounding: Caps,
    /// What the thread may switch on.
    pub permitted: Caps,
    /// What is on.
    pub effective: Caps,
    /// What passes `execve(2)` into programs whose file says so.
    pub inheritable: Caps,
    /// What passes `execve(2)` into any program; has to be permitted and inheritable.
    pub ambient: Caps,
}

impl CapSets {
    /// The sets of a container's first process: bounded by, and in possession of, `caps`.
    ///
    /// Inheritable and ambient are empty: with a non-empty inheritable set a program with file
    /// capabilities would gain them for an ordinary user (CVE-2022-24769).
    pub const fn of(caps: Caps) -> CapSets {
        CapSets {
            bounding: caps,
            permitted: caps,
            effective: caps,
            inheritable: Caps::empty(),
            ambient: Caps::empty(),
        }
    }

    /// The sets of the calling thread. Capabilities that this crate has no name for are left out.
    ///
    /// # Errors
    /// [`Error::ReadCapabilities`].
    pub fn current() -> Result<CapSets, Error> {
        let read = || {
            let (effective, permitted, inheritable) = sys::capget()?;
            let mut sets = CapSets {
                effective: Caps::from_bits_truncate(effective),
                permitted: Caps::from_bits_truncate(permitted),
                inheritable: Caps::from_bits_truncate(inheritable),
                ..CapSets::default()
            };
            for number in 0..=sys::last_cap()? {
                let cap = Caps::from_bits_truncate(1 << number);
                sets.bounding.set(cap, sys::bounding_has(number)?);
                sets.ambient.set(cap, sys::ambient_has(number)?);
            }
            Ok(sets)
        };
        read().map_err(Error::ReadCapabilities)
    }

    /// Drops every capability of the kernel that is not in `bounding` from the bounding set of the
    /// calling thread, also those that this crate has no name for (`PR_CAPBSET_DROP`, `prctl(2)`).
    ///
    /// Child-safe. Has to come before the user changes. It cannot add to the bounding set.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`, unless there is nothing to drop.
    pub fn drop_bounding(&self) -> io::Result<()> {
        for number in 0..=sys::last_cap()? {
            if !self.bounding.has(number) && sys::bounding_has(number)? {
                sys::bounding_drop(number)?;
            }
        }
        Ok(())
    }

    /// Sets all but the bounding set on the calling thread: `capset(2)`, then the ambient set
    /// (`PR_CAP_AMBIENT`, `prctl(2)`). Ends what
    /// [`Credentials::keeping_capabilities`](crate::Credentials::keeping_capabilities) began.
    ///
    /// Child-safe. Has to come after the user changed.
    ///
    /// # Errors
    /// `EPERM` when a set would grow beyond what the thread is permitted.
    pub fn apply(&self) -> io::Result<()> {
        sys::set_keep_capabilities(false)?;
        sys::capset(self.effective.bits(), self.permitted.bits(), self.inheritable.bits())?;
        sys::ambient_clear()?;
        for number in 0..=sys::LAST_KNOWN_CAP {
            if self.ambient.has(number) {
                sys::ambient_raise(number)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_inherits_nothing() {
        let sets = CapSets::of(Caps::DOCKER_DEFAULT);
        assert_eq!(sets.bounding, Caps::DOCKER_DEFAULT);
        assert_eq!(sets.permitted, sets.effective);
        assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());
    }

    #[test]
    fn the_last_known_capability_is_the_last_bit() {
        assert_eq!(Caps::ALL.bits(), (1 << (sys::LAST_KNOWN_CAP + 1)) - 1);
    }

    #[test]
    fn the_current_sets_can_be_read_without_privileges() {
        let sets = CapSets::current().unwrap();
        assert!(sets.permitted.contains(sets.effective));
        assert!(Caps::last_cap().unwrap() >= sys::LAST_KNOWN_CAP);
    }
}
