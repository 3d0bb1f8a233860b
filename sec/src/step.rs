//! Each narrowing as data.

use std::ffi::CString;
use std::fmt;
use std::io;

use crate::seccomp::Filter;
use crate::{
    CapSets, Caps, Credentials, Rlimit, no_new_privs, parent_death_signal, session_keyring,
    set_dumpable,
};

/// One narrowing of the calling thread: to be printed, compared and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Set a resource limit, [`Rlimit::apply`].
    Rlimit(Rlimit),
    /// Whether the process can be traced, [`set_dumpable`].
    Dumpable(bool),
    /// Cut the bounding set down to these, [`CapSets::drop_bounding`].
    DropBounding(Caps),
    /// Change groups and user, [`Credentials::apply`].
    Credentials(Credentials),
    /// Set the capability sets, [`CapSets::apply`].
    Capabilities(CapSets),
    /// Gain nothing by executing, [`no_new_privs`].
    NoNewPrivs,
    /// Die with the parent, [`parent_death_signal`].
    ParentDeathSignal(i32),
    /// A session keyring of one's own with this name, [`session_keyring`].
    SessionKeyring(CString),
    /// Attach a system call filter, [`Filter::load`].
    Seccomp(Filter),
}

impl Step {
    /// Makes the system calls. Child-safe.
    ///
    /// # Errors
    /// Those of the function that the variant names.
    pub fn apply(&self) -> io::Result<()> {
        match self {
            Step::Rlimit(limit) => limit.apply(),
            Step::Dumpable(dumpable) => set_dumpable(*dumpable),
            Step::DropBounding(caps) => CapSets::of(*caps).drop_bounding(),
            Step::Credentials(credentials) => credentials.apply(),
            Step::Capabilities(sets) => sets.apply(),
            Step::NoNewPrivs => no_new_privs(),
            Step::ParentDeathSignal(signal) => parent_death_signal(*signal),
            Step::SessionKeyring(name) => session_keyring(name),
            Step::Seccomp(filter) => filter.load(),
        }
    }

    /// The system calls that [`Step::apply`] may make, by their kernel names.
    pub fn syscalls(&self) -> &'static [&'static str] {
        match self {
            Step::Rlimit(_) => &["prlimit64"],
            Step::Credentials(_) => &["prctl", "setgroups", "setresgid", "setresuid"],
            Step::Capabilities(_) => &["prctl", "capset"],
            Step::SessionKeyring(_) => &["keyctl"],
            Step::Seccomp(_) => &["seccomp"],
            Step::DropBounding(_)
            | Step::Dumpable(_)
            | Step::NoNewPrivs
            | Step::ParentDeathSignal(_) => &["prctl"],
        }
    }

    /// The same as shell commands with util-linux. Credentials and capabilities of a shell cannot
    /// be changed in place, so those collect `setpriv` words in `PRIV`: the script has to end in
    /// `exec $PRIV command`.
    pub fn shell(&self) -> Vec<String> {
        let setpriv = |options: String| vec![format!("PRIV=\"$PRIV setpriv {options}\"")];
        match self {
            Step::Rlimit(limit) => vec![prlimit(limit)],
            Step::Dumpable(dumpable) => {
                let value = u8::from(*dumpable);
                vec![format!("# prctl(PR_SET_DUMPABLE, {value}): not possible in a shell")]
            }
            Step::DropBounding(caps) => setpriv(format!("--bounding-set={}", cap_list(*caps))),
            Step::Credentials(credentials) => setpriv(ids(credentials)),
            Step::Capabilities(sets) => setpriv(format!(
                "--inh-caps={} --ambient-caps={}",
                cap_list(sets.inheritable),
                cap_list(sets.ambient)
            )),
            Step::NoNewPrivs => setpriv("--no-new-privs".to_owned()),
            Step::ParentDeathSignal(0) => setpriv("--pdeathsig=clear".to_owned()),
            Step::SessionKeyring(name) => {
                vec![format!("# keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?}): not in util-linux")]
            }
            // setpriv takes names only; a shell knows those of its numbers.
            Step::ParentDeathSignal(signal) => setpriv(format!("--pdeathsig=$(kill -l {signal})")),
            Step::Seccomp(filter) => {
                let length = filter.len();
                vec![format!("# seccomp(2), {length} instructions: not possible in a shell")]
            }
        }
    }
}

fn prlimit(limit: &Rlimit) -> String {
    let value = |value: u64| match value {
        Rlimit::UNLIMITED => "unlimited".to_owned(),
        number => number.to_string(),
    };
    format!("prlimit --pid $$ --{}={}:{}", limit.resource, value(limit.soft), value(limit.hard))
}

