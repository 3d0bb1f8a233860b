use std::fmt::Write as _;

use clap::{ArgAction, Parser};
use minidock_engine::{About, CgroupMode, Engine};
use serde_json::{Value, json};

use super::Do;
use super::version::{VERSION, shown};
use crate::exit::{self, UsageError};
use crate::format::human;
use crate::output;

/// Flags of `minidock info`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Info {
    /// Show this: json, or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

impl Do for Info {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let (about, errors) = engine.about()?;
        for error in errors {
            exit::warn(&error.into());
        }
        if let Some(fault) = engine.network_fault()? {
            output::complain(&format!("WARNING: {fault}: minidock network reload makes it anew\n"));
        }
        let shown = shown(&facts(&about), self.format.as_deref(), |_| text(&about));
        output::print(&shown.map_err(|error| UsageError::format(&error))?)
    }
}

/// Docker's word for the version, and how it is mounted.
fn cgroups(mode: CgroupMode) -> (&'static str, &'static str) {
    match mode {
        CgroupMode::None => ("", "none"),
        CgroupMode::V1 => ("1", "v1"),
        CgroupMode::V2 => ("2", "v2"),
        CgroupMode::Hybrid => ("1", "hybrid"),
    }
}

fn security(about: &About) -> Vec<String> {
    let options = [
        (about.seccomp, "name=seccomp,profile=builtin"),
        (about.rootless, "name=rootless"),
        (true, "name=cgroupns"),
    ];
    let options = options.into_iter().filter(|(has, _)| *has);
    options.map(|(_, option)| option.to_owned()).collect()
}

fn facts(about: &About) -> Value {
    let (version, mode) = cgroups(about.cgroups);
    json!({
        "Containers": about.running + about.paused + about.stopped,
        "ContainersRunning": about.running,
        "ContainersPaused": about.paused,
        "ContainersStopped": about.stopped,
        "Images": about.images,
        "Driver": "overlay",
        "DockerRootDir": about.root.display().to_string(),
        "LoggingDriver": "json-file",
        "CgroupDriver": if about.cgroups == CgroupMode::None { "none" } else { "cgroupfs" },
        "CgroupVersion": version,
        "CgroupMode": mode,
        "KernelVersion": about.platform.kernel,
        "OperatingSystem": about.system,
        "OSVersion": about.system_version,
        "OSType": "linux",
        "Architecture": about.platform.architecture,
        "NCPU": about.processors,
        "MemTotal": about.memory,
        "Name": about.platform.name,
        "ServerVersion": VERSION,
        "SecurityOptions": security(about),
        "Plugins": {
            "Log": ["json-file", "none"],
            "Network": ["bridge", "host", "null"],
            "Volume": ["local"],
        },
    })
}

fn text(about: &About) -> String {
    let (version, mode) = cgroups(about.cgroups);
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Containers", &(about.running + about.paused + about.stopped));
    line(" Running", &about.running);
    line(" Paused", &about.paused);
    line(" Stopped", &about.stopped);
    line("Images", &about.images);
    line("Server Version", &VERSION);
    line("Storage Driver", &"overlay");
    line("Logging Driver", &"json-file");
    if about.cgroups != CgroupMode::None {
        line("Cgroup Driver", &"cgroupfs");
        line("Cgroup Version", &version);
    }
    line("Cgroup Mode", &mode);
    let _ = writeln!(text, "Security Options:");
    for option in security(about) {
        let mut parts = option.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
        let _ = writeln!(text, " {}", parts.next().unwrap_or_default().1);
        for (name, value) in parts {
            let _ = writeln!(text, "  {}{}: {value}", name[..1].to_uppercase(), &name[1..]);
        }
    }
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Kernel Version", &about.platform.kernel);
    line("Operating System", &about.system);
    line("OSType", &"linux");
    line("Architecture", &about.platform.architecture);
    line("CPUs", &about.processors);
    line("Total Memory", &human::binary_size(about.memory));
    line("Name", &about.platform.name);
    line("Docker Root Dir", &about.root.display());
    text
}
