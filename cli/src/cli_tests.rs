use std::os::unix::ffi::OsStringExt;

use minidock_engine::{EndpointOptions, Explain, MountSource, NetworkMode, RootSource, RunOptions};

#[path = "life_tests.rs"]
mod life;

use super::*;

fn parsed(args: &[&str]) -> Result<Command, UsageError> {
    let caller = Caller::for_tests(&[("TERM", "vt100"), ("MINIDOCK_STATE", "/tmp/state")]);
    parse(args.iter().map(OsString::from), &caller)
}

#[track_caller]
fn run(args: &[&str]) -> Run {
    let args: Vec<&str> = ["run"].iter().chain(args).copied().collect();
    match parsed(&args) {
        Ok(Command::Run(run)) => *run,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[track_caller]
fn options(flags: &[&str]) -> RunOptions {
    let args: Vec<&str> = flags.iter().chain(&["alpine"]).copied().collect();
    run(&args).options
}

#[track_caller]
fn refusal(args: &[&str]) -> String {
    let args: Vec<&str> = ["run"].iter().chain(args).copied().collect();
    parsed(&args).map(|command| panic!("{args:?}: {command:?}")).unwrap_err().to_string()
}

fn image(name: &str) -> RunOptions {
    RunOptions::new(RootSource::Image(name.to_owned()))
}

#[test]
fn without_flags_the_defaults_are_the_engines() {
    assert_eq!(options(&[]), image("alpine"));
}

#[test]
fn flags_end_at_the_image() {
    let command = ["sh", "-c", "true", "--rm", "--help", "-x", "--", "--name=y"];
    for first in [&["alpine"] as &[&str], &["--", "alpine"]] {
        let args: Vec<&str> = first.iter().chain(&command).copied().collect();
        let options = run(&args).options;
        assert_eq!(options.source, RootSource::Image("alpine".to_owned()));
        assert_eq!(options.command, command);
    }
    assert_eq!(run(&["alpine", "--", "x"]).options.command, ["--", "x"]);
    assert_eq!(run(&["--", "alpine", "--", "x"]).options.command, ["--", "x"]);
    assert_eq!(run(&["--", "alpine", "echo", "a"]).options.command, ["echo", "a"]);
    assert_eq!(run(&["-", "x"]).options.source, RootSource::Image("-".to_owned()));
    assert_eq!(run(&["", "x"]).options.source, RootSource::Image(String::new()));
}

#[test]
fn with_a_root_directory_all_is_the_command() {
    let options = run(&["--rootfs", "tree", "sh", "-c", "x"]).options;
    assert_eq!(options.source, RootSource::Directory("/home/me/tree".into()));
    assert_eq!(options.command, ["sh", "-c", "x"]);
    assert_eq!(run(&["--rootfs=/"]).options.command, [""; 0]);
    assert_eq!(run(&["--rootfs=/", "--", "sh", "--"]).options.command, ["sh", "--"]);
}

#[test]
fn booleans_combine_and_take_values() {
    for (flags, interactive, tty) in [
        (&["-it"] as &[&str], true, true),
        (&["-i", "-t"], true, true),
        (&["--interactive=1", "--tty=T"], true, true),
        (&["-i=false", "-t"], false, true),
        (&["-it=false"], true, false),
        (&["-itd=false"], true, true),
        (&["-i", "--interactive=false"], false, false),
        (&["--rm=false", "-i"], true, false),
    ] {
        let options = options(flags);
        assert_eq!((options.interactive, options.tty), (interactive, tty), "{flags:?}");
    }
    assert_eq!(run(&["--init", "true"]).options.source, RootSource::Image("true".to_owned()));
}

#[test]
fn values_come_in_every_form_and_the_last_one_counts() {
    for flags in [
        &["-m", "64m"] as &[&str],
        &["-m64m"],
        &["-m=64m"],
        &["-im64m"],
        &["--memory", "64m"],
        &["--memory=64m"],
        &["-m", "1g", "--memory=2g", "-m64m"],
    ] {
        assert_eq!(options(flags).resources.memory, Some(64 << 20), "{flags:?}");
    }
    assert_eq!(options(&["--memory-swap", "-1"]).resources.memory_swap, Some(-1));
    assert_eq!(options(&["-h", "web"]).hostname.as_deref(), Some("web"));
    assert_eq!(options(&["--network=host"]).network, Some(NetworkMode::Host));
    let several = options(&["--net", "one", "--network=name=two,alias=x", "--ip", "10.0.0.7"]);
    let (mut one, mut two) = (EndpointOptions::new("one"), EndpointOptions::new("two"));
    (one.ip, two.aliases) = (Some([10, 0, 0, 7].into()), vec!["x".to_owned()]);
    assert_eq!(several.network, Some(NetworkMode::Joined(vec![one, two])));
    let published = options(&["-p", "8080-8081:80-81", "-P", "--expose=90"]).publishing;
    assert_eq!((published.ports.len(), published.all, published.expose.len()), (2, true, 1));
    assert_eq!(options(&["-e", "--rm=1"]).env, ["--rm=1"]);
    assert_eq!(options(&["--user", "--"]).user.as_deref(), Some("--"));
    assert_eq!(options(&["-c", "512", "-u", "1:2"]).resources.cpu_shares, Some(512));
    let resources = options(&["--cpu-quota", "-1", "--cpu-period=50000"]).resources;
    assert_eq!((resources.cpu_quota, resources.cpu_period), (Some(-1), Some(50_000)));
}

#[test]
fn an_empty_value_or_a_zero_is_none() {
    let options = options(&[
        "--name=",
        "--user",
        "",
        "-w",
        "",
        "--hostname=",
        "-m",
        "0",
        "--cpus=0",
        "--cpu-quota=0",
        "--cpu-period=0",
        "--shm-size=0",
        "--cpuset-cpus=",
        "--memory-swap=0",
        "--cgroup-parent=",
    ]);
    assert_eq!(options, image("alpine"));
    assert_eq!(self::options(&["--entrypoint="]).entrypoint.as_deref(), Some(""));
    assert_eq!(self::options(&["--pids-limit=0"]).resources.pids, Some(-1));
}

#[test]
fn lists_keep_their_order() {
    let found = options(&[
        "--tmpfs",
        "/a",
        "-v",
        "./src:/b",
        "--mount",
        "type=bind,src=.,dst=/c",
        "-v",
        "/d",
    ]);
    let targets: Vec<&str> = found.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/a", "/b", "/c", "/d"]);
    let paths: Vec<&Path> = found
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some(path.as_path()),
            _ => None,
        })
        .collect();
    assert_eq!(paths, [Path::new("/home/me/src"), Path::new("/home/me")]);
    let options = options(&["--cap-add", "a", "--cap-drop=b", "--cap-add=c", "--dns", "::1"]);
    assert_eq!(
        (options.cap_add, options.cap_drop),
        (vec!["a".into(), "c".into()], vec!["b".into()])
    );
    assert_eq!(options.dns, ["::1"]);
}

