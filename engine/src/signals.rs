//! The signals of the caller's, which are the container's while there is one.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Error;

/// The signal of this number when it is one by which somebody asks a program to end.
pub(crate) fn request(signal: i32) -> Option<Signal> {
    let requests = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    requests.into_iter().find(|request| *request as i32 == signal)
}

/// The number of a signal by its name, with or without `SIG`, as `signal(7)` has them, by its
/// distance from the real-time ones (`RTMIN+3`), or by its number, 1 to 64.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u8>().ok() };
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        first + i32::from(real_time(rest.trim_start_matches('+'))?)
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        last - i32::from(real_time(rest.trim_start_matches('-'))?)
    } else if let Ok(number) = name.parse() {
        number
    } else {
        return format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32);
    };
    (1..=last).contains(&number).then_some(number)
}

/// What the caller has chosen not to be disturbed by, as `nohup` does by SIGHUP, and a shell by
/// SIGINT for what runs in the background. The container is not disturbed either. That a signal
/// which does nothing by default is ignored says nothing.
fn ignored_by_caller() -> Result<Vec<Signal>, Error> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| Error::io("read", "/proc/self/status", &error))?;
    let mask = ignored(&status)
        .ok_or_else(|| Error::new("cannot understand /proc/self/status: it has no SigIgn"))?;
    let is_ignored = |signal: &Signal| mask >> (*signal as i32 - 1) & 1 == 1;
    let means_nothing = [Signal::SIGCONT, Signal::SIGWINCH];
    Ok(Signal::iterator()
        .filter(|signal| is_ignored(signal) && !means_nothing.contains(signal))
        .collect())
}

/// Bit n - 1 is signal n (`proc(5)`).
fn ignored(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

/// After so many requests to end within [`IMPATIENCE`] a container is killed.
const PATIENCE: usize = 3;
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How often the caller has asked a container to end.
#[derive(Debug, Default)]
pub(crate) struct Requests(Vec<Instant>);

impl Requests {
    /// What is sent to the container when this signal has come: it, or SIGKILL when the container
    /// does not listen.
    pub(crate) fn answer(&mut self, signal: i32) -> i32 {
        if signal == libc::SIGINT || signal == libc::SIGTERM {
            let now = Instant::now();
            self.0.retain(|request| now.duration_since(*request) < IMPATIENCE);
            self.0.push(now);
        }
        if self.0.len() >= PATIENCE { libc::SIGKILL } else { signal }
    }
}

/// The caller's signals as a descriptor. Dropping it gives the thread its mask back.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    before: SigSet,
    /// What came before there was a program to get it.
    early: VecDeque<i32>,
}

impl Signals {
    /// From here on signals wait, so that none ends this process before it has cleaned up.
    pub(crate) fn collect() -> Result<Self, Error> {
        let failed = |errno: Errno| Error::io("collect", "signals", &errno.into());
        // These are about this process itself, or about its place in the shell's job control.
        let own = [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGTRAP,
            Signal::SIGSYS,
            Signal::SIGABRT,
            Signal::SIGCHLD,
            Signal::SIGPIPE,
            Signal::SIGURG,
            Signal::SIGTSTP,
            Signal::SIGTTIN,
            Signal::SIGTTOU,
        ];
        let mut set = SigSet::all();
        own.iter().for_each(|signal| set.remove(*signal));
        ignored_by_caller()?.into_iter().for_each(|signal| set.remove(signal));
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before)).map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        match SignalFd::with_flags(&set, flags) {
            Ok(descriptor) => Ok(Self { descriptor, before, early: VecDeque::new() }),
            Err(errno) => {
                let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
                Err(failed(errno))
            }
        }
    }

    /// The next one for the container.
    pub(crate) fn next(&mut self) -> Option<i32> {
        self.early.pop_front().or_else(|| self.read())
    }

    /// To be asked as long as there is no program: a request to end is an error, everything else
    /// is kept for the program.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        while let Some(signal) = self.read() {
            if let Some(request) = request(signal) {
                return Err(Error::interrupted(request));
            }
            self.early.push_back(signal);
        }
        Ok(())
    }

    fn read(&mut self) -> Option<i32> {
        loop {
            let information = self.descriptor.read_signal().ok().flatten()?;
            let signal = i32::try_from(information.ssi_signo).ok()?;
            // The kernel's word that a file of this process's own, such as a log, has become too
            // large (setrlimit(2)): the write has failed too.
            if signal != libc::SIGXFSZ || information.ssi_code <= 0 {
                return Some(signal);
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // What has arrived meanwhile was for a container that is gone.
        while self.next().is_some() {}
        // Only an invalid argument could fail here.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_a_mask() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert_eq!(ignored(status), Some(0x1001));
        assert_eq!(ignored("Name:\tx\n"), None);
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for name in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(number(name), Some(15), "{name}");
        }
        assert_eq!(number("SIGRTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(number("RTMAX-1"), Some(63));
        assert_eq!(number("64"), Some(64));
        for bad in ["", "0", "65", "-1", "NOSUCH", "RTMIN+31", "RTMIN3x", "SIG"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_asks_for_an_end_is_a_request() {
        assert_eq!(request(15), Some(Signal::SIGTERM));
        assert_eq!(request(28), None);
    }
}
