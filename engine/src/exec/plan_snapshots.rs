//! The plans by which typical programs join a container.

use std::path::Path;

use minidock_cgroup::Hierarchies;
use minidock_fs::Root;
use minidock_ns::{IdMap, IdMaps, Namespaces};

use crate::host::Host;
use crate::lower::{self, Facts};
use crate::plan::{Stdio, Stream};
use crate::plan_snapshots::make_image;
use crate::{ExecOptions, Explain, RootSource, RunOptions, explain, settle, spec};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn plan_of(own_ids: bool, change: impl FnOnce(&mut RunOptions, &mut ExecOptions)) -> String {
    let root = tempfile::tempdir().unwrap();
    let image = make_image(root.path());
    let mut run = RunOptions::new(RootSource::Image("alpine".to_owned()));
    let command = vec!["id".to_owned()];
    let mut exec = ExecOptions { command, ..ExecOptions::default() };
    change(&mut run, &mut exec);
    let mut host = Host::for_tests();
    let map = || vec![IdMap { inside: 0, outside: 0x5000_0000, count: 65536 }];
    let maps = || IdMaps { users: map(), groups: map(), deny_setgroups: false };
    host.ids = own_ids.then(maps);
    let run = settle::settle(&run, &host, true).unwrap();
    let tree = Root::of_layers(&image.layers).unwrap();
    let id = ID.parse().unwrap();
    let further = spec::further((&id, &run), Some(&image.base), &exec, (&tree, &host)).unwrap();
    let output = Stream::Descriptor(8);
    let stdio = if exec.tty { Stdio::default() } else { Stdio { output, ..Stdio::default() } };
    let (hierarchies, state) = (Hierarchies::parse("", ""), Path::new("/run/minidock"));
    let facts = Facts { host: &host, hierarchies: &hierarchies, state, stdio };
    let user = if own_ids { Namespaces::USER } else { Namespaces::empty() };
    let target = lower::Target {
        process: 3,
        namespaces: Namespaces::MOUNT | Namespaces::PID | Namespaces::CGROUP | user,
        tasks: vec!["/sys/fs/cgroup/pids/minidock/ID/tasks".into()],
        into_cgroup: true,
        keyring: "_exec.RANDOM".to_owned(),
    };
    let plan = lower::exec(&further, &target, &facts).unwrap();
    // The caller's own hard limit differs from machine to machine.
    let line = |line: &str| match line.contains("limit nofile=1024:") {
        true => "child limit nofile=1024:HARD\n".to_owned(),
        false => format!("{line}\n"),
    };
    explain::plan(Explain::Text, &plan, ID).lines().map(line).collect()
}

macro_rules! snapshots {
    ($($name:ident: $line:literal, $own_ids:literal, $change:expr;)*) => {
        $(#[test]
        fn $name() {
            let plan = plan_of($own_ids, $change);
            insta::with_settings!({ description => $line, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), plan);
            });
        })*
    };
}

snapshots! {
    exec: "exec web id", false, |_, _| {};
    exec_terminal: "exec -t -u www -w /srv web id", false, |_, exec| {
        (exec.tty, exec.user, exec.workdir) = (true, Some("www".into()), Some("/srv".into()));
    };
    exec_interactive: "exec -it web id", false, |_, exec| {
        (exec.tty, exec.interactive) = (true, true);
    };
    exec_detached: "exec -d --privileged web id", false, |_, exec| {
        (exec.detach, exec.privileged) = (true, true);
    };
    exec_hardened: "exec web id, where web is run --hardened", true, |run, _| run.hardened = true;
}
