//! The first process of a container, written down so that others find it: its number, when it was
//! started and under which kernel, which together never come to mean another process.
//!
//! Its death follows from its parent's, unless it has switched that off: by becoming another user,
//! or by a call. Without a control group nothing else tells of it, and whoever undoes the container
//! ends it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use minidock_ns::Process;

use crate::{Error, host};

const FILE: &str = "process";

/// The same once more, when the process executes the container's program.
const BEGUN: &str = "begun";

/// The same of the process in charge.
const OWNER: &str = "owner";

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes a process down in the container's state directory.
pub(crate) fn remember(directory: &Path, pid: u32) -> Result<(), Error> {
    write_down(directory, FILE, pid)
}

/// Writes another process down that belongs to the container, in a file of its own.
pub(crate) fn write_down(directory: &Path, file: &str, pid: u32) -> Result<(), Error> {
    write(directory, file, &name_of(pid)?)
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    let (path, new) = (directory.join(name), directory.join(format!("{name}.new")));
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| Error::path("write", &path, &error))
}

/// What names a process for ever.
pub(crate) fn name_of(pid: u32) -> Result<String, Error> {
    let start = Process::open(pid)?.map(|process| process.start_time()).transpose()?.flatten();
    let start = start.ok_or_else(|| Error::new(format!("process {pid} has ended")))?;
    Ok(format!("{pid} {start} {}", host::boot()?))
}

/// Writes down under a name of its own that this process does something.
pub(crate) fn sign(directory: &Path, file: &str) -> Result<(), Error> {
    write(directory, file, &name_of(std::process::id())?)
}

/// Writes down that this process is in charge of the container.
pub(crate) fn take_charge(directory: &Path) -> Result<(), Error> {
    let own = name_of(std::process::id())?;
    match read(directory, OWNER)? {
        // It has executed itself since.
        Some(text) if text == own => Ok(()),
        _ => write(directory, OWNER, &own),
    }
}

/// The process in charge of the container, for whoever has to end it.
pub(crate) fn in_charge(directory: &Path) -> Result<Option<Process>, Error> {
    named(directory, OWNER)
}

/// Writes down that the process executes the container's program.
pub(crate) fn begin(directory: &Path) -> Result<(), Error> {
    let path = directory.join(BEGUN);
    fs::read(directory.join(FILE))
        .and_then(|process| fs::write(&path, process))
        .map_err(|error| Error::path("write", &path, &error))
}

/// The process that was written down, if it is still there and executes the container's program.
/// Until then it is a copy of the engine, in the middle of making the container, and may still see
/// the host's root.
pub(crate) fn executing(directory: &Path) -> Result<Option<Process>, Error> {
    let Some(process) = find(directory)? else { return Ok(None) };
    Ok(has_begun(directory)?.then_some(process))
}

/// The process that was written down did execute the container's program, and has ended.
pub(crate) fn has_ended(directory: &Path) -> Result<bool, Error> {
    Ok(has_begun(directory)? && find(directory)?.is_none())
}

fn has_begun(directory: &Path) -> Result<bool, Error> {
    // The directory may have had an earlier process.
    let begun = read(directory, BEGUN)?;
    Ok(begun.is_some() && begun == read(directory, FILE)?)
}

/// Ends the process that was written down, if it is still the same, and with it all of its PID
/// namespace.
pub(crate) fn end(directory: &Path) -> Result<(), Error> {
    end_named(directory, FILE).map(drop)
}

/// The same of a process in a file of its own. Its number, when one was written down, whether it had
/// ended already or not.
pub(crate) fn end_named(directory: &Path, file: &str) -> Result<Option<i32>, Error> {
    let Some(text) = read(directory, file)? else { return Ok(None) };
    let number = parse(&text).and_then(|(pid, ..)| i32::try_from(pid).ok());
    let Some(process) = named(directory, file)? else { return Ok(number) };
    process.kill(libc::SIGKILL)?;
    match process.wait(Some(PATIENCE))? {
        true => Ok(number),
        false => Err(Error::new(format!("process {} does not end", process.pid()))),
    }
}

