//! Reading the journal while it is written.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Event, EventQuery, journal};
use crate::logs::Watch;
use crate::{Engine, Error, time};

/// Milliseconds between two looks, should the kernel not tell of a change.
const PAUSE: u8 = 200;

/// Delivers events in the order of the journal, until `deliver` wants no more or `until` is over.
pub(crate) fn read(
    engine: &Engine,
    query: &EventQuery,
    mut deliver: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<(), Error> {
    engine.prepare()?;
    let failed = |error: io::Error| Error::path("read", &journal::newest(&engine.root), &error);
    // From here on nothing is written unnoticed.
    let watch = Watch::new(&engine.root)?;
    let mut files = Files::open(&engine.root, query.since.is_none()).map_err(failed)?;
    loop {
        // What is written until then is still delivered.
        let over = query.until.is_some_and(|until| until <= time::now());
        for line in files.lines().map_err(failed)? {
            let Some(event) = wanted(&line, query) else { continue };
            if deliver(&event).is_break() {
                return Ok(());
            }
        }
        if over {
            return Ok(());
        }
        let left = query.until.map_or(u64::MAX, |until| until.saturating_sub(time::now()));
        let left = u8::try_from(left / 1_000_000 + 1).unwrap_or(PAUSE);
        watch.wait(left.min(PAUSE))?;
    }
}

/// Nothing for half a line, or a damaged one.
fn wanted(line: &[u8], query: &EventQuery) -> Option<Event> {
    let event: Event = serde_json::from_slice(line).ok()?;
    let after = query.since.is_none_or(|since| event.nanoseconds >= since);
    let before = query.until.is_none_or(|until| event.nanoseconds <= until);
    (after && before).then_some(event)
}

/// A file of the journal, and what was read of its last line.
struct Source {
    file: File,
    identity: (u64, u64),
    rest: Vec<u8>,
}

/// The old file and the newest one. Somebody may still write to the old one.
struct Files<'a> {
    root: &'a Path,
    open: Vec<Source>,
}

impl<'a> Files<'a> {
    /// `at_end` leaves out what is there.
    fn open(root: &'a Path, at_end: bool) -> io::Result<Self> {
        let mut files = Self { root, open: Vec::new() };
        files.look()?;
        if at_end {
            files.lines()?;
        }
        Ok(files)
    }

    /// Opens what was not there before.
    fn look(&mut self) -> io::Result<()> {
        // The newer one first: it may become the old one in between.
        let newest = open(&journal::newest(self.root))?;
        let old = match self.open.is_empty() {
            true => open(&journal::old(self.root))?,
            false => None,
        };
        for source in old.into_iter().chain(newest) {
            if self.open.iter().all(|known| known.identity != source.identity) {
                self.open.push(source);
            }
        }
        Ok(())
    }

    /// The lines that were written since the last time.
    fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        self.look()?;
        let mut lines = Vec::new();
        for source in &mut self.open {
            source.file.read_to_end(&mut source.rest)?;
            let end = source.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let whole: Vec<u8> = source.rest.drain(..end).collect();
            lines.extend(whole.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        }
        let gone = self.open.len().saturating_sub(2);
        self.open.drain(..gone);
        Ok(lines)
    }
}

fn open(path: &Path) -> io::Result<Option<Source>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let meta = file.metadata()?;
    Ok(Some(Source { identity: (meta.dev(), meta.ino()), file, rest: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ContainerId;
    use crate::events::{Action, event};

    fn engine(root: &Path) -> Engine {
        fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Engine::new(root.join("root"), root.join("state"))
    }

    fn write(engine: &Engine, time: u64) {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        engine.prepare().unwrap();
        journal::append(&engine.root, &event(&id, None, &Action::Create, time)).unwrap();
    }

    fn times(engine: &Engine, since: u64, until: u64) -> Vec<u64> {
        let query = EventQuery { since: Some(since), until: Some(until) };
        let mut times = Vec::new();
        read(engine, &query, |event| {
            times.push(event.nanoseconds);
            ControlFlow::Continue(())
        })
        .unwrap();
        times
    }

    #[test]
    fn a_range_of_both_files_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path());
        assert!(times(&engine, 0, 9).is_empty());
        (1..=3).for_each(|time| write(&engine, time));
        fs::rename(journal::newest(&engine.root), journal::old(&engine.root)).unwrap();
        (4..=6).for_each(|time| write(&engine, time));
        assert_eq!(times(&engine, 2, 5), [2, 3, 4, 5]);
    }

    #[test]
    fn damaged_lines_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path());
        write(&engine, 1);
        let newest = journal::newest(&engine.root);
        let text = fs::read_to_string(&newest).unwrap();
        fs::write(&newest, format!("{{\n{text}\n\0\n{text}{{\"Type\":")).unwrap();
        assert_eq!(times(&engine, 0, 9), [1, 1]);
    }

    #[test]
    fn what_comes_later_is_delivered_from_whichever_file() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path());
        write(&engine, 1);
        let mut seen = Vec::new();
        let mut next = 2;
        let query = EventQuery { since: Some(0), until: None };
        read(&engine, &query, |event| {
            seen.push(event.nanoseconds);
            match next {
                2 | 4 => write(&engine, next),
                3 => {
                    let (newest, old) = (journal::newest(&engine.root), journal::old(&engine.root));
                    fs::rename(newest, old).unwrap();
                    write(&engine, next);
                }
                _ => return ControlFlow::Break(()),
            }
            next += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, [1, 2, 3, 4]);
    }
}
