use std::collections::{HashMap, HashSet};
use std::path::Path;

use minidock_fs::Root;
use minidock_image::config::Config;
use minidock_ns::IdMaps;
use minidock_sec::{Caps, Clamped, MAX_ID, Rlimit, user};
use oci_spec::runtime::{
    BoxBuilder, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, UserBuilder,
};

use crate::host::Host;
use crate::{Error, RunOptions};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// More than any passwd or group file of an image needs, and little enough to read at once.
const ACCOUNTS_LIMIT: u64 = 10 << 20;

/// What docker gives every container, as far as the caller's own hard limit allows.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

pub(super) fn describe(
    options: &RunOptions,
    config: &Config,
    root: &Root,
    (hostname, host): (&str, &Host),
    warnings: &mut Vec<String>,
) -> Result<Process, Error> {
    let user = find_user(options, config, root)?;
    let mut process = ProcessBuilder::default()
        .terminal(options.tty)
        .user(
            UserBuilder::default()
                .uid(user.uid)
                .gid(user.gid)
                .additional_gids(user.groups)
                .umask(0o022u32)
                .build()?,
        )
        .args(arguments(options, config)?)
        .env(environment(options, config, hostname, &user.home.to_string_lossy())?)
        .cwd(working_directory(options, config)?)
        .capabilities(capabilities(bounding(options, host)?, user.uid)?)
        .rlimits(rlimits(options, host, warnings)?)
        .no_new_privileges(options.no_new_privileges)
        .oom_score_adj(oom_score_adj(options, host, warnings))
        .build()?;
    if let (true, Some((rows, columns))) = (options.tty, host.terminal_size) {
        let size = BoxBuilder::default().height(u64::from(rows)).width(u64::from(columns));
        process.set_console_size(Some(size.build()?));
    }
    process.set_apparmor_profile(None);
    Ok(process)
}

/// `-u` or the image's user, with the names of the image's own passwd and group files.
fn find_user(options: &RunOptions, config: &Config, root: &Root) -> Result<user::User, Error> {
    let user = options.user.as_deref().unwrap_or(&config.user);
    let read = |path: &str| match root.lookup(Path::new(path))? {
        Some(_) => Ok(root.read_file(Path::new(path), ACCOUNTS_LIMIT)?),
        None => Ok::<_, Error>(Vec::new()),
    };
    let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
    Ok(user::resolve(user, &passwd, &group, &options.group_add)?)
}

fn arguments(options: &RunOptions, config: &Config) -> Result<Vec<String>, Error> {
    let image_command = || config.cmd.clone().unwrap_or_default();
    let (entrypoint, default_command) = match options.entrypoint.as_deref() {
        // An entrypoint of the caller's makes the image's command meaningless.
        Some("") => (Vec::new(), Vec::new()),
        Some(program) => (vec![program.to_owned()], Vec::new()),
        None => (config.entrypoint.clone().unwrap_or_default(), image_command()),
    };
    let command = match options.command.is_empty() {
        true => default_command,
        false => options.command.clone(),
    };
    let arguments: Vec<String> = entrypoint.into_iter().chain(command).collect();
    if arguments.is_empty() {
        return Err(Error::new("no command specified").hint("give one after the image"));
    }
    Ok(arguments)
}

/// Later entries win over earlier ones of the same name, in the place of the earlier. A name
/// alone removes the variable.
fn environment(
    options: &RunOptions,
    config: &Config,
    hostname: &str,
    home: &str,
) -> Result<Vec<String>, Error> {
    let mut entries = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if options.tty {
        entries.push("TERM=xterm".to_owned());
    }
    for entry in config.env.iter().chain(&options.env) {
        let name = name_of(entry);
        if name.is_empty() {
            return Err(Error::new(format!("invalid environment variable: {entry}")));
        }
        match entries.iter_mut().find(|known| name_of(known) == name) {
            _ if !entry.contains('=') => entries.retain(|known| name_of(known) != name),
            Some(known) => known.clone_from(entry),
            None => entries.push(entry.clone()),
        }
    }
    if !entries.iter().any(|entry| name_of(entry) == "HOME") {
        entries.push(format!("HOME={home}"));
    }
    Ok(entries)
}

fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

