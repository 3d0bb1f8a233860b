//! The child's way from the clone to the exec never allocates, whatever the parent's other
//! threads are doing: a lock of the allocator that one of them holds at the moment of the clone
//! would stay locked in the child for ever.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use minidock_engine::{
    Attached, Engine, ExecOptions, NetworkMode, Reporting, RootSource, RunOptions, UserNamespace,
};

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

/// A root file system with nothing but busybox.
fn rootfs(work: &Path) -> PathBuf {
    let store = minidock_image::store::Store::open(&store());
    let image = store.resolve("alpine").expect("run `cargo xtask rootfs --root target/test-store`");
    let tree = store.layer_path(&image.image.config.rootfs.diff_ids[0]);
    let rootfs = work.join("rootfs");
    std::fs::create_dir(&rootfs).unwrap();
    std::fs::create_dir(rootfs.join("etc")).unwrap();
    for name in ["bin/busybox", "lib/ld-musl-x86_64.so.1"] {
        let to = rootfs.join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(tree.join(name), to).unwrap();
    }
    rootfs
}

fn busybox(words: &[&str]) -> Vec<String> {
    ["/bin/busybox"].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

/// Starts programs so often, a few at a time, beside many threads that allocate.
fn beside_allocating_threads(rounds: u32, start: impl Fn() -> u8 + Sync) {
    sys::forbid_children();
    let done = AtomicBool::new(false);
    let left = AtomicU32::new(rounds);
    std::thread::scope(|scope| {
        for _ in 0..ALLOCATING {
            scope.spawn(|| allocate_until(&done));
        }
        let starters: Vec<_> = (0..STARTING)
            .map(|_| {
                scope.spawn(|| {
                    let one = |left: u32| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one).is_ok() {
                        assert_eq!(start(), 0, "86 is an allocation in the child");
                    }
                })
            })
            .collect();
        let results: Vec<_> =
            starters.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        results.into_iter().for_each(|result| result.unwrap());
    });
}

#[test]
#[ignore = "needs root: runs containers"]
fn ten_thousand_starts_beside_allocating_threads() {
    let work = tempfile::tempdir().unwrap();
    let engine = Engine::new(work.path().join("root"), work.path().join("state"));
    let mut options = RunOptions::new(RootSource::Directory(rootfs(work.path())));
    options.network = Some(NetworkMode::None);
    options.command = busybox(&["true"]);
    let run = || engine.run(&options, Reporting::default()).unwrap();
    beside_allocating_threads(rounds(), run);
    let left_over = std::fs::read_dir(work.path().join("state/containers")).unwrap().count();
    assert_eq!(left_over, 0, "state entries are left");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_thousand_programs_that_join_beside_allocating_threads() {
    let work = tempfile::tempdir().unwrap();
    let engine = Engine::new(work.path().join("root"), work.path().join("state"));
    let mut options = RunOptions::new(RootSource::Directory(rootfs(work.path())));
    options.network = Some(NetworkMode::None);
    options.name = Some("joined".to_owned());
    options.lifecycle.auto_remove = true;
    // So that this program needs not be sealed.
    options.user_namespace = Some(UserNamespace::Auto);
    let script = "cd /; i=0; while [ ! -e stop ] && [ $i -lt 6000 ]; do i=$((i + 1)); \
                  busybox sleep 0.1; done";
    options.command = busybox(&["sh", "-c", script]);
    options.env = vec!["PATH=/bin".to_owned()];
    let exec = |words: &[&str]| {
        let options = ExecOptions { command: busybox(words), ..ExecOptions::default() };
        let id = engine.find("joined")?;
        engine.exec(&id, &options, Reporting::default()).map(|attached| match attached {
            Attached::Ended(code) => code,
            Attached::Detached => panic!("no keys were typed"),
        })
    };
    std::thread::scope(|scope| {
        let container = scope.spawn(|| engine.run(&options, Reporting::default()).unwrap());
        while exec(&["true"]).is_err() {
            assert!(!container.is_finished());
            std::thread::sleep(Duration::from_millis(5));
        }
        beside_allocating_threads(rounds() / 10, || exec(&["true"]).unwrap());
        exec(&["touch", "/stop"]).unwrap();
        assert_eq!(container.join().unwrap(), 0);
    });
}
