use clap::{ArgMatches, Args};
use minidock_engine::{DeviceRequest, MountRequest, RunOptions};

use crate::values::{mount, security, tmpfs, volume};

/// File systems and devices.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct MountArgs {
    /// Bind a path of the host, or mount a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = volume::volume)]
    volume: Vec<MountRequest>,
    /// Mount what the fields type, source, target and so on say
    #[arg(long, value_name = "FIELDS", value_parser = mount::mount)]
    mount: Vec<MountRequest>,
    /// Mount a file system in memory
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = tmpfs::tmpfs)]
    tmpfs: Vec<MountRequest>,
    /// Make the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Add a device of the host
    #[arg(long, value_name = "HOST[:TARGET[:rwm]]", value_parser = security::device)]
    device: Vec<DeviceRequest>,
}

impl MountArgs {
    pub(super) fn fill(self, options: &mut RunOptions) {
        options.read_only = self.read_only;
        options.devices = self.device;
    }
}

/// The mounts of all three flags as they came on the command line.
pub(super) fn in_order(matches: &ArgMatches) -> Vec<MountRequest> {
    let mut mounts: Vec<(usize, &MountRequest)> = ["volume", "mount", "tmpfs"]
        .into_iter()
        .flat_map(|flag| {
            let indices = matches.indices_of(flag).into_iter().flatten();
            indices.zip(matches.get_many(flag).into_iter().flatten())
        })
        .collect();
    mounts.sort_by_key(|(index, _)| *index);
    mounts.into_iter().map(|(_, mount)| mount.clone()).collect()
}
