use super::*;

/// What a command line asks for, after it was written down as words and read again.
#[track_caller]
fn again(line: &[&str]) -> Vec<String> {
    let args = std::iter::once("run").chain(line.iter().copied()).map(Into::into);
    let Ok(Command::Run(run)) = cli::parse(args, &Caller::for_tests(&[("HERE", "1")])) else {
        panic!("{line:?}");
    };
    words(&run.options).unwrap_or_else(|what| panic!("{line:?}: {what:?}"))
}

#[test]
fn options_are_the_same_when_they_are_read_again() {
    for flags in [
        &[] as &[&str],
        &["-it", "--init", "--rm", "--read-only", "--privileged", "--hardened"],
        &["--name", "web", "-h", "host", "--domainname", "example.org", "--pull=never"],
        &["-e", "A=1", "-e", "B=", "-e", "GONE", "-e", "HERE", "-e", "Q=a b\"c\n$d%"],
        &[
            "-u",
            "1:2",
            "--group-add",
            "audio",
            "-w",
            "/srv",
            "--entrypoint",
            "",
            "--platform",
            "x/y",
        ],
        &["--restart", "on-failure:3", "--stop-signal", "QUIT", "--stop-timeout", "-1"],
        &["--restart", "unless-stopped", "-l", "a=1", "--label", "b"],
        &["--restart", "always", "--log-driver", "none"],
        &["--log-opt", "max-size=5m", "--log-opt", "max-file=7"],
        &["--log-opt", "max-size=-1", "--log-opt", "max-file=1"],
        &[
            "-m",
            "64m",
            "--memory-swap",
            "-1",
            "--memory-reservation",
            "1k",
            "--cpus",
            "0.123456789",
        ],
        &["--cpu-quota", "-1", "--cpu-period", "1000", "-c", "512", "--cpuset-cpus", "0-2,7"],
        &["--cpuset-mems", "0", "--pids-limit", "-1", "--blkio-weight", "10", "--shm-size", "1g"],
        &[
            "--device-write-iops",
            "/dev/a:1",
            "--device-read-bps",
            "/dev/b:2k",
            "--oom-score-adj=-5",
        ],
        &["--ulimit", "nofile=1:2", "--ulimit", "core=-1", "--cgroup-parent", "/a b"],
        &["-v", "/a:/b", "-v", "/c:/d:ro,slave", "-v", "data:/e:ro", "-v", "/f", "-v", "rel:/g"],
        &["--mount", "type=bind,\"src=/a,b\",dst=/c:d,ro,bind-recursive=disabled"],
        &["--mount", "type=bind,src=/a,dst=/c,bind-propagation=rslave"],
        &["--mount", "type=volume,src=data,\"dst=/a \"\"b\"\",c\",readonly", "--mount", "dst=/x"],
        &["--tmpfs", "/t:size=50%,mode=1770,uid=1,gid=2,nr_inodes=3,exec,suid,dev,noatime,ro"],
        &["--tmpfs", "/t", "-v", "/a:/b", "--tmpfs", "/u:nodiratime,strictatime,size=0"],
        &["--device", "/dev/null", "--device", "/dev/zero:/dev/x:r"],
        &["--network", "pasta", "-p", "8080:80"],
        &["--network", "host", "--add-host", "a:1.2.3.4", "--add-host", "b=[::1]"],
        &["--dns", "1.1.1.1", "--dns-search", ".", "--dns-option", "ndots:2"],
        &["--cap-add", "ALL", "--cap-drop", "net_raw", "--security-opt", "no-new-privileges"],
        &["--security-opt", "seccomp=unconfined", "--userns", "auto", "--sysctl", "net.a=1 2"],
    ] {
        let line = [flags, &["alpine", "sh", "-c", "--rm", "", "a b"]].concat();
        let words = again(&line);
        assert!(words.ends_with(&["alpine", "sh", "-c", "--rm", "", "a b"].map(str::to_owned)));
    }
    again(&["--rootfs", "/srv/a b", "--", "--strange", "x"]);
    again(&["--rootfs", "/srv", "sh"]);
}

#[test]
fn what_no_flag_says_is_told() {
    let mut options = RunOptions::new(RootSource::Image("alpine".to_owned()));
    options.system_calls = SystemCalls::Profile(b"{}".to_vec());
    assert_eq!(words(&options), Err(vec!["system_calls".to_owned()]));
    options.system_calls = SystemCalls::Default;
    let source = MountSource::Bind { path: "/a:b".into(), create: true, non_recursive: false };
    let target = "/c".to_owned();
    options.mounts = vec![MountRequest { source, target, read_only: false, propagation: None }];
    assert!(words(&options).is_err());
    options.mounts.clear();
    assert!(words(&options).is_ok());
}
