use super::*;

fn list(layers: &[&str], names: Value) -> Vec<u8> {
    json!([{"Config": "c.json", "RepoTags": names, "Layers": layers}]).to_string().into_bytes()
}

/// As docker wrote it before its version 25: each layer in a directory of its own, and a link where
/// one has come already.
#[test]
fn layers_are_found_through_links() {
    let config = config("one", &["layer a", "layer b", "layer a"]);
    let list = list(&["1/layer.tar", "2/layer.tar", "3/layer.tar"], json!(["app:1", "app:2"]));
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "1/", tar::EntryType::Directory, b"");
    add(&mut archive, "1/VERSION", tar::EntryType::Regular, b"1.0");
    link(&mut archive, "3/layer.tar", tar::EntryType::Symlink, "../1/layer.tar");
    add(&mut archive, "1/layer.tar", tar::EntryType::Regular, b"layer a");
    add(&mut archive, "./layer b", tar::EntryType::Regular, b"layer b");
    link(&mut archive, "2/layer.tar", tar::EntryType::Link, "layer b");
    add(&mut archive, "c.json", tar::EntryType::Regular, &config);
    add(&mut archive, "manifest.json", tar::EntryType::Regular, &list);
    let into = Fixture::new();
    let loaded = into.read(&archive.into_inner().unwrap()).unwrap();
    let [image] = &loaded[..] else { panic!("{loaded:?}") };
    assert_eq!(image.id, Digest::of(&config));
    let names = image.references.iter().map(Reference::familiar).collect::<Vec<_>>();
    assert_eq!(names, ["app:1", "app:2"]);
    let layers = image.layers.iter().map(|layer| fs::read(&layer.path).unwrap());
    assert_eq!(layers.collect::<Vec<_>>(), [b"layer a", b"layer b", b"layer a"]);
    assert!(image.layers.iter().all(|layer| layer.descriptor.media_type == OCI_LAYER));
    into.store.tag(&image.references, &image.descriptor).unwrap();
    assert_eq!(into.store.resolve("app:2").unwrap().image.id, image.id);
    // The same archive gives the same image.
    let other = Fixture::new();
    let layers = ["layer a", "layer b", "layer a"];
    let saved = other.image("one", &layers, &[]);
    assert_eq!(saved.descriptor.digest, image.descriptor.digest);
}

#[test]
fn a_layer_that_is_compressed_is_known_by_its_first_bytes() {
    let config = config("one", &["layer a", "layer b"]);
    let zstd = zstd::encode_all(&b"layer b"[..], 1).unwrap();
    let archive = tar_of(&[
        ("c.json", &config),
        ("a", &gzip(b"layer a")),
        ("b", &zstd),
        ("manifest.json", &list(&["a", "b"], json!(null))),
    ]);
    let into = Fixture::new();
    let [image] = &into.read(&archive).unwrap()[..] else { panic!("one image") };
    let types = image.layers.iter().map(|layer| layer.descriptor.media_type.as_str());
    let expected = ["+gzip", "+zstd"].map(|suffix| format!("{OCI_LAYER}{suffix}"));
    assert_eq!(types.collect::<Vec<_>>(), expected);
    assert_eq!(image.layers[0].diff_id, Digest::of(b"layer a"));
    assert_eq!(image.references, []);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let config = config("one", &["layer a"]);
    let whole: &[(&str, &[u8])] = &[("c.json", &config), ("a", b"layer a")];
    let with = |list: &[u8], files: &[(&str, &[u8])]| {
        let mut all = files.to_vec();
        all.push(("manifest.json", list));
        let into = Fixture::new();
        let error = into.read(&tar_of(&all)).unwrap_err();
        into.assert_empty();
        error
    };
    let good = list(&["a"], json!(["app"]));
    assert!(Fixture::new().read(&tar_of(&[whole, &[("manifest.json", &good)]].concat())).is_ok());
    let error = with(&good, &[("c.json", &config), ("a", b"LAYER A")]);
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    let error = with(&good, &[("c.json", &config)]);
    assert!(matches!(&error, ArchiveError::Missing(name) if name == "a"), "{error}");
    let error = with(&good, &[("c.json", b"{}"), ("a", b"layer a")]);
    assert!(matches!(error, ArchiveError::Config { .. }), "{error}");
    let error = with(&list(&["a", "a"], json!([])), whole);
    assert!(matches!(error, ArchiveError::Config { .. }), "{error}");
    let error = with(&list(&["../a"], json!([])), whole);
    assert!(matches!(error, ArchiveError::Malformed(_)), "{error}");
    let error = with(&list(&["a"], json!(["UPPER case"])), whole);
    assert!(matches!(error, ArchiveError::Reference(_)), "{error}");
    assert!(matches!(with(b"[]", whole), ArchiveError::NoImages));
    assert!(matches!(with(b"{}", whole), ArchiveError::Document { .. }));
    let many = list(&vec!["a"; 1001], json!([]));
    assert!(matches!(with(&many, whole), ArchiveError::Document { .. }));
    assert!(matches!(Fixture::new().read(&tar_of(whole)), Err(ArchiveError::NoImages)));
    let old = Fixture::new().read(&tar_of(&[("repositories", b"{}")]));
    assert!(matches!(old, Err(ArchiveError::Old)));
}
