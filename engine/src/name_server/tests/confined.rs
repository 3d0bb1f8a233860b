//! What a server has while it serves.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use super::kit::{WEB, on_host};

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn it_has_no_powers_and_nothing_of_who_has_started_it() {
    on_host(false, |host| {
        // What the caller has open and would hand on.
        let theirs = host.directory.path().join("theirs");
        let open = File::create(&theirs).unwrap();
        crate::sys::keep_on_exec(open.as_raw_fd()).unwrap();
        host.enlist("web", WEB, &[]);
        host.ensure();
        drop(open);
        let process = format!("/proc/{}", host.server().unwrap().pid());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_start_matches(':').trim().to_owned()
        };
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(value(set), "0000000000000000", "{set}");
        }
        assert_eq!((value("NoNewPrivs"), value("Seccomp")), ("1".into(), "2".into()));
        assert_eq!((value("Name"), value("Groups")), ("minidock-names".into(), "".into()));
        assert_eq!((value("Threads"), value("SigBlk")), ("1".into(), "0".repeat(16)));
        assert_ne!(value("PPid"), std::process::id().to_string());
        assert_eq!(fs::read_link(format!("{process}/cwd")).unwrap().to_str(), Some("/"));
        let session = |process: &str| {
            let stat = fs::read_to_string(format!("{process}/stat")).unwrap();
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned()
        };
        assert_ne!(session(&process), session("/proc/self"));
        let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).take(2).collect::<Vec<_>>()
        };
        assert_eq!(limit("Max core file size"), ["0", "0"]);
        assert_eq!(limit("Max file size"), ["4096", "4096"]);
        let files: u64 = limit("Max open files")[1].parse().unwrap();
        assert!(files <= 24 + 4 + 64 + 512, "{files}");
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn it_has_its_own_descriptors_only() {
    on_host(false, |host| {
        let theirs = host.directory.path().join("theirs");
        let open = File::create(&theirs).unwrap();
        crate::sys::keep_on_exec(open.as_raw_fd()).unwrap();
        host.enlist("web", WEB, &[]);
        host.ensure();
        drop(open);
        let entries = fs::read_dir(format!("/proc/{}/fd", host.server().unwrap().pid())).unwrap();
        let mut kinds: Vec<String> = entries
            .map(|entry| {
                let link = fs::read_link(entry.unwrap().path()).unwrap();
                let link = link.to_str().unwrap();
                link.replace(host.directory.path().to_str().unwrap(), "")
                    .split(":[")
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        kinds.sort();
        let expected = [
            "/dev/null",
            "/dev/null",
            "/dev/null",
            "/dev/urandom",
            "/state/names",
            "/state/net/mdtest0.names",
            "anon_inode:[timerfd]",
            "anon_inode:inotify",
            "pipe",
            "pipe",
            "socket",
            "socket",
            "socket",
            "socket",
        ];
        let expected: Vec<String> =
            expected.iter().map(|kind| kind.split(":[").next().unwrap().to_owned()).collect();
        assert_eq!(kinds, expected);
    });
}
