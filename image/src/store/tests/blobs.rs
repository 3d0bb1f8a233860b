use std::io::Read as _;

use super::*;

fn ingest(fixture: &Fixture) -> usize {
    fs::read_dir(fixture.root.join("images/ingest")).unwrap().count()
}

#[test]
fn a_blob_is_what_was_announced() {
    let fixture = Fixture::new();
    let digest = of("content");
    let mut writer = fixture.store.partial(&digest, 7).unwrap();
    writer.write_all(b"con").unwrap();
    assert!(!fixture.store.has_blob(&digest, 7).unwrap());
    writer.write_all(b"tent").unwrap();
    assert_eq!(writer.commit().unwrap(), (digest, 7));
    assert!(fixture.store.has_blob(&digest, 7).unwrap());
    assert!(!fixture.store.has_blob(&digest, 8).unwrap());
    assert_eq!(fixture.store.read_blob(&digest, 7).unwrap(), b"content");
    assert!(matches!(fixture.store.read_blob(&digest, 6), Err(StoreError::TooLarge { .. })));
    assert_eq!(ingest(&fixture), 0);
}

#[test]
fn another_content_is_refused_and_does_not_stay() {
    let fixture = Fixture::new();
    let mut writer = fixture.store.partial(&of("content"), 7).unwrap();
    writer.write_all(b"CONTENT").unwrap();
    let error = writer.commit().unwrap_err();
    assert!(matches!(error, StoreError::WrongDigest { found, .. } if found == of("CONTENT")));
    let mut writer = fixture.store.partial(&of("content"), 7).unwrap();
    assert_eq!(writer.written(), 0);
    assert!(writer.write_all(b"content that is longer").is_err());
    drop(writer);
    assert_eq!(ingest(&fixture), 0);
    assert!(!fixture.store.has_blob(&of("content"), 7).unwrap());
}

#[test]
fn an_interrupted_download_goes_on() {
    let fixture = Fixture::new();
    let digest = of("content");
    let mut writer = fixture.store.partial(&digest, 7).unwrap();
    writer.write_all(b"con").unwrap();
    let error = writer.commit().unwrap_err();
    assert!(matches!(error, StoreError::WrongSize { expected: 7, found: 3, .. }));
    let mut writer = fixture.store.partial(&digest, 7).unwrap();
    assert_eq!(writer.written(), 3);
    writer.write_all(b"t").unwrap();
    drop(writer);
    let mut writer = fixture.store.partial(&digest, 7).unwrap();
    assert_eq!(writer.written(), 4);
    writer.write_all(b"ent").unwrap();
    assert_eq!(writer.commit().unwrap(), (digest, 7));
}

#[test]
fn a_partial_can_be_begun_anew_or_given_up() {
    let fixture = Fixture::new();
    let mut writer = fixture.store.partial(&of("content"), 7).unwrap();
    writer.write_all(b"CON").unwrap();
    writer.restart().unwrap();
    writer.write_all(b"content").unwrap();
    writer.commit().unwrap();
    let mut writer = fixture.store.partial(&of("other"), 5).unwrap();
    writer.write_all(b"ot").unwrap();
    writer.keep_partial(false);
    drop(writer);
    drop(fixture.store.new_blob().unwrap());
    assert_eq!(ingest(&fixture), 0);
    // What is longer than it may be was another content.
    fs::write(fixture.root.join("images/ingest").join(of("short").hex()), "much longer").unwrap();
    assert_eq!(fixture.store.partial(&of("short"), 5).unwrap().written(), 0);
}

#[test]
fn two_who_write_the_same_do_not_meet() {
    let fixture = Fixture::new();
    let digest = of("content");
    let mut writers = [0, 1, 2].map(|_| fixture.store.partial(&digest, 7).unwrap());
    for writer in &mut writers {
        writer.write_all(b"content").unwrap();
    }
    for writer in writers {
        assert_eq!(writer.commit().unwrap(), (digest, 7));
    }
    assert_eq!(ingest(&fixture), 0);
    assert_eq!(fixture.store.read_blob(&digest, 9).unwrap(), b"content");
}

#[test]
fn a_damaged_blob_is_not_read_to_its_end() {
    let fixture = Fixture::new();
    let (digest, size) = fixture.store.put_blob(b"content").unwrap();
    let read = |size| {
        let mut text = String::new();
        let mut reader =
            fixture.store.open_blob(&digest, size).map_err(|error| error.to_string())?;
        reader.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok::<_, String>(text)
    };
    assert_eq!(read(size).unwrap(), "content");
    assert!(read(6).unwrap_err().contains("has 7 bytes instead of 6"));
    fs::write(fixture.store.blob_path(&digest), "CONTENT").unwrap();
    assert!(read(size).unwrap_err().contains("is damaged"));
    assert!(matches!(fixture.store.read_blob(&digest, 9), Err(StoreError::Damaged { .. })));
    // The same blob, had anew, takes its place.
    fixture.store.put_blob(b"content").unwrap();
    assert_eq!(read(size).unwrap(), "content");
    let (empty, _) = fixture.store.put_blob(b"").unwrap();
    assert_eq!(fixture.store.open_blob(&empty, 0).unwrap().read(&mut [0; 9]).unwrap(), 0);
}
