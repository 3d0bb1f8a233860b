//! Profiles: rules that depend on capabilities, the kernel and the architecture.

use std::borrow::Cow;

use super::{Action, Arch, Flags, Policy, Rule, docker, json};
use crate::{Caps, Error, sys};

/// docker's form of a filter: rules, and for whom they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub(super) default: Action,
    pub(super) architectures: Architectures,
    pub(super) entries: Vec<Entry>,
    pub(super) flags: Flags,
}

/// Which architectures a profile covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Architectures {
    /// These, wherever the profile is used.
    List(Vec<Arch>),
    /// By the machine's own architecture: that one, and these others.
    Map(Vec<(Arch, Vec<Arch>)>),
}

/// A rule, and when it is part of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) rule: Rule,
    /// All of these have to be so.
    pub(super) includes: Limits,
    /// None of these may be so.
    pub(super) excludes: Limits,
}

impl From<Rule> for Entry {
    fn from(rule: Rule) -> Entry {
        Entry { rule, includes: Limits::default(), excludes: Limits::default() }
    }
}

/// What the part of a rule in a policy depends on. Nothing, by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Limits {
    /// Capabilities in the bounding set.
    pub(super) caps: Caps,
    /// Whether a capability is asked about that no one has, because it has an unknown name.
    pub(super) unknown_cap: bool,
    /// The machine's own architecture is one of these, by docker's names.
    pub(super) arches: Vec<Cow<'static, str>>,
    /// The kernel is at least this one.
    pub(super) kernel: Option<(u32, u32)>,
}

/// What a profile's rules are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The bounding set of the program that will run under the filter.
    pub caps: Caps,
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// The machine's own architecture.
    pub arch: Arch,
}

impl Context {
    /// This machine and its kernel, `uname(2)`.
    ///
    /// # Errors
    /// [`Error::SeccompArch`], [`Error::ReadKernel`].
    pub fn current(caps: Caps) -> Result<Context, Error> {
        let arch = Arch::NATIVE.ok_or(Error::SeccompArch)?;
        let release = sys::kernel_release().map_err(Error::ReadKernel)?;
        let invalid = || Error::ReadKernel(std::io::ErrorKind::InvalidData.into());
        let kernel = version(&release).ok_or_else(invalid)?;
        Ok(Context { caps, kernel, arch })
    }
}

/// Major and minor of a kernel's release: the digits before and after the first dot.
pub(super) fn version(release: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    Some((number()?, number()?))
}

impl Profile {
    /// docker's default profile: what programs in containers use, without the parts of the kernel
    /// that they do not, or that know no namespaces. Everything else fails with `EPERM`.
    pub fn docker_default() -> Profile {
        Profile {
            default: Action::Errno(json::EPERM),
            architectures: Architectures::Map(vec![
                (Arch::X86_64, vec![Arch::X86, Arch::X32]),
                (Arch::Aarch64, vec![Arch::Arm]),
            ]),
            entries: docker::entries(),
            flags: Flags::SPEC_ALLOW,
        }
    }

    /// Reads a profile in docker's JSON. An OCI runtime specification's `linux.seccomp` is one,
    /// too. Unknown names of system calls, capabilities and fields are ignored, as docker does. But
    /// a known field's name in upper or lower case that is not its own, which docker takes, is an
    /// error.
    ///
    /// The caller limits the size. The time it takes grows with the size, not faster.
    ///
    /// # Errors
    /// [`Error::SeccompJson`], also for a field that is given twice; [`Error::Seccomp`] for an
    /// unknown action, operator, architecture or flag, an argument above 5, an errno above
    /// [`Action::MAX_ERRNO`], a profile without `defaultAction`, a field's name in the wrong case,
    /// or fields that exclude one another.
    pub fn from_json(json: &[u8]) -> Result<Profile, Error> {
        json::parse(json)
    }

    /// The policy for a program. The machine's own architecture is always in it, as in runc.
    pub fn resolve(&self, context: &Context) -> Policy {
        let mut architectures = vec![context.arch];
        let others = match &self.architectures {
            Architectures::List(list) => list.as_slice(),
            Architectures::Map(map) => {
                let own = map.iter().find(|(arch, _)| *arch == context.arch);
                own.map_or(&[][..], |(_, others)| others)
            }
        };
        for arch in others {
            if !architectures.contains(arch) {
                architectures.push(*arch);
            }
        }
        let entries = self.entries.iter().filter(|entry| entry.applies(context));
        Policy {
            default: self.default,
            architectures,
            rules: entries.map(|entry| entry.rule.clone()).collect(),
            flags: self.flags,
        }
    }
}

impl Entry {
    fn applies(&self, context: &Context) -> bool {
        let (includes, excludes) = (&self.includes, &self.excludes);
        let included = (includes.arches.is_empty() || includes.names(context.arch))
            && context.caps.contains(includes.caps)
            && !includes.unknown_cap
            && includes.kernel.is_none_or(|least| context.kernel >= least);
        let excluded = excludes.names(context.arch)
            || context.caps.intersects(excludes.caps)
            || excludes.kernel.is_some_and(|least| context.kernel >= least);
        included && !excluded
    }
}

impl Limits {
    fn names(&self, arch: Arch) -> bool {
        self.arches.iter().any(|name| name == docker_name(arch))
    }
}

/// What docker calls a machine's own architecture in `arches`.
fn docker_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::X86 => "x86",
        Arch::X32 => "x32",
        Arch::Aarch64 => "arm64",
        Arch::Arm => "arm",
    }
}
