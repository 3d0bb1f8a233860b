//! Root file systems that somebody hostile has made. Whatever lies at a place that the engine
//! looks at or mounts on: the run ends, it is refused in one line or the payload runs inside, and
//! nothing of the host changes.
//!
//! Only in the virtual machine: an engine that fails here writes to the host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod programs;
mod shapes;
mod special;
mod trial;

use trial::{Layout, all_stay_inside};

#[test]
fn there_are_layouts_of_every_kind_with_names_of_their_own() {
    let mut names: Vec<String> = Vec::new();
    for layouts in [shapes::all(), special::all(), programs::all()] {
        assert!(layouts.len() >= 20);
        names.extend(layouts.into_iter().map(|layout| layout.name));
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// `cargo xtask test` leaves this module out on a real host, by its name.
mod vm_only {
    use super::*;

    /// All layouts of these kinds; a third of them where only the control groups are others.
    fn with(kinds: &[&str]) -> Vec<Layout> {
        let wanted = |layout: &Layout| kinds.iter().any(|kind| layout.name.starts_with(kind));
        let all = shapes::all().into_iter().filter(wanted);
        match std::env::var("MINIDOCK_VM_LAYOUT").as_deref() {
            Ok("v2") => all.collect(),
            _ => all.step_by(3).collect(),
        }
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn links_to_the_host_stay_inside() {
        all_stay_inside(&with(&["absolute", "relative", "chain"]));
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn links_to_what_is_missing_and_loops_stay_inside() {
        all_stay_inside(&with(&["dangling", "loop"]));
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn links_through_proc_stay_inside() {
        all_stay_inside(&with(&["magic"]));
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn pipes_devices_and_sockets_stay_inside() {
        all_stay_inside(&with(&["pipe", "device", "socket"]));
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn files_and_directories_of_the_wrong_kind_stay_inside() {
        all_stay_inside(&with(&["file", "directory"]));
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn accounts_volumes_images_and_roots_stay_inside() {
        all_stay_inside(&special::all());
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn programs_stay_inside() {
        all_stay_inside(&programs::all());
    }

    #[test]
    #[ignore = "needs the virtual machine: hostile root file systems"]
    fn the_trial_itself_sees_an_engine_that_fails() {
        trial::a_container_that_is_let_out_is_seen();
    }
}