/// The name that was written down of a process that is not undone yet, be it one or not.
pub(crate) fn written(directory: &Path) -> Result<Option<String>, Error> {
    read(directory, FILE)
}

/// Nothing is written down of it any more.
pub(crate) fn forget(directory: &Path) -> Result<(), Error> {
    forget_file(directory, FILE)
}

/// The same of a file of its own.
pub(crate) fn forget_file(directory: &Path, file: &str) -> Result<(), Error> {
    let path = directory.join(file);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::path("remove", &path, &error))
        }
        _ => Ok(()),
    }
}

/// The process that was written down, if it has not ended.
pub(crate) fn find(directory: &Path) -> Result<Option<Process>, Error> {
    named(directory, FILE)
}

/// Whether a file names a process, be it one or not; so does one that is missing.
pub(crate) fn is_understood(directory: &Path, file: &str) -> Result<bool, Error> {
    let path = directory.join(file);
    match fs::read(&path) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).is_ok_and(|text| parse(text).is_some())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::path("read", &path, &error)),
    }
}

/// The process that a file names, if it has not ended.
pub(crate) fn named(directory: &Path, file: &str) -> Result<Option<Process>, Error> {
    let Some(text) = read(directory, file)? else { return Ok(None) };
    let unclear = || Error::new(format!("cannot understand {}", directory.join(file).display()));
    alive(&text)?.ok_or_else(unclear)
}

/// The process of this name, if it has not ended; nothing at all when it is no name.
pub(crate) fn alive(name: &str) -> Result<Option<Option<Process>>, Error> {
    let Some((pid, start, booted)) = parse(name) else { return Ok(None) };
    if booted != host::boot()? {
        return Ok(Some(None));
    }
    let Some(process) = Process::open(pid)? else { return Ok(Some(None)) };
    let same = process.start_time()? == Some(start);
    let ended = || process.wait(Some(Duration::ZERO));
    Ok(Some((same && !ended()?).then_some(process)))
}

fn read(directory: &Path, name: &str) -> Result<Option<String>, Error> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::path("read", &path, &error)),
    }
}

fn parse(text: &str) -> Option<(u32, u64, &str)> {
    let mut words = text.split_whitespace();
    let (pid, start) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    // Half a name would look like that of another kernel.
    let boot = words.next().filter(|boot| boot.len() == UUID)?;
    Some((pid, start, boot))
}

/// The length of a kernel's name (`random(4)`).
const UUID: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_executes_when_it_was_said_of_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(executing(path).unwrap().is_none());
        remember(path, std::process::id()).unwrap();
        assert!(executing(path).unwrap().is_none());
        begin(path).unwrap();
        assert_eq!(executing(path).unwrap().unwrap().pid(), std::process::id());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        remember(path, child.id()).unwrap();
        assert!(executing(path).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_is_ended_only_when_it_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        end(directory.path()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        remember(directory.path(), child.id()).unwrap();
        let text = fs::read_to_string(directory.path().join(FILE)).unwrap();
        let start = Process::open(child.id()).unwrap().unwrap().start_time().unwrap().unwrap();
        for other in [
            text.replace(&start.to_string(), &(start + 1).to_string()),
            text.replace(&host::boot().unwrap(), &"0".repeat(UUID)),
        ] {
            fs::write(directory.path().join(FILE), other).unwrap();
            end(directory.path()).unwrap();
            assert!(child.try_wait().unwrap().is_none());
        }
        fs::write(directory.path().join(FILE), text).unwrap();
        end(directory.path()).unwrap();
        assert!(!child.wait().unwrap().success());
        end(directory.path()).unwrap();
        let whole = format!("1 1 {}", host::boot().unwrap());
        for length in 0..whole.len() {
            fs::write(directory.path().join(FILE), &whole[..length]).unwrap();
            assert!(end(directory.path()).is_err(), "{length}");
        }
    }
}
