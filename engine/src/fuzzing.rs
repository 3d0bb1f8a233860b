//! What has to hold for any input whatever. The fuzz targets in `fuzz/` come in by this door, and
//! so do the tests that replay the inputs kept there; no other build has it.
//!
//! Each function takes the bytes of one input and panics when a property does not hold.

mod archives;
mod logs;
mod mountinfo;
mod mounts;
mod spec;

pub use archives::archives;
pub use logs::logs;
pub use mountinfo::mountinfo;
pub use mounts::mount_options;
pub use spec::spec;

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn kept_archives_hold() {
        replay("archives", archives);
    }

    #[test]
    fn kept_logs_hold() {
        replay("logs", logs);
    }

    #[test]
    fn kept_mount_options_hold() {
        replay("mount_options", mount_options);
    }

    #[test]
    fn kept_mountinfos_hold() {
        replay("mountinfo", mountinfo);
    }

    #[test]
    fn kept_specifications_hold() {
        replay("spec", spec);
    }
}
