//! What travels between the host's mounts and the container's.
use crate::kit::{apply, isolated, mount_at, mount_tmpfs};
use minidock_fs::{Propagation, State, Step};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use std::sync::mpsc::channel;

/// Who sees the mounts of the other side.
#[derive(Debug, PartialEq)]
struct Seen {
    /// The container sees what the host mounts later.
    inside: bool,
    /// The host sees what the container mounts.
    outside: bool,
}

/// Mounts on both sides of a mount that was shared when the container got its namespace, and
/// after the container has applied `step`.
fn seen(host: &Path, step: &Step) -> Seen {
    let volume = host.join("volume");
    mount_tmpfs(&volume);
    mount(None::<&str>, &volume, None::<&str>, MsFlags::MS_SHARED, None::<&str>)
        .expect("a shared mount");
    let (late, mine) = (volume.join("late"), volume.join("mine"));
    let (to_inner, from_outer) = channel::<()>();
    let (to_outer, from_inner) = channel::<()>();
    std::thread::scope(|scope| {
        let (late, mine, outer_late) = (&late, &mine, &late);
        let inner = scope.spawn(move || {
            unshare(CloneFlags::CLONE_NEWNS).expect("unshare");
            apply(std::slice::from_ref(step), &mut State::new());
            to_outer.send(()).expect("the outer thread waits");
            from_outer.recv().expect("the outer thread mounts");
            mount_tmpfs(mine);
            mount_at(late).is_some()
        });
        from_inner.recv().expect("the inner thread starts");
        mount_tmpfs(outer_late);
        to_inner.send(()).expect("the inner thread waits");
        let inside = inner.join().expect("no panic");
        Seen { inside, outside: mount_at(mine).is_some() }
    })
}

#[test]
#[ignore = "needs root: mounts"]
fn private_mounts_travel_neither_way() {
    isolated(|host| {
        let seen = seen(host, &Step::make_private(true));
        assert_eq!(seen, Seen { inside: false, outside: false });
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn slave_mounts_come_in_and_do_not_go_out() {
    isolated(|host| {
        let seen = seen(host, &Step::propagation(Propagation::Slave, true));
        assert_eq!(seen, Seen { inside: true, outside: false });
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn without_recursion_the_mounts_below_the_root_stay_shared() {
    isolated(|host| {
        let seen = seen(host, &Step::make_private(false));
        assert_eq!(seen, Seen { inside: true, outside: true });
    });
}
