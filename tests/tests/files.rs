//! The files of containers from outside: what has changed, the whole tree, and copies both ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use minidock_tests::{Output, Sandbox};

#[path = "files/archives.rs"]
mod archives;
#[path = "files/deep.rs"]
mod deep;
#[path = "files/mounts.rs"]
mod mounts;
#[path = "files/standing.rs"]
mod standing;

/// A container that has run a script to its end and waits behind the caller's back.
fn prepared(sandbox: &Sandbox, options: &[&str], script: &str) -> String {
    let script = format!("{script}\nmkdir /ready; exec sleep 60");
    let before = ["run", "-d", "--network", "none"];
    let after = ["alpine", "sh", "-c", &script];
    let args = before.iter().chain(options).chain(&after).copied();
    let id = sandbox.minidock(args).output().expect_code(0).text().to_owned();
    let upper = sandbox.root().join("containers").join(&id).join("upper/ready");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !upper.exists() {
        assert!(std::time::Instant::now() < deadline, "the script does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    id
}

fn minidock(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output()
}

/// Removes containers and asserts that nothing is left.
#[track_caller]
fn remove(sandbox: &Sandbox, names: &[&str]) {
    sandbox.minidock(["rm", "-f"].iter().chain(names)).output().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn diff_shows_what_a_container_has_changed() {
    let sandbox = Sandbox::new();
    let script = "echo >>/etc/motd; rm /etc/issue; rm -r /media; mkdir /media; touch /media/new;
                  mkdir -p /opt/a; ln -s /etc/shadow /opt/a/link";
    prepared(&sandbox, &["--name", "web"], script);
    let expected = "C /etc\nD /etc/issue\nC /etc/motd\nC /media\nD /media/cdrom\nD /media/floppy\n\
                    A /media/new\nD /media/usb\nC /opt\nA /opt/a\nA /opt/a/link\nA /ready\n";
    assert_eq!(minidock(&sandbox, &["diff", "web"]).expect_code(0).stdout, expected);
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    assert_eq!(minidock(&sandbox, &["diff", "web"]).expect_code(0).stdout, expected);
    minidock(&sandbox, &["create", "--name", "new", "alpine"]).expect_code(0);
    assert_eq!(minidock(&sandbox, &["diff", "new"]).expect_code(0).stdout, "");
    // What the engine needs for its mounts is no change.
    minidock(&sandbox, &["start", "new"]).expect_code(0);
    minidock(&sandbox, &["wait", "new"]).expect_code(0);
    assert_eq!(minidock(&sandbox, &["diff", "new"]).expect_code(0).stdout, "");
    remove(&sandbox, &["web", "new"]);
}

/// The entries of an archive, `mode uid/gid path link`, and the content of one file.
fn entries(archive: &Path, file: &str) -> (Vec<String>, String) {
    let (mut lines, mut content) = (Vec::new(), String::new());
    let mut archive = tar::Archive::new(File::open(archive).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        let mode = header.mode().unwrap();
        let link = String::from_utf8(link).unwrap();
        lines.push(format!("{mode:o} {uid}/{gid} {path} {link}").trim_end().to_owned());
        if path == file {
            entry.read_to_string(&mut content).unwrap();
        }
    }
    (lines, content)
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_is_exported_whether_it_runs_or_not() {
    let sandbox = Sandbox::new();
    let script =
        "echo text >/opt/file; ln /opt/file /opt/second; rm /etc/issue; chown 7:8 /opt/file;
                  chmod 4750 /opt/file; mknod /opt/null c 1 3; echo secret >/tmp/mounted/x";
    let options = ["--name", "web", "--tmpfs", "/tmp/mounted"];
    prepared(&sandbox, &options, script);
    let archive = sandbox.path().join("web.tar");
    let export = || {
        minidock(&sandbox, &["export", "-o", archive.to_str().unwrap(), "web"]).expect_code(0);
        let (lines, content) = entries(&archive, "opt/file");
        let line = |end: &str| lines.iter().find(|line| line.ends_with(end));
        assert!(line(" bin/busybox").is_some() && line(" etc/issue").is_none(), "{lines:?}");
        assert_eq!(
            lines.iter().find(|line| line.ends_with("8 opt/file")).unwrap(),
            "4750 7/8 opt/file"
        );
        assert_eq!(line(" opt/second opt/file").unwrap(), "4750 7/8 opt/second opt/file");
        assert!(line(" opt/null").is_some(), "{lines:?}");
        assert!(line(" tmp/mounted/").is_some() && line(" tmp/mounted/x").is_none(), "{lines:?}");
        assert!(line(" proc/").is_some() && line(" proc/version").is_none(), "{lines:?}");
        assert_eq!(content, "text\n");
    };
    export();
    minidock(&sandbox, &["pause", "web"]).expect_code(0);
    export();
    minidock(&sandbox, &["unpause", "web"]).expect_code(0);
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    export();
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn files_are_copied_both_ways() {
    let sandbox = Sandbox::new();
    let options = ["--name", "web", "--tmpfs", "/mounted"];
    prepared(&sandbox, &options, "mkdir /opt/a; echo inside >/opt/a/file");
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    std::fs::write(path("file"), "outside").unwrap();
    std::fs::write(path("file-with-time"), "").unwrap();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let cp = |args: &[&str]| minidock(&sandbox, &[&["cp"], args].concat());
    for running in [true, false] {
        let out = cp(&["web:/opt/a", &path("copy")]).expect_code(0);
        assert!(out.stderr.starts_with("Successfully copied ") && out.stdout.is_empty(), "{out}");
        assert_eq!(read("copy/file"), "inside\n");
        std::fs::remove_dir_all(path("copy")).unwrap();
        cp(&["-q", &path("file"), "web:/opt/new"]).expect_code(0);
        cp(&["web:opt/new", &path("back")]).expect_code(0);
        assert_eq!(read("back"), "outside");
        if running {
            // What is mounted inside is what its processes see.
            cp(&[&path("file"), "web:/mounted/"]).expect_code(0);
            cp(&["web:/mounted/file", &path("back")]).expect_code(0);
            // A file that is mounted cannot be replaced, but be changed.
            cp(&[&path("file"), "web:/etc/hosts"]).expect_code(0);
            cp(&["web:/etc/hosts", &path("hosts")]).expect_code(0);
            assert_eq!(read("hosts"), "outside");
            let mounted = ["exec", "web", "grep", " /etc/hosts ", "/proc/self/mountinfo"];
            minidock(&sandbox, &mounted).expect_code(0);
            minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
        }
    }
    // What is no file of the host is not replaced by one.
    let pipe = sandbox.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let out = cp(&["web:/opt/new", &path("pipe")]).expect_code(1);
    assert!(out.stderr.contains("cannot overwrite a device, pipe or socket"), "{out}");
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
    // A stopped container has what was copied when it is started again.
    cp(&[&path("file"), "web:/opt/a/while-stopped"]).expect_code(0);
    minidock(&sandbox, &["start", "web"]).expect_code(0);
    cp(&["web:/opt/a/.", &path("all")]).expect_code(0);
    assert_eq!(read("all/while-stopped"), "outside");
    for (args, words) in [
        (["web:/none", "/tmp/"], "cannot use /none: no such file or directory (ENOENT)"),
        (["web:/etc", "web:/x"], "copying between containers is not supported"),
        (["/a", "/b"], "must specify at least one container source"),
    ] {
        let error = cp(&args).expect_code(1);
        assert!(error.stderr.contains(words), "{error}");
    }
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn archives_are_copied_through_the_standard_streams() {
    let sandbox = Sandbox::new();
    prepared(
        &sandbox,
        &["--name", "web"],
        "mkdir /opt/a; echo 1 >/opt/a/one; chown 7:8 /opt/a/one",
    );
    let archive = sandbox.path().join("a.tar");
    let file = File::create(&archive).unwrap();
    sandbox.minidock(["cp", "web:/opt/a", "-"]).stdout_to(file).output().expect_code(0);
    let (lines, _) = entries(&archive, "");
    assert!(lines.iter().any(|line| line == "644 7/8 a/one"), "{lines:?}");
    for (args, owner) in [(["cp", "-", "web:/srv"], "0:0"), (["cp", "-a", "-"], "7:8")] {
        let args: Vec<&str> =
            args.into_iter().chain((args[2] == "-").then_some("web:/srv")).collect();
        let file = File::open(&archive).unwrap();
        sandbox.minidock(args).stdin_from(file).output().expect_code(0);
        let back = sandbox.path().join("back");
        minidock(&sandbox, &["cp", "-a", "web:/srv/a/one", back.to_str().unwrap()]).expect_code(0);
        use std::os::unix::fs::MetadataExt;
        let meta = back.metadata().unwrap();
        assert_eq!(format!("{}:{}", meta.uid(), meta.gid()), owner);
    }
    let broken = sandbox.minidock(["cp", "-", "web:/srv"]).stdin("no archive at all".repeat(99));
    let broken = broken.output().expect_code(1);
    assert!(broken.stderr.contains("cannot read the archive"), "{broken}");
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_hostile_container_does_not_reach_the_host_by_copies() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    for name in ["victim", "new"] {
        std::fs::write(path(name), name).unwrap();
    }
    std::fs::create_dir(path("host")).unwrap();
    let (victim, host) = (path("victim"), path("host"));
    let script = format!(
        "mkdir -p /opt{host} && cd /opt; ln -s {victim} link; ln -s ../../../../../..{host} up;
         ln -s {host} dir; ln -s /proc/1/root/../.. magic; mkfifo pipe; mknod disk b 8 0;
         cp /bin/busybox suid; chmod 6755 suid; head -c 1 /dev/zero | dd of=big bs=1 seek=1000000000"
    );
    prepared(&sandbox, &["--name", "web"], &script);
    let cp = |args: &[&str]| minidock(&sandbox, &[&["cp", "-q"], args].concat());
    for target in ["/opt/link", "/opt/up/x", "/opt/dir/x", "/opt/magic/tmp/x"] {
        // Whether it fails or makes something inside is the container's affair.
        cp(&[&path("new"), &format!("web:{target}")]);
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "victim");
    assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0);
    // Nobody reads from the pipe; it is replaced, and not waited for.
    cp(&[&path("new"), "web:/opt/pipe"]).expect_code(0);
    // A link is copied as a link; what it leads to is looked for inside.
    cp(&["web:/opt/link", &path("copied")]).expect_code(0);
    assert_eq!(std::fs::read_link(path("copied")).unwrap().to_str(), Some(&*victim));
    cp(&["-L", "web:/opt/link", &path("followed")]);
    assert_ne!(std::fs::read(path("followed")).unwrap_or_default(), b"victim");
    let error = cp(&["web:/opt/disk", &path("disk")]).expect_code(1);
    assert!(error.stderr.contains("is not copied to the host"), "{error}");
    use std::os::unix::fs::MetadataExt;
    cp(&["web:/opt/suid", &path("suid")]).expect_code(0);
    assert_eq!(std::fs::metadata(path("suid")).unwrap().mode() & 0o7777, 0o755);
    cp(&["web:/opt/big", &path("big")]).expect_code(0);
    let big = std::fs::metadata(path("big")).unwrap();
    assert!(big.len() > 1_000_000_000 && big.blocks() < 10_000, "{big:?}");
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn ids_of_a_container_s_own_are_its_own_in_archives() {
    let sandbox = Sandbox::new();
    let script = "echo x >/opt/file; chown 7:8 /opt/file";
    prepared(&sandbox, &["--name", "web", "--userns", "auto"], script);
    let archive = sandbox.path().join("web.tar");
    let export = || {
        minidock(&sandbox, &["export", "-o", archive.to_str().unwrap(), "web"]).expect_code(0);
        let (lines, content) = entries(&archive, "opt/file");
        assert!(lines.iter().any(|line| line == "644 7/8 opt/file"), "{lines:?}");
        assert_eq!(content, "x\n");
    };
    export();
    let diff = minidock(&sandbox, &["diff", "web"]).expect_code(0);
    assert_eq!(diff.stdout, "C /opt\nA /opt/file\nA /ready\n");
    let new = sandbox.path().join("new");
    std::fs::write(&new, "new").unwrap();
    let into = ["cp", "-q", new.to_str().unwrap(), "web:/opt/new"];
    let error = minidock(&sandbox, &into).expect_code(1);
    assert!(error.stderr.contains("it has ids of its own (stop it first)"), "{error}");
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    export();
    minidock(&sandbox, &into).expect_code(0);
    minidock(&sandbox, &["start", "web"]).expect_code(0);
    let out = minidock(&sandbox, &["cp", "web:/opt/new", "-"]).expect_code(0);
    assert!(out.stdout.contains("new"), "{out}");
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn without_root_a_running_container_can_be_copied_from() {
    let sandbox = Sandbox::rootless();
    prepared(&sandbox, &["--name", "web"], "echo inside >/opt/file; rm /etc/issue");
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let out = ["cp", "web:/opt/file", &path("file")];
    minidock(&sandbox, &out).expect_code(0);
    assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "inside\n");
    minidock(&sandbox, &["cp", &path("file"), "web:/opt/back"]).expect_code(0);
    let diff = minidock(&sandbox, &["diff", "web"]).expect_code(0);
    assert!(diff.stdout.contains("D /etc/issue\n"), "{diff}");
    assert!(diff.stdout.contains("A /opt/back\nA /opt/file\n"), "{diff}");
    let top = minidock(&sandbox, &["top", "web", "-o", "args"]).expect_code(0);
    assert!(top.stdout.contains("sleep 60") || top.stdout.contains("sh -c"), "{top}");
    let stats = minidock(&sandbox, &["stats", "--no-stream", "--format", "{{.PIDs}}"]);
    assert_eq!(stats.expect_code(0).stdout, "1\n");
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    let error = minidock(&sandbox, &out).expect_code(1);
    assert!(error.stderr.contains("that takes root (start it first)"), "{error}");
    remove(&sandbox, &["web"]);
}
