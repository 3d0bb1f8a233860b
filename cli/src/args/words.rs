//! A container's options as the flags of `minidock run`.

use minidock_engine::{
    AccessTimes, EndpointOptions, LogDriver, MountRequest, MountSource, NetworkMode, Propagation,
    PullPolicy, Resources, RestartPolicy, RootSource, RunOptions, SystemCalls, ThrottleKind,
    TmpfsOptions, TmpfsSize, UserNamespace,
};

use crate::caller::Caller;
use crate::cli::{self, Command};

/// The words after `minidock run` that make a container with these options. A name of the
/// environment without a value is removed only where the caller has none of that name.
///
/// # Errors
/// The names of options that no flag says, or not in this way.
pub(crate) fn words(options: &RunOptions) -> Result<Vec<String>, Vec<String>> {
    let words = all(options);
    let line = std::iter::once("run").chain(words.iter().map(String::as_str));
    // Whatever is missing above, or said wrongly, is noticed here.
    match cli::parse(line.map(Into::into), &Caller::nobody()) {
        Ok(Command::Run(run)) if run.options == *options => Ok(words),
        Ok(Command::Run(run)) => Err(differences(options, &run.options)),
        _ => Err(Vec::new()),
    }
}

fn differences(wanted: &RunOptions, said: &RunOptions) -> Vec<String> {
    let fields = |options: &RunOptions| match serde_json::to_value(options) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let said = fields(said);
    let wanted = fields(wanted).into_iter();
    wanted.filter(|(name, value)| said.get(name) != Some(value)).map(|(name, _)| name).collect()
}

/// Flags as they are written down, each a word with its value.
#[derive(Default)]
struct Flags(Vec<String>);

impl Flags {
    fn value(&mut self, name: &str, value: impl ToString) {
        self.0.push(format!("--{name}={}", value.to_string()));
    }

    fn maybe<T: ToString>(&mut self, name: &str, value: Option<&T>) {
        value.into_iter().for_each(|value| self.value(name, value.to_string()));
    }

    fn each<T: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.value(name, value));
    }

    fn switches<const N: usize>(&mut self, switches: [(&str, bool); N]) {
        let set = switches.into_iter().filter(|(_, set)| *set);
        self.0.extend(set.map(|(name, _)| format!("--{name}")));
    }
}

fn all(options: &RunOptions) -> Vec<String> {
    let mut flags = Flags::default();
    process(options, &mut flags);
    life(options, &mut flags);
    resources(options, &mut flags);
    options.mounts.iter().for_each(|request| mount(request, &mut flags));
    let device = |device: &minidock_engine::DeviceRequest| {
        format!("{}:{}:{}", device.host.display(), device.target, device.access)
    };
    flags.each("device", options.devices.iter().map(device));
    network(options, &mut flags);
    security(options, &mut flags);
    let Flags(mut words) = flags;
    match &options.source {
        RootSource::Image(image) => words.push(image.clone()),
        RootSource::Directory(path) => {
            words.extend([format!("--rootfs={}", path.display()), "--".to_owned()]);
        }
    }
    words.extend(options.command.iter().cloned());
    words
}

fn process(options: &RunOptions, flags: &mut Flags) {
    flags.maybe("name", options.name.as_ref());
    flags.maybe("hostname", options.hostname.as_ref());
    flags.maybe("domainname", options.domainname.as_ref());
    flags.switches([
        ("interactive", options.interactive),
        ("tty", options.tty),
        ("init", options.init),
        ("read-only", options.read_only),
    ]);
    flags.each("env", &options.env);
    flags.maybe("user", options.user.as_ref());
    flags.each("group-add", &options.group_add);
    flags.maybe("workdir", options.workdir.as_ref());
    flags.maybe("entrypoint", options.entrypoint.as_ref());
    flags.maybe("platform", options.platform.as_ref());
    match options.pull {
        PullPolicy::Missing => {}
        PullPolicy::Always => flags.value("pull", "always"),
        PullPolicy::Never => flags.value("pull", "never"),
    }
}

