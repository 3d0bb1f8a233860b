//! Volumes, memory file systems and the root directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use minidock_tests::Sandbox;

/// A directory of the host with the file `greeting`.
fn host_directory(sandbox: &Sandbox) -> PathBuf {
    let directory = sandbox.path().join("shared");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("greeting"), "hello\n").unwrap();
    directory
}

fn volume(directory: &Path, rest: &str) -> String {
    format!("{}:{rest}", directory.display())
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_volume_is_shared_with_the_host() {
    let sandbox = Sandbox::new();
    let directory = host_directory(&sandbox);
    let script = "cat /data/greeting; echo back > /data/answer; umask";
    let output = sandbox.sh(&["-v", &volume(&directory, "/data")], script).expect_code(0);
    assert_eq!(output.stdout, "hello\n0022\n");
    assert_eq!(fs::read_to_string(directory.join("answer")).unwrap(), "back\n");
    sandbox.assert_clean();
    assert!(directory.join("greeting").exists(), "clearing up must not reach into a volume");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_read_only_volume_cannot_be_written() {
    let sandbox = Sandbox::new();
    let directory = host_directory(&sandbox);
    let mount = format!("type=bind,source={},target=/data,readonly", directory.display());
    for options in [["-v", &volume(&directory, "/data:ro")], ["--mount", &mount]] {
        let output =
            sandbox.sh(&options, "cat /data/greeting; touch /data/x; mount -o remount,rw /data");
        assert!(output.stdout.contains("hello"), "{output}");
        assert!(output.stderr.contains("Read-only file system"), "{output}");
        assert_ne!(output.code(), 0);
    }
    assert!(!directory.join("x").exists());
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_single_file_can_be_a_volume() {
    let sandbox = Sandbox::new();
    let file = host_directory(&sandbox).join("greeting");
    let output = sandbox.sh(&["-v", &volume(&file, "/new/place")], "cat /new/place");
    assert_eq!(output.expect_code(0).stdout, "hello\n");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_volume_s_missing_directory_is_made_but_a_mount_s_is_an_error() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path().join("missing");
    let mount = format!("type=bind,source={},target=/data", missing.display());
    let output = sandbox.sh(&["--mount", &mount], "true").expect_code(125);
    let message = format!("bind source path does not exist: {}", missing.display());
    assert!(
        output.stderr.starts_with("minidock: ") && output.stderr.contains(&message),
        "{output}"
    );
    assert!(!missing.exists());
    sandbox.sh(&["-v", &volume(&missing, "/data")], "touch /data/x").expect_code(0);
    assert!(missing.join("x").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_mount_point_cannot_lead_out_of_the_root() {
    let sandbox = Sandbox::new();
    let directory = host_directory(&sandbox);
    let outside = format!("/../../../..{}/escaped", sandbox.path().display());
    let output = sandbox.sh(&["-v", &volume(&directory, &outside)], "true");
    assert!([0, 125].contains(&output.code()), "{output}");
    assert!(!sandbox.path().join("escaped").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_tmpfs_is_empty_limited_and_gone_afterwards() {
    let sandbox = Sandbox::new();
    let script = "ls -A /etc/apk; df -k /etc/apk | tail -1; grep ' /etc/apk ' /proc/mounts";
    let output = sandbox.sh(&["--tmpfs", "/etc/apk:size=1m"], script).expect_code(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].split_whitespace().nth(1) == Some("1024"), "{output}");
    for word in ["tmpfs", "nosuid", "nodev", "noexec"] {
        assert!(lines[1].contains(word), "{output}");
    }
    let mount = "type=tmpfs,destination=/mnt,tmpfs-size=2097152";
    let output = sandbox.sh(&["--mount", mount], "df -k /mnt | tail -1").expect_code(0);
    assert!(output.stdout.split_whitespace().nth(1) == Some("2048"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_read_only_root_still_has_its_devices_and_volumes() {
    let sandbox = Sandbox::new();
    let directory = host_directory(&sandbox);
    let volume = volume(&directory, "/data");
    let options = ["--read-only", "--tmpfs", "/run", "-v", &volume];
    let script = "echo x > /dev/null && touch /run/x /data/x /dev/shm/x && touch /x";
    let output = sandbox.sh(&options, script).expect_code(1);
    assert_eq!(output.stderr, "touch: /x: Read-only file system\n");
    assert!(directory.join("x").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn shared_memory_has_the_size_asked_for() {
    let sandbox = Sandbox::new();
    let size = |options: &[&str]| {
        let output = sandbox.sh(options, "df -k /dev/shm | tail -1").expect_code(0);
        output.stdout.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(size(&[]), "65536");
    assert_eq!(size(&["--shm-size", "32m"]), "32768");
}

#[test]
#[ignore = "needs root: runs containers"]
fn any_directory_can_be_the_root() {
    let sandbox = Sandbox::without_images();
    let with_image = Sandbox::new();
    let root = sandbox.path().join("tree");
    for directory in ["bin", "lib"] {
        fs::create_dir_all(root.join(directory)).unwrap();
        for entry in fs::read_dir(with_image.alpine().join(directory)).unwrap().flatten() {
            let name = entry.file_name();
            let wanted = ["busybox", "ld-musl", "libc.musl"];
            if wanted.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                fs::copy(entry.path(), root.join(directory).join(&name)).unwrap();
            }
        }
    }
    let script = "/bin/busybox ls /; echo x > /written";
    let output = sandbox
        .prepare_run(["--network", "none", "--rootfs"])
        .args([root.as_os_str()])
        .args(["/bin/busybox", "sh", "-c", script])
        .output()
        .expect_code(0);
    assert!(output.stdout.lines().any(|line| line == "bin"), "{output}");
    assert_eq!(fs::read_to_string(root.join("written")).unwrap(), "x\n");
    sandbox.assert_clean();
    assert!(root.join("bin/busybox").exists());
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_named_volume_lasts() {
    let sandbox = Sandbox::new();
    sandbox.sh(&["-v", "things:/data"], "echo kept > /data/file").expect_code(0);
    let output = sandbox.sh(&["-v", "things:/data:ro"], "cat /data/file").expect_code(0);
    assert_eq!(output.stdout, "kept\n");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_resolv_conf_that_is_a_link_to_nothing_works() {
    let sandbox = Sandbox::new();
    let rootfs = sandbox.path().join("rootfs");
    copy_busybox(&sandbox, &rootfs);
    std::os::unix::fs::symlink("../run/resolve/stub.conf", rootfs.join("etc/resolv.conf")).unwrap();
    let rootfs = rootfs.display().to_string();
    let args = ["--net", "none", "--dns", "192.0.2.9", "--rootfs", &rootfs];
    let command = ["/bin/busybox", "cat", "/etc/resolv.conf"];
    let output = sandbox.run(args.iter().chain(&command)).expect_code(0);
    assert!(output.stdout.contains("nameserver 192.0.2.9"), "{output}");
    sandbox.assert_clean();
}

/// A root file system of busybox alone.
fn copy_busybox(sandbox: &Sandbox, rootfs: &Path) {
    for file in ["bin/busybox", "lib/ld-musl-x86_64.so.1"] {
        let to = rootfs.join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(sandbox.alpine().join(file), to).unwrap();
    }
    std::fs::create_dir(rootfs.join("etc")).unwrap();
}