fn working_directory(options: &RunOptions, config: &Config) -> Result<String, Error> {
    let image = Some(config.working_dir.as_str()).filter(|directory| !directory.is_empty());
    let directory = options.workdir.as_deref().or(image).unwrap_or("/");
    if directory.starts_with('/') {
        return Ok(directory.to_owned());
    }
    Err(Error::new(format!(
        "the working directory '{directory}' is invalid, it needs to be an absolute path"
    )))
}

/// The most that a process of the container can have.
pub(super) fn bounding(options: &RunOptions, host: &Host) -> Result<Caps, Error> {
    let RunOptions { cap_add, cap_drop, privileged, hardened, .. } = options;
    let default = if *hardened { Caps::HARDENED } else { Caps::DOCKER_DEFAULT };
    match privileged {
        true => Ok(host.capabilities),
        false => Ok(Caps::from_flags(default, cap_add, cap_drop, host.capabilities)?),
    }
}

/// The init is a copy of the engine: whoever may trace it gets at the engine's own file by
/// `/proc/1/exe`. In a user namespace that belongs to nobody there.
pub(super) fn check_init(options: &RunOptions, caps: Caps, host: &Host) -> Result<(), Error> {
    let open = options.init && caps.contains(Caps::SYS_PTRACE);
    if !open || options.privileged || host.ids.is_some() {
        return Ok(());
    }
    Err(Error::new("--init with CAP_SYS_PTRACE would hand the engine's own file to the container")
        .hint("add --userns auto, or leave one of them out"))
}

fn capabilities(caps: Caps, uid: u32) -> Result<LinuxCapabilities, Error> {
    let set: HashSet<Capability> = caps
        .iter_names()
        .map(|(name, _)| {
            name.parse()
                .map_err(|_| Error::new(format!("the capability {name} is not known to OCI")))
        })
        .collect::<Result<_, _>>()?;
    // The exec takes them from every user but root anyway; without them neither the exec itself nor
    // an init can do what the user may not.
    let held = if uid == 0 { set.clone() } else { HashSet::new() };
    // Inheritable and ambient capabilities would survive the exec of any program by any user.
    Ok(LinuxCapabilitiesBuilder::default()
        .bounding(set)
        .permitted(held.clone())
        .effective(held)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()?)
}

fn rlimits(
    options: &RunOptions,
    host: &Host,
    warnings: &mut Vec<String>,
) -> Result<Vec<PosixRlimit>, Error> {
    let mut limits: Vec<Rlimit> = Vec::new();
    for text in &options.ulimits {
        let limit: Rlimit = text.parse()?;
        // Of a limit that is given twice the last one counts.
        limits.retain(|other| other.resource != limit.resource);
        limits.push(limit);
    }
    let open_files = minidock_sec::Resource::Nofile;
    if !limits.iter().any(|limit| limit.resource == open_files) {
        let hard = OPEN_FILES.1.min(host.hard_limit(open_files)?);
        limits.push(Rlimit { resource: open_files, soft: OPEN_FILES.0.min(hard), hard });
    }
    limits
        .into_iter()
        .map(|limit| {
            let (limit, clamped) = limit.clamp(host.hard_limit(limit.resource)?, host.may_raise());
            warnings.extend(clamped.map(|Clamped { wanted, given }| {
                format!(
                    "--ulimit {}={}:{} needs CAP_SYS_RESOURCE: {}:{} is used",
                    wanted.resource, wanted.soft, wanted.hard, given.soft, given.hard
                )
            }));
            let typ: PosixRlimitType =
                format!("RLIMIT_{}", limit.resource.to_string().to_uppercase()).parse().map_err(
                    |_| Error::new(format!("the limit {} is not known to OCI", limit.resource)),
                )?;
            let builder = PosixRlimitBuilder::default().typ(typ).soft(limit.soft).hard(limit.hard);
            Ok(builder.build()?)
        })
        .collect()
}

/// Nobody may become a less likely victim of the OOM killer than whoever starts it.
fn oom_score_adj(options: &RunOptions, host: &Host, warnings: &mut Vec<String>) -> i32 {
    let wanted = options.oom_score_adj.unwrap_or(0);
    if host.may_raise() || wanted >= host.oom_score_adj {
        return wanted;
    }
    if options.oom_score_adj.is_some() {
        warnings.push(format!(
            "--oom-score-adj {wanted} needs CAP_SYS_RESOURCE: {} is used",
            host.oom_score_adj
        ));
    }
    host.oom_score_adj
}

