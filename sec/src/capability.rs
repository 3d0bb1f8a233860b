//! Sets of capabilities, their names, and docker's arithmetic on them.

use std::fmt;
use std::str::FromStr;

use crate::{CapSets, Error, sys};

macro_rules! capabilities {
    ($($name:ident = $bit:literal),* $(,)?) => {
        bitflags::bitflags! {
            /// A set of capabilities, `capabilities(7)`; the bits are the kernel's.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
            pub struct Caps: u64 {
                $(
                    #[doc = concat!("`CAP_", stringify!($name), "`")]
                    const $name = 1 << $bit;
                )*
            }
        }
    };
}

capabilities! {
    CHOWN = 0, DAC_OVERRIDE = 1, DAC_READ_SEARCH = 2, FOWNER = 3, FSETID = 4, KILL = 5,
    SETGID = 6, SETUID = 7, SETPCAP = 8, LINUX_IMMUTABLE = 9, NET_BIND_SERVICE = 10,
    NET_BROADCAST = 11, NET_ADMIN = 12, NET_RAW = 13, IPC_LOCK = 14, IPC_OWNER = 15,
    SYS_MODULE = 16, SYS_RAWIO = 17, SYS_CHROOT = 18, SYS_PTRACE = 19, SYS_PACCT = 20,
    SYS_ADMIN = 21, SYS_BOOT = 22, SYS_NICE = 23, SYS_RESOURCE = 24, SYS_TIME = 25,
    SYS_TTY_CONFIG = 26, MKNOD = 27, LEASE = 28, AUDIT_WRITE = 29, AUDIT_CONTROL = 30,
    SETFCAP = 31, MAC_OVERRIDE = 32, MAC_ADMIN = 33, SYSLOG = 34, WAKE_ALARM = 35,
    BLOCK_SUSPEND = 36, AUDIT_READ = 37, PERFMON = 38, BPF = 39, CHECKPOINT_RESTORE = 40,
}

/// What `--cap-add` and `--cap-drop` call every capability at once.
const ALL_NAME: &str = "ALL";

impl Caps {
    /// Every capability that this crate knows by name.
    pub const ALL: Caps = Caps::all();

    /// docker's default for a container that is not privileged: 14 capabilities.
    pub const DOCKER_DEFAULT: Caps =
        Caps::HARDENED.union(Caps::MKNOD).union(Caps::NET_RAW).union(Caps::AUDIT_WRITE);

    /// podman's smaller default: docker's without making device nodes, raw sockets (ARP and DNS
    /// spoofing) and audit records.
    pub const HARDENED: Caps = Caps::CHOWN
        .union(Caps::DAC_OVERRIDE)
        .union(Caps::FOWNER)
        .union(Caps::FSETID)
        .union(Caps::KILL)
        .union(Caps::SETGID)
        .union(Caps::SETUID)
        .union(Caps::SETPCAP)
        .union(Caps::NET_BIND_SERVICE)
        .union(Caps::SYS_CHROOT)
        .union(Caps::SETFCAP);

    /// The number of the last capability that the running kernel has.
    ///
    /// # Errors
    /// [`Error::ReadCapabilities`].
    pub fn last_cap() -> Result<u32, Error> {
        sys::last_cap().map_err(Error::ReadCapabilities)
    }

    /// The capabilities that the calling thread can hand to a program it executes: those that are
    /// both permitted and in its bounding set. A child in a new user namespace has [`Caps::ALL`].
    ///
    /// # Errors
    /// [`Error::ReadCapabilities`].
    pub fn available() -> Result<Caps, Error> {
        let current = CapSets::current()?;
        Ok(current.permitted & current.bounding)
    }

    /// The capabilities of a container from its `--cap-add` and `--cap-drop` by docker's rules,
    /// with `default` when neither says anything, such as [`Caps::DOCKER_DEFAULT`]:
    ///
    /// - `ALL` added: all but the dropped ones, whatever else is added;
    /// - `ALL` dropped: exactly the added ones;
    /// - otherwise: the default without the dropped ones, plus the added ones.
    ///
    /// "All" and "the default" are cut down to `available`, see [`Caps::available`]. A capability
    /// that is added by name has to be available.
    ///
    /// # Errors
    /// [`Error::UnknownCapability`] and, for added ones, [`Error::UnavailableCapability`].
    pub fn from_flags(
        default: Caps,
        add: &[String],
        drop: &[String],
        available: Caps,
    ) -> Result<Caps, Error> {
        let add = Named::parse(add)?;
        let drop = Named::parse(drop)?;
        let missing = add.caps - available;
        if !missing.is_empty() {
            return Err(Error::UnavailableCapability(missing.to_string()));
        }
        Ok(match (add.all, drop.all) {
            (true, _) => available - drop.caps,
            (false, true) => add.caps,
            (false, false) => ((default & available) - drop.caps) | add.caps,
        })
    }

    /// Whether the capability with this number is in the set.
    pub(crate) fn has(self, number: u32) -> bool {
        self.bits() & (1 << number) != 0
    }
}

