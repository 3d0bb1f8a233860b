//! Looking into a root that may be hostile. None of it needs privilege.
use minidock_fs::{Error, Kind, Root};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

fn root() -> (TempDir, Root) {
    let dir = TempDir::new().expect("a directory");
    fs::create_dir(dir.path().join("etc")).expect("a directory");
    fs::write(dir.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("a file");
    let root = Root::open(dir.path()).expect("a root");
    (dir, root)
}

fn errno(result: Result<impl std::fmt::Debug, Error>) -> i32 {
    match result {
        Err(Error::Io { source, .. }) => source.raw_os_error().expect("an errno"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_read_up_to_the_limit() {
    let (_dir, root) = root();
    let passwd = Path::new("/etc/passwd");
    let contents = root.read_file(passwd, 1000).expect("a file");
    assert_eq!(contents, b"root:x:0:0::/root:/bin/sh\n");
    let length = contents.len() as u64;
    assert!(root.read_file(passwd, length).is_ok());
    assert_eq!(errno(root.read_file(passwd, length - 1)), libc::EFBIG);
    assert_eq!(errno(root.read_file(Path::new("/etc"), 1000)), libc::EISDIR);
    assert_eq!(errno(root.read_file(Path::new("/missing"), 1000)), libc::ENOENT);
}

#[test]
fn an_error_names_what_where_and_why() {
    let (_dir, root) = root();
    let error = root.read_file(Path::new("/etc/shadow"), 1000).expect_err("missing");
    assert_eq!(
        error.to_string(),
        "cannot read /etc/shadow in the root: no such file or directory (ENOENT)"
    );
}

#[test]
fn a_fifo_or_device_as_passwd_is_refused_without_waiting() {
    let (dir, root) = root();
    let fifo = dir.path().join("etc/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    assert_eq!(errno(root.read_file(Path::new("/etc/fifo"), 1000)), libc::EINVAL);
    let dev = Root::open(Path::new("/dev")).expect("a root");
    assert_eq!(errno(dev.read_file(Path::new("/zero"), 1000)), libc::EINVAL);
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let (dir, root) = root();
    let outside = TempDir::new().expect("a directory");
    fs::write(outside.path().join("secret"), "host").expect("a file");
    let link = |name: &str, to: &Path| symlink(to, dir.path().join(name)).expect("a link");
    link("absolute", Path::new("/etc/passwd"));
    link("upwards", Path::new("../../../../../../etc/passwd"));
    link("secret", &outside.path().join("secret"));
    link("loop", Path::new("loop"));
    for name in ["absolute", "upwards", "../../absolute"] {
        let contents = root.read_file(Path::new(name), 1000).expect("the root's passwd");
        assert!(contents.starts_with(b"root:x:0:0::"), "{name}");
    }
    assert_eq!(errno(root.read_file(Path::new("secret"), 1000)), libc::ENOENT);
    assert_eq!(errno(root.read_file(Path::new("loop"), 1000)), libc::ELOOP);
}

#[test]
fn a_lookup_tells_kind_mode_and_size() {
    let (_dir, root) = root();
    let passwd = root.lookup(Path::new("/etc/passwd")).expect("no error").expect("it exists");
    assert_eq!((passwd.kind, passwd.size), (Kind::File, 26));
    let etc = root.lookup(Path::new("/etc")).expect("no error").expect("it exists");
    assert_eq!(etc.kind, Kind::Directory);
    for missing in ["/missing", "/etc/passwd/below"] {
        assert_eq!(root.lookup(Path::new(missing)).expect("no error"), None);
    }
    let dev = Root::open(Path::new("/dev")).expect("a root");
    let null = dev.lookup(Path::new("null")).expect("no error").expect("it exists");
    assert_eq!((null.kind, null.mode), (Kind::Special, 0o666));
}

#[test]
fn a_root_must_be_a_directory() {
    assert_eq!(errno(Root::open(Path::new("/etc/passwd"))), libc::ENOTDIR);
    assert_eq!(errno(Root::open(Path::new("/missing"))), libc::ENOENT);
}

#[test]
fn a_path_is_resolved_to_where_it_would_be_made() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("etc")).expect("a directory");
    let link = |to: &str, name: &str| symlink(to, dir.path().join(name)).expect("a link");
    link("../run/resolve/stub.conf", "etc/resolv.conf");
    link("/etc/resolv.conf", "chain");
    link("../../../../../tmp", "out");
    link("loop", "loop");
    let root = Root::open(dir.path()).expect("a root");
    let resolve = |path: &str| root.resolve(Path::new(path));
    for (path, resolved) in [
        ("/etc/hosts", "/etc/hosts"),
        ("/etc/resolv.conf", "/run/resolve/stub.conf"),
        ("/chain", "/run/resolve/stub.conf"),
        ("/out/x", "/tmp/x"),
        ("/../../etc", "/etc"),
    ] {
        assert_eq!(resolve(path).expect(path), Path::new(resolved), "{path}");
    }
    assert!(resolve("/loop").is_err());
}
