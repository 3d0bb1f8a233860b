use std::fmt;

bitflags::bitflags! {
    /// A set of namespaces, with the kernel's `CLONE_NEW*` values (`namespaces(7)`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Namespaces: u64 {
        /// Clock offsets, `time_namespaces(7)`.
        const TIME = 0x0000_0080;
        /// Mount points, `mount_namespaces(7)`.
        const MOUNT = 0x0002_0000;
        /// The root of the control group hierarchies as seen from inside, `cgroup_namespaces(7)`.
        /// It is fixed when the namespace is made: a child that is to see its own group as the
        /// root must be in that group first (see [`crate::Step::CgroupNamespace`]).
        const CGROUP = 0x0200_0000;
        /// Host and domain name, `uts_namespaces(7)`.
        const UTS = 0x0400_0000;
        /// System V IPC and POSIX message queues, `ipc_namespaces(7)`.
        const IPC = 0x0800_0000;
        /// User and group ids and capabilities, `user_namespaces(7)`.
        const USER = 0x1000_0000;
        /// Process ids, `pid_namespaces(7)`: the child becomes PID 1.
        const PID = 0x2000_0000;
        /// Network devices, addresses, routes, ports, `network_namespaces(7)`.
        const NET = 0x4000_0000;
    }
}

/// The names under `/proc/PID/ns`.
pub(crate) const NAMES: [(Namespaces, &str); 8] = [
    (Namespaces::USER, "user"),
    (Namespaces::MOUNT, "mnt"),
    (Namespaces::PID, "pid"),
    (Namespaces::NET, "net"),
    (Namespaces::UTS, "uts"),
    (Namespaces::IPC, "ipc"),
    (Namespaces::CGROUP, "cgroup"),
    (Namespaces::TIME, "time"),
];

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (namespace, name) in NAMES {
            if self.contains(namespace) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_names_of_proc_ns() {
        assert_eq!((Namespaces::NET | Namespaces::MOUNT).to_string(), "mnt,net");
        assert_eq!(Namespaces::empty().to_string(), "");
    }

    #[test]
    fn every_flag_has_a_name() {
        let named: Namespaces = NAMES.iter().map(|(namespace, _)| *namespace).collect();
        assert_eq!(named, Namespaces::all());
    }
}
