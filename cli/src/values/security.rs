//! Privileges, kernel settings and devices.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use minidock_engine::{DeviceRequest, UserNamespace};

use super::{ValueError, boolean, in_words};

/// What a `--security-opt` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecurityOption {
    /// Whether new privileges are ruled out.
    NoNewPrivileges(bool),
    /// docker's default profile of system calls.
    DefaultSystemCalls,
    /// No filter of system calls.
    AllSystemCalls,
    /// The profile of system calls in this file.
    SystemCalls(String),
    /// No AppArmor profile, no label: there is none in any case.
    Unconfined,
}

/// `--security-opt`. What else is asked for cannot be had, and a container must not run with less
/// isolation than was asked for.
pub(crate) fn security_option(text: &str) -> Result<SecurityOption, ValueError> {
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    match parts.unwrap_or((text, "")) {
        ("no-new-privileges", _) if parts.is_none() => Ok(SecurityOption::NoNewPrivileges(true)),
        ("no-new-privileges", value) => boolean(value)
            .map(SecurityOption::NoNewPrivileges)
            .map_err(|_| ValueError::new(format!("invalid --security-opt: {text:?}"))),
        ("seccomp", "unconfined") => Ok(SecurityOption::AllSystemCalls),
        ("seccomp", "builtin") => Ok(SecurityOption::DefaultSystemCalls),
        ("seccomp", file) if !file.is_empty() => Ok(SecurityOption::SystemCalls(file.to_owned())),
        ("apparmor", "unconfined") | ("label", "disable") => Ok(SecurityOption::Unconfined),
        _ => Err(ValueError::new(
            "only no-new-privileges[=BOOLEAN], seccomp=unconfined, seccomp=FILE, \
             apparmor=unconfined and label=disable are supported",
        )),
    }
}

/// Far more than any profile has; an endless file is not read to its end.
const LARGEST_PROFILE: u64 = 4 << 20;

/// Reads a profile of system calls. It may be a pipe.
pub(crate) fn profile(path: &str) -> Result<Vec<u8>, ValueError> {
    let failed = |why: &str| {
        ValueError::new(format!("opening seccomp profile ({path}) failed: open {path}: {why}"))
    };
    let mut contents = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_PROFILE + 1).read_to_end(&mut contents))
        .map_err(|error| failed(&in_words(&error)))?;
    match contents.len() as u64 > LARGEST_PROFILE {
        true => Err(failed("larger than 4 MiB")),
        false => Ok(contents),
    }
}

/// `--userns`.
pub(crate) fn user_namespace(text: &str) -> Result<UserNamespace, ValueError> {
    match text {
        "" | "host" => Ok(UserNamespace::Host),
        "auto" => Ok(UserNamespace::Auto),
        _ => Err(ValueError::new("invalid USER mode: it is one of host and auto")),
    }
}

/// Kernel settings that belong to a namespace; those of `net.` and `fs.mqueue.` do too.
const NAMESPACED: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// `--sysctl name=value`.
pub(crate) fn sysctl(text: &str) -> Result<(String, String), ValueError> {
    let is_namespaced = |name: &str| {
        NAMESPACED.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.")
    };
    let is_path = |name: &str| name.contains('/') || name.split('.').any(str::is_empty);
    match text.split_once('=') {
        Some((name, value)) if is_namespaced(name) && !is_path(name) => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(ValueError::new(format!("sysctl '{text}' is not allowed"))),
    }
}

/// `--device host[:container[:access]]`; the second part may be the access.
pub(crate) fn device(text: &str) -> Result<DeviceRequest, ValueError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, target, access) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, access] if is_access(access) => (host, host, access),
        [host, target] => (host, target, "rwm"),
        [host, target, access] if is_access(access) => (host, target, access),
        [_, _, access] => return Err(ValueError::new(format!("bad mode specified: {access}"))),
        _ => return Err(ValueError::new(format!("bad format for path: {text}"))),
    };
    if host.is_empty() {
        return Err(ValueError::new(format!("bad format for path: {text}")));
    }
    if let Some(relative) = [host, target].iter().find(|path| !path.starts_with('/')) {
        return Err(ValueError::new(format!("{relative} is not an absolute path")));
    }
    Ok(DeviceRequest {
        host: PathBuf::from(host),
        target: target.to_owned(),
        access: access.to_owned(),
    })
}

