use clap::Args;
use minidock_engine::{Resources, RunOptions, ThrottleRequest};

use super::given;
use crate::values::size::{bytes, bytes_or_unlimited};
use crate::values::{integer, limits, unsigned};

/// Limits that can be changed while a container runs, too.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Limit the memory
    #[arg(short, long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Limit memory and swap together; -1 is unlimited
    #[arg(long, value_name = "BYTES", value_parser = bytes_or_unlimited)]
    memory_swap: Option<i64>,
    /// Keep this much when the host's memory is short
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_reservation: Option<u64>,
    /// Limit the processor time, in processors
    #[arg(long, value_name = "NUMBER", value_parser = limits::cpus)]
    cpus: Option<f64>,
    /// Limit the processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = integer)]
    cpu_quota: Option<i64>,
    /// Set the length of a period, 1000 to 1000000 microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = unsigned)]
    cpu_period: Option<u64>,
    /// Weigh the processor time against others, 2 to 262144
    #[arg(short, long, value_name = "SHARES", value_parser = limits::cpu_shares)]
    cpu_shares: Option<u64>,
    /// Run on these processors only, such as 0-2,7
    #[arg(long, value_name = "LIST", value_parser = limits::cpus_list)]
    cpuset_cpus: Option<String>,
    /// Take memory of these NUMA nodes only
    #[arg(long, value_name = "LIST", value_parser = limits::mems_list)]
    cpuset_mems: Option<String>,
    /// Limit the number of processes and threads; -1 is unlimited
    #[arg(long, value_name = "NUMBER", value_parser = integer)]
    pids_limit: Option<i64>,
    /// Weigh the disk traffic against others, 10 to 1000
    #[arg(long, value_name = "WEIGHT", value_parser = limits::blkio_weight)]
    blkio_weight: Option<u16>,
}

impl LimitArgs {
    /// Docker takes 0 for "no limit of its own", and for "as it is" where there is one.
    pub(crate) fn resources(self) -> Resources {
        Resources {
            memory: self.memory.filter(|bytes| *bytes > 0),
            memory_swap: self.memory_swap.filter(|bytes| *bytes != 0),
            memory_reservation: self.memory_reservation.filter(|bytes| *bytes > 0),
            cpus: self.cpus.filter(|cpus| *cpus > 0.0),
            cpu_quota: self.cpu_quota.filter(|quota| *quota != 0),
            cpu_period: self.cpu_period.filter(|period| *period > 0),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: given(self.cpuset_cpus),
            cpuset_mems: given(self.cpuset_mems),
            pids: self.pids_limit.map(|limit| if limit > 0 { limit } else { -1 }),
            blkio_weight: self.blkio_weight.filter(|weight| *weight > 0),
            throttles: Vec::new(),
        }
    }
}

/// Limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resources")]
pub(super) struct ResourceArgs {
    #[command(flatten)]
    limits: LimitArgs,
    /// Limit reading from a device, in bytes a second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = limits::read_bytes)]
    device_read_bps: Vec<ThrottleRequest>,
    /// Limit writing to a device, in bytes a second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = limits::write_bytes)]
    device_write_bps: Vec<ThrottleRequest>,
    /// Limit reading from a device, in operations a second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = limits::read_operations)]
    device_read_iops: Vec<ThrottleRequest>,
    /// Limit writing to a device, in operations a second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = limits::write_operations)]
    device_write_iops: Vec<ThrottleRequest>,
    /// Adjust the score of the out-of-memory killer, -1000 to 1000
    #[arg(long, value_name = "SCORE", value_parser = limits::oom_score_adj)]
    oom_score_adj: Option<i32>,
    /// Limit a resource of each process, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = limits::ulimit)]
    ulimit: Vec<String>,
    /// Size of /dev/shm, 64m otherwise
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    shm_size: Option<u64>,
    /// Make the container's control groups below this one
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

impl ResourceArgs {
    pub(super) fn fill(self, options: &mut RunOptions) {
        let throttles = [
            self.device_read_bps,
            self.device_write_bps,
            self.device_read_iops,
            self.device_write_iops,
        ];
        let throttles = throttles.into_iter().flatten().collect();
        options.resources = Resources { throttles, ..self.limits.resources() };
        options.oom_score_adj = self.oom_score_adj;
        options.ulimits = self.ulimit;
        if let Some(bytes) = self.shm_size.filter(|bytes| *bytes > 0) {
            options.shm_size = bytes;
        }
        options.cgroup_parent = given(self.cgroup_parent).map(Into::into);
    }
}
