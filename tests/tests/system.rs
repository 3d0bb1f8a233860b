//! `system df`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use minidock_tests::{Output, Sandbox};

fn ok(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output().expect_code(0)
}

/// The cells of the row of a table that begins so.
#[track_caller]
fn cells(output: &Output, first: &str) -> Vec<String> {
    let line = output.stdout.lines().find(|line| line.starts_with(first));
    let line = line.unwrap_or_else(|| panic!("no {first} in {output}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

/// Blocks of files and directories, in bytes, by another way than the engine's.
fn blocks(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    let below = match meta.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| blocks(&entry.unwrap().path())).sum(),
        false => 0,
    };
    meta.blocks() * 512 + below
}

/// Four significant digits, as in docker's tables.
fn shown(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB"].into_iter();
    let mut unit = units.next().unwrap();
    while number >= 1000.0 {
        number /= 1000.0;
        unit = units.next().unwrap();
    }
    let digits = match number {
        100.0.. => 1,
        10.0.. => 2,
        _ => 3,
    };
    let text = format!("{number:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[test]
#[ignore = "needs root: runs containers"]
fn sizes_are_what_lies_on_the_disk() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "create --name made alpine true");
    let write = "dd if=/dev/zero of=/data/f bs=1000 count=100; cp /data/f /v/f; cp /v/f /f";
    let line = ["run", "--name", "ended", "--net", "none", "-v", "data:/data", "-v", "/v"];
    let line = [&line[..], &["alpine", "sh", "-c", write]].concat();
    sandbox.minidock(line).output().expect_code(0);
    fs::create_dir(sandbox.root().join("volumes/unused")).unwrap();
    let df = ok(&sandbox, "system df");
    let part = |name| blocks(&sandbox.root().join(name).canonicalize().unwrap());
    let image = part("images") + part("layers");
    assert_eq!(cells(&df, "Images")[2..], ["1", &shown(image), "0B (0%)"]);
    let directory = fs::read_link(sandbox.root().join("names/ended")).unwrap();
    let ended = sandbox.root().join("containers").join(&directory);
    let (named, anonymous) = (sandbox.root().join("volumes/data"), ended.join("volumes/1"));
    let all = sandbox.root().join("containers");
    let containers = blocks(&all)
        - fs::symlink_metadata(&all).unwrap().blocks() * 512
        - blocks(&ended.join("volumes"));
    let size = shown(containers);
    assert_eq!(
        cells(&df, "Containers"),
        ["Containers", "2", "0", &size, &format!("{size} (100%)")]
    );
    assert_eq!(cells(&df, "Local Volumes")[..3], ["Local Volumes", "3", "2"]);
    assert_eq!(cells(&df, "Build Cache")[1..], ["0", "0", "0B", "0B"]);
    let all = ok(&sandbox, "system df -v");
    assert!(all.stdout.contains("\nalpine       latest    "), "{all}");
    assert_eq!(cells(&all, "data")[1..], ["1", &shown(blocks(&named))]);
    assert_eq!(cells(&all, "unused")[1], "0");
    let short = &directory.to_str().unwrap()[..12];
    assert_eq!(cells(&all, &format!("{short}/1"))[1..], ["1", &shown(blocks(&anonymous))]);
    assert!(blocks(&anonymous) >= 100_000 && blocks(&named) >= 100_000);
    let json = ok(&sandbox, "system df --format json");
    assert_eq!(json.stdout.lines().count(), 4);
    let both = sandbox.minidock(["system", "df", "-v", "--format", "json"]).output();
    assert!(both.expect_code(1).stderr.contains("the verbose and the format options conflict"));
    ok(&sandbox, "rm made ended");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_runs_is_active_and_cannot_be_had_back() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "run -d --name runs --net none alpine sleep 60");
    let df = ok(&sandbox, "system df");
    let row = cells(&df, "Containers");
    assert_eq!((&row[1..3], row[4].as_str()), (&["1".to_owned(), "1".to_owned()][..], "0B (0%)"));
    ok(&sandbox, "rm -f runs");
    let df = ok(&sandbox, "system df");
    assert_eq!(cells(&df, "Containers")[1..], ["0", "0", "0B", "0B"]);
    assert_eq!(cells(&df, "Images")[2], "0");
    sandbox.assert_clean();
}