#[test]
fn variables_of_files_come_before_those_of_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("env");
    std::fs::write(&file, "A=file\nTERM\nNOSUCH\n").unwrap();
    let file = file.to_str().unwrap();
    let options = options(&["-e", "A=flag", "--env-file", file, "-e", "TERM", "-e", "NOSUCH"]);
    assert_eq!(options.env, ["A=file", "TERM=vt100", "A=flag", "TERM=vt100", "NOSUCH"]);
}

#[test]
fn security_and_explanation() {
    let found = options(&["--security-opt", "no-new-privileges", "--privileged", "--read-only"]);
    assert!(found.no_new_privileges && found.privileged && found.read_only);
    let option = |words: &[&str]| {
        let flags: Vec<&str> = words.iter().flat_map(|word| ["--security-opt", word]).collect();
        options(&flags)
    };
    assert!(option(&["no-new-privileges", "seccomp=unconfined"]).no_new_privileges);
    assert!(!option(&["no-new-privileges", "no-new-privileges=0"]).no_new_privileges);
    assert_eq!(option(&["apparmor=unconfined", "label:disable"]), image("alpine"));
    for (flag, explain) in [
        ("--explain", Explain::Text),
        ("--explain=text", Explain::Text),
        ("--explain=json", Explain::Json),
        ("--explain=sh", Explain::Shell),
    ] {
        assert_eq!(run(&[flag, "alpine"]).reporting.explain, explain);
    }
    let reporting = run(&["--dry-run", "alpine"]).reporting;
    assert!(reporting.dry_run && reporting.explain == Explain::Off);
}

