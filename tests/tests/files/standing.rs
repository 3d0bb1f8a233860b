//! Copies of containers that do not run, and nobody takes what is copied.

use minidock_tests::Sandbox;

use super::{minidock, prepared};

#[test]
#[ignore = "needs root: runs containers"]
fn a_copy_that_stands_still_holds_up_no_stop_and_no_removal() {
    let sandbox = Sandbox::new();
    // More than a pipe holds.
    let id = prepared(&sandbox, &["--name", "web"], "head -c 300000 /dev/urandom >/opt/big");
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    let (read, write) = std::io::pipe().unwrap();
    let copy = sandbox.minidock(["cp", "web:/opt/big", "-"]).stdout_to(write).spawn();
    let owner = sandbox.state().join("containers").join(id).join("owner");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !owner.exists() {
        assert!(std::time::Instant::now() < deadline, "nobody copies");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let stopped = minidock(&sandbox, &["stop", "web"]).expect_code(0);
    assert_eq!(stopped.stderr, "");
    let started = minidock(&sandbox, &["start", "web"]).expect_code(1);
    let words = format!("are being copied by another minidock (process {})", copy.pid());
    assert!(started.stderr.contains(&words), "{started}");
    minidock(&sandbox, &["rm", "-f", "web"]).expect_code(0);
    assert_eq!(copy.wait().status.code(), None);
    drop(read);
    sandbox.assert_clean();
}
