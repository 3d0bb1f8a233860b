use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn used(id: Digest, layer: &str, running: bool) -> InUse {
    let user = User { container: "box".to_owned(), running };
    InUse { images: BTreeMap::from([(id, vec![user])]), layers: BTreeSet::from([of(layer)]) }
}

fn conflict(result: Result<Vec<String>, StoreError>) -> (String, bool) {
    match result.unwrap_err() {
        StoreError::Conflict { reason, forcible, .. } => (reason, forcible),
        other => panic!("{other}"),
    }
}

#[test]
fn the_last_name_takes_the_image_with_it() {
    let fixture = Fixture::new();
    let one = fixture.image("one", &["a", "shared"], &["app:1", "app:2"]);
    fixture.image("two", &["shared"], &["other"]);
    let id = fixture.id(&one);
    assert_eq!(fixture.remove("app:1", false).unwrap(), ["-app:1"]);
    fixture.assert_sound();
    let removed = fixture.remove("app:2", false).unwrap();
    assert_eq!(removed, ["-app:2".to_owned(), text(id), text(of("a"))]);
    fixture.assert_sound();
    assert!(fixture.store.has_layer(&of("shared")).unwrap());
    assert!(!fixture.store.has_layer(&of("a")).unwrap());
    assert!(!fixture.store.has_blob(&of("a"), 1).unwrap());
    assert!(matches!(fixture.remove("app:2", false), Err(StoreError::NoSuchImage(_))));
}

#[test]
fn where_it_came_from_goes_with_the_last_tag_of_the_repository() {
    let fixture = Fixture::new();
    let digest = |name: &str| format!("{name}@{}", of("index"));
    let names = ["app:1", "app:2", "other", &digest("app"), &digest("third")];
    fixture.image("one", &["a"], &names);
    assert_eq!(fixture.remove("app:1", false).unwrap(), ["-app:1"]);
    let removed = fixture.remove("app:2", false).unwrap();
    assert_eq!(removed, ["-app:2".to_owned(), format!("-{}", digest("app"))]);
    assert_eq!(fixture.remove(&digest("third"), false).unwrap(), [format!("-{}", digest("third"))]);
    assert_eq!(fixture.remove("other", false).unwrap().len(), 3);
    fixture.assert_sound();
}

#[test]
fn by_its_id_an_image_goes_with_its_one_name() {
    let fixture = Fixture::new();
    let origin = format!("app@{}", of("index"));
    let one = fixture.image("one", &["a"], &["app:1", &origin]);
    let id = fixture.id(&one);
    let removed = fixture.remove(&id.short(), false).unwrap();
    assert_eq!(removed, ["-app:1".to_owned(), format!("-{origin}"), text(id), text(of("a"))]);
    fixture.assert_sound();
    fixture.image("one", &["a"], &[]);
    assert_eq!(fixture.remove(&id.hex(), false).unwrap(), [text(id), text(of("a"))]);
    for names in [["app:1", "app:2"], ["app:1", "other:1"]] {
        fixture.image("one", &["a"], &names);
        let (reason, forcible) = conflict(fixture.remove(&id.short(), false));
        assert!(forcible && reason.contains("multiple repositories"), "{reason}");
        assert_eq!(fixture.remove(&id.short(), true).unwrap().len(), 4);
        fixture.assert_sound();
    }
}

#[test]
fn an_image_that_is_in_use_stays() {
    let fixture = Fixture::new();
    let one = fixture.image("one", &["a"], &["app"]);
    let id = fixture.id(&one);
    for name in ["app".to_owned(), id.to_string()] {
        for force in [false, true] {
            let (reason, forcible) =
                conflict(fixture.remove_with(&name, force, &used(id, "a", true)));
            assert!(!forcible && reason.ends_with("running container box"), "{reason}");
        }
        let (reason, forcible) = conflict(fixture.remove_with(&name, false, &used(id, "a", false)));
        assert!(forcible && reason.ends_with("stopped container box"), "{reason}");
    }
    assert_eq!(fixture.store.list().unwrap()[0].references, [name("app")]);
    // One name of several may go.
    fixture.store.tag(&[name("second")], &one).unwrap();
    let removed = fixture.remove_with("second", false, &used(id, "a", true)).unwrap();
    assert_eq!(removed, ["-second:latest"]);
    // By force the image goes, but not the layers that the container is made of.
    let removed = fixture.remove_with("app", true, &used(id, "a", false)).unwrap();
    assert_eq!(removed, ["-app:latest".to_owned(), text(id)]);
    assert!(fixture.store.has_layer(&of("a")).unwrap());
    assert_eq!(fixture.collect().layers, [of("a")]);
    fixture.assert_sound();
}

#[test]
fn pruning_takes_what_has_no_name_or_what_is_not_used() {
    let fixture = Fixture::new();
    let prune = |all, choose: &dyn Fn(&ImageSummary) -> bool, in_use: &InUse| {
        let pruned = fixture.store.removing().unwrap().prune(all, choose, in_use).unwrap();
        (pruned.removed.iter().map(told).collect::<Vec<_>>(), pruned.reclaimed)
    };
    let dangling = fixture.image("dangling", &["aaaa"], &[]);
    let kept = fixture.image("kept", &["k"], &[]);
    let in_use = fixture.image("in use", &["u"], &["used", "again"]);
    let named = fixture.image("named", &["n"], &["named:1", "other:2"]);
    let [dangling, kept, in_use, named] =
        [dangling, kept, in_use, named].map(|image| fixture.id(&image));
    let uses = used(in_use, "u", false);
    let (removed, reclaimed) = prune(false, &|image| image.id != kept, &uses);
    assert_eq!(removed, [text(dangling), text(of("aaaa"))]);
    assert!(reclaimed > 8, "{reclaimed}");
    assert_eq!(prune(false, &|_| false, &uses), (Vec::new(), 0));
    let (mut removed, _) = prune(true, &|_| true, &uses);
    let mut expected = ["-named:1".to_owned(), "-other:2".to_owned()].to_vec();
    expected.extend([kept, named, of("k"), of("n")].map(text));
    removed.sort();
    expected.sort();
    assert_eq!(removed, expected);
    assert_eq!(fixture.store.list().unwrap().len(), 1);
    fixture.assert_sound();
}

#[test]
fn of_an_image_that_cannot_be_read_nothing_is_garbage() {
    let fixture = Fixture::new();
    let broken = fixture.image("one", &["a", "b"], &["one"]);
    fixture.image("two", &["a", "c"], &["two"]);
    let manifest = fixture.store.blob_path(&broken.digest);
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{").unwrap();
    let removing = fixture.store.removing().unwrap();
    removing.remove("two", false, &InUse::default()).unwrap();
    drop(removing);
    fs::write(&manifest, whole).unwrap();
    assert_eq!(fixture.store.list().unwrap()[0].broken, None);
    // What the other one has left is garbage now.
    assert!(!fixture.collect().layers.is_empty());
    fixture.assert_sound();
    assert!(fixture.store.has_layer(&of("b")).unwrap());
}

#[test]
fn a_store_without_its_lock_is_locked_all_the_same() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["one"]);
    fs::remove_file(fixture.root.join("images/lock")).unwrap();
    let reading = fixture.store.reading().unwrap();
    let lock = fs::File::open(fixture.root.join("images/lock")).unwrap();
    assert!(matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)));
    drop(reading);
    lock.try_lock().unwrap();
}
