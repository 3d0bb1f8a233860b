use super::*;

fn found(fixture: &Fixture, name: &str) -> Option<Digest> {
    Some(fixture.store.resolve(name).ok()?.image.descriptor.digest)
}

#[test]
fn an_image_is_found_by_its_names_and_its_id() {
    let fixture = Fixture::new();
    let origin = format!("me/app@{}", of("index"));
    let one = fixture.image("one", &["a"], &["me/app:1", "other", &origin]);
    fixture.image("two", &["a"], &["me/app:2"]);
    let id = fixture.id(&one);
    for name in [
        "me/app:1".to_owned(),
        "docker.io/me/app:1".to_owned(),
        "other".to_owned(),
        origin.clone(),
        // A digest says all.
        origin.replace("app@", "app:9@"),
        id.to_string(),
        id.hex(),
        id.short(),
        format!("sha256:{}", id.short()),
        one.digest.to_string(),
    ] {
        assert_eq!(found(&fixture, &name), Some(one.digest), "{name}");
    }
    for name in [
        "me/app",
        "app:1",
        &origin.replace("me/app", "me/app2"),
        &format!("me/app@{id}"),
        &of("index").to_string(),
        &one.digest.short(),
        "",
        "sha256:",
        "../../etc",
    ] {
        assert!(matches!(fixture.store.resolve(name), Err(StoreError::NoSuchImage(_))), "{name}");
    }
    assert_eq!(fixture.store.resolve("other").unwrap().reference, Some(name("other")));
    assert_eq!(fixture.store.resolve(&id.short()).unwrap().reference, None);
}

#[test]
fn an_id_that_begins_as_several_is_ambiguous_and_a_name_goes_first() {
    let fixture = Fixture::new();
    let made = (0..40).map(|seed| fixture.image(&seed.to_string(), &["a"], &[]));
    let mut ids = made.map(|descriptor| fixture.id(&descriptor)).collect::<Vec<_>>();
    ids.sort_unstable();
    let shared = ids.windows(2).find(|pair| pair[0].hex()[..1] == pair[1].hex()[..1]).unwrap();
    let prefix = &shared[0].hex()[..1];
    let error = fixture.store.resolve(prefix).unwrap_err();
    assert!(matches!(error, StoreError::Ambiguous { ids, .. } if ids.len() > 1));
    let error = fixture.remove(prefix, false).unwrap_err();
    assert!(matches!(error, StoreError::Ambiguous { .. }));
    let named = fixture.image("named", &["a"], &[prefix]);
    assert_eq!(found(&fixture, prefix), Some(named.digest));
}

#[test]
fn a_name_that_moves_leaves_an_image_without() {
    let fixture = Fixture::new();
    let old = fixture.image("old", &["aa", "b"], &["app"]);
    let new = fixture.image("new", &["aa", "ccc"], &["app"]);
    assert_eq!(found(&fixture, "app"), Some(new.digest));
    let list = fixture.store.list().unwrap();
    let of_id = |id| list.iter().find(|image| image.id == id).unwrap();
    let (old, new) = (of_id(fixture.id(&old)), of_id(fixture.id(&new)));
    assert!(old.dangling && old.references.is_empty() && old.size == 3);
    assert!(!new.dangling && new.references == [name("app")] && new.size == 5);
    assert_eq!(new.platform.as_ref().unwrap().to_string(), "linux/amd64");
    assert_eq!(new.diff_ids, [of("aa"), of("ccc")]);
    assert!(fixture.store.untag(&name("app")).unwrap());
    assert!(!fixture.store.untag(&name("app")).unwrap());
    assert!(fixture.store.list().unwrap().iter().all(|image| image.dangling));
    fixture.assert_sound();
}

#[test]
fn what_is_not_whole_gets_no_name() {
    let fixture = Fixture::new();
    let names = [name("app")];
    let whole = fixture.parts("one", &["a"]);
    let blob = fixture.store.blob_path(&of("a"));
    fs::remove_file(&blob).unwrap();
    let error = fixture.store.tag(&names, &whole).unwrap_err();
    assert!(matches!(error, StoreError::MissingBlob(digest) if digest == of("a")));
    fs::write(&blob, "longer").unwrap();
    assert!(fixture.store.tag(&names, &whole).is_err());
    fs::write(&blob, "a").unwrap();
    let other = Descriptor { size: whole.size + 1, ..whole.clone() };
    assert!(matches!(fixture.store.tag(&names, &other), Err(StoreError::WrongSize { .. })));
    let other = Descriptor { media_type: "text/plain".to_owned(), ..whole.clone() };
    assert!(matches!(fixture.store.tag(&names, &other), Err(StoreError::Manifest { .. })));
    assert_eq!(fixture.store.list().unwrap(), []);
    fixture.store.tag(&names, &whole).unwrap();
}

#[test]
fn one_image_in_two_forms_is_one() {
    let fixture = Fixture::new();
    let one = fixture.image("one", &["a"], &["a"]);
    let image = fixture.store.image(&one).unwrap();
    let mut manifest = image.manifest.clone();
    manifest.annotations.insert("form".to_owned(), "other".to_owned());
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let (digest, size) = fixture.store.put_blob(&bytes).unwrap();
    fixture.store.tag(&[name("b")], &Descriptor::new(OCI_MANIFEST, digest, size)).unwrap();
    let list = fixture.store.list().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].references, [name("a"), name("b")]);
    assert_eq!(list[0].manifests.len(), 2);
    assert_eq!(fixture.store.resolve(&image.id.short()).unwrap().image.id, image.id);
    assert!(matches!(fixture.remove(&image.id.hex(), false), Err(StoreError::Conflict { .. })));
    fixture.remove(&image.id.hex(), true).unwrap();
    assert_eq!(fixture.store.list().unwrap(), []);
    fixture.assert_sound();
}

#[test]
fn names_that_are_given_at_once_are_all_there() {
    let fixture = Fixture::new();
    let images = ["one", "two"].map(|seed| fixture.image(seed, &["a"], &[]));
    let fixture = &fixture;
    std::thread::scope(|scope| {
        for (number, image) in images.iter().cycle().take(16).enumerate() {
            scope.spawn(move || fixture.store.tag(&[name(&format!("a:{number}"))], image).unwrap());
        }
    });
    let list = fixture.store.list().unwrap();
    assert_eq!(list.iter().map(|image| image.references.len()).collect::<Vec<_>>(), [8, 8]);
}

#[test]
fn an_image_that_a_pull_has_replaced_is_dangling() {
    let fixture = Fixture::new();
    let names = |digest: &str| ["x:1".to_owned(), format!("x@{}", of(digest))];
    for seed in ["old", "new"] {
        let [tag, digest] = names(seed);
        fixture.image(seed, &["a"], &[&tag, &digest]);
    }
    let dangling: Vec<_> = fixture.store.list().unwrap();
    let dangling = dangling.iter().filter(|image| image.dangling).collect::<Vec<_>>();
    let [old] = &dangling[..] else { panic!("{dangling:?}") };
    assert_eq!(old.digests, [name(&names("old")[1])]);
    let pruned = fixture.store.removing().unwrap().prune(false, &|_| true, &InUse::default());
    assert!(pruned.unwrap().removed.contains(&Removed::Deleted(old.id)));
    assert_eq!(fixture.store.list().unwrap().len(), 1);
}