fn ids(credentials: &Credentials) -> String {
    let (uid, gid) = (credentials.uid(), credentials.gid());
    match join(credentials.groups()) {
        _ if credentials.keeps_groups() => format!("--reuid={uid} --regid={gid} --keep-groups"),
        groups if groups.is_empty() => format!("--reuid={uid} --regid={gid} --clear-groups"),
        groups => format!("--reuid={uid} --regid={gid} --groups={groups}"),
    }
}

/// A set in the words of setpriv(1): nothing, and then these.
fn cap_list(caps: Caps) -> String {
    if caps.is_all() {
        return "+all".to_owned();
    }
    let mut list = "-all".to_owned();
    for (name, _) in caps.iter_names() {
        list.push_str(",+");
        list.push_str(&name.to_ascii_lowercase());
    }
    list
}

fn join(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Rlimit(limit) => write!(f, "limit {limit}"),
            Step::Dumpable(true) => f.write_str("let the process be traced"),
            Step::Dumpable(false) => f.write_str("let no one trace the process"),
            Step::DropBounding(caps) => write!(f, "cut the bounding set to {caps}"),
            Step::Credentials(credentials) => {
                let (uid, gid) = (credentials.uid(), credentials.gid());
                write!(f, "become user {uid}, group {gid}")?;
                match join(credentials.groups()) {
                    _ if credentials.keeps_groups() => f.write_str(", the same groups"),
                    groups if groups.is_empty() => f.write_str(", no supplementary groups"),
                    groups => write!(f, ", supplementary groups {groups}"),
                }
            }
            Step::Capabilities(sets) => {
                write!(f, "set the capabilities to {}", sets.permitted)?;
                if sets.effective != sets.permitted {
                    write!(f, ", effective {}", sets.effective)?;
                }
                write!(f, " (inheritable {}, ambient {})", sets.inheritable, sets.ambient)
            }
            Step::NoNewPrivs => f.write_str("set no_new_privs"),
            Step::SessionKeyring(name) => {
                write!(f, "join a new session keyring {}", name.to_string_lossy())
            }
            Step::ParentDeathSignal(signal) => {
                write!(f, "get signal {signal} when the parent ends")
            }
            Step::Seccomp(filter) => {
                write!(f, "load the system call filter ({} instructions)", filter.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Action, Arch, Flags, Policy};

    /// A filter that allows everything on one architecture.
    fn smallest() -> Filter {
        let (default, flags) = (Action::Allow, Flags::empty());
        let policy = Policy { default, architectures: vec![Arch::Aarch64], rules: vec![], flags };
        policy.compile().unwrap()
    }

    #[test]
    fn steps_read_as_one_line_each() {
        let user = Credentials::new(82, 83, vec![83, 500]).unwrap();
        let shown = [
            (Step::Rlimit("nofile=1:2".parse().unwrap()), "limit nofile=1:2"),
            (Step::DropBounding(Caps::KILL), "cut the bounding set to CAP_KILL"),
            (Step::Credentials(user), "become user 82, group 83, supplementary groups 83,500"),
            (
                Step::Capabilities(CapSets::of(Caps::KILL)),
                "set the capabilities to CAP_KILL (inheritable none, ambient none)",
            ),
            (Step::NoNewPrivs, "set no_new_privs"),
            (Step::SessionKeyring(c"_ses.x".into()), "join a new session keyring _ses.x"),
            (Step::Seccomp(smallest()), "load the system call filter (5 instructions)"),
        ];
        for (step, text) in shown {
            assert_eq!(step.to_string(), text);
        }
    }

    #[test]
    fn steps_are_shell_commands() {
        let root = Credentials::new(0, 0, vec![]).unwrap();
        let shown = [
            (Step::Rlimit("core=0:-1".parse().unwrap()), "prlimit --pid $$ --core=0:unlimited"),
            (
                Step::DropBounding(Caps::KILL | Caps::NET_RAW),
                "PRIV=\"$PRIV setpriv --bounding-set=-all,+kill,+net_raw\"",
            ),
            (Step::Credentials(root), "PRIV=\"$PRIV setpriv --reuid=0 --regid=0 --clear-groups\""),
            (
                Step::Capabilities(CapSets::of(Caps::ALL)),
                "PRIV=\"$PRIV setpriv --inh-caps=-all --ambient-caps=-all\"",
            ),
            (Step::ParentDeathSignal(9), "PRIV=\"$PRIV setpriv --pdeathsig=$(kill -l 9)\""),
            (Step::Seccomp(smallest()), "# seccomp(2), 5 instructions: not possible in a shell"),
        ];
        for (step, text) in shown {
            assert_eq!(step.shell(), [text]);
        }
    }
}
