//! What archives hold, and how they are written.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use super::*;
use minidock_tests::HeldUp;

#[test]
#[ignore = "needs root: runs containers"]
fn files_may_have_any_name_time_and_attribute() {
    let sandbox = Sandbox::new();
    let script = r#"mkdir /opt/a && cd /opt/a
        long=$(head -c 250 /dev/zero | tr '\0' n)
        touch "$(printf 'new\nline')" "$(printf 'not-\377-text')" "a=b" "$long"
        ln -s "$long/$long/$long" link; ln "$long" second
        touch -d @-100 old; touch -d @5000000000 new; chmod 6711 a=b"#;
    prepared(&sandbox, &["--name", "web"], script);
    let back = sandbox.path().join("back");
    for running in [true, false] {
        if !running {
            minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
        }
        minidock(&sandbox, &["cp", "-a", "web:/opt/a", back.to_str().unwrap()]).expect_code(0);
        let long = "n".repeat(250);
        for name in [b"new\nline", &b"not-\xff-text"[..], b"a=b", long.as_bytes()] {
            assert!(back.join(OsStr::from_bytes(name)).exists(), "{name:?}");
        }
        let link = fs::read_link(back.join("link")).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("{long}/{long}/{long}"));
        let time = |name: &str| back.join(name).metadata().unwrap().mtime();
        assert_eq!((time("old"), time("new")), (-100, 5_000_000_000));
        let meta = |name: &str| back.join(name).metadata().unwrap();
        assert_eq!(meta("a=b").mode() & 0o7777, 0o6711);
        assert_eq!(meta("second").ino(), meta(&long).ino());
        // And in again, what is there being replaced.
        let from = format!("{}/.", back.display());
        minidock(&sandbox, &["cp", "-a", &from, "web:/opt/a"]).expect_code(0);
        fs::remove_dir_all(&back).unwrap();
    }
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_lease_is_waited_for() {
    let sandbox = Sandbox::new();
    let bind = sandbox.path().join("bind");
    fs::create_dir(&bind).unwrap();
    fs::write(bind.join("file"), "text").unwrap();
    let options = ["--name", "web", "-v", &format!("{}:/bind", bind.display())];
    prepared(&sandbox, &options, "true");
    let held = HeldUp::new(&bind.join("file"));
    let back = sandbox.path().join("back");
    let copying = sandbox.minidock(["cp", "web:/bind/file", back.to_str().unwrap()]).spawn();
    held.wait_for_somebody();
    drop(held);
    copying.wait().expect_code(0);
    assert_eq!(fs::read_to_string(&back).unwrap(), "text");
    remove(&sandbox, &["web"]);
}

/// An archive with these files, written by the program of the tests themselves.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
#[ignore = "needs root: runs containers"]
fn archives_may_be_compressed_and_go_through_links_of_the_container() {
    let sandbox = Sandbox::new();
    let script = "mkdir -p /opt/usr/lib; ln -s usr/lib /opt/lib; ln -s /opt/usr /opt/absolute";
    prepared(&sandbox, &["--name", "web"], script);
    let read = |path: &str| minidock(&sandbox, &["exec", "web", "cat", path]).expect_code(0).stdout;
    let archive = archive(&[("lib/one", "1"), ("absolute/lib/two", "2")]);
    let gzip = gzip(&archive);
    for running in [true, false] {
        if !running {
            minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
        }
        for input in [&archive, &gzip] {
            sandbox.minidock(["cp", "-", "web:/opt"]).stdin(input.clone()).output().expect_code(0);
        }
    }
    minidock(&sandbox, &["start", "web"]).expect_code(0);
    assert_eq!((read("/opt/usr/lib/one"), read("/opt/usr/lib/two")), ("1".into(), "2".into()));
    let cut = gzip.get(..gzip.len() - 4).unwrap();
    let error = sandbox.minidock(["cp", "-", "web:/opt"]).stdin(cut).output().expect_code(1);
    assert!(error.stderr.contains("cannot read the archive"), "{error}");
    let other = &b"\xfd7zXZ\0 and so on"[..];
    let error = sandbox.minidock(["cp", "-", "web:/opt"]).stdin(other).output().expect_code(1);
    assert!(error.stderr.contains("it is compressed with xz"), "{error}");
    remove(&sandbox, &["web"]);
}

/// In the format of gzip, RFC 1952, with the data stored as they are.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    for block in data.chunks(0x8000) {
        let length = u16::try_from(block.len()).unwrap();
        gzip.push(0);
        gzip.extend(length.to_le_bytes());
        gzip.extend((!length).to_le_bytes());
        gzip.extend(block);
    }
    // The last block is an empty one.
    gzip.extend(b"\x01\0\0\xff\xff");
    let bit = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum));
    gzip.extend((!data.iter().fold(!0, byte)).to_le_bytes());
    gzip.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    gzip
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_export_that_fails_leaves_the_file_as_it_was() {
    let sandbox = Sandbox::with_own_layers();
    let bind = sandbox.path().join("bind");
    fs::create_dir(&bind).unwrap();
    let file = bind.join("web.tar");
    fs::write(&file, "old").unwrap();
    minidock(&sandbox, &["create", "--name", "web", "alpine"]).expect_code(0);
    let export = |name: &str| minidock(&sandbox, &["export", "-o", file.to_str().unwrap(), name]);
    export("none").expect_code(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    let id = fs::read_link(sandbox.root().join("names/web")).unwrap();
    let description = sandbox.root().join("containers").join(id).join("config.json");
    let whole = fs::read(&description).unwrap();
    fs::write(&description, "{").unwrap();
    export("web").expect_code(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    fs::write(&description, whole).unwrap();
    export("web").expect_code(0);
    assert!(entries(&file, "").0.iter().any(|line| line.ends_with(" bin/busybox")));
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&bind).unwrap().count(), 1);
    // What is no file is written to.
    minidock(&sandbox, &["export", "-o", "/dev/null", "web"]).expect_code(0);
    assert!(Path::new("/dev/null").metadata().unwrap().file_type().is_char_device());
    remove(&sandbox, &["web"]);
}
