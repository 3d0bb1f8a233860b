//! The plan as a shell script: what a container is, in the commands of util-linux and iproute2.

use std::fmt::Write as _;
use std::path::Path;

use minidock_ns::{Namespaces, Step as Ns};
use minidock_sec::{Credentials, Step as Sec};

use crate::plan::{ChildStep, HostStep, Plan};

/// A script for a POSIX shell that does the same steps, waits, and removes what it made.
///
/// Two things a script cannot do as the engine does. Its own program would be gone after
/// pivot_root(2), while setpriv(1) has to come last: so the program enters its root by chroot(1),
/// in a mount namespace that keeps the host's mounts out of reach of a chroot only. And it makes
/// the namespaces with several processes and moves.
pub(crate) fn script(plan: &Plan, id: &str) -> String {
    let mut text = format!(
        "#!/bin/sh\n# Container {id}\nset -eu\n{}\n# --- inside ---\nchild=$(cat <<'CHILD'\n",
        host_before(plan)
    );
    text.push_str(&child_joins(plan));
    text.push_str("CHILD\n)\ninside=$(cat <<'INSIDE'\nset -eu\n");
    text.push_str(&child_lines(plan));
    text.push_str("INSIDE\n)\nexport inside\n\n");
    text.push_str(&host_start(plan));
    text
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// Everything up to the clone, and how to undo it.
fn host_before(plan: &Plan) -> String {
    let mut lines = Vec::new();
    let mut undo = Vec::new();
    for step in &plan.host {
        match step {
            HostStep::Directory { path, mode } => {
                lines.push(format!("mkdir -p -m {mode:04o} {}", quote_path(path)));
            }
            HostStep::Cgroups(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| quote_path(path)).collect();
                lines.push(format!("mkdir -p {}", paths.join(" ")));
                undo.push(format!("rmdir {}", paths.join(" ")));
            }
            HostStep::Limit(setting) => lines.extend(setting.shell()),
            HostStep::Clone { .. } => break,
            HostStep::Network(_) | HostStep::OpenGate => {}
        }
    }
    if let Some(HostStep::Directory { path, .. }) = plan.host.first() {
        undo.push(format!("rm -rf {}", quote_path(path)));
    }
    lines.push(format!("mkdir -p {}", quote_path(&plan.scratch)));
    undo.push(format!("rmdir {}", quote_path(&plan.scratch)));
    lines.insert(0, format!("undo() {{ {}; }}\ntrap undo EXIT", undo.join("; ")));
    lines.join("\n")
}

/// A shell joins its groups itself (`0` is the writer) and then needs a new program for the
/// cgroup namespace.
fn child_joins(plan: &Plan) -> String {
    let mut text = String::from("set -eu\n");
    for step in &plan.child {
        if let ChildStep::JoinCgroups(files) = step {
            for file in files {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "echo 0 > {}", quote_path(file));
            }
        }
    }
    if let Some(directory) = plan.cgroup.v2_directory() {
        let _ = writeln!(text, "echo 0 > {}", quote_path(&directory.join("cgroup.procs")));
    }
    text.push_str("exec unshare --cgroup sh -c \"$inside\"\n");
    text
}

fn child_lines(plan: &Plan) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut user = None;
    for step in &plan.child {
        match step {
            ChildStep::JoinCgroups(_)
            | ChildStep::CloseDescriptors
            | ChildStep::Null(_)
            | ChildStep::Ns(Ns::CgroupNamespace) => {}
            ChildStep::Ns(step) => lines.extend(step.shell()),
            ChildStep::Fs(minidock_fs::Step::PivotRoot(_)) => {
                lines.push("# pivot_root would take setpriv out of sight: chroot below".to_owned());
            }
            ChildStep::Fs(minidock_fs::Step::Chdir(_)) => {}
            ChildStep::Fs(step) => lines.extend(step.shell()),
            ChildStep::Sec(Sec::Credentials(credentials)) => {
                user = Some(credentials);
            }
            // unshare --kill-child sees to that.
            ChildStep::Sec(Sec::ParentDeathSignal(_)) | ChildStep::ParentLives => {}
            ChildStep::Sec(step) => lines.extend(step.shell()),
            ChildStep::Loopback => lines.push("ip link set lo up".to_owned()),
            ChildStep::Gate => lines.push("read -r _ < \"$GATE\"".to_owned()),
            ChildStep::Terminal(_) => {
                lines.push("# a terminal of its own: script(1) makes one, not a shell".to_owned());
            }
            ChildStep::Init => lines.push("# --init: this script has none".to_owned()),
            ChildStep::Execute(_) => lines.push(execute(plan, user)),
        }
    }
    lines.insert(0, "PRIV=".to_owned());
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The last command: chroot changes the user too, because without root it could not be called.
fn execute(plan: &Plan, user: Option<&Credentials>) -> String {
    let who = user.map_or(String::new(), |who| {
        let groups: Vec<String> = who.groups().iter().map(u32::to_string).collect();
        format!("--userspec={}:{} --groups={} ", who.uid(), who.gid(), quote(&groups.join(",")))
    });
    let quoted =
        |words: &[String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    let directory = match plan.program.directory.as_path() {
        path if path == Path::new("/") => String::new(),
        path => format!("sh -c 'cd \"$0\" && exec \"$@\"' {} ", quote_path(path)),
    };
    let (environment, arguments) = (&plan.program.environment, &plan.program.arguments);
    format!(
        "exec $PRIV chroot {who}\"$ROOT\" env -i {} {directory}{}",
        quoted(environment),
        quoted(arguments)
    )
}

/// The clone and what comes after it.
fn host_start(plan: &Plan) -> String {
    let mut lines = Vec::new();
    let after: Vec<&HostStep> =
        plan.host.iter().skip_while(|step| !matches!(step, HostStep::Clone { .. })).collect();
    let gated = after.iter().any(|step| matches!(step, HostStep::OpenGate));
    if gated {
        lines.push("GATE=$(mktemp -u)\nexport GATE\nmkfifo -m 600 \"$GATE\"".to_owned());
    }
    for step in after {
        match step {
            HostStep::Clone { namespaces, .. } => {
                let start =
                    format!("unshare {} --fork --kill-child sh -c \"$child\"", flags(*namespaces));
                lines.push(if gated { format!("{start} &\nPID=$!\n{WAIT}") } else { start });
            }
            HostStep::Network(op) => lines.extend(op.shell()),
            HostStep::OpenGate => {
                lines.push("echo > \"$GATE\"\nrm \"$GATE\"\nwait \"$PID\"".to_owned());
            }
            _ => {}
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// unshare(1) has made the namespaces when its own are others than ours.
const WAIT: &str = "while [ \"$(readlink \"/proc/$PID/ns/net\")\" = \"$(readlink /proc/$$/ns/net)\" ]; do sleep 0.01; done";

fn flags(namespaces: Namespaces) -> String {
    let names = [
        (Namespaces::MOUNT, "--mount"),
        (Namespaces::PID, "--pid"),
        (Namespaces::NET, "--net"),
        (Namespaces::UTS, "--uts"),
        (Namespaces::IPC, "--ipc"),
        (Namespaces::USER, "--user"),
        (Namespaces::TIME, "--time"),
    ];
    let flags: Vec<&str> = names
        .into_iter()
        .filter(|(namespace, _)| namespaces.contains(*namespace))
        .map(|(_, flag)| flag)
        .collect();
    flags.join(" ")
}
