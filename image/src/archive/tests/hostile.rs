use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// What is said about an archive that is refused, and of which nothing stays.
fn refused(archive: &[u8]) -> String {
    let into = Fixture::new();
    let error = into.read(archive).unwrap_err().to_string();
    into.assert_empty();
    error
}

#[test]
fn names_and_kinds_that_no_image_has_are_refused() {
    for name in ["/etc/passwd", "../x", "a/../../x"] {
        assert!(refused(&tar_of(&[(name, b"x")])).contains("leads out of it"), "{name}");
    }
    for target in ["/etc/passwd", "../x", "../../x"] {
        let mut archive = tar::Builder::new(Vec::new());
        link(&mut archive, "link", tar::EntryType::Symlink, target);
        assert!(refused(&archive.into_inner().unwrap()).contains("leads out of it"), "{target}");
    }
    use tar::EntryType::{Block, Char, Fifo, GNUSparse};
    let other = "neither file, directory nor link";
    for (kind, said) in [
        (Block, other),
        (Char, other),
        (Fifo, other),
        (GNUSparse, "holes"),
        (tar::EntryType::new(b'?'), "an unknown kind"),
    ] {
        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, "x", kind, b"");
        let error = refused(&archive.into_inner().unwrap());
        assert!(error.contains(said), "{error}");
    }
    let twice = tar_of(&[("a", b"x"), ("./a", b"y")]);
    assert!(refused(&twice).contains("twice"));
    // Twice the same has one meaning.
    assert!(refused(&tar_of(&[("a", b"x"), ("a", b"x")])).contains("no images"));
}

#[test]
fn links_end() {
    let mut archive = tar::Builder::new(Vec::new());
    link(&mut archive, "manifest.json", tar::EntryType::Symlink, "a");
    link(&mut archive, "a", tar::EntryType::Symlink, "manifest.json");
    assert!(refused(&archive.into_inner().unwrap()).contains("no images"));
}

#[test]
fn what_is_no_archive_is_refused() {
    assert!(refused(b"").contains("no images"));
    assert!(refused(&[b'x'; 2048]).contains("a header in it is damaged"));
    assert!(refused(b"BZh91AY").contains("bzip2"));
    assert!(refused(b"\xfd7zXZ\0\0").contains("xz"));
    let whole = tar_of(&[("a", &[b'x'; 2000])]);
    assert!(refused(&whole[..1000]).contains("ends within a file"));
    assert!(refused(&whole[..100]).contains("ends within a file"));
    let compressed = gzip(&whole);
    refused(&compressed[..compressed.len() - 4]);
    let mut damaged = whole;
    damaged[0] ^= 1;
    assert!(refused(&damaged).contains("damaged"));
}

#[test]
fn sizes_and_counts_are_bounded() {
    let limits = Limits { bytes: 10_240, entries: 3 };
    let bounded = |archive: &[u8]| {
        let into = Fixture::new();
        let error = read(archive, &into.store, &platform(), &limits).unwrap_err();
        into.assert_empty();
        error.to_string()
    };
    assert!(bounded(&tar_of(&[("a", &[0; 2000])])).contains("no images"));
    assert!(bounded(&tar_of(&[("a", &[0; 9000]), ("b", &[0; 9000])])).contains("10240 bytes"));
    // A small file that is a large one.
    assert!(bounded(&gzip(&tar_of(&[("a", &vec![0; 1 << 20])]))).contains("10240 bytes"));
    assert!(
        bounded(&tar_of(&[("a", b""), ("b", b""), ("c", b""), ("d", b"")])).contains("3 entries")
    );
    // A size that is said, before anything of it is read.
    let mut header = tar::Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    assert!(bounded(header.as_bytes()).contains("10240 bytes"));
    // What comes behind the end is read too, but not for ever.
    let endless = tar_of(&[]).into_iter().chain(std::iter::repeat_n(1, 20_000));
    assert!(bounded(&endless.collect::<Vec<_>>()).contains("10240 bytes"));
}

#[test]
fn extended_headers_are_understood_and_bounded() {
    let content = b"layer a";
    let config = config("one", &["layer a"]);
    let long = format!("{}/layer.tar", "d".repeat(200));
    let list = json!([{"Config": "c.json", "Layers": [long]}]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_pax_extensions([("path", long.as_bytes()), ("size", b"7")]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    // Where the size is in the extended header, this one may be anything.
    header.set_size(0);
    header.set_cksum();
    archive.append(&header, &content[..]).unwrap();
    for (name, content) in [("c.json", &config[..]), ("manifest.json", list.as_bytes())] {
        add(&mut archive, name, tar::EntryType::Regular, content);
    }
    let pax = archive.into_inner().unwrap();
    assert_eq!(Fixture::new().read(&pax).unwrap().len(), 1);
    let mut archive = tar::Builder::new(Vec::new());
    let name = format!("{long}\0");
    add(&mut archive, "././@LongLink", tar::EntryType::GNULongName, name.as_bytes());
    for (name, content) in
        [("short", &content[..]), ("c.json", &config), ("manifest.json", list.as_bytes())]
    {
        add(&mut archive, name, tar::EntryType::Regular, content);
    }
    assert_eq!(Fixture::new().read(&archive.into_inner().unwrap()).unwrap().len(), 1);
    use tar::EntryType::{GNULongLink, GNULongName, XHeader};
    for kind in [XHeader, GNULongName, GNULongLink] {
        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, "x", kind, &vec![b'x'; (1 << 20) + 1]);
        let error = refused(&archive.into_inner().unwrap());
        assert!(error.contains("the length of a header"), "{error}");
    }
    for records in [&b"17 GNU.sparse.a=1\n"[..], b"10 size=-1\n", b"9 size=x\n", b"nonsense"] {
        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, "x", XHeader, records);
        add(&mut archive, "a", tar::EntryType::Regular, b"");
        refused(&archive.into_inner().unwrap());
    }
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "x", GNULongName, &[b'x'; 1025]);
    add(&mut archive, "a", tar::EntryType::Regular, b"");
    assert!(refused(&archive.into_inner().unwrap()).contains("more than 1024 bytes"));
}

fn whole() -> &'static [u8] {
    static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let from = Fixture::new();
        let saved = from.image("one", &["layer a", "layer b"], &["app:1"]);
        let mut archive = Vec::new();
        write_docker(&from.store, &[saved], &mut archive).unwrap();
        archive
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// An archive with other bytes gives the same image or none, and leaves nothing otherwise.
    #[test]
    fn a_changed_archive_gives_the_same_image_or_none(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut archive = whole().to_vec();
        for (index, byte) in changes {
            *index.get_mut(&mut archive) = byte;
        }
        let into = Fixture::new();
        match into.read(&archive) {
            Err(_) => into.assert_empty(),
            Ok(loaded) => for image in loaded {
                into.store.tag(&image.references, &image.descriptor).unwrap();
                let bytes = into.store.read_blob(&image.id, 1 << 20).unwrap();
                prop_assert_eq!(Digest::of(&bytes), image.id);
                prop_assert_eq!(image.layers.len(), 2);
            },
        }
    }
}