fn life(options: &RunOptions, flags: &mut Flags) {
    let life = &options.lifecycle;
    flags.switches([("rm", life.auto_remove)]);
    match life.restart {
        RestartPolicy::No => {}
        RestartPolicy::OnFailure(0) => flags.value("restart", "on-failure"),
        RestartPolicy::OnFailure(times) => flags.value("restart", format!("on-failure:{times}")),
        RestartPolicy::Always => flags.value("restart", "always"),
        RestartPolicy::UnlessStopped => flags.value("restart", "unless-stopped"),
    }
    flags.maybe("stop-signal", life.stop_signal.as_ref());
    flags.maybe("stop-timeout", life.stop_timeout.as_ref());
    if life.log.driver == LogDriver::None {
        flags.value("log-driver", "none");
    } else if life.log != minidock_engine::LogOptions::default() {
        let size = life.log.max_size.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
        flags.value("log-opt", format!("max-size={size}"));
        flags.value("log-opt", format!("max-file={}", life.log.max_file));
    }
    flags.each("label", life.labels.iter().map(pair));
}

fn pair((name, value): &(String, String)) -> String {
    format!("{name}={value}")
}

fn resources(options: &RunOptions, flags: &mut Flags) {
    let limits: &Resources = &options.resources;
    flags.maybe("memory", limits.memory.as_ref());
    flags.maybe("memory-swap", limits.memory_swap.as_ref());
    flags.maybe("memory-reservation", limits.memory_reservation.as_ref());
    flags.maybe("cpus", limits.cpus.as_ref());
    flags.maybe("cpu-quota", limits.cpu_quota.as_ref());
    flags.maybe("cpu-period", limits.cpu_period.as_ref());
    flags.maybe("cpu-shares", limits.cpu_shares.as_ref());
    flags.maybe("cpuset-cpus", limits.cpuset_cpus.as_ref());
    flags.maybe("cpuset-mems", limits.cpuset_mems.as_ref());
    flags.maybe("pids-limit", limits.pids.as_ref());
    flags.maybe("blkio-weight", limits.blkio_weight.as_ref());
    for throttle in &limits.throttles {
        let name = match throttle.kind {
            ThrottleKind::ReadBytes => "device-read-bps",
            ThrottleKind::WriteBytes => "device-write-bps",
            ThrottleKind::ReadOperations => "device-read-iops",
            ThrottleKind::WriteOperations => "device-write-iops",
        };
        flags.value(name, format!("{}:{}", throttle.device.display(), throttle.rate));
    }
    flags.maybe("oom-score-adj", options.oom_score_adj.as_ref());
    flags.each("ulimit", &options.ulimits);
    if options.shm_size != RunOptions::new(options.source.clone()).shm_size {
        flags.value("shm-size", options.shm_size);
    }
    let parent = options.cgroup_parent.as_ref().map(|path| path.display().to_string());
    flags.maybe("cgroup-parent", parent.as_ref());
}

fn network(options: &RunOptions, flags: &mut Flags) {
    match &options.network {
        None => {}
        Some(NetworkMode::None) => flags.value("network", "none"),
        Some(NetworkMode::UserMode(mode)) => flags.value("network", mode.name()),
        Some(NetworkMode::Host) => flags.value("network", "host"),
        Some(NetworkMode::Container(name)) => flags.value("network", format!("container:{name}")),
        Some(NetworkMode::Joined(networks)) => flags.each("network", networks.iter().map(endpoint)),
    }
    flags.each("publish", &options.publishing.ports);
    flags.switches([("publish-all", options.publishing.all)]);
    flags.each("expose", &options.publishing.expose);
    flags.each("add-host", options.add_hosts.iter().map(pair));
    flags.each("dns", &options.dns);
    flags.each("dns-search", &options.dns_search);
    flags.each("dns-option", &options.dns_options);
}

fn endpoint(endpoint: &EndpointOptions) -> String {
    let EndpointOptions { network, aliases, ip, ip6, mac, gateway_priority } = endpoint;
    if *endpoint == EndpointOptions::new(network) {
        return network.clone();
    }
    let mut fields = vec![format!("name={network}")];
    fields.extend(aliases.iter().map(|alias| format!("alias={alias}")));
    fields.extend(ip.map(|address| format!("ip={address}")));
    fields.extend(ip6.map(|address| format!("ip6={address}")));
    fields.extend(mac.map(|address| format!("mac-address={address}")));
    if *gateway_priority != 0 {
        fields.push(format!("gw-priority={gateway_priority}"));
    }
    fields.join(",")
}

