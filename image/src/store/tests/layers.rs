use super::*;

fn layers(fixture: &Fixture) -> Vec<String> {
    files::names_in(&fixture.root.join("layers")).unwrap()
}

#[test]
fn a_layer_is_seen_when_it_is_whole() {
    let fixture = Fixture::new();
    let draft = fixture.store.new_layer().unwrap();
    fs::write(draft.path().join("file"), "a").unwrap();
    assert!(!fixture.store.has_layer(&of("a")).unwrap());
    draft.commit(LayerRecord { diff_id: of("a"), size: 1, entries: 2, opaque: false }).unwrap();
    assert!(fixture.store.has_layer(&of("a")).unwrap());
    assert_eq!(fs::read(fixture.store.layer_path(&of("a")).join("file")).unwrap(), b"a");
    let record = LayerRecord { diff_id: of("a"), size: 1, entries: 2, opaque: false };
    assert_eq!(fixture.store.layer(&of("a")).unwrap(), Some(record));
    assert_eq!(layers(&fixture), [of("a").hex()]);
}

#[test]
fn a_draft_that_is_not_wanted_goes() {
    let fixture = Fixture::new();
    let draft = fixture.store.new_layer().unwrap();
    fs::create_dir(draft.path().join("directory")).unwrap();
    assert_eq!(layers(&fixture).len(), 1);
    // Nobody takes it for garbage meanwhile, not even who needs no lock for that.
    assert_eq!(fixture.store.remove_orphans().unwrap(), 0);
    drop(draft);
    assert_eq!(layers(&fixture), [] as [String; 0]);
}

#[test]
fn of_two_who_unpack_the_same_layer_the_first_wins() {
    let fixture = Fixture::new();
    let drafts = ["first", "second"].map(|content| {
        let draft = fixture.store.new_layer().unwrap();
        fs::write(draft.path().join("file"), content).unwrap();
        draft
    });
    for draft in drafts {
        draft.commit(LayerRecord { diff_id: of("a"), size: 1, entries: 1, opaque: false }).unwrap();
    }
    assert_eq!(fs::read(fixture.store.layer_path(&of("a")).join("file")).unwrap(), b"first");
    assert_eq!(layers(&fixture), [of("a").hex()]);
}

#[test]
fn many_at_once_leave_one_layer() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fixture.unpack("a"));
        }
        scope.spawn(|| fixture.store.remove_orphans().unwrap());
    });
    assert_eq!(layers(&fixture), [of("a").hex()]);
    assert_eq!(fs::read(fixture.store.layer_path(&of("a")).join("file")).unwrap(), b"a");
}

#[test]
fn the_record_of_another_layer_is_not_believed() {
    let fixture = Fixture::new();
    for layer in ["a", "b"] {
        fixture.unpack(layer);
    }
    let record = |layer: &str| fixture.root.join("layers").join(of(layer).hex()).join("layer.json");
    fs::copy(record("a"), record("b")).unwrap();
    assert!(matches!(fixture.store.layer(&of("b")), Err(StoreError::Layer { .. })));
}

#[test]
fn a_damaged_layer_is_replaced_by_a_whole_one() {
    let fixture = Fixture::new();
    let place = fixture.root.join("layers").join(of("a").hex());
    for damage in [None, Some("{"), Some("")] {
        fixture.unpack("a");
        fs::write(place.join("diff/file"), "changed").unwrap();
        match damage {
            Some(text) => fs::write(place.join("layer.json"), text).unwrap(),
            None => fs::remove_file(place.join("layer.json")).unwrap(),
        }
        fixture.unpack("a");
        assert!(fixture.store.layer(&of("a")).unwrap().is_some());
        assert_eq!(fs::read(place.join("diff/file")).unwrap(), b"a");
        assert_eq!(layers(&fixture), [of("a").hex()]);
    }
}

#[test]
fn trees_are_removed_as_the_caller_says() {
    let fixture = Fixture::new();
    let (tell, told) = std::sync::mpsc::channel();
    let store = fixture.store.clone().removing_trees_by(move |path| {
        tell.send(path.to_owned()).unwrap();
        fs::remove_dir_all(path)
    });
    drop(store.new_layer().unwrap());
    fixture.unpack("b");
    store.removing().unwrap().collect_garbage(&std::collections::BTreeSet::new()).unwrap();
    let paths =
        told.try_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let paths = paths.collect::<Vec<_>>();
    assert!(
        matches!(&paths[..], [new, gone] if new.starts_with(".new-") && gone.starts_with(".gone-"))
    );
}
