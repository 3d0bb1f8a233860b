use minidock_engine::{Healthcheck, LogDriver, RestartPolicy};

use super::*;
use crate::commands::run::How;

#[test]
fn a_container_runs_where_it_is_asked_to() {
    for (args, how) in [
        (&["run"] as &[&str], How::Foreground),
        (&["run", "-d"], How::Detached),
        (&["run", "-itd"], How::Detached),
        (&["run", "--detach=false"], How::Foreground),
        (&["create"], How::Create),
    ] {
        let args: Vec<&str> = args.iter().chain(&["alpine"]).copied().collect();
        match parsed(&args) {
            Ok(Command::Run(run)) => assert_eq!(run.how, how, "{args:?}"),
            other => panic!("{args:?}: {other:?}"),
        }
    }
}

#[test]
fn its_life_is_described() {
    let flags = ["--rm", "--stop-signal", "INT", "--stop-timeout", "-1", "-l", "a=b", "-lc"];
    let lifecycle = options(&flags).lifecycle;
    assert!(lifecycle.auto_remove);
    assert_eq!((lifecycle.stop_signal, lifecycle.stop_timeout), (Some(2), Some(-1)));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(lifecycle.labels, [pair("a", "b"), pair("c", "")]);
    for (policy, expected) in [
        ("no", RestartPolicy::No),
        ("on-failure", RestartPolicy::OnFailure(0)),
        ("on-failure:3", RestartPolicy::OnFailure(3)),
        ("always", RestartPolicy::Always),
        ("unless-stopped", RestartPolicy::UnlessStopped),
    ] {
        assert_eq!(options(&["--restart", policy]).lifecycle.restart, expected);
    }
    for policy in ["sometimes", "always:3", "on-failure:x", "on-failure:-1"] {
        refusal(&["--restart", policy, "alpine"]);
    }
    assert_eq!(
        refusal(&["--rm", "--restart", "always", "alpine"]),
        "conflicting options: cannot specify both --restart and --rm"
    );
}

#[test]
fn its_log_is_described() {
    let log = options(&["--log-opt", "max-size=1k", "--log-opt", "max-file=2"]).lifecycle.log;
    assert_eq!((log.driver, log.max_size, log.max_file), (LogDriver::JsonFile, Some(1000), 2));
    assert_eq!(options(&["--log-driver=none"]).lifecycle.log.driver, LogDriver::None);
    for (flags, message) in [
        (["--log-driver", "syslog"], "logger: no log driver named 'syslog' is registered"),
        (["--log-opt", "max-file=0"], "max-file cannot be less than 1"),
        (["--log-opt", "x=1"], "unknown log opt 'x' for json-file log driver"),
    ] {
        let args: Vec<&str> = flags.iter().chain(&["alpine"]).copied().collect();
        assert_eq!(refusal(&args), message);
    }
}

#[test]
fn a_command_may_have_two_words() {
    match parsed(&["system", "prune", "-f", "--volumes"]) {
        Ok(Command::Verb(verb, ..)) => assert_eq!(verb.name, "system prune"),
        other => panic!("{other:?}"),
    }
    for (args, message) in [
        (&["system", "nosuch"] as &[&str], "unknown command: minidock system nosuch"),
        (&["system"], "unknown command: minidock system"),
        (&["nosuch", "prune"], "unknown command: minidock nosuch"),
        (&["prune"], "unknown command: minidock prune"),
        (&["container", "prune", "x"], "\"minidock container prune\" accepts no arguments."),
    ] {
        assert_eq!(parsed(args).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_number_of_arguments_is_checked() {
    for (args, message) in [
        (&["stop"] as &[&str], "\"minidock stop\" requires at least 1 argument."),
        (&["rename", "a"], "\"minidock rename\" requires 2 arguments."),
        (&["port"], "\"minidock port\" requires at least 1 and at most 2 arguments."),
        (&["ps", "x"], "\"minidock ps\" accepts no arguments."),
        (&["attach", "a", "b"], "\"minidock attach\" requires 1 argument."),
    ] {
        assert_eq!(parsed(args).unwrap_err().to_string(), message);
    }
    // Flags may come after arguments, but for what runs a program.
    assert!(matches!(parsed(&["stop", "web", "-t", "5"]), Ok(Command::Verb(..))));
}

#[test]
fn its_health_is_described() {
    let health = |flags: &[&str]| options(flags).lifecycle.health;
    assert_eq!(health(&[]), None);
    assert_eq!(health(&["--health-cmd=", "--health-interval", "0", "--health-retries=0"]), None);
    assert_eq!(health(&["--no-healthcheck"]), Some(Healthcheck::none()));
    let flags = ["--health-cmd", "a | b", "--health-interval", "1m30s", "--health-timeout=1ms"];
    let more = ["--health-retries", "7", "--health-start-period=2s", "--health-start-interval=3s"];
    let expected = Healthcheck {
        interval: 90_000_000_000,
        timeout: 1_000_000,
        retries: 7,
        start_period: 2_000_000_000,
        start_interval: 3_000_000_000,
        ..Healthcheck::shell("a | b")
    };
    assert_eq!(health(&[&flags[..], &more].concat()), Some(expected));
    let alone = Healthcheck { retries: 1, ..Healthcheck::default() };
    assert_eq!(health(&["--health-retries", "1"]), Some(alone));
}

#[test]
fn a_health_check_that_makes_no_sense_is_refused() {
    for (flags, message) in [
        (&["--health-interval", "-1s"] as &[&str], "--health-interval cannot be negative"),
        (&["--health-timeout=-1s"], "--health-timeout cannot be negative"),
        (&["--health-retries", "-1"], "--health-retries cannot be negative"),
        (&["--health-start-period=-1s"], "--health-start-period cannot be negative"),
        (&["--health-start-interval=-1s"], "--health-start-interval cannot be negative"),
        (
            &["--no-healthcheck", "--health-cmd=x"],
            "--no-healthcheck conflicts with --health-* options",
        ),
        (
            &["--health-interval", "x"],
            "invalid argument \"x\" for \"--health-interval\" flag: time: invalid duration \"x\"",
        ),
    ] {
        let args: Vec<&str> = flags.iter().chain(&["alpine"]).copied().collect();
        assert_eq!(refusal(&args), message);
    }
}
