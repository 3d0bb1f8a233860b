//! The header of a file in an archive: a block of fields, `ustar` of `pax(1)`, and before it an
//! extended header for what does not fit into them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::pax::{self, Record};
use super::{BLOCK, Kind, Member};

pub(super) type Block = [u8; BLOCK];

/// Where a field is: its start and its length.
type Field = (usize, usize);

pub(super) const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const UID: Field = (108, 8);
const GID: Field = (116, 8);
const SIZE: Field = (124, 12);
const MTIME: Field = (136, 12);
const SUM: Field = (148, 8);
const TYPE: usize = 156;
const LINK: Field = (157, 100);
const MAGIC: Field = (257, 6);
const VERSION: Field = (263, 2);
const MAJOR: Field = (329, 8);
const MINOR: Field = (337, 8);
const PREFIX: Field = (345, 155);

/// All that stands before the data of a file.
pub(super) fn write(member: &Member) -> Vec<u8> {
    let mut records = Vec::new();
    let mut block = [0; BLOCK];
    put(&mut block, MAGIC, b"ustar\0");
    put(&mut block, VERSION, b"00");
    for (field, text, key) in [(NAME, &member.path, "path"), (LINK, &member.link, "linkpath")] {
        put(&mut block, field, text);
        if text.len() > field.1 {
            pax::push(&mut records, key.as_bytes(), text);
        }
    }
    let (user, group) = member.owner;
    for (field, number, key) in
        [(UID, user.into(), "uid"), (GID, group.into(), "gid"), (SIZE, member.size, "size")]
    {
        if !put_number(&mut block, field, number) {
            pax::push(&mut records, key.as_bytes(), number.to_string().as_bytes());
        }
    }
    let (seconds, nanoseconds) = member.modified;
    let fits = u64::try_from(seconds).is_ok_and(|time| put_number(&mut block, MTIME, time));
    if !fits || nanoseconds > 0 {
        pax::push(&mut records, b"mtime", pax::time(member.modified).as_bytes());
    }
    for (name, value) in &member.attributes {
        pax::push(&mut records, &pax::attribute_key(name.as_bytes()), value);
    }
    put_number(&mut block, MODE, member.mode.into());
    // Numbers of devices have 12 and 20 bits.
    put_number(&mut block, MAJOR, member.device.0.into());
    put_number(&mut block, MINOR, member.device.1.into());
    block[TYPE] = flag(member.kind);
    seal(&mut block);
    if records.is_empty() {
        return block.to_vec();
    }
    let mut written = extended(&records);
    written.extend(block);
    written
}

/// The extended header with these records.
fn extended(records: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    put(&mut block, NAME, b"././@PaxHeader");
    put(&mut block, MAGIC, b"ustar\0");
    put(&mut block, VERSION, b"00");
    for field in [MODE, UID, GID, MTIME, MAJOR, MINOR] {
        put_number(&mut block, field, 0);
    }
    put_number(&mut block, SIZE, u64::try_from(records.len()).unwrap_or(u64::MAX));
    block[TYPE] = b'x';
    seal(&mut block);
    let mut written = block.to_vec();
    written.extend(records);
    written.resize(written.len().next_multiple_of(BLOCK), 0);
    written
}

fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Link => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Pipe => b'6',
    }
}

fn put(block: &mut Block, (start, length): Field, text: &[u8]) {
    block.iter_mut().skip(start).take(length).zip(text).for_each(|(to, from)| *to = *from);
}

/// In octal digits and a NUL; false, and zero, when it does not fit.
fn put_number(block: &mut Block, field: Field, number: u64) -> bool {
    let digits = field.1 - 1;
    let text = format!("{number:0digits$o}");
    let fits = text.len() == digits;
    put(
        block,
        field,
        if fits { text.as_bytes() } else { b"00000000000".get(..digits).unwrap_or(b"") },
    );
    fits
}

fn seal(block: &mut Block) {
    let sum = format!("{:06o}\0 ", sum(block, unsigned));
    put(block, SUM, sum.as_bytes());
}

/// An archive whose headers have the sums that they should have, which nobody guesses.
#[cfg(any(test, fuzzing))]
pub(crate) fn mended(archive: &[u8]) -> Vec<u8> {
    let mut mended = archive.to_vec();
    let mut rest = mended.as_mut_slice();
    while let Some((block, after)) = rest.split_first_chunk_mut::<BLOCK>() {
        if *block != [0; BLOCK] {
            seal(block);
        }
        let data = size(block).and_then(|size| size.checked_next_multiple_of(512));
        let data = data.and_then(|data| usize::try_from(data).ok());
        let Some((_, next)) = data.and_then(|data| after.split_at_mut_checked(data)) else { break };
        rest = next;
    }
    mended
}

