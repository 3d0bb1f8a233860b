//! Files with holes, as GNU tar writes them: only what lies between the holes is in the archive.

use std::io::{self, Read};

use super::header::{self, Block};
use super::pax::{self, Record};
use super::reader::LARGEST;
use super::{BLOCK, Error};

/// Which parts of a file are in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparse {
    /// Bytes of the whole file.
    pub length: u64,
    /// Where each part begins, and how long it is.
    pub parts: Vec<(u64, u64)>,
}

impl Sparse {
    /// One that has no holes.
    pub(super) fn whole(length: u64) -> Self {
        Self { length, parts: vec![(0, length)] }
    }

    /// In order, and in the file.
    fn checked(self) -> Result<Self, Error> {
        let mut end = 0;
        for (start, length) in &self.parts {
            let part = start.checked_add(*length).filter(|_| *start >= end);
            end = part.filter(|end| *end <= self.length).ok_or(Error::Broken("a map of holes"))?;
        }
        Ok(self)
    }
}

/// How many parts one block of the older format lists: those of the header, and those after it.
const IN_HEADER: usize = 4;
const IN_BLOCK: usize = 21;

/// GNU's older format: a list in the header, and in blocks after it.
pub(super) fn old(
    header: &Block,
    mut next: impl FnMut() -> io::Result<Block>,
) -> Result<Sparse, Error> {
    let length = header::number(header::field(header, (483, 12)));
    let length = length.and_then(|length| length.try_into().ok());
    let length = length.ok_or(Error::Broken("the size of a file with holes"))?;
    let mut parts = Vec::new();
    list(header, (386, IN_HEADER), &mut parts)?;
    let mut more = header[482] != 0;
    let most = usize::try_from(LARGEST).unwrap_or(usize::MAX) / BLOCK;
    let mut blocks = 0..most;
    while more {
        blocks.next().ok_or(Error::Broken("a map of holes"))?;
        let block = next()?;
        list(&block, (0, IN_BLOCK), &mut parts)?;
        more = block[IN_BLOCK * 24] != 0;
    }
    Sparse { length, parts }.checked()
}

fn list(
    block: &Block,
    (start, count): (usize, usize),
    to: &mut Vec<(u64, u64)>,
) -> Result<(), Error> {
    for at in (start..).step_by(24).take(count) {
        let number = |at| {
            let number = header::number(header::field(block, (at, 12)));
            number.and_then(|number| u64::try_from(number).ok())
        };
        // The first byte of an entry that is not used is NUL.
        if header::field(block, (at, 1)) == b"\0" {
            break;
        }
        to.push(number(at).zip(number(at + 12)).ok_or(Error::Broken("a map of holes"))?);
    }
    Ok(())
}

/// GNU's formats in extended headers: 1.0, where the list is the first of the data, and 0.1, where
/// it is a record. Nothing when the file is none.
pub(super) fn extended(records: &[Record], data: &mut impl Read) -> Result<Option<Sparse>, Error> {
    let find = |key: &str| {
        let record = records.iter().rev().find(|(name, _)| name == key.as_bytes());
        record.map(|(_, value)| value.as_slice())
    };
    let wrong = || Error::Broken("a map of holes");
    let number = |key| find(key).map(|value| pax::decimal(value).ok_or_else(wrong)).transpose();
    if let Some(length) = number("GNU.sparse.realsize")? {
        if find("GNU.sparse.major") != Some(b"1") || find("GNU.sparse.minor") != Some(b"0") {
            return Err(Error::Broken("a format of holes"));
        }
        return Sparse { length, parts: from_data(data)? }.checked().map(Some);
    }
    let Some(length) = number("GNU.sparse.size")? else { return Ok(None) };
    let map = find("GNU.sparse.map").ok_or(Error::Broken("a format of holes"))?;
    let numbers: Option<Vec<u64>> = map.split(|byte| *byte == b',').map(pax::decimal).collect();
    let numbers = numbers.filter(|numbers| numbers.len() % 2 == 0).ok_or_else(wrong)?;
    let pair = |pair: &[u64]| pair.first().copied().zip(pair.last().copied());
    let parts = numbers.chunks(2).filter_map(pair).collect();
    Sparse { length, parts }.checked().map(Some)
}

/// Lines with numbers: how many parts, then start and length of each; up to a whole block.
fn from_data(data: &mut impl Read) -> Result<Vec<(u64, u64)>, Error> {
    let mut read = 0;
    let mut line = || {
        let mut digits = Vec::new();
        loop {
            let mut byte = [0];
            data.read_exact(&mut byte)?;
            read += 1;
            match byte {
                _ if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST => {
                    return Err(Error::Broken("a map of holes"));
                }
                [b'\n'] => {
                    return pax::decimal(&digits).ok_or(Error::Broken("a map of holes"));
                }
                [_] if digits.len() > 20 => return Err(Error::Broken("a map of holes")),
                [digit] => digits.push(digit),
            }
        }
    };
    let mut parts = Vec::new();
    for _ in 0..line()? {
        parts.push((line()?, line()?));
    }
    let padding = u64::try_from(usize::next_multiple_of(read, BLOCK) - read).unwrap_or(0);
    io::copy(&mut data.take(padding), &mut io::sink())?;
    Ok(parts)
}