/// Only what belongs to the container's own namespaces may be set: anything else is the host's.
pub(super) fn sysctls(
    options: &RunOptions,
    ids: Option<&IdMaps>,
) -> Result<HashMap<String, String>, Error> {
    let own_network = options.network().is_own();
    let mut settings = HashMap::new();
    if own_network {
        // All groups: those that the user namespace has.
        let last = match ids.and_then(|maps| maps.groups.first()) {
            Some(map) => map.inside + (map.count - 1),
            None => MAX_ID,
        };
        settings.insert("net.ipv4.ping_group_range".to_owned(), format!("0 {last}"));
        settings.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    for (name, value) in &options.sysctls {
        check_sysctl(name, own_network)?;
        settings.insert(name.clone(), value.clone());
    }
    Ok(settings)
}

fn check_sysctl(name: &str, own_network: bool) -> Result<(), Error> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let plain = name.split(['.', '/']).all(|part| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    });
    let dotted = name.replace('/', ".");
    let own = IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.");
    if plain && (own || (own_network && dotted.starts_with("net."))) {
        return Ok(());
    }
    let why = match dotted.starts_with("net.") && plain {
        true => "the container uses the host's network",
        false => "it does not belong to a namespace of the container",
    };
    Err(Error::new(format!("sysctl '{name}' is not allowed: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    fn options() -> RunOptions {
        RunOptions::new(RootSource::Image("x".to_owned()))
    }

    #[test]
    fn an_entrypoint_replaces_the_images_command() {
        let config = Config {
            cmd: Some(vec!["/bin/sh".to_owned()]),
            entrypoint: Some(vec!["/entry".to_owned()]),
            ..Config::default()
        };
        let mut run = options();
        assert_eq!(arguments(&run, &config).unwrap(), ["/entry", "/bin/sh"]);
        run.command = vec!["ls".to_owned()];
        assert_eq!(arguments(&run, &config).unwrap(), ["/entry", "ls"]);
        run.entrypoint = Some("/other".to_owned());
        assert_eq!(arguments(&run, &config).unwrap(), ["/other", "ls"]);
        run.entrypoint = Some(String::new());
        assert_eq!(arguments(&run, &config).unwrap(), ["ls"]);
        run.command.clear();
        assert_eq!(arguments(&run, &config).unwrap_err().to_string(), "no command specified");
    }

    #[test]
    fn the_callers_environment_wins_in_place() {
        let env = vec!["A=1".to_owned(), "B=2".to_owned()];
        let config = Config { env, ..Config::default() };
        let mut run = options();
        run.env = vec!["A=3".to_owned(), "HOME=/h".to_owned()];
        let env = environment(&run, &config, "name", "/root").unwrap();
        assert_eq!(env, [PATH, "HOSTNAME=name", "A=3", "B=2", "HOME=/h"]);
        run.env = ["B", "NOSUCH", "PATH", "HOME=/h", "HOME"].map(str::to_owned).to_vec();
        let env = environment(&run, &config, "name", "/root").unwrap();
        assert_eq!(env, ["HOSTNAME=name", "A=1", "HOME=/root"]);
        run.env = vec!["=x".to_owned()];
        assert!(environment(&run, &config, "name", "/").is_err());
    }

    #[test]
    fn only_sysctls_of_a_namespace_are_allowed() {
        for good in
            ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max", "net/core/somaxconn"]
        {
            check_sysctl(good, true).unwrap();
        }
        for bad in [
            "kernel.core_pattern",
            "vm.swappiness",
            "net.../kernel",
            "net/../kernel/x",
            "",
            "net..x",
        ] {
            assert!(check_sysctl(bad, true).is_err(), "{bad}");
        }
        assert!(check_sysctl("net.core.somaxconn", false).is_err());
    }

    #[test]
    fn a_relative_working_directory_is_refused() {
        let mut run = options();
        run.workdir = Some("a".to_owned());
        assert!(working_directory(&run, &Config::default()).is_err());
    }
}
