use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::{major, minor};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxCpuBuilder, LinuxDeviceCgroup, LinuxMemory,
    LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder,
    LinuxThrottleDevice, LinuxThrottleDeviceBuilder,
};

use crate::{Error, Resources, RunOptions, ThrottleKind};

/// Enough for any service and too few for a fork bomb to hurt the host.
const DEFAULT_PIDS: i64 = 2048;

/// The kernel's usual length of a CPU accounting period, in microseconds.
const CPU_PERIOD: u32 = 100_000;

/// Docker's is 6 MB; a small static program needs far less.
const LEAST_MEMORY: u64 = 512 << 10;

pub(super) fn describe(
    options: &RunOptions,
    devices: Vec<LinuxDeviceCgroup>,
    rootless: bool,
) -> Result<LinuxResources, Error> {
    let wanted = &options.resources;
    let pids = match wanted.pids {
        // It is not asked for, and the caller may have no control group to set it in.
        None => (!rootless).then_some(DEFAULT_PIDS),
        // Docker's 0 is "as many as the host allows" too.
        Some(0) => Some(-1),
        limit => limit,
    };
    let builder = LinuxResourcesBuilder::default().devices(devices);
    let builder = match pids {
        Some(pids) => builder.pids(LinuxPidsBuilder::default().limit(pids).build()?),
        None => builder,
    };
    let builder = memory(wanted)?.into_iter().fold(builder, LinuxResourcesBuilder::memory);
    let builder = cpu(wanted)?.into_iter().fold(builder, LinuxResourcesBuilder::cpu);
    let builder = block_io(wanted)?.into_iter().fold(builder, LinuxResourcesBuilder::block_io);
    Ok(builder.build()?)
}

fn memory(wanted: &Resources) -> Result<Option<LinuxMemory>, Error> {
    check_memory(wanted)?;
    if wanted.memory.is_none() && wanted.memory_reservation.is_none() {
        return Ok(None);
    }
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    // Docker's rule: memory and swap together are twice the memory when nothing is said.
    let swap = match wanted.memory_swap {
        None | Some(0) => wanted.memory.map(|memory| bytes(memory.saturating_mul(2))),
        swap => swap,
    };
    let mut memory = LinuxMemoryBuilder::default().build()?;
    memory.set_limit(wanted.memory.map(bytes));
    memory.set_reservation(wanted.memory_reservation.map(bytes));
    memory.set_swap(swap);
    Ok(Some(memory))
}

fn check_memory(wanted: &Resources) -> Result<(), Error> {
    if wanted.memory.is_some_and(|memory| memory < LEAST_MEMORY) {
        let least = LEAST_MEMORY >> 10;
        return Err(Error::new(format!("Minimum memory limit allowed is {least}KiB")));
    }
    match (wanted.memory, wanted.memory_swap) {
        (None, Some(swap)) if swap > 0 => Err(Error::new(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        )),
        (Some(memory), Some(swap)) if swap > 0 && swap.unsigned_abs() < memory => Err(Error::new(
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        )),
        _ => match (wanted.memory, wanted.memory_reservation) {
            (Some(memory), Some(reservation)) if reservation > memory => Err(Error::new(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            )),
            _ => Ok(()),
        },
    }
}

fn cpu(wanted: &Resources) -> Result<Option<LinuxCpu>, Error> {
    check_cpu(wanted)?;
    let mut cpu = LinuxCpuBuilder::default().build()?;
    cpu.set_period(wanted.cpu_period);
    cpu.set_quota(wanted.cpu_quota);
    if let Some(cpus) = wanted.cpus {
        cpu.set_period(Some(u64::from(CPU_PERIOD)));
        cpu.set_quota(Some(quota(cpus)?));
    }
    cpu.set_shares(wanted.cpu_shares);
    cpu.set_cpus(wanted.cpuset_cpus.clone());
    cpu.set_mems(wanted.cpuset_mems.clone());
    let empty = LinuxCpuBuilder::default().build()?;
    Ok((cpu != empty).then_some(cpu))
}

/// Docker's rules and words. The kernel would answer `EINVAL` to the same.
fn check_cpu(wanted: &Resources) -> Result<(), Error> {
    let refused = match (wanted.cpus, wanted.cpu_quota, wanted.cpu_period) {
        (Some(_), _, Some(_)) => {
            "Conflicting options: Nano CPUs and CPU Period cannot both be set."
        }
        (Some(_), Some(_), _) => "Conflicting options: Nano CPUs and CPU Quota cannot both be set.",
        (_, _, Some(period)) if !(1_000..=1_000_000).contains(&period) => {
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        }
        (_, Some(0..1_000), _) => "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        _ => return Ok(()),
    };
    Err(Error::new(refused))
}

