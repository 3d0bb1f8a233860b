//! What a profile is chosen by.

use super::*;
use crate::Caps;
use crate::seccomp::profile::version;

#[test]
fn the_version_is_in_front_of_the_release() {
    let padded = b"6.1.0-13-amd64\0\0";
    for (release, expected) in [
        (&padded[..], Some((6, 1))),
        (b"5.15\0", Some((5, 15))),
        (b"6.18.44-fc-v669", Some((6, 18))),
        (b"4.19-rc1", Some((4, 19))),
        (b"6", None),
        (b"", None),
        (b"x.y", None),
        (b"99999999999.1", None),
    ] {
        assert_eq!(version(release), expected, "{release:?}");
    }
}

#[test]
fn this_machine_can_be_asked() {
    let context = Context::current(Caps::KILL).unwrap();
    assert_eq!(Some(context.arch), Arch::NATIVE);
    assert!(context.kernel >= (5, 12) && context.caps == Caps::KILL);
}
