//! What is mounted in a container, seen by copies, exports and differences.

use super::*;

/// A container with a volume, a directory of the host, one that cannot be written, and a tmpfs.
fn with_mounts(sandbox: &Sandbox, options: &[&str]) {
    let bind = sandbox.path().join("bind");
    let read_only = sandbox.path().join("read-only");
    for directory in [&bind, &read_only] {
        std::fs::create_dir(directory).unwrap();
        std::fs::write(directory.join("file"), "of the host").unwrap();
    }
    let bind = format!("{}:/bind", bind.display());
    let read_only = format!("{}:/read-only:ro", read_only.display());
    let own =
        ["--name", "web", "-v", "data:/opt/data", "-v", "/own", "-v", &bind, "-v", &read_only];
    let options = [&own[..], &["--tmpfs", "/tmp/mounted"], options].concat();
    let before = ["create", "--network", "none"];
    let script =
        "echo inside >/opt/data/inside; echo inside >/own/inside; mkdir -p /opt/data/ready;
                  exec sleep 60";
    let after = ["alpine", "sh", "-c", script];
    let args = before.iter().chain(&options).chain(&after).copied();
    sandbox.minidock(args).output().expect_code(0);
}

fn start(sandbox: &Sandbox) {
    minidock(sandbox, &["start", "web"]).expect_code(0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !sandbox.root().join("volumes/data/_data/ready").exists() {
        assert!(std::time::Instant::now() < deadline, "the script does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn volumes_and_binds_are_copied_whether_it_runs_or_not() {
    let sandbox = Sandbox::new();
    with_mounts(&sandbox, &[]);
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let cp = |args: &[&str]| minidock(&sandbox, &[&["cp", "-q"], args].concat());
    std::fs::write(path("new"), "new").unwrap();
    let volume = sandbox.root().join("volumes/data/_data");
    for state in ["created", "running", "stopped"] {
        match state {
            "running" => start(&sandbox),
            "stopped" => drop(minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0)),
            _ => {}
        }
        for (place, from) in [("/opt/data", &volume), ("/bind", &sandbox.path().join("bind"))] {
            cp(&[&path("new"), &format!("web:{place}/{state}")]).expect_code(0);
            assert_eq!(std::fs::read_to_string(from.join(state)).unwrap(), "new", "{place}");
            cp(&[&format!("web:{place}/{state}"), &path("back")]).expect_code(0);
            assert_eq!(read("back"), "new");
        }
        cp(&[&path("new"), &format!("web:/own/{state}")]).expect_code(0);
        cp(&[&format!("web:/own/{state}"), &path("back")]).expect_code(0);
        cp(&["web:/read-only/file", &path("back")]).expect_code(0);
        assert_eq!(read("back"), "of the host");
        let error = cp(&[&path("new"), "web:/read-only/x"]).expect_code(1);
        assert!(error.stderr.contains("mounted volume is marked read-only"), "{error}");
        // Several names at once, and a link of the image's that leads to one of them.
        cp(&["web:/opt/.", &path("opt")]).expect_code(0);
        assert_eq!(read(&format!("opt/data/{state}")), "new");
        std::fs::remove_dir_all(path("opt")).unwrap();
    }
    cp(&["web:/own/inside", &path("back")]).expect_code(0);
    cp(&["web:/own/created", &path("back")]).expect_code(0);
    // Nothing of that is in the layer.
    let diff = minidock(&sandbox, &["diff", "web"]).expect_code(0).stdout;
    assert!(!diff.contains("/data/") && !diff.contains("/bind/"), "{diff}");
    // A tmpfs is there only while it runs.
    cp(&[&path("new"), "web:/tmp/mounted/x"]).expect_code(0);
    start(&sandbox);
    minidock(&sandbox, &["exec", "web", "test", "!", "-e", "/tmp/mounted/x"]).expect_code(0);
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_read_only_root_takes_only_what_goes_into_its_volumes() {
    let sandbox = Sandbox::new();
    with_mounts(&sandbox, &["--read-only"]);
    let new = sandbox.path().join("new");
    std::fs::write(&new, "new").unwrap();
    let cp = |to: &str| minidock(&sandbox, &["cp", "-q", new.to_str().unwrap(), to]);
    for running in [false, true] {
        if running {
            start(&sandbox);
        }
        let error = cp("web:/srv/x").expect_code(1);
        assert!(error.stderr.contains("container rootfs is marked read-only"), "{error}");
        cp("web:/opt/data/x").expect_code(0);
    }
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_copy_of_everything_is_of_files_alone() {
    let sandbox = Sandbox::new();
    with_mounts(&sandbox, &[]);
    start(&sandbox);
    let all = sandbox.path().join("all");
    minidock(&sandbox, &["cp", "-q", "web:/", all.to_str().unwrap()]).expect_code(0);
    let names = |name: &str| std::fs::read_dir(all.join(name)).unwrap().count();
    assert_eq!((names("proc"), names("sys"), names("dev")), (0, 0, 0));
    let read = |name: &str| std::fs::read_to_string(all.join(name)).unwrap();
    assert_eq!((&*read("opt/data/inside"), &*read("bind/file")), ("inside\n", "of the host"));
    assert!(read("etc/hosts").contains("localhost") && read("etc/os-release").contains("alpine"));
    // What is left out there is refused when it is named: the kernel says no size that is true.
    let to = sandbox.path().display().to_string();
    for (from, name) in [
        ("/sys/kernel/uevent_seqnum", "uevent_seqnum"),
        ("/proc/cpuinfo", "cpuinfo"),
        ("/proc", "proc"),
    ] {
        for target in [to.as_str(), "-"] {
            let output = minidock(&sandbox, &["cp", &format!("web:{from}"), target]).expect_code(1);
            assert!(output.stderr.contains("the kernel shows it"), "{output}");
            assert!(output.stdout.is_empty() && !sandbox.path().join(name).exists(), "{output}");
        }
    }
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_export_is_of_the_layers_alone() {
    let sandbox = Sandbox::new();
    with_mounts(&sandbox, &["-v", "over:/etc/apk"]);
    let archive = sandbox.path().join("web.tar");
    let export = |ready: bool| {
        minidock(&sandbox, &["export", "-o", archive.to_str().unwrap(), "web"]).expect_code(0);
        let (lines, _) = entries(&archive, "");
        let has = |end: &str| lines.iter().any(|line| line.ends_with(end));
        // What lies below a mount is the layer's.
        assert!(has(" etc/apk/world") && has(" bin/busybox"), "{lines:?}");
        assert_eq!(has(" opt/data/"), ready, "{lines:?}");
        assert!(!has(" opt/data/inside") && !has(" bind/file") && !has(" own/inside"), "{lines:?}");
        assert!(has(" proc/") && !has(" proc/version"), "{lines:?}");
    };
    export(false);
    start(&sandbox);
    export(true);
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    export(true);
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn links_of_an_image_lead_nowhere_when_it_is_stopped() {
    let sandbox = Sandbox::new();
    let host = sandbox.path().join("host");
    let bind = sandbox.path().join("bind");
    for directory in [&host, &bind] {
        std::fs::create_dir(directory).unwrap();
    }
    let options = ["--name", "web", "-v", &format!("{}:/opt/bind", bind.display())];
    let script = format!(
        "ln -s {0} /opt/out; ln -s ../../../../..{0} /opt/bind/out; ln -s /opt/bind /opt/in",
        host.display()
    );
    prepared(&sandbox, &options, &script);
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    let new = sandbox.path().join("new");
    std::fs::write(&new, "new").unwrap();
    for target in ["/opt/out/x", "/opt/bind/out/x"] {
        minidock(&sandbox, &["cp", new.to_str().unwrap(), &format!("web:{target}")]).expect_code(1);
    }
    minidock(&sandbox, &["cp", new.to_str().unwrap(), "web:/opt/in/x"]).expect_code(0);
    assert_eq!(std::fs::read_to_string(bind.join("x")).unwrap(), "new");
    assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0);
    remove(&sandbox, &["web"]);
}
