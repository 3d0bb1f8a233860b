use super::*;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
}

fn entry(media_type: &str, content: &[u8]) -> Value {
    serde_json::to_value(descriptor(media_type, content)).unwrap()
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value.as_object_mut().unwrap().insert(key.to_owned(), field);
    value
}

fn on(value: Value, architecture: &str) -> Value {
    let os = if architecture == "unknown" { "unknown" } else { "linux" };
    with(value, "platform", json!({"os": os, "architecture": architecture}))
}

/// A layout with these documents and these blobs.
fn archive(index: &[u8], blobs: &[&[u8]]) -> Vec<u8> {
    let names = blobs.iter().map(|content| blob(content)).collect::<Vec<_>>();
    let mut files: Vec<(&str, &[u8])> = vec![("oci-layout", LAYOUT), ("index.json", index)];
    files.extend(names.iter().map(String::as_str).zip(blobs.iter().copied()));
    tar_of(&files)
}

/// The blobs of an image of one layer.
fn parts(seed: &str) -> (Vec<u8>, Vec<u8>) {
    let config = config(seed, &["layer a"]);
    let manifest = manifest(&config, &["layer a"]);
    (config, manifest)
}

#[test]
fn of_several_platforms_one_is_taken() {
    let (config, manifest) = parts("mine");
    let (_, other) = parts("other");
    let inner = index(&[
        on(entry(OCI_MANIFEST, &other), "arm64"),
        on(entry(OCI_MANIFEST, b"signature"), "unknown"),
        on(entry(OCI_MANIFEST, &manifest), "amd64"),
    ]);
    let name = json!({"io.containerd.image.name": "docker.io/library/app:1"});
    let outer = index(&[with(entry(OCI_INDEX, &inner), "annotations", name)]);
    let into = Fixture::new();
    // Those for other platforms need not be in the archive.
    let files: [&[u8]; 4] = [&config, &manifest, &inner, b"layer a"];
    let [image] = &into.read(&archive(&outer, &files)).unwrap()[..] else { panic!("one image") };
    assert_eq!(image.id, Digest::of(&config));
    assert_eq!(image.descriptor.digest, Digest::of(&manifest));
    assert_eq!(image.references, ["app:1".parse().unwrap()]);
    into.store.tag(&image.references, &image.descriptor).unwrap();
    let arm = "linux/s390x".parse().unwrap();
    let error = read(&archive(&outer, &files)[..], &into.store, &arm, &Limits::default());
    let error = error.unwrap_err();
    assert!(error.to_string().ends_with("only for linux/arm64, linux/amd64"), "{error}");
    // The same without an index between: several of one name.
    let name = json!({"org.opencontainers.image.ref.name": "host/app:1"});
    let flat = index(&[
        with(on(entry(OCI_MANIFEST, &other), "arm64"), "annotations", name.clone()),
        with(on(entry(OCI_MANIFEST, &manifest), "amd64"), "annotations", name),
    ]);
    let [image] = &into.read(&archive(&flat, &files)).unwrap()[..] else { panic!("one image") };
    assert_eq!(image.id, Digest::of(&config));
}

#[test]
fn a_tag_alone_or_a_digest_is_no_name() {
    let (config, manifest) = parts("one");
    let digest = format!("app@{}", Digest::of(b"index"));
    for (key, name, expected) in [
        ("org.opencontainers.image.ref.name", "latest", None),
        ("org.opencontainers.image.ref.name", "host/app:1", Some("host/app:1")),
        ("org.opencontainers.image.ref.name", "any text: of the specification", None),
        ("io.containerd.image.name", "app", Some("app:latest")),
        ("io.containerd.image.name", &digest, None),
    ] {
        let entry = with(entry(OCI_MANIFEST, &manifest), "annotations", json!({key: name}));
        let archive = archive(&index(&[entry]), &[&config, &manifest, b"layer a"]);
        let [image] = &Fixture::new().read(&archive).unwrap()[..] else { panic!("one image") };
        let names = image.references.iter().map(Reference::familiar).collect::<Vec<_>>();
        assert_eq!(names, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (config, manifest) = parts("one");
    let refused = |archive: &[u8]| {
        let into = Fixture::new();
        let error = into.read(archive).unwrap_err();
        into.assert_empty();
        error
    };
    let good = index(&[entry(OCI_MANIFEST, &manifest)]);
    let error = refused(&archive(&good, &[&config, &manifest]));
    assert!(matches!(error, ArchiveError::Missing(_)), "{error}");
    let layer = blob(b"layer a");
    let (config_name, manifest_name) = (blob(&config), blob(&manifest));
    let mut files: Vec<(&str, &[u8])> = vec![
        ("oci-layout", LAYOUT),
        ("index.json", &good),
        (&config_name, &config),
        (&manifest_name, &manifest),
        (&layer, b"LAYER A"),
    ];
    let error = refused(&tar_of(&files));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    files[0] = ("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#);
    assert!(matches!(refused(&tar_of(&files)), ArchiveError::Document { .. }));
    files.remove(0);
    assert!(matches!(refused(&tar_of(&files)), ArchiveError::Missing(_)));
    // A plain layer that is not the one that the configuration names.
    let lying = crate::archive::tests::manifest(&config, &["other"]);
    let entry_of = index(&[entry(OCI_MANIFEST, &lying)]);
    let error = refused(&archive(&entry_of, &[&config, &lying, b"other"]));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    let wrong = with(entry(OCI_MANIFEST, &manifest), "mediaType", json!(OCI_INDEX));
    let error = refused(&archive(&index(&[wrong]), &[&config, &manifest, b"layer a"]));
    assert!(matches!(error, ArchiveError::Manifest { .. }), "{error}");
    assert!(matches!(refused(&archive(&index(&[]), &[])), ArchiveError::NoImages));
    assert!(matches!(refused(&archive(&manifest, &[])), ArchiveError::Document { .. }));
    let chart = String::from_utf8(manifest.clone()).unwrap();
    let chart = chart.replace(OCI_CONFIG, "application/vnd.cncf.helm.config.v1+json").into_bytes();
    let error = refused(&archive(&index(&[entry(OCI_MANIFEST, &chart)]), &[&chart]));
    assert!(error.to_string().contains("it is no image"), "{error}");
}

#[test]
fn indexes_of_indexes_end() {
    let (config, manifest) = parts("one");
    let mut blobs = vec![config, manifest.clone(), b"layer a".to_vec()];
    let mut at = entry(OCI_MANIFEST, &manifest);
    for depth in 1..=3 {
        let inner = index(&[on(at, "amd64")]);
        at = entry(OCI_INDEX, &inner);
        blobs.push(inner);
        let blobs = blobs.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let read = Fixture::new().read(&archive(&index(std::slice::from_ref(&at)), &blobs));
        assert_eq!(read.is_ok(), depth <= 2, "{depth}");
    }
}
