//! `container prune`, `system prune` and `system prune --verify`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;

use minidock_tests::{Output, Sandbox};

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

fn id(output: Output) -> String {
    output.expect_code(0).text().to_owned()
}

const WARNING: &str = "WARNING! This will remove all stopped containers.\n\
                       Are you sure you want to continue? [y/N] ";

#[test]
#[ignore = "needs root: runs containers"]
fn only_what_does_not_run_is_removed() {
    let sandbox = Sandbox::with_own_layers();
    let runs = id(minidock(&sandbox, "run -d --name runs alpine sleep 60"));
    let made = id(minidock(&sandbox, "create --name made alpine true"));
    let line = "run --name ended --network none alpine dd if=/dev/zero of=/f bs=1000 count=2";
    minidock(&sandbox, line).expect_code(0);
    let ended = fs::read_link(sandbox.root().join("names/ended")).unwrap().display().to_string();
    let asked = minidock(&sandbox, "container prune").expect_code(0);
    assert_eq!(asked.stdout, WARNING);
    let asked = sandbox.minidock(["system", "prune", "--volumes"]).stdin("n\n").output();
    assert_eq!(
        asked.expect_code(0).stdout,
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at \
         least one container\n  - all anonymous volumes not used by at least one container\n  - all dangling images\n\nAre you sure you want to continue? [y/N] "
    );
    let output = sandbox.minidock(["container", "prune"]).stdin("y\n").output().expect_code(0);
    let text = output.stdout.strip_prefix(WARNING).unwrap();
    let (deleted, reclaimed) = text.split_once("\n\n").unwrap();
    let mut ids: Vec<&str> = deleted.lines().skip(1).collect();
    ids.sort_unstable();
    let mut wanted = [made.as_str(), ended.as_str()];
    wanted.sort_unstable();
    assert!(deleted.starts_with("Deleted Containers:\n") && ids == wanted, "{output}");
    assert!(reclaimed.starts_with("Total reclaimed space: ") && reclaimed.ends_with("kB\n"));
    let output = minidock(&sandbox, "system prune -f").expect_code(0);
    assert_eq!(output.stdout, "Total reclaimed space: 0B\n");
    assert!(sandbox.root().join("containers").join(runs).exists());
    minidock(&sandbox, "rm -f runs").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn only_what_a_filter_names_is_removed() {
    let sandbox = Sandbox::new();
    for line in [
        "create --name front -l tier=front alpine true",
        "create --name back -l tier=back alpine true",
        "create --name plain alpine true",
    ] {
        minidock(&sandbox, line).expect_code(0);
    }
    let left = || {
        let names = minidock(&sandbox, "ps -a --format {{.Names}}").expect_code(0);
        let mut names: Vec<String> = names.text().lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    for (filters, expected) in [
        ("--filter until=2023-01-01T00:00:00Z", "back front plain"),
        ("--filter label=tier --filter label=none", "back front plain"),
        ("--filter label!=tier", "back front"),
        ("--filter label=tier=back --filter until=0s", "front"),
    ] {
        minidock(&sandbox, &format!("container prune -f {filters}")).expect_code(0);
        assert_eq!(left(), expected, "{filters}");
    }
    let output = minidock(&sandbox, "container prune -f --filter name=front").expect_code(1);
    assert!(output.stderr.contains("invalid filter 'name'"), "{output}");
    minidock(&sandbox, "rm front").expect_code(0);
    sandbox.assert_clean();
}

/// The lines of an inventory that end with this word, by their first word.
fn kinds(output: &Output, owner: &str) -> Vec<String> {
    let lines = output.stdout.lines().filter(|line| line.ends_with(&format!(" {owner}")));
    let mut kinds: Vec<String> =
        lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
#[ignore = "needs root: runs containers"]
fn everything_has_an_owner_or_is_an_orphan() {
    let sandbox = Sandbox::new();
    let line = "run -d --name runs --userns auto -v data:/v -p 8080:80 alpine sleep 60";
    minidock(&sandbox, line).expect_code(0);
    minidock(&sandbox, "create --name made alpine true").expect_code(0);
    let output = minidock(&sandbox, "system prune --verify").expect_code(0);
    let all = [
        "cgroup",
        "container",
        "element",
        "ids",
        "lease",
        "link",
        "name",
        "process",
        "record",
        "socket",
    ];
    assert_eq!(kinds(&output, "runs"), all, "{output}");
    assert_eq!(kinds(&output, "made"), ["container", "name"], "{output}");
    assert!(kinds(&output, "kept").contains(&"volume".to_owned()), "{output}");
    assert!(kinds(&output, "orphan").is_empty(), "{output}");
    minidock(&sandbox, "rm -f runs made").expect_code(0);
    let nobody = "0123456789abcdef".repeat(4);
    let leases = sandbox.leases();
    let text = fs::read_to_string(&leases).unwrap();
    let lease = text.replace("end 0", &format!("lease 172.29.0.9 {nobody}\nend 1"));
    assert_ne!(lease, text);
    fs::write(&leases, lease).unwrap();
    symlink(&nobody, sandbox.state().join("ids/7")).unwrap();
    symlink(&nobody, sandbox.root().join("names/lost")).unwrap();
    fs::create_dir(sandbox.root().join("containers/stray")).unwrap();
    let output = minidock(&sandbox, "system prune --verify").expect_code(1);
    assert_eq!(kinds(&output, "orphan"), ["container", "ids", "lease", "name"], "{output}");
    fs::write(&leases, text).unwrap();
    fs::remove_file(sandbox.state().join("ids/7")).unwrap();
    fs::remove_file(sandbox.root().join("names/lost")).unwrap();
    fs::remove_dir(sandbox.root().join("containers/stray")).unwrap();
    minidock(&sandbox, "system prune --verify").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn links_of_others_are_not_told() {
    let sandbox = Sandbox::new();
    let script = "ip link add mdvlan0 type bridge && ip link add mdv0123456789ab type bridge";
    let in_host = |script| {
        sandbox.run(["--privileged", "--net", "host", "alpine", "sh", "-c", script]).expect_code(0)
    };
    in_host(script);
    let output = minidock(&sandbox, "system prune --verify").expect_code(0);
    let links: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" mdv")).collect();
    assert_eq!(links, ["link       mdv0123456789ab unknown"], "{output}");
    in_host("ip link del mdvlan0 && ip link del mdv0123456789ab");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_a_crash_has_left_half_written_is_seen() {
    let sandbox = Sandbox::new();
    let made = id(minidock(&sandbox, "create --name made alpine true"));
    let draft = sandbox.root().join("containers").join(made).join("config.json.1");
    OpenOptions::new().create_new(true).write(true).open(&draft).unwrap().write_all(b"{").unwrap();
    let output = minidock(&sandbox, "system prune --verify").expect_code(1);
    assert_eq!(kinds(&output, "orphan"), ["file"], "{output}");
    minidock(&sandbox, "rm made").expect_code(0);
    sandbox.assert_clean();
}
