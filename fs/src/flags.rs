//! Attributes and propagation of a mount.
use std::fmt;

bitflags::bitflags! {
    /// Attributes of one mount, as the `MOUNT_ATTR_*` of mount_setattr(2).
    ///
    /// `relatime` is the kernel's default and has no bit.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct MountAttr: u64 {
        /// Nothing below can be written (`ro`).
        const RDONLY = 0x01;
        /// Set-user-id bits and file capabilities are ignored (`nosuid`).
        const NOSUID = 0x02;
        /// Device nodes cannot be opened (`nodev`).
        const NODEV = 0x04;
        /// Programs cannot be executed (`noexec`).
        const NOEXEC = 0x08;
        /// Access times are never updated (`noatime`).
        const NOATIME = 0x10;
        /// Access times are always updated (`strictatime`).
        const STRICTATIME = 0x20;
        /// Access times of directories are not updated (`nodiratime`).
        const NODIRATIME = 0x80;
        /// Symbolic links are not followed (`nosymfollow`, Linux 5.14).
        const NOSYMFOLLOW = 0x20_0000;
    }
}

/// The option names of mount(8), in the order in which they are printed.
const NAMES: [(&str, MountAttr); 8] = [
    ("ro", MountAttr::RDONLY),
    ("nosuid", MountAttr::NOSUID),
    ("nodev", MountAttr::NODEV),
    ("noexec", MountAttr::NOEXEC),
    ("noatime", MountAttr::NOATIME),
    ("strictatime", MountAttr::STRICTATIME),
    ("nodiratime", MountAttr::NODIRATIME),
    ("nosymfollow", MountAttr::NOSYMFOLLOW),
];

impl MountAttr {
    /// The attribute that mount(8) calls `option`, e.g. `ro` or `nosuid`.
    #[must_use]
    pub fn from_option(option: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == option).map(|(_, attr)| *attr)
    }

    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, attr)| self.contains(*attr)).map(|(name, _)| *name)
    }
}

impl fmt::Display for MountAttr {
    /// The names of mount(8), joined by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

/// How mounts and unmounts travel to and from the peers of a mount: mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagation {
    /// Neither way.
    Private,
    /// From the master to here only.
    Slave,
    /// Both ways.
    Shared,
    /// Neither way, and the mount cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    /// The `MS_*` bit, which mount(2) and the `propagation` field of mount_setattr(2) share.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
            Self::Unbindable => libc::MS_UNBINDABLE,
        }
    }

    /// The word that mount(8) uses, e.g. `rslave` for slave and recursive.
    pub(crate) fn name(self, recursive: bool) -> &'static str {
        match (self, recursive) {
            (Self::Private, false) => "private",
            (Self::Private, true) => "rprivate",
            (Self::Slave, false) => "slave",
            (Self::Slave, true) => "rslave",
            (Self::Shared, false) => "shared",
            (Self::Shared, true) => "rshared",
            (Self::Unbindable, false) => "unbindable",
            (Self::Unbindable, true) => "runbindable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_one_name_both_ways() {
        for (name, attr) in NAMES {
            assert_eq!(MountAttr::from_option(name), Some(attr));
            assert_eq!(attr.to_string(), name);
        }
        assert_eq!(NAMES.len(), MountAttr::all().iter().count());
        assert_eq!(MountAttr::from_option("rw"), None);
    }

    #[test]
    fn bits_are_the_kernels() {
        use rustix::mount::MountAttrFlags as Kernel;
        for (ours, kernel) in [
            (MountAttr::RDONLY, Kernel::MOUNT_ATTR_RDONLY),
            (MountAttr::NOSUID, Kernel::MOUNT_ATTR_NOSUID),
            (MountAttr::NODEV, Kernel::MOUNT_ATTR_NODEV),
            (MountAttr::NOEXEC, Kernel::MOUNT_ATTR_NOEXEC),
            (MountAttr::NOATIME, Kernel::MOUNT_ATTR_NOATIME),
            (MountAttr::STRICTATIME, Kernel::MOUNT_ATTR_STRICTATIME),
            (MountAttr::NODIRATIME, Kernel::MOUNT_ATTR_NODIRATIME),
            (MountAttr::NOSYMFOLLOW, Kernel::MOUNT_ATTR_NOSYMFOLLOW),
        ] {
            assert_eq!(ours.bits(), u64::from(kernel.bits()));
        }
    }
}
