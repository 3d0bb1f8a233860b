//! The plan as a shell script: what a container is, in the commands of util-linux and iproute2.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use minidock_net::Op;
use minidock_net::nft::Change;
use minidock_ns::{Namespaces, Step as Ns};
use minidock_sec::{Credentials, Step as Sec};

use crate::plan::{ChildStep, Forward, HostStep, OlderFlows, Plan, Rules};
use crate::text::quote;

/// A script for a POSIX shell that does the same steps, waits, and removes what it made.
///
/// Two things a script cannot do as the engine does. Its own program would be gone after
/// pivot_root(2), while setpriv(1) has to come last: so the program enters its root by chroot(1),
/// in a mount namespace that keeps the host's mounts out of reach of a chroot only. And it makes
/// the namespaces with several processes and moves.
pub(crate) fn script(plan: &Plan, id: &str) -> String {
    let before = host_before(plan);
    let child = here_document("CHILD", &child_joins(plan));
    let inside = here_document("INSIDE", &child_lines(plan));
    format!(
        "#!/bin/sh\n# Container {id}\nset -eu\n{before}\n# --- inside ---\n\
         child={child}\ninside={inside}\nexport inside\n\n{}",
        host_start(plan)
    )
}

/// These lines as the value of a variable. An argument of the container's can have any lines: none
/// of them may end the document, for what follows would be the host's commands.
fn here_document(name: &str, lines: &str) -> String {
    let mut mark = name.to_owned();
    while lines.lines().any(|line| line == mark) {
        mark.push('_');
    }
    format!("$(cat <<'{mark}'\n{lines}{mark}\n)")
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
            // A plan with a user namespace is never written as a script.
            HostStep::UserNamespace(_)
            | HostStep::Tree(_)
            | HostStep::Remember(_)
            | HostStep::Connector(_)
            | HostStep::IdMaps(_) => {}
            // Nor has it streams that are known.
            HostStep::StreamOwner { .. } => {}
            HostStep::Network(_)
            | HostStep::Firewall(_)
            | HostStep::OlderFlows(_)
            | HostStep::Forward(_)
            | HostStep::Names(_)
            | HostStep::OpenGate => {}
        }
    }
    for step in &plan.host {
        match step {
            HostStep::Firewall(rules) => undo.extend(forget_elements(rules)),
            HostStep::Network(Op::Address { address, .. }) => {
                let flows = |side| forget(&format!("--{side}-src {}", address.address()));
                undo.extend(["orig", "reply"].map(flows));
            }
            _ => {}
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
            // No plan of a container's start has these two.
            ChildStep::Sibling | ChildStep::ControllingTerminal => {}
            ChildStep::JoinCgroups(_)
            | ChildStep::CloseDescriptors
            | ChildStep::Null(_)
            | ChildStep::StreamOwner { .. }
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
            ChildStep::Gate(_) => lines.push("read -r _ < \"$GATE\"".to_owned()),
            ChildStep::Terminal(_) => {
                lines.push("# a terminal of its own: script(1) makes one, not a shell".to_owned());
            }
            ChildStep::CheckProgram => {}
            ChildStep::Init => lines.push("# --init: this script has none".to_owned()),
            ChildStep::Execute(_) => lines.push(execute(plan, user)),
        }
    }
    lines.insert(0, "set -eu\nPRIV=".to_owned());
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
            HostStep::Firewall(rules) => lines.extend(firewall(rules)),
            HostStep::OlderFlows(OlderFlows(ports)) => lines.extend(ports.iter().map(older)),
            HostStep::Forward(Forward { family, closed, marker }) => {
                let directory = marker.parent().unwrap_or(Path::new("/"));
                lines.push(format!("mkdir -p {}", quote_path(directory)));
                lines.push(format!("touch {}", quote_path(marker)));
                lines.extend(firewall(closed));
                let setting = minidock_net::Setting::Forwarding(*family);
                lines.push(format!("echo 1 > {setting}"));
            }
            // A shell serves no names.
            HostStep::Names(names) => lines.push(format!(
                "# no name server for network {}: this script has none",
                names.network.name
            )),
            HostStep::OpenGate => {
                lines.push("echo > \"$GATE\"\nrm \"$GATE\"\nwait \"$PID\"".to_owned());
            }
            _ => {}
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The whole of it where there is none, then what is to be added.
fn firewall(rules: &Rules) -> [String; 2] {
    let lines = |changes: Vec<Change>| {
        changes.iter().map(|change| format!("{change}\n")).collect::<String>()
    };
    let all = |changes| format!("nft -f - <<'NFT'\n{}NFT", lines(changes));
    let name = rules.firewall.name();
    let elements = rules.elements().cloned().map(Change::AddElement).collect();
    [
        format!(
            "nft list table inet {name} > /dev/null 2>&1 || {}",
            all(rules.firewall.skeleton())
        ),
        all(elements),
    ]
}

/// What takes it back.
fn forget_elements(rules: &Rules) -> Vec<String> {
    let own = rules.own.iter().cloned().map(Change::DeleteElement);
    own.map(|change| format!("nft {} 2> /dev/null", quote(&change.to_string()))).collect()
}

/// conntrack(8) fails where there is nothing.
fn forget(flows: &str) -> String {
    format!("conntrack -D {flows} > /dev/null 2>&1 || :")
}

fn older(port: &SocketAddr) -> String {
    let family = if port.is_ipv4() { "ipv4" } else { "ipv6" };
    let to = match port.ip() {
        any if any.is_unspecified() => String::new(),
        address => format!(" --orig-dst {address}"),
    };
    forget(&format!("-f {family} -p udp{to} --orig-port-dst {}", port.port()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_argument_ends_a_here_document() {
        for argument in ["x\nEND\n)\necho out\n", "END", "END\nEND_", "\nEND_\nEND\n"] {
            let script =
                format!("a={}\nprintf %s \"$a\"", here_document("END", &format!("{argument}\n")));
            let out = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(
                String::from_utf8_lossy(&out.stdout),
                argument.trim_end_matches('\n'),
                "{script}"
            );
        }
    }
}
