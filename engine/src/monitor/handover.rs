//! What a monitor is executed with: words that name its descriptors, and what else it has to know.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::{ContainerId, Engine, Error, sys};

/// `name=value`, each name once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<(String, String)>);

/// How whoever starts a container looks at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StartedBy {
    /// It is attached from the first byte on.
    pub(crate) attached: bool,
    /// Rows and columns of its terminal.
    pub(crate) size: Option<(u16, u16)>,
}

fn not_a_monitor() -> Error {
    Error::new("this command is what minidock itself executes for a detached container")
        .hint("minidock run -d starts one")
}

impl Words {
    pub(crate) fn parse(words: &[String]) -> Result<Self, Error> {
        let pair = |word: &String| {
            let (name, value) = word.split_once('=').ok_or_else(not_a_monitor)?;
            Ok((name.to_owned(), value.to_owned()))
        };
        words.iter().map(pair).collect::<Result<_, Error>>().map(Self)
    }

    pub(crate) fn say(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// A descriptor that the executed program is to have.
    pub(crate) fn hand(&mut self, name: &str, fd: BorrowedFd<'_>) {
        self.say(name, fd.as_raw_fd());
    }

    pub(super) fn started(by: StartedBy) -> Self {
        let mut words = Self::default();
        if by.attached {
            words.say("attached", true);
        }
        if let Some((rows, columns)) = by.size {
            words.say("rows", rows);
            words.say("columns", columns);
        }
        words
    }

    pub(super) fn started_by(&self) -> StartedBy {
        let size = self.number("rows").zip(self.number("columns"));
        StartedBy { attached: self.has("attached"), size }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.0.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.parse().ok())
    }

    /// A descriptor that this program was executed with. It is taken once, and a program that is
    /// executed from here on does not have it.
    pub(crate) fn descriptor(&mut self, name: &str) -> Result<OwnedFd, Error> {
        let index = self.0.iter().position(|(own, _)| own == name).ok_or_else(not_a_monitor)?;
        let (_, value) = self.0.remove(index);
        take_over(name, &value)
    }

    /// Descriptors that nothing is done with but keep them.
    pub(super) fn hand_all(&mut self, name: &str, descriptors: &[OwnedFd]) {
        let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        if !numbers.is_empty() {
            self.say(name, in_ranges(numbers));
        }
    }

    /// Those.
    pub(super) fn descriptors(&mut self, name: &str) -> Result<Vec<OwnedFd>, Error> {
        let Some(index) = self.0.iter().position(|(own, _)| own == name) else {
            return Ok(Vec::new());
        };
        let (_, value) = self.0.remove(index);
        let numbers = numbers_of(&value).ok_or_else(not_a_monitor)?;
        numbers.into_iter().map(|number| take_over(name, &number.to_string())).collect()
    }

    pub(crate) fn optional(&mut self, name: &str) -> Result<Option<OwnedFd>, Error> {
        self.has(name).then(|| self.descriptor(name)).transpose()
    }

    /// The arguments of a monitor.
    pub(super) fn arguments(&self, engine: &Engine, id: &ContainerId) -> Vec<Vec<u8>> {
        let bytes = |path: &std::path::Path| path.as_os_str().as_bytes().to_vec();
        let places = [bytes(&engine.root), bytes(engine.state.path()), id.as_str().into()];
        let words = self.0.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
        [b"monitor".to_vec()].into_iter().chain(places).chain(words).collect()
    }

    /// Executes this program in place of itself; returns only when that fails. Signals stay blocked,
    /// so that none is lost.
    pub(super) fn execute(&self, engine: &Engine, id: &ContainerId) -> Error {
        let arguments = [b"minidock".to_vec()].into_iter().chain(self.arguments(engine, id));
        let arguments = arguments.map(CString::new).collect::<Result<Vec<_>, _>>();
        let program = CString::new(engine.program.as_os_str().as_bytes());
        let failed = |errno: Errno| Error::path("execute", &engine.program, &errno.into());
        let (Ok(program), Ok(arguments)) = (program, arguments) else {
            return failed(Errno::EINVAL);
        };
        let numbers = |name: &str| {
            let value = self.0.iter().find(|(own, _)| own == name);
            value.and_then(|(_, value)| numbers_of(value)).unwrap_or_default()
        };
        for name in DESCRIPTORS {
            for fd in numbers(name) {
                if let Err(error) = sys::keep_on_exec(fd) {
                    return Error::io("hand on", name, &error);
                }
            }
        }
        match nix::unistd::execv(&program, &arguments) {
            Err(errno) => failed(errno),
            Ok(never) => match never {},
        }
    }
}

/// `3-7,9`: an argument has room for so many (`MAX_ARG_STRLEN`, `execve(2)`).
fn in_ranges(mut numbers: Vec<i32>) -> String {
    numbers.sort_unstable();
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(first, last): &(i32, i32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Nothing for what [`in_ranges`] does not write.
fn numbers_of(text: &str) -> Option<Vec<i32>> {
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<i32>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

fn take_over(name: &str, number: &str) -> Result<OwnedFd, Error> {
    let failed = |error: io::Error| Error::io("take over", name, &error);
    let fd = match number.parse::<i32>() {
        // Standard streams are needed for themselves.
        Ok(0) => return io::stdin().as_fd().try_clone_to_owned().map_err(failed),
        Ok(1) => return io::stdout().as_fd().try_clone_to_owned().map_err(failed),
        Ok(number @ 3..) => sys::inherited(number).map_err(failed)?,
        _ => return Err(not_a_monitor()),
    };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|errno| failed(errno.into()))?;
    Ok(fd)
}

/// The words that name descriptors.
const DESCRIPTORS: [&str; 9] =
    ["pidfd", "lock", "listener", "starter", "input", "output", "error", "terminal", "ports"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive() {
        let by = StartedBy { attached: true, size: Some((24, 80)) };
        let words = Words::started(by);
        let engine = Engine::new("/root dir".into(), "/state".into());
        let id = ContainerId::random().unwrap();
        let arguments = words.arguments(&engine, &id);
        let texts: Vec<String> =
            arguments.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
        assert_eq!(texts[..4], ["monitor", "/root dir", "/state", id.as_str()]);
        let parsed = Words::parse(&texts[4..]).unwrap();
        assert_eq!(parsed, words);
        assert_eq!(parsed.started_by(), by);
    }

    #[test]
    fn many_descriptors_are_few_words() {
        for (numbers, text) in
            [(vec![7], "7"), (vec![3, 4, 5, 9], "3-5,9"), (vec![12, 11, 3], "3,11-12")]
        {
            assert_eq!(in_ranges(numbers.clone()), text);
            let mut sorted = numbers;
            sorted.sort_unstable();
            assert_eq!(numbers_of(text), Some(sorted));
        }
        for text in ["", "x", "3-", "3,,4"] {
            assert_eq!(numbers_of(text), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_has_handed_on_is_refused() {
        let mut words = Words::parse(&["lock=987654".to_owned(), "pidfd=-1".to_owned()]).unwrap();
        assert!(words.descriptor("lock").is_err());
        assert!(words.descriptor("pidfd").is_err());
        assert!(words.descriptor("listener").is_err());
        assert!(Words::parse(&["--help".to_owned()]).is_err());
    }
}