/// Some of `r`, `w` and `m`, each at most once.
fn is_access(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|letter| "rwm".contains(letter) && text.matches(letter).count() == 1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn security_options() {
        use SecurityOption::*;
        let reason = "only no-new-privileges[=BOOLEAN], seccomp=unconfined, seccomp=FILE, \
                      apparmor=unconfined and label=disable are supported";
        check(
            security_option,
            &[
                ("no-new-privileges", NoNewPrivileges(true)),
                ("no-new-privileges:true", NoNewPrivileges(true)),
                ("no-new-privileges=T", NoNewPrivileges(true)),
                ("no-new-privileges=1", NoNewPrivileges(true)),
                ("no-new-privileges=False", NoNewPrivileges(false)),
                ("no-new-privileges:0", NoNewPrivileges(false)),
                ("seccomp=unconfined", AllSystemCalls),
                ("seccomp=builtin", DefaultSystemCalls),
                ("seccomp=/profile.json", SystemCalls("/profile.json".to_owned())),
                ("apparmor=unconfined", Unconfined),
                ("apparmor:unconfined", Unconfined),
                ("label=disable", Unconfined),
                ("label:disable", Unconfined),
            ],
            &[
                ("foo", reason),
                ("seccomp", reason),
                ("seccomp=", reason),
                ("apparmor=docker-default", reason),
                ("label=type:container_t", reason),
                ("systempaths=unconfined", reason),
                ("no-new-privileges=maybe", "invalid --security-opt: \"no-new-privileges=maybe\""),
                ("no-new-privileges=", "invalid --security-opt: \"no-new-privileges=\""),
                ("", reason),
            ],
        );
    }

    #[test]
    fn user_namespaces() {
        let reason = "invalid USER mode: it is one of host and auto";
        check(
            user_namespace,
            &[("host", UserNamespace::Host), ("auto", UserNamespace::Auto)],
            &[("container:x", reason), ("Auto", reason)],
        );
    }

    #[test]
    fn kernel_settings() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        check(
            sysctl,
            &[
                ("net.ipv4.ip_forward=1", pair("net.ipv4.ip_forward", "1")),
                ("kernel.sem=1 2=3", pair("kernel.sem", "1 2=3")),
                ("fs.mqueue.msg_max=5", pair("fs.mqueue.msg_max", "5")),
            ],
            &[
                ("novalue", "sysctl 'novalue' is not allowed"),
                ("net.x", "sysctl 'net.x' is not allowed"),
                ("kernel.panic=1", "sysctl 'kernel.panic=1' is not allowed"),
                ("net./../kernel.panic=1", "sysctl 'net./../kernel.panic=1' is not allowed"),
                ("net..x=1", "sysctl 'net..x=1' is not allowed"),
            ],
        );
    }

    #[test]
    fn devices() {
        let request = |host: &str, target: &str, access: &str| DeviceRequest {
            host: host.into(),
            target: target.to_owned(),
            access: access.to_owned(),
        };
        check(
            device,
            &[
                ("/dev/fuse", request("/dev/fuse", "/dev/fuse", "rwm")),
                ("/dev/fuse:r", request("/dev/fuse", "/dev/fuse", "r")),
                ("/dev/sda:/dev/xvda", request("/dev/sda", "/dev/xvda", "rwm")),
                ("/dev/sda:/dev/xvda:mr", request("/dev/sda", "/dev/xvda", "mr")),
            ],
            &[
                ("", "bad format for path: "),
                (":/dev/x", "bad format for path: :/dev/x"),
                ("/a:/b:r:x", "bad format for path: /a:/b:r:x"),
                ("/a:/b:rr", "bad mode specified: rr"),
                ("/a:/b:x", "bad mode specified: x"),
                ("/a:b", "b is not an absolute path"),
                ("a", "a is not an absolute path"),
            ],
        );
    }
}
