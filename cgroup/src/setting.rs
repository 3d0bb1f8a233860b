//! One write to a file of a control group, and the check that it took effect.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::bpf::DeviceProgram;
use crate::error::Error;
use crate::file;

/// A limit as data: what is written where. [`Setting::apply`] does it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The controller, e.g. `memory`.
    pub controller: String,
    /// The file; for a v2 device program the group's directory.
    pub file: PathBuf,
    /// What is written; several lines are several writes.
    pub value: String,
    pub(crate) action: Action,
    /// Tried when `file` does not exist on this kernel.
    pub(crate) alternative: Option<Box<Setting>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write, then read back.
    Write(Check),
    /// `cgroup.subtree_control`: write only what is missing.
    Enable,
    /// `devices.allow` and `devices.deny` cannot be read.
    WriteOnly,
    /// Load a BPF program and attach it.
    Attach(DeviceProgram),
}

/// When the value read counts as the value written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The same text.
    Exact,
    /// The kernel rounds bytes down to whole pages of at most this size.
    Bytes(u64),
    /// The kernel rewrites lists: `0,1` becomes `0-1`.
    List,
    /// A list in a v2 cpuset: the file keeps what was asked for, `FILE.effective` what the groups
    /// above grant of it.
    Effective,
    /// One line among others has all the words.
    Line,
}

impl Setting {
    /// Writes, then reads the value back: a limit that the kernel took but does not keep, or does
    /// not grant (a v2 cpuset beyond the parent's), is an error too. What was written stays.
    ///
    /// # Errors
    /// [`Error::Write`] (with the memory in use when the kernel could not reclaim enough),
    /// [`Error::ReadBack`], [`Error::Enable`], [`Error::Read`], [`Error::DeviceProgram`].
    pub fn apply(&self) -> Result<(), Error> {
        match &self.action {
            Action::Write(check) => self.write_and_check(*check),
            Action::Enable => self.enable(),
            Action::WriteOnly => self.write_lines(),
            Action::Attach(program) => program.attach(&self.file),
        }
    }

    /// The same as POSIX shell commands (a device program has none: a comment says so).
    pub fn shell(&self) -> Vec<String> {
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let file = quote(&self.file.to_string_lossy());
        match self.action {
            Action::Attach(_) => vec![format!("# {self}: bpf(2) has no shell command")],
            _ => self.value.lines().map(|line| format!("echo {} > {file}", quote(line))).collect(),
        }
    }

    fn write_and_check(&self, check: Check) -> Result<(), Error> {
        let found = match file::write_and_read_back(&self.file, &self.value) {
            Ok(found) => found,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                return match &self.alternative {
                    Some(alternative) => alternative.apply(),
                    None => Err(self.write_error(error)),
                };
            }
            Err(error) => return Err(self.write_error(error)),
        };
        let found = match check {
            Check::Effective => file::read(&self.file.with_added_extension("effective"))?,
            _ => found,
        };
        if check.accepts(&self.value, found.trim_end()) {
            return Ok(());
        }
        Err(self.read_back_error(found.trim_end()))
    }

    fn enable(&self) -> Result<(), Error> {
        let error = |source| Error::Enable {
            controllers: self.value.clone(),
            file: self.file.clone(),
            source,
        };
        let missing = |enabled: &str| -> Vec<&str> {
            let has = |name: &str| enabled.split_ascii_whitespace().any(|word| word == name);
            let wanted = self.value.split_ascii_whitespace();
            wanted.filter(|plus| !has(plus.trim_start_matches('+'))).collect()
        };
        let enabled = file::read(&self.file)?;
        let wanted = missing(&enabled).join(" ");
        // Usually enabled long ago: the write would take locks and needs the right to do it.
        if wanted.is_empty() {
            return Ok(());
        }
        if self.has_inner_processes()? {
            return Err(error(io::Error::from_raw_os_error(libc::EBUSY)));
        }
        let found = file::write_and_read_back(&self.file, &wanted).map_err(error)?;
        if missing(&found).is_empty() {
            Ok(())
        } else {
            Err(self.read_back_error(found.trim_end()))
        }
    }

    /// The kernel refuses memory and io by itself in a group with processes, but not cpu, cpuset
    /// and pids: those make it a thread root, below which no process can be started. The real root,
    /// without `cgroup.type`, may have processes.
    fn has_inner_processes(&self) -> Result<bool, Error> {
        if file::read_if_there(&self.file.with_file_name("cgroup.type"))?.is_none() {
            return Ok(false);
        }
        Ok(!file::read(&self.file.with_file_name("cgroup.procs"))?.trim().is_empty())
    }

    fn write_lines(&self) -> Result<(), Error> {
        file::write_lines(&self.file, &self.value).map_err(|error| self.write_error(error))
    }

    fn write_error(&self, source: io::Error) -> Error {
        let busy_memory = self.controller == "memory" && source.raw_os_error() == Some(libc::EBUSY);
        // Only decorates the error: without the file the message simply says less.
        let usage = busy_memory
            .then(|| file::read(&self.file.with_file_name("memory.usage_in_bytes")).ok())
            .flatten()
            .and_then(|text| text.trim().parse().ok());
        Error::Write {
            controller: self.controller.clone(),
            file: self.file.clone(),
            value: self.value.clone(),
            usage,
            source,
        }
    }

    fn read_back_error(&self, found: &str) -> Error {
        Error::ReadBack {
            controller: self.controller.clone(),
            file: self.file.clone(),
            value: self.value.clone(),
            found: found.to_owned(),
        }
    }
}

