//! What a container sees of the host: nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use minidock_tests::Sandbox;

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_sees_only_itself_and_is_pid_1() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["--network", "none", "alpine", "ps", "aux"]).expect_code(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[1].trim().starts_with("1 root") && lines[1].ends_with("ps aux"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_host_name_is_the_short_id_and_not_the_host_s() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&[], "hostname; cat /etc/hostname; uname -n").expect_code(0);
    let ids = sandbox.ids();
    let short = ids.first().and_then(|id| id.get(..12)).unwrap();
    assert_eq!(output.stdout, format!("{short}\n").repeat(3));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_ne!(host.trim(), short);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_mount_table_shows_nothing_of_the_host() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&[], "cat /proc/self/mountinfo").expect_code(0);
    let path = sandbox.path().to_str().unwrap();
    assert!(!output.stdout.contains(path), "{output}");
    assert!(!output.stdout.contains("/layers/"), "{output}");
    let root = output.stdout.lines().next().unwrap();
    assert!(root.contains(" / / ") && root.contains(" - overlay "), "{root}");
    for line in output.stdout.lines() {
        let source = line.split(" - ").nth(1).and_then(|tail| tail.split(' ').nth(1)).unwrap();
        assert!(!source.starts_with("/dev/"), "a disk of the host: {line}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_root_of_pid_1_is_the_container_s_root() {
    let sandbox = Sandbox::new();
    let script = "stat -c %d:%i / /proc/1/root/ /proc/1/root/../../..; ls /proc/1/root/";
    let output = sandbox.sh(&[], script).expect_code(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0] == lines[1] && lines[1] == lines[2], "{output}");
    assert!(lines[3..].contains(&"etc"), "{output}");
    // What is on the host is not to be found by going up.
    let path = sandbox.path().display();
    sandbox.sh(&[], &format!("ls /proc/1/root/../../..{path}")).expect_code(1);
}

