//! `images`, `tag`, `rmi`, `history`, `image prune`, `import`, `save` and `load`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use minidock_tests::{Output, Sandbox};
use nix::sys::signal::Signal;

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

fn ok(sandbox: &Sandbox, line: &str) -> String {
    minidock(sandbox, line).expect_code(0).stdout
}

#[track_caller]
fn refused(sandbox: &Sandbox, line: &str, message: &str) {
    let output = minidock(sandbox, line).expect_code(1);
    assert!(output.stderr.contains(message), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_image_is_listed_by_each_of_its_names_and_runs_by_its_id() {
    let sandbox = Sandbox::with_own_images();
    assert_eq!(ok(&sandbox, "tag alpine me/own:2"), "");
    let names = ok(&sandbox, "images --format {{.Repository}}:{{.Tag}}");
    assert_eq!(names, "alpine:3.20\nalpine:latest\nme/own:2\n");
    let id = ok(&sandbox, "image ls -q me/own").trim_end().to_owned();
    assert_eq!(id.len(), 12);
    assert_eq!(ok(&sandbox, "images -q --no-trunc --filter reference=alp*:l*").len(), 72);
    assert_eq!(ok(&sandbox, "images -q --filter dangling=true"), "");
    let run = sandbox.run(["--network", "none", &id, "echo", "hi"]).expect_code(0);
    assert_eq!(run.stdout, "hi\n");
    let inspected = ok(&sandbox, &format!("image inspect -f {{{{.Id}}}} {id}"));
    assert!(inspected.starts_with(&format!("sha256:{id}")), "{inspected}");
    assert_eq!(ok(&sandbox, "inspect --type image -f {{.Os}} me/own:2"), "linux\n");
    assert_eq!(ok(&sandbox, "inspect -f {{.Os}} alpine"), "linux\n");
    refused(&sandbox, "image inspect nosuch", "No such image: nosuch:latest");
    refused(&sandbox, "inspect nosuch", "No such object: nosuch");
    let history = ok(&sandbox, "history alpine");
    assert!(history.starts_with("IMAGE          CREATED"), "{history}");
    assert!(history.lines().nth(1).unwrap().starts_with(&id), "{history}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_a_container_is_made_of_is_not_removed() {
    let sandbox = Sandbox::with_own_layers();
    ok(&sandbox, "run -d --name runs --network none alpine sleep 60");
    ok(&sandbox, "tag alpine other");
    assert_eq!(ok(&sandbox, "rmi other"), "Untagged: other:latest\n");
    assert_eq!(ok(&sandbox, "rmi alpine:3.20"), "Untagged: alpine:3.20\n");
    refused(&sandbox, "rmi alpine", "image is being used by running container");
    refused(&sandbox, "rmi -f alpine", "cannot be forced");
    ok(&sandbox, "kill runs");
    ok(&sandbox, "wait runs");
    refused(&sandbox, "rmi alpine", "image is being used by stopped container");
    assert_eq!(ok(&sandbox, "image prune -a -f"), "Total reclaimed space: 0B\n");
    // The layers stay as long as the container does.
    let removed = ok(&sandbox, "rmi -f alpine");
    assert!(removed.starts_with("Untagged: alpine:latest\nDeleted: sha256:"), "{removed}");
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert_eq!(ok(&sandbox, "images -q"), "");
    ok(&sandbox, "start runs");
    assert_eq!(ok(&sandbox, "exec runs echo hi"), "hi\n");
    refused(&sandbox, "rmi alpine nosuch", "No such image: nosuch:latest");
    minidock(&sandbox, "rmi -f nosuch").expect_code(0);
    ok(&sandbox, "rm -f runs");
    sandbox.assert_clean();
}

/// An archive with the files of `alpine`.
fn files(directory: &Path) -> PathBuf {
    let sandbox = Sandbox::new();
    let path = directory.join("files.tar");
    ok(&sandbox, "create --name source --network none alpine true");
    let export: [OsString; 4] =
        ["export".into(), "-o".into(), path.clone().into(), "source".into()];
    sandbox.minidock(export).output().expect_code(0);
    ok(&sandbox, "rm source");
    path
}

/// One with a single file.
fn small(path: &Path, contents: &[u8]) {
    let mut builder = tar::Builder::new(File::create(path).unwrap());
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", contents).unwrap();
    builder.finish().unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_archive_of_files_becomes_an_image_that_runs() {
    let sandbox = Sandbox::without_images();
    let archive = files(sandbox.path());
    let mut words =
        ["import", "-m", "a note", "-c", "ENV WHO=me", "-c"].map(OsString::from).to_vec();
    words.extend(["CMD echo hi $WHO from $PWD", "-c", "WORKDIR /tmp"].map(OsString::from));
    words.extend([archive.clone().into(), "made:1".into()]);
    let id = sandbox.minidock(words).output().expect_code(0).text().to_owned();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    let run = sandbox.run(["--network", "none", "made:1"]).expect_code(0);
    assert_eq!(run.stdout, "hi me from /tmp\n");
    let steps = ok(&sandbox, "history --no-trunc --format {{.ID}}={{.Comment}} made:1");
    assert_eq!(steps, format!("{id}=a note\n"));
    refused(&sandbox, "import https://example.org/x.tar", "download it");
    refused(&sandbox, "import /nosuch", "open /nosuch: no such file or directory");
    let from_pipe = sandbox.minidock(["import", "-"]).stdin("no archive").output();
    from_pipe.expect_code(1);
    assert_eq!(ok(&sandbox, "images -q").lines().count(), 1);
    let removed = ok(&sandbox, "rmi made:1");
    assert!(removed.starts_with("Untagged: made:1\nDeleted: sha256:"), "{removed}");
    assert_eq!(removed.lines().count(), 3, "{removed}");
    assert!(names(&sandbox.root().join("layers")).is_empty());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_is_saved_is_loaded_elsewhere_and_runs() {
    let from = Sandbox::with_own_images();
    ok(&from, "tag alpine me/own:2");
    let id = ok(&from, "images -q --no-trunc me/own");
    for format in ["docker", "oci"] {
        let path = from.path().join(format);
        let line = format!("save --format {format} -o {} me/own alpine", path.display());
        assert_eq!(ok(&from, &line), "");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let to = Sandbox::without_images();
        let loaded = ok(&to, &format!("load -i {}", path.display()));
        let lines = ["alpine:3.20", "alpine:latest", "me/own:2"];
        let lines: String = lines.iter().map(|name| format!("Loaded image: {name}\n")).collect();
        assert_eq!(loaded, lines);
        assert_eq!(ok(&to, "images -q --no-trunc me/own"), id);
        let run = to.run(["--network", "none", "me/own:2", "echo", "hi"]).expect_code(0);
        assert_eq!(run.stdout, "hi\n");
        // What is there already is left.
        ok(&to, &format!("load -q -i {}", path.display()));
        to.assert_clean();
    }
    refused(&from, &format!("save -o {}/x nosuch", from.path().display()), "No such image");
    assert!(!from.path().join("x").exists());
}

#[test]
#[ignore = "needs root: runs containers"]
fn only_what_has_no_name_is_pruned() {
    let sandbox = Sandbox::without_images();
    let archive = sandbox.path().join("a.tar");
    let import = format!("import {} same", archive.display());
    let mut ids = Vec::new();
    for contents in ["one", "another"] {
        small(&archive, contents.as_bytes());
        ids.push(ok(&sandbox, &import).trim_end().to_owned());
    }
    assert_eq!(ok(&sandbox, "images -q --no-trunc --filter dangling=true").trim_end(), ids[0]);
    let asked = sandbox.minidock(["image", "prune"]).stdin("n\n").output().expect_code(0);
    assert!(asked.stdout.starts_with("WARNING! This will remove all dangling images.\n"));
    let pruned = ok(&sandbox, "image prune -f");
    let (deleted, reclaimed) = pruned.split_once("\n\n").unwrap();
    assert!(deleted.starts_with(&format!("Deleted Images:\ndeleted: {}\n", ids[0])), "{pruned}");
    assert!(reclaimed.starts_with("Total reclaimed space: "), "{pruned}");
    assert_eq!(ok(&sandbox, "image prune -a -f --filter until=1h"), "Total reclaimed space: 0B\n");
    assert_eq!(ok(&sandbox, "images -q --no-trunc").trim_end(), ids[1]);
    let pruned = ok(&sandbox, "system prune -a -f");
    assert!(pruned.contains("untagged: same:latest\n"), "{pruned}");
    for place in ["layers", "images/blobs/sha256", "images/ingest"] {
        assert_eq!(names(&sandbox.root().join(place)), [""; 0], "{place}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn of_a_load_that_is_killed_nothing_shows() {
    let from = Sandbox::with_own_images();
    let path = from.path().join("saved");
    ok(&from, &format!("save -o {} alpine", path.display()));
    let saved = fs::read(&path).unwrap();
    let sandbox = Sandbox::without_images();
    let pipe = sandbox.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let line = format!("load -i {}", pipe.display());
    let load = sandbox.minidock(line.split(' ')).spawn();
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(&saved[..saved.len() / 2]).unwrap();
    load.signal(Signal::SIGKILL);
    drop(writer);
    load.wait();
    assert_eq!(ok(&sandbox, "images -q"), "");
    assert_eq!(ok(&sandbox, "image prune -f"), "Total reclaimed space: 0B\n");
    assert_eq!(names(&sandbox.root().join("images/ingest")), [""; 0]);
    assert_eq!(ok(&sandbox, &format!("load -i {}", path.display())).lines().count(), 2);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn without_root_images_come_and_go_too() {
    let sandbox = Sandbox::rootless();
    ok(&sandbox, "save -o saved alpine");
    for name in ["alpine:3.20", "alpine:latest"] {
        ok(&sandbox, &format!("rmi {name}"));
    }
    assert!(names(&sandbox.root().join("layers")).is_empty());
    assert_eq!(ok(&sandbox, "load -i saved").lines().count(), 2);
    let run = sandbox.run(["--network", "none", "alpine", "echo", "hi"]).expect_code(0);
    assert_eq!(run.stdout, "hi\n");
    sandbox.assert_clean();
}