impl fmt::Display for Setting {
    /// One line: `write 67108864 to memory.limit_in_bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.file_name().unwrap_or_default();
        let name = Path::new(name).display();
        match &self.action {
            Action::Attach(program) => {
                write!(f, "attach a device program of {} instructions", program.len())
            }
            Action::Enable => write!(f, "write {} to {}", self.value, self.file.display()),
            _ => {
                let value = self.value.lines().collect::<Vec<_>>().join(", ");
                write!(f, "write {value} to {name}")?;
                match &self.alternative {
                    Some(other) => write!(f, " (or {other})"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Check {
    fn accepts(self, written: &str, found: &str) -> bool {
        match self {
            Self::Exact => written == found,
            Self::Bytes(page) => bytes_agree(written, found, page),
            Self::List | Self::Effective => {
                intervals(written).is_some_and(|list| intervals(found) == Some(list))
            }
            Self::Line => found.lines().any(|line| has_words(line, written)),
        }
    }
}

/// v1 shows "no limit" as the largest number of whole pages in an i64.
const UNLIMITED: u64 = 1 << 62;

fn bytes_agree(written: &str, found: &str, page: u64) -> bool {
    let number = |text: &str| match text {
        "max" | "-1" => Some(u64::MAX),
        _ => text.parse().ok(),
    };
    match (number(written), number(found)) {
        (Some(written), Some(found)) if found >= UNLIMITED => written >= UNLIMITED,
        (Some(written), Some(found)) => found <= written && written - found < page,
        _ => false,
    }
}

/// The first words agree (the device), and all others are there.
fn has_words(line: &str, wanted: &str) -> bool {
    let mut wanted = wanted.split_ascii_whitespace();
    line.split_ascii_whitespace().next() == wanted.next()
        && wanted.all(|word| line.split_ascii_whitespace().any(|known| known == word))
}

/// `0-2,3,7` as `[(0, 3), (7, 7)]`.
fn intervals(list: &str) -> Option<Vec<(u32, u32)>> {
    let mut parts = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        parts.push((low.parse().ok()?, high.parse().ok()?));
    }
    parts.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(parts.len());
    for (low, high) in parts {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_down_to_pages_is_accepted_and_nothing_else() {
        let page = Check::Bytes(65_536);
        assert!(page.accepts("67108865", "67108864"));
        assert!(page.accepts("-1", "9223372036854771712"));
        assert!(page.accepts("max", "max"));
        assert!(!page.accepts("67108864", "67108865"));
        assert!(!page.accepts("67108864", "9223372036854771712"));
        assert!(!page.accepts("max", "67108864"));
        assert!(!page.accepts("67108864", ""));
    }

    #[test]
    fn lists_agree_however_they_are_written() {
        assert!(Check::List.accepts("0,1,2,5", "0-2,5"));
        assert!(Check::List.accepts("1,0-0", "0-1"));
        assert!(!Check::List.accepts("0-2", "0-1"));
        assert!(!Check::List.accepts("0-x", "0-1"));
    }

    #[test]
    fn a_line_among_others_is_found() {
        let found = "8:0 rbps=max wbps=5 riops=max wiops=max\n254:0 rbps=7 wbps=max";
        assert!(Check::Line.accepts("8:0 wbps=5", found));
        assert!(!Check::Line.accepts("8:0 rbps=7", found));
        assert!(Check::Line.accepts("254:0 7", "254:0 7"));
    }
}
