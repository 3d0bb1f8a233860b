//! The files of a log as a reader finds them, while they may be renamed at any moment.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which file it is, whatever its name.
pub(super) type Identity = (u64, u64);

/// One file of a log.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: File,
    pub(super) identity: Identity,
    /// How long it was when it was opened.
    pub(super) length: u64,
    /// Where the first line begins that was not read.
    pub(super) offset: u64,
}

impl Source {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let identity = (meta.dev(), meta.ino());
        Ok(Self { file, identity, length: meta.len(), offset: 0 })
    }
}

/// Where a log lies.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: String,
}

/// A writer that begins a new file all the time is not waited for any longer.
const ATTEMPTS: u32 = 100;

impl Place {
    /// Its files, the oldest first. An open file can still be read when it was renamed or removed.
    ///
    /// They are opened from the newest to the oldest. A rotation meanwhile moves files in the same
    /// direction: one may be met twice, but none is missed as long as it moves by two numbers at
    /// most, which makes one rotation and the beginning of another.
    pub(super) fn open(&self) -> io::Result<VecDeque<Source>> {
        let mut sources: VecDeque<Source> = VecDeque::new();
        for _ in 0..ATTEMPTS {
            sources.clear();
            let mut newest = 0;
            sources.extend(or_none(Source::open(&self.path(0)))?);
            for number in self.numbers()? {
                let Some(source) = or_none(Source::open(&self.path(number)))? else { continue };
                if sources.is_empty() {
                    newest = number;
                }
                if sources.iter().all(|known| known.identity != source.identity) {
                    sources.push_front(source);
                }
            }
            let identity = sources.back().map(|source| source.identity);
            if self.identity(newest)? == identity
                || self.identity(newest.saturating_add(1))? == identity
            {
                break;
            }
        }
        Ok(sources)
    }

    /// The file that is written now; none between two.
    pub(super) fn current(&self) -> io::Result<Option<Identity>> {
        self.identity(0)
    }

    fn path(&self, number: u32) -> PathBuf {
        match number {
            0 => self.directory.join(&self.name),
            _ => self.directory.join(format!("{}.{number}", self.name)),
        }
    }

    fn identity(&self, number: u32) -> io::Result<Option<Identity>> {
        let meta = or_none(fs::metadata(self.path(number)))?;
        Ok(meta.map(|meta| (meta.dev(), meta.ino())))
    }

    /// The numbers that the older files have, or may have when they are opened; ascending.
    fn numbers(&self) -> io::Result<BTreeSet<u32>> {
        let mut numbers = BTreeSet::from([1, 2]);
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.name));
            let number = number.and_then(|rest| rest.strip_prefix('.'));
            if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
                numbers.extend(number..=number.saturating_add(2));
            }
        }
        Ok(numbers)
    }
}

fn or_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}
