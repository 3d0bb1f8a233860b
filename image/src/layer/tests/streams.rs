use super::*;
use std::io::{self, Read};

#[test]
fn a_layer_is_the_same_however_it_is_compressed() {
    let plain = archive(&[file("a", "text"), directory("d/").header(), file("d/b", "more")]);
    let (one, other) = plain.split_at(700);
    let frames = [one, other].map(|part| zstd::encode_all(part, 1).unwrap()).concat();
    for layer in [
        plain.clone(),
        gzip(&plain),
        // Members and frames may be as many as one likes, as pigz and zstd:chunked make them.
        [gzip(one), gzip(b""), gzip(other)].concat(),
        zstd::encode_all(&plain[..], 3).unwrap(),
        frames,
    ] {
        let done = tempfile::tempdir().unwrap();
        let unpacked = unpack_with(&layer, done.path(), &mine()).unwrap();
        assert_eq!(unpacked.diff_id, crate::Digest::of(&plain));
        assert_eq!((unpacked.length, unpacked.size, unpacked.entries), (plain.len() as u64, 8, 3));
        assert_eq!(tree(done.path()), ["a=text", "d/", "d/b=more"]);
    }
}

#[test]
fn what_was_told_of_the_compression_has_to_be_true() {
    let plain = archive(&[file("a", "text")]);
    for (layer, compression) in [
        (&plain, Compression::Gzip),
        (&plain, Compression::Zstd),
        (&gzip(&plain), Compression::Zstd),
        (&gzip(&plain), Compression::None),
    ] {
        let done = tempfile::tempdir().unwrap();
        let into = File::open(done.path()).unwrap();
        assert!(unpack(&layer[..], compression, into.as_fd(), &mine()).is_err(), "{compression:?}");
    }
    for magic in [&b"BZh91AY"[..], b"\xfd7zXZ\0\0"] {
        let done = tempfile::tempdir().unwrap();
        let error = unpack_with(magic, done.path(), &mine()).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
}

#[test]
fn a_layer_that_was_cut_off_is_none() {
    let plain = archive(&[file("a", &"text".repeat(1000)), file("b", "more")]);
    let whole = plain.len() - 2 * BLOCK;
    let cuts = (0..whole).step_by(97).chain((0..=whole).step_by(BLOCK));
    for cut in cuts {
        let done = tempfile::tempdir().unwrap();
        match unpack_with(&plain[..cut], done.path(), &mine()) {
            // Between two files nothing but the missing end tells.
            Ok(unpacked) => assert!(!unpacked.ended && cut % BLOCK == 0, "{cut}"),
            Err(error) => assert!(matches!(error, Error::Truncated), "{cut}: {error}"),
        }
    }
    for whole in [gzip(&plain), zstd::encode_all(&plain[..], 3).unwrap()] {
        for cut in (8..whole.len()).step_by(7) {
            let done = tempfile::tempdir().unwrap();
            assert!(unpack_with(&whole[..cut], done.path(), &mine()).is_err(), "{cut}");
        }
    }
}

#[test]
fn what_is_damaged_is_told() {
    let plain = archive(&[file("a", &"text".repeat(1000))]);
    for at in [10, 600] {
        let mut damaged = plain.clone();
        damaged[at] ^= 1;
        let done = tempfile::tempdir().unwrap();
        match (at, unpack_with(&damaged, done.path(), &mine())) {
            (10, Err(Error::Archive(_))) => {}
            // The digest is the caller's to compare.
            (600, Ok(unpacked)) => assert_ne!(unpacked.diff_id, crate::Digest::of(&plain)),
            other => panic!("{other:?}"),
        }
    }
    let mut damaged = gzip(&plain);
    let end = damaged.len() - 6;
    damaged[end] ^= 1;
    let done = tempfile::tempdir().unwrap();
    assert!(matches!(unpack_with(&damaged, done.path(), &mine()), Err(Error::Read(_))));
}

#[test]
fn a_window_that_takes_too_much_memory_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_contentsize(false).unwrap();
    io::copy(&mut archive(&[file("a", "x")]).as_slice(), &mut encoder).unwrap();
    let layer = encoder.finish().unwrap();
    let done = tempfile::tempdir().unwrap();
    let error = unpack_with(&layer, done.path(), &mine()).unwrap_err();
    assert!(matches!(error, Error::Read(_)), "{error}");
}

/// A connection that breaks.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn why_nothing_more_came_is_told() {
    let plain = archive(&[file("a", "text")]);
    for layer in [&plain[..600], &gzip(&plain)[..30]] {
        let done = tempfile::tempdir().unwrap();
        let into = File::open(done.path()).unwrap();
        match unpack(Broken(layer), Compression::Detect, into.as_fd(), &mine()) {
            Err(Error::Read(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn buffers_are_used_again_without_changing_anything() {
    // More than all buffers together, and no zeros that would be the same anywhere.
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    let data: Vec<u8> = (0..5 << 20).map(|_| byte()).collect();
    let plain = archive(&[data_of(&member("a", Kind::File), &data), file("b", "end")]);
    let done = tempfile::tempdir().unwrap();
    let unpacked = unpack_with(&plain, done.path(), &mine()).unwrap();
    assert_eq!(unpacked.diff_id, crate::Digest::of(&plain));
    assert!(fs::read(done.path().join("a")).unwrap() == data);
    // A refusal in the middle ends all threads.
    let early = archive(&[file("../a", ""), data_of(&member("a", Kind::File), &data)]);
    let done = tempfile::tempdir().unwrap();
    assert!(matches!(unpack_with(&early, done.path(), &mine()), Err(Error::Refused { .. })));
}