/// A list of capability names, in which `ALL` is a word of its own.
struct Named {
    caps: Caps,
    all: bool,
}

impl Named {
    fn parse(names: &[String]) -> Result<Named, Error> {
        let mut named = Named { caps: Caps::empty(), all: false };
        for name in names {
            if name.eq_ignore_ascii_case(ALL_NAME) {
                named.all = true;
            } else {
                named.caps |= name.parse()?;
            }
        }
        Ok(named)
    }
}

impl FromStr for Caps {
    type Err = Error;

    /// One capability, in any case and with or without `CAP_`; or `ALL`.
    fn from_str(name: &str) -> Result<Caps, Error> {
        let upper = name.to_ascii_uppercase();
        if upper == ALL_NAME {
            return Ok(Caps::ALL);
        }
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Caps::from_name(bare).ok_or_else(|| Error::UnknownCapability(format!("CAP_{bare}")))
    }
}

impl fmt::Display for Caps {
    /// `CAP_CHOWN,CAP_KILL`, `ALL` or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        if self.is_all() {
            return f.write_str(ALL_NAME);
        }
        for (i, (name, _)) in self.iter_names().enumerate() {
            write!(f, "{}CAP_{name}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(add: &[&str], drop: &[&str]) -> Result<Caps, Error> {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Caps::from_flags(Caps::DOCKER_DEFAULT, &own(add), &own(drop), Caps::ALL)
    }

    #[test]
    fn the_defaults_are_the_masks_of_the_peers() {
        assert_eq!(Caps::DOCKER_DEFAULT.bits(), 0xa804_25fb);
        assert_eq!(Caps::HARDENED.bits(), 0x8004_05fb);
        assert_eq!(Caps::ALL.bits(), (1 << 41) - 1);
    }

    #[test]
    fn names_are_read_in_every_spelling() {
        for name in ["CAP_NET_ADMIN", "cap_net_admin", "NET_ADMIN", "Net_Admin"] {
            assert_eq!(name.parse::<Caps>().unwrap(), Caps::NET_ADMIN);
        }
        assert_eq!("all".parse::<Caps>().unwrap(), Caps::ALL);
    }

    #[test]
    fn unknown_names_are_refused_in_docker_words() {
        for name in ["foo", "CAP_", "", "CAP_CAP_CHOWN", "CAP_ALL", "CHOWN ", "chown,kill"] {
            assert!(matches!(name.parse::<Caps>(), Err(Error::UnknownCapability(_))), "{name:?}");
        }
        let error = flags(&["foo"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "unknown capability: \"CAP_FOO\"");
        assert!(flags(&[], &["nonsense"]).is_err());
    }

    #[test]
    fn add_and_drop_follow_docker() {
        let default = Caps::DOCKER_DEFAULT;
        assert_eq!(flags(&[], &[]).unwrap(), default);
        assert_eq!(flags(&["sys_admin"], &[]).unwrap(), default | Caps::SYS_ADMIN);
        assert_eq!(flags(&[], &["CHOWN", "KILL"]).unwrap(), default - Caps::CHOWN - Caps::KILL);
        assert_eq!(flags(&["chown"], &["chown"]).unwrap(), default, "adding comes last");
    }

    #[test]
    fn all_follows_docker() {
        assert_eq!(flags(&["ALL"], &[]).unwrap(), Caps::ALL);
        assert_eq!(flags(&[], &["ALL"]).unwrap(), Caps::empty());
        assert_eq!(flags(&["chown"], &["all"]).unwrap(), Caps::CHOWN);
        assert_eq!(flags(&["all"], &["sys_admin"]).unwrap(), Caps::ALL - Caps::SYS_ADMIN);
        assert_eq!(flags(&["all"], &["all"]).unwrap(), Caps::ALL, "docker: adding all wins");
        assert_eq!(flags(&["all", "kill"], &["kill"]).unwrap(), Caps::ALL - Caps::KILL);
    }

    #[test]
    fn nothing_is_given_that_the_caller_does_not_have() {
        let available = Caps::ALL - Caps::SYS_RESOURCE - Caps::MKNOD;
        let with = |add: &[&str]| {
            let add: Vec<String> = add.iter().map(|n| (*n).to_owned()).collect();
            Caps::from_flags(Caps::DOCKER_DEFAULT, &add, &[], available)
        };
        assert_eq!(with(&["ALL"]).unwrap(), available);
        assert_eq!(with(&[]).unwrap(), Caps::DOCKER_DEFAULT - Caps::MKNOD);
        let error = with(&["sys_resource"]).unwrap_err();
        assert!(error.to_string().ends_with("current environment: \"CAP_SYS_RESOURCE\""));
    }

    #[test]
    fn sets_are_shown_by_name() {
        assert_eq!((Caps::CHOWN | Caps::KILL).to_string(), "CAP_CHOWN,CAP_KILL");
        assert_eq!(Caps::empty().to_string(), "none");
        assert_eq!(Caps::ALL.to_string(), "ALL");
    }
}
