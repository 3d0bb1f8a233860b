//! What is shown of containers: their list, their description, their output and what has happened.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use minidock_tests::{Output, Sandbox};

/// A detached container that is doing nothing; its id.
fn detached(sandbox: &Sandbox, options: &[&str], command: &[&str]) -> String {
    let args = ["run", "-d", "--network", "none"].iter().chain(options);
    let args: Vec<&str> = args.chain(&["alpine"]).chain(command).copied().collect();
    sandbox.minidock(args).output().expect_code(0).text().to_owned()
}

fn sleeping(sandbox: &Sandbox, options: &[&str]) -> String {
    detached(sandbox, options, &["sleep", "60"])
}

#[track_caller]
fn shown(sandbox: &Sandbox, args: &[&str]) -> Output {
    let output = sandbox.minidock(args).output().expect_code(0);
    assert_eq!(output.stderr, "", "{output}");
    output
}

fn remove_all(sandbox: &Sandbox) {
    let ids = sandbox.minidock(["ps", "-aq", "--no-trunc"]).output();
    let args = ["rm", "-f"].into_iter().chain(ids.stdout.lines());
    sandbox.minidock(args).output().expect_code(0);
}

#[test]
#[ignore = "needs root: runs containers"]
fn containers_are_listed() {
    let sandbox = Sandbox::new();
    let header = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n";
    assert_eq!(shown(&sandbox, &["ps", "-a"]).stdout, header);
    let one = sleeping(&sandbox, &["--name", "one", "-l", "tier=front"]);
    let two = detached(&sandbox, &["--name", "two"], &["sh", "-c", "echo 12345 > /x; exit 3"]);
    sandbox.minidock(["wait", "two"]).output().expect_code(0);
    let table = shown(&sandbox, &["ps"]).stdout;
    let line = table.lines().nth(1).unwrap();
    assert!(line.starts_with(&format!("{}   alpine    \"sleep 60\"   ", &one[..12])), "{table}");
    assert!(line.contains(" ago   Up ") && line.ends_with("   one"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    let ids = format!("{two}\n{one}\n");
    assert_eq!(shown(&sandbox, &["ps", "-aq", "--no-trunc"]).stdout, ids);
    assert_eq!(shown(&sandbox, &["ps", "-lq"]).text(), &two[..12]);
    assert_eq!(shown(&sandbox, &["ps", "-n1", "-q"]).text(), &two[..12]);
    for (filter, names) in [
        ("status=exited", "two"),
        ("label=tier=front", "one"),
        ("since=one", ""),
        ("ancestor=alpine", "one"),
        ("network=none", "one"),
    ] {
        let output = shown(&sandbox, &["ps", "-f", filter, "--format", "{{.Names}}"]);
        assert_eq!(output.text(), names, "{filter}");
    }
    let sized = shown(&sandbox, &["ps", "-as", "--format", "{{.Names}} {{.Size}}"]).stdout;
    assert!(sized.starts_with("two 6B (virtual ") && sized.contains("one 0B (virtual"), "{sized}");
    let row = shown(&sandbox, &["ps", "-a", "-f", "exited=3", "--format", "json"]).stdout;
    assert!(row.contains("\"Status\":\"Exited (3) ") && row.contains("\"Size\":\"0B\""), "{row}");
    sandbox.minidock(["pause", "one"]).output().expect_code(0);
    let status = shown(&sandbox, &["ps", "--format", "{{.Status}}"]).stdout;
    assert!(status.ends_with(" (Paused)\n"), "{status}");
    let output = sandbox.minidock(["ps", "-f", "foo=1"]).output().expect_code(1);
    assert_eq!(output.stderr, "minidock: invalid filter 'foo'\n");
    remove_all(&sandbox);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn damaged_containers_are_listed_as_dead() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--name", "hurt"], &["true"]);
    sandbox.minidock(["wait", "hurt"]).output().expect_code(0);
    fs::write(sandbox.root().join("containers").join(&id).join("config.json"), "{").unwrap();
    let output = sandbox.minidock(["ps", "-a"]).output().expect_code(0);
    let line = output.stdout.lines().nth(1).unwrap_or_default();
    assert!(line.starts_with(&id[..12]) && line.contains(" Dead "), "{output}");
    assert!(line.ends_with(" hurt"), "{output}");
    assert!(output.stderr.starts_with("minidock: warning: ") && output.stderr.contains("damaged"));
    sandbox.minidock(["rm", "-f", "hurt"]).output().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_listing_cleans_up_after_killed_engines() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.spawn(["alpine", "sh", "-c", "echo ready; exec sleep 60"]);
    running.wait_for_output("ready");
    // The program may be faster than its engine, which then notes that it runs.
    sandbox.eventually(&["ps", "-q"], |listed| listed.stdout.lines().count() == 1);
    running.kill();
    running.wait();
    assert_eq!(shown(&sandbox, &["ps", "-aq"]).stdout, "");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_is_described() {
    let sandbox = Sandbox::new();
    let options = ["-d", "--name", "web", "-m", "64m", "-l", "a=b", "-e", "X=1", "-v", "/data"];
    let args = ["run"].iter().chain(&options).chain(&["alpine", "sleep", "60"]);
    let id = sandbox.minidock(args).output().expect_code(0).text().to_owned();
    let text = shown(&sandbox, &["inspect", "web"]).stdout;
    assert!(text.starts_with("[\n    {\n        \"AppArmorProfile\": \"\",\n"), "{text}");
    assert!(text.ends_with("    }\n]\n"), "{text}");
    for (template, expected) in [
        ("{{.Id}}", id.as_str()),
        ("{{.Name}} {{.State.Status}} {{.State.Running}}", "/web running true"),
        ("{{.Path}} {{.Args}}", "sleep [60]"),
        ("{{.HostConfig.Memory}} {{.HostConfig.NetworkMode}}", "67108864 bridge"),
        ("{{index .Config.Labels \"a\"}} {{.Config.Labels.a}}", "b b"),
        ("{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}}{{end}}", "volume /data true"),
        ("{{if .State.Health}}x{{else}}none{{end}}", "none"),
        ("{{.Config.Cmd}} {{.Config.WorkingDir}}", "[sleep 60] /"),
        ("{{.NetworkSettings.Networks.bridge.IPPrefixLen}}", "16"),
        ("{{.State.StartedAt | len | lt 20}} {{.State.FinishedAt}}", "true 0001-01-01T00:00:00Z"),
    ] {
        let output = shown(&sandbox, &["inspect", "-f", template, "web"]);
        assert_eq!(output.text(), expected, "{template}");
    }
    let environment = shown(&sandbox, &["inspect", "-f", "{{json .Config.Env}}", "web"]);
    assert!(environment.stdout.contains("\"X=1\"") && !environment.stdout.contains("HOSTNAME"));
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = shown(&sandbox, &["inspect", "-f", address, "web"]).text().to_owned();
    address.parse::<std::net::Ipv4Addr>().unwrap();
    let sizes = shown(&sandbox, &["inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "web"]);
    assert!(sizes.stdout.starts_with("0 "), "{sizes}");
    let output = sandbox.minidock(["inspect", "-f", "{{.Name}}", "nosuch", "web"]).output();
    let output = output.expect_code(1);
    assert_eq!(output.stdout, "/web\n");
    assert_eq!(output.stderr, "minidock: No such object: nosuch\n");
    let output = sandbox.minidock(["inspect", "nosuch"]).output().expect_code(1);
    assert_eq!(output.stdout, "[]\n");
    sandbox.minidock(["kill", "web"]).output().expect_code(0);
    sandbox.minidock(["wait", "web"]).output().expect_code(0);
    let state = "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}} {{.State.OOMKilled}}";
    assert_eq!(shown(&sandbox, &["inspect", "-f", state, "web"]).text(), "exited 137 0 false");
    remove_all(&sandbox);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn output_is_shown_from_the_log() {
    let sandbox = Sandbox::new();
    // Which of two streams is read first, nobody knows.
    let script = "echo two >&2; while [ ! -e /go ]; do sleep 0.05; done; echo one; echo three; \
                  printf four";
    detached(&sandbox, &["--name", "web"], &["sh", "-c", script]);
    while !sandbox.minidock(["logs", "web"]).output().expect_code(0).stderr.contains("two") {}
    sandbox.minidock(["exec", "web", "touch", "/go"]).output().expect_code(0);
    sandbox.minidock(["wait", "web"]).output().expect_code(0);
    let output = sandbox.minidock(["logs", "web"]).output().expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("one\nthree\nfour", "two\n"));
    let tail = shown(&sandbox, &["logs", "-n", "2", "web"]).stdout;
    assert_eq!(tail, "three\nfour");
    let timed = shown(&sandbox, &["logs", "-t", "--tail=1", "web"]).stdout;
    let (time, text) = timed.split_once(' ').unwrap();
    assert_eq!((time.len(), text), ("2026-11-23T13:57:27.539217824Z".len(), "four"));
    assert_eq!(shown(&sandbox, &["logs", "--until", "1h", "web"]).stdout, "");
    assert_eq!(shown(&sandbox, &["logs", "-n1", "--since", "1h", "web"]).stdout, "four");
    let output = sandbox.minidock(["logs", "--since", "foo", "web"]).output().expect_code(1);
    assert!(output.stderr.starts_with("minidock: invalid value for \"since\": "), "{output}");
    detached(&sandbox, &["--name", "mute", "--log-driver", "none"], &["echo", "x"]);
    let output = sandbox.minidock(["logs", "mute"]).output().expect_code(1);
    let message = "minidock: configured logging driver does not support reading\n";
    assert_eq!(output.stderr, message);
    let mut running = sandbox.spawn(["--name", "own", "alpine", "sh", "-c", "echo up; sleep 60"]);
    running.wait_for_output("up");
    let output = sandbox.minidock(["logs", "own"]).output().expect_code(1);
    assert!(output.stderr.contains("runs in the foreground with --rm"), "{output}");
    remove_all(&sandbox);
    running.wait().expect_code(137);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn output_is_followed_until_the_end() {
    let sandbox = Sandbox::new();
    let shared = sandbox.path().join("shared");
    let volume = format!("{}:/shared", shared.display());
    let script =
        "echo one; for i in $(seq 600); do [ -e /shared/go ] && break; sleep 0.1; done; echo two";
    detached(&sandbox, &["--name", "web", "-v", &volume], &["sh", "-c", script]);
    let mut following = sandbox.minidock(["logs", "-f", "web"]).spawn();
    following.wait_for_output("one\n");
    fs::write(shared.join("go"), "").unwrap();
    let output = following.wait().expect_code(0);
    assert_eq!(output.stdout, "one\ntwo\n");
    // Also until it is removed.
    detached(&sandbox, &["--name", "gone"], &["sh", "-c", "echo one; sleep 60"]);
    let mut following = sandbox.minidock(["logs", "-f", "gone"]).spawn();
    following.wait_for_output("one\n");
    remove_all(&sandbox);
    assert_eq!(following.wait().expect_code(0).stdout, "one\n");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn no_port_is_published() {
    let sandbox = Sandbox::new();
    sleeping(&sandbox, &["--name", "web"]);
    assert_eq!(shown(&sandbox, &["port", "web"]).stdout, "");
    let output = sandbox.minidock(["port", "web", "80"]).output().expect_code(1);
    assert_eq!(output.stderr, "minidock: Error: No public port '80' published for web\n");
    remove_all(&sandbox);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_happens_is_told() {
    let sandbox = Sandbox::new();
    let actions = |name: &str| {
        let filter = format!("container={name}");
        let args = ["events", "--since", "0", "--until", "0s", "-f", &filter];
        let output = shown(&sandbox, &[&args[..], &["--format", "{{.Action}}"]].concat());
        output.stdout.lines().collect::<Vec<_>>().join(" ")
    };
    let mut following = sandbox.minidock(["events", "-f", "event=die"]).spawn();
    sleeping(&sandbox, &["--name", "web", "--init", "-l", "tier=front"]);
    for args in [
        &["pause", "web"] as &[&str],
        &["unpause", "web"],
        &["exec", "web", "true"],
        &["update", "--restart", "no", "web"],
        &["top", "web"],
        &["cp", "web:/etc/hostname", "-"],
        &["restart", "web"],
        &["rename", "web", "web2"],
        &["stop", "web2"],
        &["rm", "web2"],
    ] {
        sandbox.minidock(args).output().expect_code(0);
    }
    // The old name is told by what came after it only.
    let expected = "create start pause unpause exec_create: true exec_start: true exec_die update \
         top archive-path kill die stop start restart rename kill die stop destroy";
    assert_eq!(actions("web"), expected);
    sandbox.sh(&["--name", "own"], "exit 7").expect_code(7);
    assert_eq!(actions("own"), "create start die destroy");
    following.wait_for_output("exitCode=7");
    following.kill();
    let output = following.wait();
    let die = output.stdout.lines().next().unwrap();
    assert!(die.contains(" container die ") && die.contains("(execDuration="), "{die}");
    assert!(die.contains(", exitCode=143, image=alpine, "), "{die}");
    assert!(die.contains("tier=front") && die.contains("name=web"), "{die}");
    let json = shown(&sandbox, &["events", "--since=0", "--until=0s", "--format=json"]).stdout;
    assert!(json.starts_with("{\"Type\":\"container\",\"Action\":\"create\","), "{json}");
    assert_eq!(shown(&sandbox, &["events", "--until", "0s"]).stdout, "");
    let output = sandbox.minidock(["events", "--format", "{{.Foo}}"]).output().expect_code(64);
    assert!(output.stderr.starts_with("minidock: Error parsing format: "), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_journal_that_cannot_be_written_stops_nothing() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root().join("events.jsonl")).unwrap();
    sandbox.sh(&[], "exit 7").expect_code(7);
    sleeping(&sandbox, &["--name", "web"]);
    remove_all(&sandbox);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_engine_and_its_host_are_described() {
    let sandbox = Sandbox::new();
    sleeping(&sandbox, &["--name", "web"]);
    sleeping(&sandbox, &["--name", "cold"]);
    sandbox.minidock(["pause", "cold"]).output().expect_code(0);
    let text = shown(&sandbox, &["info"]).stdout;
    let counts = "Containers: 2\n Running: 1\n Paused: 1\n Stopped: 0\nImages: ";
    assert!(text.starts_with(counts), "{text}");
    let root = format!("\nDocker Root Dir: {}\n", sandbox.root().display());
    let security = "\nSecurity Options:\n seccomp\n  Profile: builtin\n cgroupns\n";
    for part in ["\nStorage Driver: overlay\n", security, &root] {
        assert!(text.contains(part), "{text}");
    }
    let driver = shown(&sandbox, &["info", "-f", "{{.Driver}} {{.ContainersPaused}}"]);
    assert_eq!(driver.text(), "overlay 1");
    let json = shown(&sandbox, &["info", "--format", "json"]).stdout;
    assert!(json.starts_with("{\"Architecture\":") && json.contains("\"NCPU\":"), "{json}");
    let version = shown(&sandbox, &["version", "--format", "{{.Client.Version}}"]).stdout;
    assert_eq!(format!("minidock {version}"), shown(&sandbox, &["--version"]).stdout);
    remove_all(&sandbox);
    sandbox.assert_clean();
}