fn security(options: &RunOptions, flags: &mut Flags) {
    flags.switches([("privileged", options.privileged), ("hardened", options.hardened)]);
    flags.each("cap-add", &options.cap_add);
    flags.each("cap-drop", &options.cap_drop);
    if options.no_new_privileges {
        flags.value("security-opt", "no-new-privileges");
    }
    match options.system_calls {
        // A profile is kept without the name of its file.
        SystemCalls::Default | SystemCalls::Profile(_) => {}
        SystemCalls::Unconfined => flags.value("security-opt", "seccomp=unconfined"),
    }
    match options.user_namespace {
        None => {}
        Some(UserNamespace::Host) => flags.value("userns", "host"),
        Some(UserNamespace::Auto) => flags.value("userns", "auto"),
    }
    flags.each("sysctl", options.sysctls.iter().map(pair));
}

fn mount(request: &MountRequest, flags: &mut Flags) {
    let MountRequest { source, target, read_only, propagation } = request;
    let propagation = propagation.map(|propagation| match propagation {
        Propagation::Private => "private",
        Propagation::Slave => "slave",
        Propagation::Shared => "shared",
    });
    match source {
        MountSource::Bind { path, create: true, .. } => {
            let words: Vec<&str> =
                read_only.then_some("ro").into_iter().chain(propagation).collect();
            let words =
                if words.is_empty() { String::new() } else { format!(":{}", words.join(",")) };
            flags.value("volume", format!("{}:{target}{words}", path.display()));
        }
        MountSource::Bind { path, non_recursive, .. } => {
            let path = path.display().to_string();
            let mut fields =
                vec!["type=bind".to_owned(), field("source", &path), field("target", target)];
            fields.extend(read_only.then(|| "readonly".to_owned()));
            fields.extend(propagation.map(|word| format!("bind-propagation={word}")));
            fields.extend(non_recursive.then(|| "bind-recursive=disabled".to_owned()));
            flags.value("mount", fields.join(","));
        }
        MountSource::Volume { name } => {
            let mut fields = vec!["type=volume".to_owned()];
            fields.extend(name.as_ref().map(|name| field("source", name)));
            fields.push(field("target", target));
            fields.extend(read_only.then(|| "readonly".to_owned()));
            flags.value("mount", fields.join(","));
        }
        MountSource::Tmpfs { options } => {
            let words = tmpfs(options, *read_only).join(",");
            flags.value("tmpfs", format!("{target}:{words}"));
        }
    }
}

/// In quotes a field may hold commas, and quotes written twice.
fn field(name: &str, value: &str) -> String {
    let field = format!("{name}={value}");
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

fn tmpfs(options: &TmpfsOptions, read_only: bool) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut value = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("{name}={value}")));
    };
    value(
        "size",
        options.size.map(|size| match size {
            TmpfsSize::Bytes(bytes) => bytes.to_string(),
            TmpfsSize::Percent(percent) => format!("{percent}%"),
        }),
    );
    value("nr_inodes", options.inodes.map(|count| count.to_string()));
    value("mode", options.mode.map(|mode| format!("{mode:o}")));
    value("uid", options.uid.map(|id| id.to_string()));
    value("gid", options.gid.map(|id| id.to_string()));
    let access_times = match options.access_times {
        AccessTimes::Relative => None,
        AccessTimes::Always => Some("strictatime"),
        AccessTimes::Never => Some("noatime"),
    };
    let switches = [
        ("ro", read_only),
        ("exec", options.exec),
        ("suid", options.suid),
        ("dev", options.dev),
        ("nodiratime", options.no_directory_access_times),
    ];
    let set = switches.into_iter().filter_map(|(word, set)| set.then_some(word));
    words.extend(set.chain(access_times).map(str::to_owned));
    words
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