#[test]
fn directories_are_flags_then_variables_then_defaults() {
    let found = run(&["alpine"]);
    assert_eq!(
        (found.places.root, found.places.state),
        ("/var/lib/minidock".into(), "/tmp/state".into())
    );
    let Ok(Command::Run(found)) = parsed(&["--root=x", "--state", "/s", "run", "alpine"]) else {
        panic!("refused")
    };
    assert_eq!((found.places.root, found.places.state), ("/home/me/x".into(), "/s".into()));
    assert_eq!(refusal(&["--root", "/x", "alpine"]), "unknown flag: --root");
}

#[test]
fn bad_flags_are_told_in_dockers_words() {
    let boolean = "flag: strconv.ParseBool: parsing \"maybe\": invalid syntax";
    for (args, message) in [
        (&["--foo", "alpine"] as &[&str], "unknown flag: --foo"),
        (&["--foo=1", "alpine"], "unknown flag: --foo"),
        (&["-x", "alpine"], "unknown shorthand flag: 'x' in -x"),
        (&["-txi", "alpine"], "unknown shorthand flag: 'x' in -xi"),
        (&["-1", "alpine"], "unknown shorthand flag: '1' in -1"),
        (&["--name"], "flag needs an argument: --name"),
        (&["-m"], "flag needs an argument: 'm' in -m"),
        (&["-im"], "flag needs an argument: 'm' in -m"),
        (
            &["-d=maybe", "alpine"],
            &format!("invalid argument \"maybe\" for \"-d, --detach\" {boolean}"),
        ),
        (&["--rm=maybe", "alpine"], &format!("invalid argument \"maybe\" for \"--rm\" {boolean}")),
        (
            &["-i=maybe", "alpine"],
            &format!("invalid argument \"maybe\" for \"-i, --interactive\" {boolean}"),
        ),
        (
            &["-m", "1x", "alpine"],
            "invalid argument \"1x\" for \"-m, --memory\" flag: invalid suffix: 'x'",
        ),
        (
            &["--memory=", "alpine"],
            "invalid argument \"\" for \"-m, --memory\" flag: invalid size: ''",
        ),
        (
            &["--cpu-shares", "-5", "alpine"],
            "invalid argument \"-5\" for \"-c, --cpu-shares\" flag: invalid CPU shares (-5): \
             value must be a positive integer",
        ),
        (
            &["--explain=xml", "alpine"],
            "invalid argument \"xml\" for \"--explain\" flag: must be one of \"text\", \"json\" \
             or \"sh\"",
        ),
        (
            &["--env-file", "/nosuch", "alpine"],
            "invalid argument \"/nosuch\" for \"--env-file\" flag: open /nosuch: no such file or \
             directory",
        ),
        (
            &["--net", "no:such", "alpine"],
            "invalid argument \"no:such\" for \"--network\" flag: network no:such not found: that \
             is no name",
        ),
        (&[], "\"minidock run\" requires at least 1 argument."),
        (&["--rm"], "\"minidock run\" requires at least 1 argument."),
    ] {
        assert_eq!(refusal(args), *message, "{args:?}");
    }
}