/// Microseconds of processor time in a period. The kernel takes no less than 1000.
fn quota(cpus: f64) -> Result<i64, Error> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let most = f64::from(u32::try_from(available).unwrap_or(u32::MAX));
    if !(0.01..=most).contains(&cpus) {
        return Err(Error::new(format!(
            "range of CPUs is from 0.01 to {most:.2}, as there are only {available} CPUs available"
        )));
    }
    // At most 4e9 processors times 1e5: far below 2^52, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation)]
    let quota = (cpus * f64::from(CPU_PERIOD)).round() as i64;
    Ok(quota)
}

fn block_io(wanted: &Resources) -> Result<Option<LinuxBlockIo>, Error> {
    if wanted.blkio_weight.is_none() && wanted.throttles.is_empty() {
        return Ok(None);
    }
    let of = |kind: ThrottleKind| -> Result<Option<Vec<LinuxThrottleDevice>>, Error> {
        let throttles: Vec<_> = wanted
            .throttles
            .iter()
            .filter(|throttle| throttle.kind == kind)
            .map(|throttle| throttle_device(&throttle.device, throttle.rate))
            .collect::<Result<_, Error>>()?;
        Ok((!throttles.is_empty()).then_some(throttles))
    };
    let mut block_io = LinuxBlockIoBuilder::default().build()?;
    block_io.set_weight(wanted.blkio_weight);
    block_io.set_throttle_read_bps_device(of(ThrottleKind::ReadBytes)?);
    block_io.set_throttle_write_bps_device(of(ThrottleKind::WriteBytes)?);
    block_io.set_throttle_read_iops_device(of(ThrottleKind::ReadOperations)?);
    block_io.set_throttle_write_iops_device(of(ThrottleKind::WriteOperations)?);
    Ok(Some(block_io))
}

fn throttle_device(path: &std::path::Path, rate: u64) -> Result<LinuxThrottleDevice, Error> {
    let metadata =
        path.metadata().map_err(|error| Error::path("throttle the device", path, &error))?;
    if !metadata.file_type().is_block_device() {
        return Err(Error::new(format!(
            "cannot throttle the device {}: not a block device",
            path.display()
        )));
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let builder = LinuxThrottleDeviceBuilder::default()
        .major(number(major(metadata.rdev())))
        .minor(number(minor(metadata.rdev())));
    Ok(builder.rate(rate).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(memory: Option<u64>, swap: Option<i64>, reservation: Option<u64>) -> Resources {
        Resources {
            memory,
            memory_swap: swap,
            memory_reservation: reservation,
            ..Resources::default()
        }
    }

    #[test]
    fn swap_is_as_much_again_when_nothing_is_said() {
        let memory = memory(&with(Some(64 << 20), None, None)).unwrap().unwrap();
        assert_eq!(memory.swap(), Some(128 << 20));
    }

    #[test]
    fn contradictory_memory_limits_are_refused() {
        for bad in [
            with(Some(1), None, None),
            with(None, Some(1 << 20), None),
            with(Some(2 << 20), Some(1 << 20), None),
            with(Some(1 << 20), None, Some(2 << 20)),
        ] {
            assert!(memory(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn too_little_memory_is_told_in_its_unit() {
        let error = memory(&with(Some(1024), None, None)).unwrap_err();
        assert_eq!(error.to_string(), "Minimum memory limit allowed is 512KiB");
    }

    #[test]
    fn quota_and_period_are_a_limit_of_their_own() {
        let with = |cpus, cpu_quota, cpu_period| Resources {
            cpus,
            cpu_quota,
            cpu_period,
            ..Resources::default()
        };
        for (quota, period) in
            [(Some(25_000), Some(50_000)), (Some(-1), None), (None, Some(1_000_000))]
        {
            let limit = cpu(&with(None, quota, period)).unwrap().unwrap();
            assert_eq!((limit.quota(), limit.period()), (quota, period));
        }
        for (bad, message) in [
            (with(Some(1.0), None, Some(50_000)), "CPU Period cannot both be set"),
            (with(Some(1.0), Some(-1), None), "CPU Quota cannot both be set"),
            (with(None, None, Some(999)), "period can not be less"),
            (with(None, None, Some(1_000_001)), "period can not be less"),
            (with(None, Some(999), None), "quota can not be less"),
        ] {
            let error = cpu(&bad).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn half_a_processor_is_half_a_period() {
        assert_eq!(quota(0.5).unwrap(), 50_000);
        assert!(quota(0.0).is_err() && quota(1e9).is_err() && quota(f64::NAN).is_err());
    }
}
