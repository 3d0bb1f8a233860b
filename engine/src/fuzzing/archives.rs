use std::io::Read;

use minidock_image::tar::{Member, Reader, Sparse};

/// An archive, compressed or not: reading it ends, what it says of a file is in bounds, and a file
/// that is written again reads as the same.
pub fn archives(data: &[u8]) {
    drop(crate::archive::plain(data));
    let mut reader = Reader::new(data);
    let mut whole = 0;
    while let Ok(Some((member, sparse))) = reader.next_member() {
        in_bounds(&sparse);
        reads_back(&member);
        let mut contents = Vec::new();
        let read = reader.read_to_end(&mut contents);
        whole += contents.len();
        assert!(whole <= data.len(), "there is more in it than it has");
        if read.is_err() {
            break;
        }
    }
}

fn in_bounds(sparse: &Sparse) {
    let mut end = 0;
    for (start, length) in &sparse.parts {
        assert!(*start >= end, "parts overlap");
        end = start.checked_add(*length).unwrap_or(u64::MAX);
    }
    assert!(end <= sparse.length, "a part is outside of its file");
}

fn reads_back(member: &Member) {
    let written = member.header();
    let again = Reader::new(&written[..]).next_member();
    let (again, _) = again.ok().flatten().unwrap_or_else(|| panic!("{member:?} is not read"));
    assert_eq!(&again, member);
}