/// Of all bytes, with blanks for the sum itself.
fn sum(block: &Block, of: fn(u8) -> i64) -> i64 {
    let (start, length) = SUM;
    let own = start..start + length;
    let byte = |(at, byte): (usize, &u8)| if own.contains(&at) { b' ' } else { *byte };
    block.iter().enumerate().map(byte).map(of).sum()
}

/// As `pax(1)` has it.
fn unsigned(byte: u8) -> i64 {
    byte.into()
}

/// As some programs had it whose bytes had a sign: it differs where a name is not ASCII.
fn signed(byte: u8) -> i64 {
    byte.cast_signed().into()
}

/// Whether the block is a header.
pub(super) fn is_whole(block: &Block) -> bool {
    let told = number(field(block, SUM));
    told.is_some_and(|told| [unsigned, signed].iter().any(|of| sum(block, *of) == told))
}

pub(super) fn type_of(block: &Block) -> u8 {
    block[TYPE]
}

/// How much data comes after the block, as it says itself.
pub(super) fn size(block: &Block) -> Option<u64> {
    number(field(block, SIZE)).and_then(|size| size.try_into().ok())
}

/// What the header and the records before it say; nothing when one of them is no number, or out of
/// range. Its kind is the caller's to find.
pub(super) fn read(block: &Block, records: &[Record], kind: Kind) -> Option<Member> {
    let mut member = Member {
        path: path(block),
        kind,
        link: text(field(block, LINK)).to_vec(),
        mode: narrow(number(field(block, MODE))?)? & 0o7777,
        owner: (narrow(number(field(block, UID))?)?, narrow(number(field(block, GID))?)?),
        modified: (number(field(block, MTIME))?, 0),
        device: (0, 0),
        size: size(block)?,
        attributes: Vec::new(),
    };
    if matches!(kind, Kind::Char | Kind::Block) {
        // More than the kernel has.
        let part = |place| narrow(number(field(block, place))?).filter(|part| *part < 1 << 21);
        member.device = (part(MAJOR)?, part(MINOR)?);
    }
    for (key, value) in records {
        match key.as_slice() {
            b"path" => member.path.clone_from(value),
            b"linkpath" => member.link.clone_from(value),
            b"size" => member.size = pax::decimal(value)?,
            b"uid" => member.owner.0 = pax::decimal(value)?.try_into().ok()?,
            b"gid" => member.owner.1 = pax::decimal(value)?.try_into().ok()?,
            b"mtime" => member.modified = pax::parse_time(value)?,
            key => {
                if let Some(name) = pax::attribute_name(key) {
                    member.attributes.push((OsString::from_vec(name), value.clone()));
                }
            }
        }
    }
    Some(member)
}

fn narrow(number: i64) -> Option<u32> {
    number.try_into().ok()
}

/// With the prefix, which GNU's own format has no place for.
fn path(block: &Block) -> Vec<u8> {
    let (prefix, name) = (text(field(block, PREFIX)), text(field(block, NAME)));
    match field(block, MAGIC) == b"ustar\0" && !prefix.is_empty() {
        true => [prefix, b"/", name].concat(),
        false => name.to_vec(),
    }
}

pub(super) fn field(block: &Block, (start, length): Field) -> &[u8] {
    block.get(start..start + length).unwrap_or_default()
}

/// Up to the NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits, or a binary number with the highest bit set: GNU's. An empty field is zero.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
        let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        return match digits {
            "" => Some(0),
            digits => octal.then(|| i64::from_str_radix(digits, 8).ok())?,
        };
    }
    // The next bit is the sign's.
    let start =
        if first & 0x40 == 0 { i64::from(first & 0x3f) } else { i64::from(first | 0x80) - 256 };
    rest.iter().try_fold(start, |number, byte| {
        number.checked_mul(256).and_then(|number| number.checked_add(i64::from(*byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        let number = |bytes: &[u8]| number(bytes);
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"    644 "), Some(0o644));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"-000644\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 2, 0, 0, 0]), Some(2 << 24));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(number(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]), None);
    }
}
