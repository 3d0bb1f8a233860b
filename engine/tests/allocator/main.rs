//! The child's way from the clone to the exec never allocates, whatever the parent's other
//! threads are doing: a lock of the allocator that one of them holds at the moment of the clone
//! would stay locked in the child for ever.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use minidock_engine::{Engine, NetworkMode, Reporting, RootSource, RunOptions};

#[allow(unsafe_code)]
mod sys;

const ALLOCATING: usize = 32;
const STARTING: usize = 2;

fn store() -> PathBuf {
    std::env::var_os("MINIDOCK_TEST_STORE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-store")),
        PathBuf::from,
    )
}

/// How many containers to start; a slow machine may ask for fewer.
fn rounds() -> u32 {
    std::env::var("MINIDOCK_TEST_ROUNDS").map_or(10_000, |rounds| rounds.parse().unwrap())
}

fn allocate_until(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for size in 1..20 {
            std::hint::black_box(vec![0u8; size * 37]);
        }
        // Two processors have to be left some time for the containers.
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn ten_thousand_starts_beside_allocating_threads() {
    let work = tempfile::tempdir().unwrap();
    let tree = store().join("images/alpine/latest/rootfs");
    let rootfs = work.path().join("rootfs");
    std::fs::create_dir(&rootfs).unwrap();
    std::fs::create_dir(rootfs.join("etc")).unwrap();
    for name in ["bin/busybox", "lib/ld-musl-x86_64.so.1"] {
        let to = rootfs.join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(tree.join(name), to)
            .expect("run `cargo xtask rootfs --root target/test-store`");
    }
    let engine = Engine::new(work.path().join("root"), work.path().join("state"));
    let mut options = RunOptions::new(RootSource::Directory(rootfs));
    options.network = NetworkMode::None;
    options.command = vec!["/bin/busybox".to_owned(), "true".to_owned()];

    let done = AtomicBool::new(false);
    let left = AtomicU32::new(rounds());
    std::thread::scope(|scope| {
        for _ in 0..ALLOCATING {
            scope.spawn(|| allocate_until(&done));
        }
        let starters: Vec<_> = (0..STARTING)
            .map(|_| {
                scope.spawn(|| {
                    let one = |left: u32| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one).is_ok() {
                        let code = engine.run(&options, Reporting::default()).unwrap();
                        assert_eq!(code, 0, "86 is an allocation in the child");
                    }
                })
            })
            .collect();
        let results: Vec<_> =
            starters.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        results.into_iter().for_each(|result| result.unwrap());
    });
    let left_over = std::fs::read_dir(work.path().join("state/containers")).unwrap().count();
    assert_eq!(left_over, 0, "state entries are left");
}
