//! Device access rules: v1's text, and v1's meaning as a table for v2.

use std::fmt;

/// Which devices a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Every device; numbers and access of the rule are ignored, as the kernel does.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    // The bits of bpf_cgroup_dev_ctx.access_type (BPF_DEVCG_ACC_*), so that they serve v2 too.
    /// mknod(2).
    pub const MKNOD: Self = Self(1);
    /// open(2) for reading.
    pub const READ: Self = Self(2);
    /// open(2) for writing.
    pub const WRITE: Self = Self(4);
    /// `rwm`.
    pub const ALL: Self = Self(7);

    /// Parses a non-empty text of the letters `r`, `w`, `m`.
    pub fn parse(text: &str) -> Option<Self> {
        let bits = text.chars().try_fold(0, |bits, letter| match letter {
            'r' => Some(bits | Self::READ.0),
            'w' => Some(bits | Self::WRITE.0),
            'm' => Some(bits | Self::MKNOD.0),
            _ => None,
        })?;
        (bits != 0).then_some(Self(bits))
    }

    /// The bits as in `bpf_cgroup_dev_ctx` (linux/bpf.h).
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.0 & bit.0 != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// One line of `devices.allow` or `devices.deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// Which devices.
    pub kind: DeviceKind,
    /// Major number, `None` for all.
    pub major: Option<u32>,
    /// Minor number, `None` for all.
    pub minor: Option<u32>,
    /// For what.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// Denies everything: the usual first rule.
    pub const DENY_ALL: Self = Self {
        allow: false,
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: DeviceAccess::ALL,
    };

    /// Allows everything and forgets the rules before: `--privileged`.
    pub const ALLOW_ALL: Self = Self { allow: true, ..Self::DENY_ALL };
}

impl fmt::Display for DeviceRule {
    /// The text of v1's files: `c 1:3 rwm`, `b *:* m`, `a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            DeviceKind::All => return f.write_str("a"),
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        write!(f, "{letter} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// What a list of rules means, as v1's kernel code (security/device_cgroup.c) would keep it: a
/// default and its exceptions. v2 programs are compiled from this, so both versions agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) default_allow: bool,
    /// Never `DeviceKind::All`; all have `allow != default_allow`.
    pub(crate) exceptions: Vec<DeviceRule>,
}

impl Policy {
    pub(crate) fn from_rules(rules: &[DeviceRule]) -> Self {
        let mut policy = Self { default_allow: true, exceptions: Vec::new() };
        for rule in rules {
            policy.add(rule);
        }
        policy
    }

    fn add(&mut self, rule: &DeviceRule) {
        if rule.kind == DeviceKind::All {
            self.default_allow = rule.allow;
            self.exceptions.clear();
            return;
        }
        let same = |other: &&mut DeviceRule| {
            (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor)
        };
        let known = self.exceptions.iter_mut().find(same);
        match (known, rule.allow == self.default_allow) {
            (Some(known), false) => known.access.0 |= rule.access.0,
            (None, false) => self.exceptions.push(*rule),
            // Back to the default: only the exception with exactly these numbers is taken back.
            (Some(known), true) => known.access.0 &= !rule.access.0,
            (None, true) => {}
        }
        self.exceptions.retain(|exception| exception.access.0 != 0);
    }

    /// The kernel's decision, the reference that the compiled program is tested against.
    #[cfg(test)]
    pub(crate) fn allows(&self, kind: DeviceKind, major: u32, minor: u32, access: u8) -> bool {
        let hit = self.exceptions.iter().any(|exception| {
            let wanted = exception.access.0 & access;
            exception.kind == kind
                && exception.major.is_none_or(|n| n == major)
                && exception.minor.is_none_or(|n| n == minor)
                // An allowed exception must cover all that is wanted, a denied one any of it.
                && if self.default_allow { wanted != 0 } else { wanted == access }
        });
        hit != self.default_allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        let access = DeviceAccess::parse(access).unwrap();
        DeviceRule { allow, kind: DeviceKind::Char, major, minor, access }
    }

    #[test]
    fn rules_print_as_the_lines_of_v1() {
        assert_eq!(DeviceRule::DENY_ALL.to_string(), "a");
        assert_eq!(rule(true, Some(1), Some(3), "mwr").to_string(), "c 1:3 rwm");
        assert_eq!(rule(true, Some(136), None, "rw").to_string(), "c 136:* rw");
        assert_eq!(DeviceAccess::parse(""), None);
        assert_eq!(DeviceAccess::parse("rx"), None);
    }

    #[test]
    fn a_rule_for_all_forgets_what_came_before() {
        let rules = [rule(false, Some(1), Some(3), "r"), DeviceRule::DENY_ALL];
        let policy = Policy::from_rules(&rules);
        assert_eq!(policy, Policy { default_allow: false, exceptions: Vec::new() });
    }

    #[test]
    fn exceptions_merge_and_are_taken_back_exactly() {
        let policy = Policy::from_rules(&[
            DeviceRule::DENY_ALL,
            rule(true, Some(1), Some(3), "r"),
            rule(true, Some(1), Some(3), "wm"),
            rule(false, Some(1), Some(3), "m"),
            rule(true, Some(5), None, "rw"),
            rule(false, Some(5), Some(0), "rw"),
        ]);
        assert!(policy.allows(DeviceKind::Char, 1, 3, 6));
        assert!(!policy.allows(DeviceKind::Char, 1, 3, 1));
        // v1 does not carve 5:0 out of 5:*.
        assert!(policy.allows(DeviceKind::Char, 5, 0, 6));
        assert!(!policy.allows(DeviceKind::Block, 1, 3, 2));
    }

    #[test]
    fn a_denied_exception_matches_any_of_the_access() {
        let policy = Policy::from_rules(&[rule(false, Some(10), Some(200), "w")]);
        assert!(policy.allows(DeviceKind::Char, 10, 200, 2));
        assert!(!policy.allows(DeviceKind::Char, 10, 200, 6));
    }
}