#[test]
#[ignore = "needs root: runs containers"]
fn writing_changes_neither_the_image_nor_the_next_container() {
    let sandbox = Sandbox::new();
    let name = format!("written-by-{}", std::process::id());
    let script = format!("echo x > /{name} && rm /etc/alpine-release && chmod 700 /etc && ls /");
    assert!(sandbox.sh(&[], &script).expect_code(0).stdout.contains(&name));
    assert!(!sandbox.alpine().join(&name).exists());
    assert!(sandbox.alpine().join("etc/alpine-release").is_file());
    let next = sandbox.sh(&[], "ls /; cat /etc/alpine-release; stat -c %a /etc").expect_code(0);
    assert!(!next.stdout.contains(&name) && next.text().ends_with("755"), "{next}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn no_descriptor_and_no_variable_of_the_caller_comes_along() {
    let sandbox = Sandbox::new();
    // ls itself has the directory open as a fourth descriptor.
    let output = sandbox.sh(&[], "exec ls /proc/self/fd").expect_code(0);
    assert_eq!(output.stdout, "0\n1\n2\n3\n");
    let output = sandbox.prepare_sh(&[], "env").env("SECRET", "x").output().expect_code(0);
    let mut names: Vec<&str> = output.stdout.lines().filter_map(|l| l.split('=').next()).collect();
    names.sort_unstable();
    names.retain(|name| !["PWD", "SHLVL"].contains(name));
    assert_eq!(names, ["HOME", "HOSTNAME", "PATH"], "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_belongs_to_the_host_cannot_be_written() {
    let sandbox = Sandbox::new();
    let paths = [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
        "/proc/irq/default_smp_affinity",
    ];
    for path in paths {
        // Opening is enough to tell: a hole must not change, let alone stop, the host.
        let output = sandbox.sh(&[], &format!("[ -e {path} ] || exit 9; : >> {path}"));
        assert!([1, 2, 9].contains(&output.code()), "{path}: {output}");
    }
    let script = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do \
                  mkdir $d/probe 2>/dev/null && rmdir $d/probe && echo made in $d; \
                  for f in tasks cgroup.procs; do \
                  [ -e $d/$f ] && (: >> $d/$f) 2>/dev/null && echo opened $d/$f; done; done; :";
    assert_eq!(sandbox.sh(&[], script).expect_code(0).stdout, "");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_engine_is_no_program_of_a_container() {
    let sandbox = Sandbox::new();
    let bin = sandbox.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/proc/self/exe", bin.join("link")).unwrap();
    fs::write(bin.join("script"), "#!/proc/self/exe --version\n").unwrap();
    fs::set_permissions(bin.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let volume = format!("{}:/opt", bin.display());
    for options in [&[][..], &["--init"], &["-u", "nobody"], &["--userns", "auto"]] {
        for program in ["/opt/link", "/opt/script"] {
            let mut arguments = vec!["--network", "none", "-v", &volume];
            arguments.extend(options);
            arguments.extend(["alpine", program, "--version"]);
            let output = sandbox.run(arguments).expect_code(126);
            assert!(output.stderr.contains("leads through a magic link of /proc"), "{output}");
            assert_eq!(output.stdout, "");
        }
    }
    // PID 1 would be the engine, and this a key to its file.
    let output = sandbox.sh(&["--init", "--cap-add", "SYS_PTRACE"], "true").expect_code(125);
    assert!(output.stderr.contains("the engine's own file"), "{output}");
    sandbox.sh(&["--init", "--cap-add", "SYS_PTRACE", "--userns", "auto"], "true").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_tells_of_the_host_is_masked() {
    let sandbox = Sandbox::new();
    let script = "for f in kcore keys timer_list latency_stats sched_debug; do \
                  [ -e /proc/$f ] && wc -c < /proc/$f; done; \
                  for d in /proc/acpi /proc/scsi /sys/firmware; do [ -d $d ] && ls -A $d; done; :";
    let output = sandbox.sh(&[], script).expect_code(0);
    assert!(output.stdout.lines().all(|line| line == "0"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn mounting_making_namespaces_and_raw_devices_are_refused() {
    let sandbox = Sandbox::new();
    for script in [
        "mount -t tmpfs x /etc/apk",
        "unshare -m true",
        "mknod /k c 1 11 && head -c1 /k",
        "mknod /d b 259 0 && head -c1 /d",
        "hostname \"$(hostname)\"",
    ] {
        let output = sandbox.sh(&[], script);
        assert_ne!(output.code(), 0, "{script}: {output}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn every_namespace_is_the_container_s_own() {
    let sandbox = Sandbox::new();
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let output = sandbox
        .sh(&[], "cd /proc/self/ns; for n in cgroup ipc mnt net pid uts; do readlink $n; done");
    for (name, inside) in names.iter().zip(output.expect_code(0).stdout.lines()) {
        let outside = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert!(inside.starts_with(name) && outside.to_str() != Some(inside), "{name}");
    }
    let output = sandbox.sh(&[], "cat /proc/self/cgroup").expect_code(0);
    assert!(output.stdout.lines().all(|line| line.ends_with(":/")), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_usual_devices_are_there_and_work() {
    let sandbox = Sandbox::new();
    let script = "cd /dev; for d in null zero full random urandom tty ptmx; do \
                  [ -c $d ] || echo $d; done; echo x > null; head -c4 zero urandom > /dev/null; \
                  for l in fd stdin stdout stderr; do [ -L $l ] || echo $l; done; \
                  ls -d pts shm mqueue; stat -c %a null shm";
    let output = sandbox.sh(&[], script).expect_code(0);
    assert_eq!(output.stdout, "mqueue\npts\nshm\n666\n1777\n");
    assert_eq!(output.stderr, "");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_directory_that_the_caller_has_open_is_out_of_reach() {
    let sandbox = Sandbox::new();
    let host = sandbox.path().join("host");
    std::fs::create_dir(&host).unwrap();
    for directory in ["/proc/self/fd/9", "/proc/self/fd/9/made", "/proc/self/fd/9/../made"] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "exec 9<\"$0\"; exec \"$@\""]).arg(&host);
        shell.arg(minidock_tests::binary()).arg("--root").arg(sandbox.root());
        shell.arg("--state").arg(sandbox.state());
        shell.args(["run", "--rm", "--net", "none", "-w", directory, "alpine", "pwd"]);
        let output = sandbox.invocation(shell).output().expect_code(125);
        assert!(output.stderr.contains(directory), "{output}");
    }
    assert_eq!(
        std::fs::read_dir(sandbox.path())
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name() == "made" })
            .count(),
        0
    );
    assert_eq!(std::fs::read_dir(&host).unwrap().count(), 0, "something was made on the host");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_file_of_the_caller_s_as_a_stream_stays_the_caller_s() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("file");
    fs::write(&file, "text\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let script = "cat; echo more >> /proc/self/fd/0; chmod 777 /proc/self/fd/0 /proc/self/fd/1 \
                  /proc/self/fd/2; chown 1000 /proc/self/fd/0 /proc/self/fd/1; true";
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" <\"$0\" 2>>\"$0.err\""])
        .arg(&file)
        .arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "--rm", "--net", "none", "-i", "alpine", "sh", "-c", script]);
    let output = sandbox.invocation(shell).output().expect_code(0);
    assert_eq!(output.stdout, "text\n", "{output}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "text\n");
    for path in [file.clone(), file.with_extension("err")] {
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o644, "{}", path.display());
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_link_to_proc_is_no_place_for_a_mount() {
    let sandbox = Sandbox::new();
    let rootfs = sandbox.path().join("rootfs");
    fs::create_dir(&rootfs).unwrap();
    std::os::unix::fs::symlink("/proc", rootfs.join("p")).unwrap();
    let rootfs = rootfs.display().to_string();
    let args = ["--net", "none", "--tmpfs", "/p/sys", "--rootfs", &rootfs, "true"];
    let output = sandbox.run(args).expect_code(125);
    assert!(output.stderr.contains("operation not permitted"), "{output}");
    sandbox.assert_clean();
}
