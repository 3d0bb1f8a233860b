//! Why a container has not ended by its stop signal.

use std::fs;

use minidock_ns::Process;

/// In one line. What the kernel does not tell is left out.
pub(crate) fn why(process: &Process, signal: i32, seconds: i64) -> String {
    let late = format!("it has not ended within {seconds} s of signal {signal} and was killed");
    let read = |file| fs::read_to_string(format!("/proc/{}/{file}", process.pid())).ok();
    let (Some(status), Some(program)) = (read("status"), read("comm")) else { return late };
    match handles(&status, signal) {
        Some(false) => format!(
            "{late}: PID 1 ({}) has no handler for it, and without one PID 1 does not notice; \
             --init gives it one",
            program.trim()
        ),
        _ => late,
    }
}

/// Bit n - 1 is signal n (`proc_pid_status(5)`).
fn handles(status: &str, signal: i32) -> Option<bool> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    let mask = u64::from_str_radix(digits.trim(), 16).ok()?;
    let bit = u32::try_from(signal).ok()?.checked_sub(1)?;
    Some(mask.checked_shr(bit)? & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_a_mask() {
        let status = "Name:\tx\nSigCgt:\t0000000000004001\n";
        assert_eq!(handles(status, libc::SIGTERM), Some(true));
        assert_eq!(handles(status, libc::SIGHUP), Some(true));
        assert_eq!(handles(status, libc::SIGINT), Some(false));
        assert_eq!(handles(status, 0), None);
        assert_eq!(handles("", 15), None);
    }
}
