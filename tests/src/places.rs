//! Where the binary and the prepared images are.

use std::env;
use std::path::{Path, PathBuf};

use minidock_image::store::Store;

/// The binary under test: `MINIDOCK_BIN`, or the one that was built in this workspace.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("MINIDOCK_BIN") {
        return PathBuf::from(path);
    }
    let target = target_directory();
    let built = ["debug", "release"].map(|profile| target.join(profile).join("minidock"));
    built.iter().find(|path| path.is_file()).cloned().unwrap_or_else(|| {
        panic!("there is no {}: run `cargo build -p minidock` first", built[0].display())
    })
}

/// The binary that can be made to die at its failpoints: `MINIDOCK_FAILPOINTS_BIN`, or the one that
/// was built below `target/failpoints`.
///
/// # Panics
/// When there is none.
pub fn failpoints_binary() -> PathBuf {
    let built = || target_directory().join("failpoints/debug/minidock");
    let path = env::var_os("MINIDOCK_FAILPOINTS_BIN").map_or_else(built, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no {}: run `cargo build -p minidock --features failpoints --target-dir \
         target/failpoints` first",
        path.display()
    );
    path
}

/// For tests of what could harm a host if the engine failed: `cargo xtask test-vm` has a host that
/// may be harmed.
///
/// # Panics
/// Anywhere else.
pub fn require_virtual_machine() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let inside = env::var_os("MINIDOCK_VM_LAYOUT").is_some() && name.trim() == "minidock-vm";
    assert!(inside, "this test runs in `cargo xtask test-vm` only");
}

/// An example of this crate, which cargo puts beside the directory of the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let executable = env::current_exe().expect("the test's own path");
    let directories = executable.ancestors().skip(1).take(2);
    let candidates = directories.map(|directory| directory.join("examples").join(name));
    // An example that runs another one lies in the same directory.
    let candidates = candidates.chain([executable.with_file_name(name)]);
    candidates.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("there is no example {name}: run `cargo build -p minidock-tests --examples` first")
    })
}

/// A prepared store with the image `alpine`.
pub(crate) fn store() -> PathBuf {
    let store = match env::var_os("MINIDOCK_TEST_STORE") {
        Some(path) => PathBuf::from(path),
        None => target_directory().join("test-store"),
    };
    assert!(
        Store::open(&store).resolve("alpine").is_ok(),
        "there is no alpine in {}: run `cargo xtask rootfs --root target/test-store` first",
        store.display()
    );
    store
}

/// `target` of the workspace: a test runs from `target/PROFILE/deps/`.
fn target_directory() -> PathBuf {
    let executable = env::current_exe().expect("the test's own path");
    executable.ancestors().nth(3).map_or_else(PathBuf::new, Path::to_path_buf)
}

/// A program of the host's, in one of the usual directories.
///
/// # Panics
/// When it is not installed.
pub(crate) fn installed(name: &str) -> PathBuf {
    let directories = ["/usr/bin", "/bin", "/usr/local/bin"].map(Path::new);
    let mut places = directories.iter().map(|directory| directory.join(name));
    places.find(|place| place.exists()).unwrap_or_else(|| panic!("{name} is not installed"))
}
