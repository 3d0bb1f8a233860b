//! Keeping what stays with a container small.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;

use crate::sys;

/// The addresses of a private mapping of a file that nobody can write to and that has no page of its
/// own. Only what the kernel says of this process's mappings makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clean(Range<usize>);

impl Clean {
    pub(crate) fn addresses(&self) -> &Range<usize> {
        &self.0
    }
}

/// Lets go of the pages of program and libraries that are as their files have them. The start of a
/// process touches many, and the kernel maps their neighbours along with them; staying needs few,
/// and these come back when they are touched.
///
/// # Errors
/// When the mappings cannot be read, for instance because the kernel does not tell of them; then it
/// needs more memory, and nothing else is different.
pub(crate) fn let_go_of_clean_pages() -> io::Result<()> {
    // A large buffer would stay in the heap.
    let smaps = BufReader::with_capacity(512, File::open("/proc/self/smaps")?);
    clean(smaps)?.iter().try_for_each(sys::let_go_of)
}

/// What is said in `/proc/self/smaps` (`proc_pid_smaps(5)`).
fn clean(smaps: impl BufRead) -> io::Result<Vec<Clean>> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in smaps.lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            // The linker's relocations, and a debugger's breakpoints, are pages of their own.
            Some("Anonymous:") if words.next() == Some("0") => found.extend(last.take()),
            Some(word) if word.ends_with(':') => {}
            _ => last = unwritable_file(&line),
        }
    }
    Ok(found)
}

/// The addresses in the first line of a mapping.
fn unwritable_file(line: &str) -> Option<Clean> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (mode, inode) = (words.next()?, words.nth(2)?);
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let wanted = matches!(mode, "r--p" | "r-xp") && inode != "0";
    wanted.then_some(Clean(address(start)?..address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_is_let_go() {
        let smaps = "\
55f0-55f1 r--p 00000000 fe:00 1002 /usr/bin/minidock
Size: 4 kB
Anonymous: 0 kB
VmFlags: rd mr mw me
55f1-55f2 r-xp 00106000 fe:00 1002 /usr/bin/minidock
Anonymous:             0 kB
55f2-55f3 r--p 00610000 fe:00 1002 /usr/bin/minidock
Anonymous: 148 kB
55f3-55f4 rw-p 00634000 fe:00 1002 /usr/bin/minidock
Anonymous: 0 kB
7fb0-7fb1 r--p 00000000 00:00 0
Anonymous: 0 kB
7fb1-7fb2 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
7fb2-7fb3 r--s 00000000 fe:00 1003 /a file of somebody's
Anonymous: 0 kB
7fb3-7fb4 r-xp 00000000 fe:00 1004 /usr/lib/libc.so.6
Anonymous: 0 kB
";
        let found = clean(smaps.as_bytes()).unwrap();
        assert_eq!(found, [0x55f0..0x55f1, 0x55f1..0x55f2, 0x7fb3..0x7fb4].map(Clean));
    }

    #[test]
    fn a_program_goes_on_without_its_clean_pages() {
        let file = File::open("/proc/self/smaps").unwrap();
        assert!(!clean(BufReader::new(file)).unwrap().is_empty());
        let_go_of_clean_pages().unwrap();
    }
}
