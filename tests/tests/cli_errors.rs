//! Bad input: one line that says what is wrong, the right exit code, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use minidock_tests::Sandbox;

const TRAILER: &str = "Run 'minidock run --help' for more information";

/// Runs something that is refused, and gives the one line that says why.
#[track_caller]
fn refusal(args: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let output = sandbox.run(args).expect_code(125);
    assert_eq!(output.stdout, "", "{output}");
    let mut lines = output.stderr.lines().filter(|line| !line.is_empty() && *line != TRAILER);
    let line = lines.next().unwrap_or_default().to_owned();
    assert_eq!(lines.next(), None, "more than one line: {output}");
    sandbox.assert_clean();
    line.strip_prefix("minidock: ").unwrap_or_else(|| panic!("no prefix: {line}")).to_owned()
}

#[test]
#[ignore = "needs root: runs containers"]
fn malformed_values_are_refused_in_docker_s_words() {
    for (args, message) in [
        (
            ["-m", "1x", "alpine"],
            "invalid argument \"1x\" for \"-m, --memory\" flag: invalid suffix: 'x'",
        ),
        (
            ["--ulimit", "nofile=2:1", "alpine"],
            "invalid argument \"nofile=2:1\" for \"--ulimit\" flag: ulimit soft limit must be less \
             than or equal to hard limit: 2 > 1",
        ),
        (
            ["--ulimit", "foo=1", "alpine"],
            "invalid argument \"foo=1\" for \"--ulimit\" flag: invalid ulimit type: foo",
        ),
    ] {
        assert_eq!(refusal(&args), message);
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn malformed_values_of_every_kind_are_refused() {
    for args in [
        ["--cpus", "much"],
        ["--cpus", "0.0000001"],
        ["--cpu-shares", "-5"],
        ["--cpuset-cpus", "a"],
        ["--pids-limit", "x"],
        ["--memory", "-1"],
        ["--memory-swap", "-2"],
        ["--shm-size", "0x"],
        ["--sysctl", "novalue"],
        ["--add-host", "db"],
        ["--add-host", "db:1.2.3"],
        ["--dns", "nowhere"],
        ["--network", "no:such"],
        ["--cap-add", "foo"],
        ["--security-opt", "foo"],
        ["--device", "/dev/nosuch"],
        ["--volume", "a:b:c:d"],
        ["--volume", "/a:relative"],
        ["--mount", "type=foo,target=/x"],
        ["--mount", "type=bind"],
        ["--tmpfs", "relative"],
        ["--env-file", "/nosuch"],
        ["--env", "=x"],
        ["--workdir", "relative"],
        ["--name", "-bad"],
        ["--name", "a/b"],
        ["--name", "x"],
        ["--hostname", "a\nb"],
        ["--user", "nosuch"],
    ] {
        let line = refusal(&[args[0], args[1], "alpine", "true"]);
        assert!(!line.is_empty(), "{args:?}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_unknown_image_says_how_to_get_one() {
    for how in [["--pull", "never"], ["--pull", "always"], ["--quiet", "--rm"]] {
        let line = refusal(&[how[0], how[1], "nosuch", "true"]);
        assert!(line.contains("nosuch") && line.contains("rootfs"), "{line}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn image_names_are_names_and_not_paths() {
    for image in ["../alpine", "alpine/..", "alpine:..", "..", "/alpine", "alpine:", "a\nb", ""] {
        let line = refusal(&[image, "true"]);
        assert!(line.contains("invalid reference format") || line.contains("image"), "{line}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_name_in_use_is_refused_and_free_again_afterwards() {
    let sandbox = Sandbox::new();
    let args = ["--name", "web", "--network", "none", "-i", "alpine", "sh"];
    let mut first = sandbox.prepare_run(args).open_stdin().spawn();
    first.send("echo ready\n");
    first.wait_for_output("ready");
    let second = sandbox.run(["--name", "web", "alpine", "true"]).expect_code(125);
    assert!(second.stderr.starts_with("minidock: "), "{second}");
    assert!(second.stderr.contains("The container name \"/web\" is already in use"), "{second}");
    assert_eq!(sandbox.contained_processes().len(), 1, "the first one goes on");
    first.wait().expect_code(0);
    sandbox.run(["--name", "web", "alpine", "true"]).expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn one_of_many_gets_a_name() {
    let sandbox = Sandbox::new();
    // The one that gets it has it until all have asked.
    let args = ["run", "-d", "--name", "web", "--network", "none", "alpine", "sleep", "600"];
    let running: Vec<_> = (0..6).map(|_| sandbox.minidock(args).spawn()).collect();
    let mut codes: Vec<i32> = running.into_iter().map(|one| one.wait().code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 125, 125, 125, 125, 125]);
    sandbox.minidock(["rm", "-f", "web"]).output().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn running_nothing_is_an_error_with_usage() {
    let sandbox = Sandbox::new();
    let output = sandbox.minidock(["run"]).output();
    assert!([1, 125].contains(&output.code()), "{output}");
    assert!(output.stderr.contains(TRAILER), "{output}");
    let output = sandbox.minidock(["nosuch"]).output().expect_code(1);
    assert!(output.stderr.starts_with("minidock: "), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn help_is_not_an_error() {
    let sandbox = Sandbox::new();
    for args in [vec!["--help"], vec!["run", "--help"]] {
        let output = sandbox.minidock(args).output().expect_code(0);
        assert!(output.stdout.contains("Usage") && output.stderr.is_empty(), "{output}");
    }
}
