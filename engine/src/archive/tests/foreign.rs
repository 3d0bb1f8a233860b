//! What other programs write into archives, now or long ago.

use super::*;

/// A header of a kind that is not written here, and what comes after it.
fn entry(path: &[u8], flag: u8, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(data.len() as u64);
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_cksum();
    let mut archive = [header.as_bytes(), data].concat();
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive
}

/// What there is after an archive was read, files with what is in them.
fn found(archive: &[u8]) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    unpack(archive, directory.path(), Place::Inside).map_err(|error| error.to_string())?;
    let mut found: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true => name + "/",
                false => format!("{name}={}", fs::read_to_string(&path).unwrap()),
            }
        })
        .collect();
    found.sort();
    Ok(found)
}

#[test]
fn a_checksum_of_bytes_with_a_sign_is_one_too() {
    let mut archive = entry("\u{e9}".as_bytes(), b'0', b"text");
    assert_eq!(found(&archive).unwrap(), ["\u{e9}=text"]);
    // Of each of the two bytes above 127 it is less by 256.
    let told = u32::from_str_radix(std::str::from_utf8(&archive[148..155]).unwrap(), 8).unwrap();
    archive[148..155].copy_from_slice(format!("{:07o}", told - 512).as_bytes());
    assert_eq!(found(&archive).unwrap(), ["\u{e9}=text"]);
    archive[148..155].copy_from_slice(format!("{:07o}", told - 256).as_bytes());
    assert!(found(&archive).unwrap_err().contains("a header in it is damaged"));
}

#[test]
fn the_kinds_of_gnu_are_taken_or_told() {
    let file = entry(b"file", b'0', b"text");
    let archive = [entry(b"my volume", b'V', b""), file.clone()].concat();
    assert_eq!(found(&archive).unwrap(), ["file=text"]);
    let listed = [b'Y'; 700];
    let archive = [entry(b"dir", b'D', &listed), file.clone()].concat();
    assert_eq!(found(&archive).unwrap(), ["dir/", "file=text"]);
    for (flag, words) in [
        (b'M', "the rest of a file that begins in another volume"),
        (b'N', "a list of long names as old versions of GNU tar wrote it"),
        (b'Z', "an entry of an unknown kind 'Z'"),
    ] {
        let error = found(&[file.clone(), entry(b"x", flag, b"data")].concat()).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_empty_record_gives_the_name_back_that_the_header_has() {
    let file = entry(b"file", b'0', b"text");
    let records = |text: &str| entry(b"pax", b'x', text.as_bytes());
    let long = entry(b"././@LongLink", b'L', b"long\0");
    for (before, expected) in [
        (vec![records("9 path=x\n")], "x=text"),
        (vec![records("9 path=x\n8 path=\n")], "file=text"),
        (vec![records("9 path=x\n"), records("8 path=\n")], "file=text"),
        (vec![records("8 path=\n"), records("9 path=x\n")], "x=text"),
        (vec![long, records("9 path=x\n8 path=\n")], "long=text"),
    ] {
        let archive = [before.concat(), file.clone()].concat();
        assert_eq!(found(&archive).unwrap(), [expected]);
    }
}
