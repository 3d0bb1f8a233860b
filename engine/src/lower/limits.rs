use minidock_cgroup::{
    Bound, DeviceAccess, DeviceKind, DeviceRule, Limits, Throttle, ThrottleKind,
};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources,
    LinuxThrottleDevice,
};

use crate::Error;

pub(super) fn lower(resources: Option<&LinuxResources>) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    let Some(resources) = resources else { return Ok(limits) };
    if let Some(limit) = resources.memory() {
        memory(limit, &mut limits);
    }
    if let Some(limit) = resources.cpu() {
        cpu(limit, &mut limits)?;
    }
    limits.pids = resources.pids().map(|pids| Bound::from(pids.limit()));
    if let Some(limit) = resources.block_io() {
        block_io(limit, &mut limits)?;
    }
    for page in resources.hugepage_limits().iter().flatten() {
        let bytes = number("linux.resources.hugepageLimits", page.limit())?;
        limits.hugetlb.push((page.page_size().clone(), bytes));
    }
    limits.unified = resources.unified().clone().into_iter().flatten().collect();
    limits.unified.sort();
    limits.devices =
        resources.devices().iter().flatten().map(device).collect::<Result<_, Error>>()?;
    Ok(limits)
}

fn memory(memory: &LinuxMemory, limits: &mut Limits) {
    limits.memory = memory.limit().map(Bound::from);
    limits.memory_swap = memory.swap().map(Bound::from);
    limits.memory_reservation = memory.reservation().map(Bound::from);
}

fn cpu(cpu: &LinuxCpu, limits: &mut Limits) -> Result<(), Error> {
    if cpu.realtime_runtime().is_some() || cpu.realtime_period().is_some() {
        return Err(Error::new("linux.resources.cpu: real-time limits are not supported"));
    }
    limits.cpu_quota = cpu.quota().map(Bound::from);
    limits.cpu_period = cpu.period();
    limits.cpu_shares = cpu.shares();
    limits.cpuset_cpus.clone_from(cpu.cpus());
    limits.cpuset_mems.clone_from(cpu.mems());
    Ok(())
}

fn block_io(block_io: &LinuxBlockIo, limits: &mut Limits) -> Result<(), Error> {
    limits.blkio_weight = block_io.weight();
    let all = [
        (ThrottleKind::ReadBps, block_io.throttle_read_bps_device()),
        (ThrottleKind::WriteBps, block_io.throttle_write_bps_device()),
        (ThrottleKind::ReadIops, block_io.throttle_read_iops_device()),
        (ThrottleKind::WriteIops, block_io.throttle_write_iops_device()),
    ];
    for (kind, devices) in all {
        for device in devices.iter().flatten() {
            limits.throttles.push(throttle(kind, device)?);
        }
    }
    Ok(())
}

fn throttle(kind: ThrottleKind, device: &LinuxThrottleDevice) -> Result<Throttle, Error> {
    let number = |value| number("linux.resources.blockIO", value);
    Ok(Throttle {
        major: number(device.major())?,
        minor: number(device.minor())?,
        kind,
        rate: device.rate(),
    })
}

fn device(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, Error> {
    const FIELD: &str = "linux.resources.devices";
    let access = rule.access().as_deref().unwrap_or("rwm");
    let optional = |value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(value) => number(FIELD, value).map(Some),
    };
    Ok(DeviceRule {
        allow: rule.allow(),
        kind: match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => DeviceKind::All,
            LinuxDeviceType::B => DeviceKind::Block,
            LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
            LinuxDeviceType::P => return Err(Error::new(format!("{FIELD}: a pipe is no device"))),
        },
        major: optional(rule.major())?,
        minor: optional(rule.minor())?,
        access: DeviceAccess::parse(access).ok_or_else(|| {
            Error::new(format!("{FIELD}: the access {access:?} is not of r, w, m"))
        })?,
    })
}

fn number<T: TryFrom<i64>>(field: &str, value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::new(format!("{field}: {value} is out of range")))
}
