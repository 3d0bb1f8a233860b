//! Health checks: what the probes tell, where it is shown, and that nothing of them is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Sandbox, kill_process, monitor_of};

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

/// A detached container `web` that is doing nothing, with a check; its id.
fn checked(sandbox: &Sandbox, options: &[&str], line: &str) -> String {
    let before = ["run", "-d", "--network", "none", "--name", "web", "--health-cmd", line];
    let after = ["alpine", "sleep", "1000"];
    let args: Vec<&str> = before.iter().chain(options).chain(&after).copied().collect();
    ok(sandbox, &args).text().to_owned()
}

const OFTEN: [&str; 2] = ["--health-interval", "100ms"];

/// A part of the description of `web`.
#[track_caller]
fn health(sandbox: &Sandbox, template: &str) -> String {
    let output = ok(sandbox, &["inspect", "-f", &format!("{{{{{template}}}}}"), "web"]);
    assert_eq!(output.stderr, "", "{output}");
    output.text().to_owned()
}

fn status(sandbox: &Sandbox) -> String {
    health(sandbox, ".State.Health.Status")
}

/// Waits until something holds of what is shown; that.
#[track_caller]
fn wait_for(show: impl Fn() -> String, holds: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let shown = show();
        if holds(&shown) {
            return shown;
        }
        assert!(Instant::now() < deadline, "it does not come to hold: {shown}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn wait_for_status(sandbox: &Sandbox, wanted: &str) {
    wait_for(|| status(sandbox), |status| status == wanted);
}

/// Of each probe that is remembered, the exit code and the output.
fn log(sandbox: &Sandbox) -> String {
    let each = "range .State.Health.Log}}{{.ExitCode}} {{json .Output}};{{end";
    health(sandbox, each)
}

fn remove(sandbox: &Sandbox) {
    ok(sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

/// The actions that are noted of `web`, in order.
fn actions(sandbox: &Sandbox, filter: &str) -> Vec<String> {
    let args = ["events", "--since", "0", "--until", "0s", "-f", "container=web", "-f", filter];
    let args = [&args[..], &["--format", "{{.Action}}"]].concat();
    ok(sandbox, &args).stdout.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_is_as_its_probes_say() {
    let sandbox = Sandbox::new();
    checked(&sandbox, &[&OFTEN[..], &["--health-retries", "2"]].concat(), "test -e /ok");
    let shown = |filter: &str| {
        let filter = format!("health={filter}");
        ok(&sandbox, &["ps", "-f", &filter, "--format", "{{.Status}} {{.HealthStatus}}"]).stdout
    };
    wait_for_status(&sandbox, "unhealthy");
    let streak = health(&sandbox, ".State.Health.FailingStreak");
    assert!(streak.parse::<u32>().unwrap() >= 2, "{streak}");
    assert!(shown("unhealthy").ends_with(" (unhealthy) unhealthy\n"), "{}", shown("unhealthy"));
    assert_eq!((shown("healthy"), shown("none")), (String::new(), String::new()));
    ok(&sandbox, &["exec", "web", "touch", "/ok"]);
    wait_for_status(&sandbox, "healthy");
    assert_eq!(health(&sandbox, ".State.Health.FailingStreak"), "0");
    assert!(shown("healthy").ends_with(" (healthy) healthy\n"), "{}", shown("healthy"));
    ok(&sandbox, &["exec", "web", "rm", "/ok"]);
    wait_for_status(&sandbox, "unhealthy");
    let expected = ["unhealthy", "healthy", "unhealthy"];
    let expected = expected.map(|status| format!("health_status: {status}"));
    assert_eq!(actions(&sandbox, "event=health_status"), expected);
    assert_eq!(actions(&sandbox, "event=health_status: healthy").len(), 1);
    let line = "/bin/sh -c test -e /ok";
    for (filter, action) in [("exec_create", ": "), ("exec_start", ": ")] {
        let action = format!("{filter}{action}{line}");
        let all = actions(&sandbox, &format!("event={filter}"));
        // Beside the two programs from above there are probes alone.
        let others = all.iter().filter(|one| **one != action);
        assert!(all.len() > 6 && others.count() == 2, "{all:?}");
    }
    assert!(actions(&sandbox, "event=exec_die").len() > 4);
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn before_the_first_probe_it_is_starting() {
    let sandbox = Sandbox::new();
    let options = ["--health-interval", "1h", "--health-retries", "7"];
    checked(&sandbox, &options, "true");
    assert_eq!(status(&sandbox), "starting");
    assert_eq!(health(&sandbox, "json .State.Health.Log"), "[]");
    let shown = ok(&sandbox, &["ps", "-f", "health=starting", "--format", "{{.Status}}"]);
    assert!(shown.stdout.starts_with("Up ") && shown.stdout.ends_with(" (health: starting)\n"));
    assert_eq!(
        health(&sandbox, "json .Config.Healthcheck"),
        r#"{"Interval":3600000000000,"Retries":7,"Test":["CMD-SHELL","true"]}"#
    );
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_output_of_the_last_five_probes_is_kept() {
    let sandbox = Sandbox::new();
    let line = "echo x >> /n; echo >&2 begun; wc -l < /n; head -c 5000 /dev/zero | tr '\\0' y";
    checked(&sandbox, &OFTEN, line);
    let count = || health(&sandbox, "len .State.Health.Log");
    let log = || {
        wait_for(|| health(&sandbox, "json .State.Health.Log"), |log| log.contains("begun\\n7\\n"))
    };
    let log = log();
    assert_eq!(count(), "5");
    assert!(!log.contains("begun\\n2\\n"), "{log}");
    let kept = format!("7\\n{}...\"", "y".repeat(4096 - "begun\n7\n".len()));
    assert!(log.contains(&kept), "{log}");
    let times = health(&sandbox, "range .State.Health.Log}}{{le .Start .End}} {{end");
    assert_eq!(times, "true true true true true");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn failures_do_not_count_while_it_starts() {
    let sandbox = Sandbox::new();
    // Only the start interval lets probes come before the test is given up.
    let options = ["--health-interval", "1h", "--health-start-interval", "100ms"];
    let more = ["--health-start-period", "1h", "--health-retries", "1"];
    checked(&sandbox, &[&options[..], &more].concat(), "test -e /ok");
    wait_for(|| health(&sandbox, "len .State.Health.Log"), |length| length == "5");
    assert_eq!(status(&sandbox), "starting");
    assert_eq!(health(&sandbox, ".State.Health.FailingStreak"), "0");
    ok(&sandbox, &["exec", "web", "touch", "/ok"]);
    wait_for_status(&sandbox, "healthy");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_probe_that_takes_too_long_is_killed() {
    let sandbox = Sandbox::new();
    let options = [&OFTEN[..], &["--health-timeout", "500ms", "--health-retries", "2"]].concat();
    checked(&sandbox, &options, "echo begun; sleep 600; true");
    wait_for_status(&sandbox, "unhealthy");
    let text = wait_for(|| log(&sandbox), |log| log.contains("begun"));
    let expected = r#"-1 "Health check exceeded timeout (500ms): begun\n";"#;
    assert!(text.contains(expected), "{text}");
    let running = ok(&sandbox, &["top", "web", "-eo", "args"]).stdout;
    let sleeping = running.lines().filter(|line| line.contains("sleep 600"));
    // One that goes on: its shell and what that has started.
    assert!(sleeping.count() <= 2, "{running}");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_probe_that_cannot_be_executed_fails_and_says_why() {
    let sandbox = with_check(r#"{"Test":["CMD","/nosuch"],"Interval":100000000,"Retries":1}"#);
    ok(&sandbox, &["run", "-d", "--net", "none", "--name", "web", "checked", "sleep", "1000"]);
    wait_for_status(&sandbox, "unhealthy");
    let log = log(&sandbox);
    assert!(log.starts_with("-1 ") && log.contains("/nosuch"), "{log}");
    remove(&sandbox);
}

/// A sandbox that has an image `checked` too, which is like alpine but for a health check.
fn with_check(check: &str) -> Sandbox {
    let sandbox = Sandbox::with_own_images();
    let store = sandbox.images();
    let mut image = store.resolve("alpine").unwrap().image;
    image.config.config.healthcheck = serde_json::from_str(check).unwrap();
    let names = ["checked".parse().unwrap()];
    minidock_image::add_image(&store, &image.manifest.layers, &image.config, &names).unwrap();
    sandbox
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_image_s_check_holds_where_nothing_else_is_asked_for() {
    let sandbox = with_check(r#"{"Test":["CMD","touch","/probed"],"Interval":3600000000000}"#);
    let create = |options: &[&str]| {
        let args = [&["create", "--net", "none", "--name", "web"], options, &["checked", "true"]];
        ok(&sandbox, &args.concat());
        let check = health(&sandbox, "json .Config.Healthcheck");
        ok(&sandbox, &["rm", "web"]);
        check
    };
    let own = r#""Test":["CMD","touch","/probed"]}"#;
    assert_eq!(create(&[]), format!("{{\"Interval\":3600000000000,{own}"));
    assert_eq!(create(&OFTEN), format!("{{\"Interval\":100000000,{own}"));
    assert!(create(&["--health-cmd", "x"]).contains(r#""Test":["CMD-SHELL","x"]"#));
    assert!(create(&["--no-healthcheck"]).contains(r#""Test":["NONE"]"#));
    let args = ["run", "-d", "--net", "none", "--name", "web", "--no-healthcheck", "checked"];
    ok(&sandbox, &[&args[..], &["sleep", "1000"]].concat());
    assert_eq!(health(&sandbox, "if .State.Health}}x{{else}}none{{end"), "none");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    for (flags, message) in [
        (["--health-interval", "999us"], "Interval in Healthcheck cannot be less than 1ms"),
        (["--health-timeout", "1us"], "Timeout in Healthcheck cannot be less than 1ms"),
        (["--health-start-period", "1ns"], "StartPeriod in Healthcheck cannot be less than 1ms"),
        (["--health-start-interval", "1ns"], "StartInterval in Healthcheck cannot be"),
        (["--health-retries", "-1"], "--health-retries cannot be negative"),
    ] {
        for command in ["run", "create"] {
            let args = [&[command], &flags[..], &["alpine", "true"]].concat();
            // It is the engine that refuses intervals, not the command line.
            let engine_s = command == "create" && message.contains(" in Healthcheck ");
            let code = if engine_s { 1 } else { 125 };
            let output = sandbox.minidock(args).output().expect_code(code);
            assert!(output.stderr.contains(message), "{output}");
        }
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_probe_has_the_container_s_own_powers() {
    let sandbox = Sandbox::new();
    let facts = "id -u; id -g; pwd; echo $X; hostname; \
                 grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; \
                 for kind in mnt pid net; do readlink /proc/self/ns/$kind; done";
    let options = ["-u", "7:8", "-w", "/tmp", "-e", "X=y", "--cap-add", "SYS_TIME"];
    let options = [&OFTEN[..], &options, &["--security-opt", "no-new-privileges"]].concat();
    checked(&sandbox, &options, facts);
    wait_for_status(&sandbox, "healthy");
    let output = health(&sandbox, "(index .State.Health.Log 0).Output");
    assert_eq!(output, ok(&sandbox, &["exec", "web", "sh", "-c", facts]).text());
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn without_root_health_is_checked_too() {
    let sandbox = Sandbox::rootless();
    checked(&sandbox, &OFTEN, "id -u");
    wait_for_status(&sandbox, "healthy");
    assert!(log(&sandbox).starts_with(r#"0 "0\n";"#), "{}", log(&sandbox));
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_results_of_paused_probes_do_not_count() {
    let sandbox = Sandbox::new();
    let line = "test ! -e /slow || { rm /slow; sleep 600; }";
    let options = [&OFTEN[..], &["--health-timeout", "8s", "--health-retries", "1"]].concat();
    checked(&sandbox, &options, line);
    wait_for_status(&sandbox, "healthy");
    ok(&sandbox, &["exec", "web", "touch", "/slow"]);
    let slow = || ok(&sandbox, &["exec", "web", "ls", "/"]).stdout;
    wait_for(slow, |files| !files.contains("slow"));
    ok(&sandbox, &["pause", "web"]);
    let before = health(&sandbox, "json .State.Health.Log");
    for _ in 0..20 {
        assert_eq!(health(&sandbox, "json .State.Health.Log"), before);
    }
    ok(&sandbox, &["unpause", "web"]);
    // The one that was paused is over when there is a later one.
    wait_for(|| health(&sandbox, "json .State.Health.Log"), |log| log != before);
    assert_eq!(actions(&sandbox, "event=health_status"), ["health_status: healthy"]);
    assert!(!log(&sandbox).contains("-1"), "{}", log(&sandbox));
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_restart_begins_anew() {
    let sandbox = Sandbox::new();
    checked(&sandbox, &[&OFTEN[..], &["--health-retries", "1"]].concat(), "false");
    wait_for_status(&sandbox, "unhealthy");
    ok(&sandbox, &["restart", "-t", "0", "web"]);
    let changes = || actions(&sandbox, "event=health_status").join(",");
    wait_for(changes, |changes| changes == "health_status: unhealthy,health_status: unhealthy");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_start_by_the_restart_policy_begins_anew() {
    let sandbox = Sandbox::new();
    let options = ["run", "-d", "--net", "none", "--name", "web", "--restart", "always"];
    let check = ["--health-cmd", "true", "--health-interval", "100ms"];
    let script = "until test -e /end; do sleep 0.1; done; rm /end";
    ok(&sandbox, &[&options[..], &check, &["alpine", "sh", "-c", script]].concat());
    wait_for_status(&sandbox, "healthy");
    ok(&sandbox, &["exec", "web", "touch", "/end"]);
    let changes = || actions(&sandbox, "event=health_status").join(",");
    wait_for(changes, |changes| changes == "health_status: healthy,health_status: healthy");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_end_of_the_container_is_the_end_of_its_probe() {
    let sandbox = Sandbox::new();
    checked(&sandbox, &OFTEN, "touch /begun; sleep 600");
    let files = || ok(&sandbox, &["exec", "web", "ls", "/"]).stdout;
    wait_for(files, |files| files.contains("begun"));
    ok(&sandbox, &["stop", "-t", "0", "web"]);
    assert_eq!(health(&sandbox, ".State.Status"), "exited");
    // As docker has it.
    assert_eq!(status(&sandbox), "unhealthy");
    assert_eq!(log(&sandbox), "");
    assert_eq!(actions(&sandbox, "event=health_status"), [""; 0]);
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn nothing_of_a_probe_survives_whoever_started_it() {
    let sandbox = Sandbox::new();
    let id = checked(&sandbox, &OFTEN, "touch /begun; sleep 600");
    let files = || ok(&sandbox, &["exec", "web", "ls", "/"]).stdout;
    wait_for(files, |files| files.contains("begun"));
    kill_process(monitor_of(&id));
    let left = || format!("{:?}", sandbox.contained_processes());
    wait_for(left, |left| left == "[]");
    ok(&sandbox, &["ps"]);
    assert_eq!(health(&sandbox, ".State.Status"), "exited");
    remove(&sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_in_the_foreground_is_checked_as_well() {
    let sandbox = Sandbox::new();
    let options = ["--health-cmd", "touch /probed", "--health-interval", "100ms", "--name", "web"];
    for explain in [&[] as &[&str], &["--explain"]] {
        let script = "until test -e /end; do sleep 0.1; done; ls /probed";
        let options = [&options[..], explain].concat();
        let running = sandbox.prepare_sh(&options, script).spawn();
        let shown = || ok(&sandbox, &["ps", "--format", "{{.Status}}"]).stdout;
        wait_for(shown, |status| status.ends_with(" (healthy)\n"));
        ok(&sandbox, &["exec", "web", "touch", "/end"]);
        assert_eq!(running.wait().expect_code(0).stdout, "/probed\n");
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_damaged_result_is_no_health_and_told() {
    let sandbox = Sandbox::new();
    let id = checked(&sandbox, &["--health-interval", "1h"], "true");
    let file = sandbox.state().join("containers").join(id).join("health.json");
    let whole = fs::read(&file).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", b"\xff\0", b"[]"] {
        fs::write(&file, damaged).unwrap();
        let args: [&[&str]; 2] = [
            &["ps", "--format", "{{.HealthStatus}}"],
            &["inspect", "-f", "{{.State.Health}}", "web"],
        ];
        for (args, shown) in args.iter().zip(["none\n", "<nil>\n"]) {
            let output = ok(&sandbox, args);
            assert_eq!(output.stdout, shown, "{output}");
            assert!(output.stderr.starts_with("minidock: warning: "), "{output}");
            assert!(output.stderr.contains("health.json is damaged"), "{output}");
        }
    }
    remove(&sandbox);
}
