//! States that a process leaves that is killed between two steps.

use std::collections::BTreeSet;

use super::*;

/// The images are as they were, nothing else is seen, and the garbage goes.
fn is_as_before(fixture: &Fixture, images: usize) {
    assert_eq!(fixture.store.list().unwrap().len(), images);
    for image in fixture.store.list().unwrap() {
        assert_eq!(image.broken, None);
    }
    let problems = fixture.store.verify().unwrap();
    let is_harmless = |problem: &Problem| matches!(problem, Problem::Orphan(_));
    assert!(problems.iter().all(is_harmless), "{problems:?}");
    fixture.collect();
    fixture.assert_sound();
    assert_eq!(fixture.store.list().unwrap().len(), images);
}

#[test]
fn while_a_blob_is_written() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    for name in [of("content").hex(), "blob-1-1".to_owned()] {
        fs::write(fixture.root.join("images/ingest").join(name), "cont").unwrap();
    }
    fs::create_dir_all(fixture.root.join("images/ingest/archive-1-1")).unwrap();
    fs::write(fixture.root.join("images/ingest/archive-1-1/0"), "cont").unwrap();
    is_as_before(&fixture, 1);
    assert_eq!(fs::read_dir(fixture.root.join("images/ingest")).unwrap().count(), 0);
}

#[test]
fn between_the_blobs_and_the_name() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    let new = fixture.parts("two", &["a", "b"]);
    fixture.unpack("b");
    is_as_before(&fixture, 1);
    assert!(!fixture.store.has_blob(&new.digest, new.size).unwrap());
    assert!(!fixture.store.has_layer(&of("b")).unwrap());
    assert!(fixture.store.has_layer(&of("a")).unwrap());
}

#[test]
fn while_a_layer_is_unpacked() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    let half = fixture.root.join("layers/.new-0123456789ab-1-1");
    fs::create_dir_all(half.join("diff/directory")).unwrap();
    // And one that has its record already, but not its name.
    let other = fixture.root.join("layers/.new-0123456789ab-1-2");
    fs::create_dir_all(other.join("diff")).unwrap();
    fs::write(other.join("layer.json"), "{}").unwrap();
    is_as_before(&fixture, 1);
    assert!(!half.exists() && !other.exists());
}

#[test]
fn while_the_list_is_written() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    fs::write(fixture.root.join("images/index.json.new"), "{\"sche").unwrap();
    is_as_before(&fixture, 1);
    fixture.image("two", &["a"], &["b"]);
    is_as_before(&fixture, 2);
}

#[test]
fn between_the_making_of_the_store_and_its_version() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.root.join("images/blobs")).unwrap();
    assert_eq!(fixture.store.list().unwrap(), []);
    fixture.image("one", &["a"], &["a"]);
    is_as_before(&fixture, 1);
}

/// A removal takes the name, then each blob, then each layer: it is cut off after each step.
#[test]
fn after_each_step_of_a_removal() {
    let gone = ["a", "b"];
    for steps in 0..8 {
        let fixture = Fixture::new();
        fixture.image("kept", &["shared"], &["kept"]);
        let one = fixture.image("one", &["shared", "a", "b"], &["app"]);
        let id = fixture.id(&one);
        let mut left = steps;
        let mut step = || {
            left -= 1;
            left >= 0
        };
        fixture
            .store
            .change_names(|names| {
                names.images.remove(&one.digest);
                Ok(())
            })
            .unwrap();
        for blob in [one.digest, id, of("a"), of("b")] {
            if step() {
                fs::remove_file(fixture.store.blob_path(&blob)).unwrap();
            }
        }
        for layer in gone {
            let path = fixture.root.join("layers").join(of(layer).hex());
            let moved = fixture.root.join(format!("layers/.gone-{layer}-1-1"));
            if step() {
                fs::rename(&path, &moved).unwrap();
            }
            if layer == "a" && step() {
                fs::remove_dir_all(&moved).unwrap();
            }
        }
        is_as_before(&fixture, 1);
        assert!(fixture.store.has_layer(&of("shared")).unwrap(), "after {steps} steps");
        assert_eq!(fixture.store.resolve("kept").unwrap().image.manifest.layers.len(), 1);
    }
}

#[test]
fn what_somebody_is_still_making_is_no_garbage() {
    let fixture = Fixture::new();
    let mut writer = fixture.store.partial(&of("content"), 7).unwrap();
    writer.write_all(b"con").unwrap();
    let draft = fixture.store.new_layer().unwrap();
    let garbage = fixture.store.removing().unwrap().collect_garbage(&BTreeSet::new()).unwrap();
    assert_eq!(garbage, Garbage::default());
    fixture.assert_sound();
    writer.write_all(b"tent").unwrap();
    writer.commit().unwrap();
    draft.commit(LayerRecord { diff_id: of("a"), size: 0, entries: 0, opaque: false }).unwrap();
    assert!(fixture.store.has_layer(&of("a")).unwrap());
}

#[test]
fn a_list_that_cannot_be_read_removes_nothing() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    fs::write(fixture.root.join("images/index.json"), "{}").unwrap();
    let removing = fixture.store.removing().unwrap();
    let error = removing.collect_garbage(&BTreeSet::new()).unwrap_err();
    assert!(matches!(error, StoreError::Index { .. }), "{error}");
    assert!(fixture.store.has_layer(&of("a")).unwrap());
    assert!(fixture.store.has_blob(&of("a"), 1).unwrap());
}