#[test]
fn what_has_no_effect_is_refused() {
    for (args, message) in [
        (
            &["-a", "stdin"] as &[&str],
            "-a, --attach is not supported: output and errors are always the \
          caller's: add the input with -i",
        ),
        (
            &["--pid=host"],
            "--pid is not supported: the container always has a namespace of its own",
        ),
        (
            &["--sig-proxy=false"],
            "--sig-proxy=false is not supported: signals are always passed on",
        ),
        (&["--volumes-from=x"], "--volumes-from is not supported: name each volume with -v"),
        (
            &["--link=x"],
            "--link is not supported: join the same network: minidock network create makes one",
        ),
    ] {
        let args: Vec<&str> = args.iter().chain(&["alpine"]).copied().collect();
        assert_eq!(refusal(&args), message);
    }
}

#[test]
fn what_holds_anyway_is_taken() {
    for flag in [
        "--quiet",
        "-q",
        "--sig-proxy",
        "--sig-proxy=true",
        "--disable-content-trust",
        "--oom-kill-disable=false",
        "--detach=false",
        "-P=0",
    ] {
        assert_eq!(options(&[flag]), image("alpine"), "{flag}");
    }
}

/// `docker run --help` of docker 28.
const DOCKERS: &str = "add-host annotation attach blkio-weight blkio-weight-device cap-add \
    cap-drop cgroup-parent cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota \
    cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device \
    device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops \
    disable-content-trust dns dns-opt dns-option dns-search domainname entrypoint env env-file \
    expose gpus group-add health-cmd health-interval health-retries health-start-interval \
    health-start-period health-timeout help hostname init interactive io-maxbandwidth io-maxiops \
    ip ip6 ipc isolation kernel-memory label label-file link link-local-ip \
    mac-address memory memory-reservation memory-swap memory-swappiness mount name net net-alias \
    network network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform \
    privileged publish publish-all pull quiet read-only restart rm runtime security-opt shm-size \
    sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user \
    userns uts volume volume-driver volumes-from workdir";

#[test]
fn every_flag_of_dockers_is_known() {
    let declared = refused::with_refused(RunArgs::command());
    let known: Vec<&str> = declared
        .get_arguments()
        .flat_map(|arg| arg.get_all_aliases().into_iter().flatten().chain(arg.get_long()))
        .collect();
    let unknown: Vec<&str> =
        DOCKERS.split_whitespace().filter(|flag| !known.contains(flag)).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn help_and_version_are_texts() {
    let text = |args: &[&str]| match parsed(args) {
        Ok(Command::Show(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(&["--version"]), format!("minidock {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(text(&["--help"]), include_str!("../tests/snapshots/minidock.txt"));
    assert_eq!(text(&[]), text(&["--help"]));
    for args in [&["run", "--help"] as &[&str], &["run", "-it", "--help", "alpine"]] {
        assert_eq!(text(args), include_str!("../tests/snapshots/run.txt"));
    }
    assert_eq!(text(&["exec", "--help"]), include_str!("../tests/snapshots/exec.txt"));
}

#[test]
fn bad_command_lines_of_minidock_itself() {
    for (args, message) in [
        (&["nosuch"] as &[&str], "unknown command: minidock nosuch"),
        (&["nosuch", "--help"], "unknown command: minidock nosuch"),
        (&["--foo", "run", "alpine"], "unknown flag: --foo"),
        (&["-h"], "unknown shorthand flag: 'h' in -h"),
        (&["--root"], "flag needs an argument: --root"),
        (&["exec", "web"], "\"minidock exec\" requires at least 2 arguments."),
    ] {
        assert_eq!(parsed(args).unwrap_err().to_string(), message, "{args:?}");
    }
}

#[test]
fn arguments_are_utf8() {
    let args = ["run".into(), "alpine".into(), OsString::from_vec(b"a\xff".to_vec())];
    let error = parse(args, &Caller::for_tests(&[])).unwrap_err();
    assert_eq!(error.to_string(), "argument \"a\\xFF\" is not valid UTF-8");
}
