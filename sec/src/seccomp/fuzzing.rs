//! See [`crate::fuzzing`].

use super::table::Numbers;
use super::{Arch, Context, Policy, Profile, bpf, reference};
use crate::{Caps, Error};

/// Policies beyond this are only checked, not compared number by number.
const MOST_CONDITIONS: usize = 10;
const MOST_NAMES: usize = 12;

/// A profile in JSON: its filters are programs that the kernel takes, that end on every way, and
/// that do what the profile says.
pub fn seccomp(data: &[u8]) {
    let Ok(profile) = Profile::from_json(data) else { return };
    for (caps, arch, kernel) in
        [(Caps::DOCKER_DEFAULT, Arch::X86_64, (6, 1)), (Caps::ALL, Arch::Aarch64, (4, 4))]
    {
        let policy = profile.resolve(&Context { caps, kernel, arch });
        assert!(policy.architectures.contains(&arch), "the machine's own interface is usable");
        let filter = match policy.compile() {
            Ok(filter) => filter,
            Err(Error::SeccompLength(length)) => {
                assert!(length > 4096, "{length} instructions are not too many");
                continue;
            }
            Err(error) => panic!("a profile that was read is refused: {error}"),
        };
        bpf::verify(&filter);
        assert_eq!(policy.compile().ok().as_ref(), Some(&filter), "the same policy twice");
        let conditions: usize = policy.rules.iter().map(|rule| rule.conditions.len()).sum();
        if conditions <= MOST_CONDITIONS {
            reference::check(&policy, &filter, &numbers(&policy));
        }
    }
}

/// Some numbers that rules are about, their neighbours, and those at which architectures differ.
fn numbers(policy: &Policy) -> Vec<u32> {
    let mut numbers = vec![0, 1, 600, u32::MAX, 0x3fff_ffff, 0x4000_0000, 0x4000_0001];
    numbers.extend([0x4000_01ff, 0x4000_0200, 0x4000_0224, 0xe_ffff, 0xf_0000, 0xf_0007, 102, 117]);
    let names = policy.rules.iter().flat_map(|rule| &rule.names);
    for known in names.filter_map(|name| Numbers::of(name)).take(MOST_NAMES) {
        for number in Arch::ALL.into_iter().filter_map(|arch| known.on(arch)) {
            numbers.extend([number.saturating_sub(1), number, number.saturating_add(1)]);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
