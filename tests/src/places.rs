//! Where the binary and the prepared images are.

use std::env;
use std::path::{Path, PathBuf};

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

/// The directory `images` of a prepared store.
pub(crate) fn images() -> PathBuf {
    let store = match env::var_os("MINIDOCK_TEST_STORE") {
        Some(path) => PathBuf::from(path),
        None => target_directory().join("test-store"),
    };
    let images = store.join("images");
    let rootfs = images.join("alpine/latest/rootfs");
    assert!(
        rootfs.is_dir(),
        "there is no {}: run `cargo xtask rootfs --root target/test-store` first",
        rootfs.display()
    );
    images
}

/// `target` of the workspace: a test runs from `target/PROFILE/deps/`.
fn target_directory() -> PathBuf {
    let executable = env::current_exe().expect("the test's own path");
    executable.ancestors().nth(3).map_or_else(PathBuf::new, Path::to_path_buf)
}
