use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(value: &Value, media_type: Option<&str>) -> Result<Document, ManifestError> {
    Document::parse(value.to_string().as_bytes(), media_type)
}

fn part(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(b"x").to_string(), "size": 1})
}

fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "config": part(OCI_CONFIG),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+gzip")],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "manifests": [part(OCI_MANIFEST)]})
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value.as_object_mut().unwrap().insert(key.to_owned(), field);
    value
}

#[test]
fn both_families_are_read() {
    for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
        let declared = with(manifest(), "mediaType", json!(media_type));
        for (value, given) in
            [(manifest(), Some(media_type)), (declared.clone(), None), (declared, Some(media_type))]
        {
            assert!(matches!(parse(&value, given), Ok(Document::Manifest(_))), "{value}");
        }
    }
    for media_type in [OCI_INDEX, DOCKER_INDEX] {
        let declared = with(index(), "mediaType", json!(media_type));
        assert_eq!(parse(&declared, None).unwrap().media_type(), media_type);
        let parameters = format!("{media_type}; charset=utf-8");
        assert!(matches!(parse(&declared, Some(&parameters)), Ok(Document::Index(_))));
    }
    assert!(matches!(parse(&manifest(), None), Ok(Document::Manifest(_))));
    assert!(matches!(parse(&index(), Some("")), Ok(Document::Index(_))));
}

#[test]
fn what_could_be_both_is_refused() {
    let both = with(manifest(), "manifests", json!([]));
    for given in [None, Some(OCI_MANIFEST), Some(OCI_INDEX)] {
        assert!(matches!(parse(&both, given), Err(ManifestError::Ambiguous)));
    }
    for value in [
        with(index(), "layers", json!([])),
        with(index(), "config", part(OCI_CONFIG)),
        with(manifest(), "fsLayers", json!([])),
    ] {
        assert!(matches!(parse(&value, None), Err(ManifestError::Ambiguous)), "{value}");
    }
    for (value, given) in [(manifest(), OCI_INDEX), (index(), DOCKER_MANIFEST)] {
        assert!(matches!(parse(&value, Some(given)), Err(ManifestError::Ambiguous)));
    }
    let declared = with(manifest(), "mediaType", json!(OCI_MANIFEST));
    let error = parse(&declared, Some(DOCKER_MANIFEST)).unwrap_err();
    assert!(matches!(error, ManifestError::Disagreement { .. }));
    let twice = br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    assert!(matches!(Document::parse(twice, None), Err(ManifestError::Malformed(_))));
}

#[test]
fn old_and_foreign_documents_are_named() {
    let old = json!({"schemaVersion": 1, "fsLayers": []});
    let given = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    assert!(matches!(parse(&old, None), Err(ManifestError::Schema1)));
    assert!(matches!(parse(&manifest(), Some(given)), Err(ManifestError::Schema1)));
    let newer = with(manifest(), "schemaVersion", json!(3));
    assert!(matches!(parse(&newer, None), Err(ManifestError::Version(3))));
    let chart = with(manifest(), "mediaType", json!("application/json"));
    assert!(matches!(parse(&chart, None), Err(ManifestError::MediaType(_))));
    assert!(matches!(Document::parse(b"<html>", None), Err(ManifestError::Malformed(_))));
    assert!(matches!(parse(&json!({"schemaVersion": 2}), None), Err(ManifestError::Malformed(_))));
}

#[test]
fn sizes_and_counts_are_bounded() {
    for size in [json!(-1), json!(1_u64 << 53), json!(1.5), json!("1"), json!(null)] {
        let layer = with(part("x"), "size", size.clone());
        let value = with(manifest(), "layers", json!([layer]));
        assert!(matches!(parse(&value, None), Err(ManifestError::Malformed(_))), "{size}");
    }
    let largest = with(part("x"), "size", json!((1_u64 << 53) - 1));
    assert!(parse(&with(manifest(), "layers", json!([largest])), None).is_ok());
    for (count, accepted) in [(1000, true), (1001, false)] {
        let list = Value::Array(vec![part("x"); count]);
        let found = parse(&with(manifest(), "layers", list.clone()), None);
        assert_eq!(found.is_ok(), accepted);
        assert_eq!(parse(&with(index(), "manifests", list), None).is_ok(), accepted);
    }
    let mut long = manifest().to_string().into_bytes();
    long.resize(4 << 20, b' ');
    assert!(Document::parse(&long, None).is_ok());
    long.push(b' ');
    assert!(matches!(Document::parse(&long, None), Err(ManifestError::TooLarge(_))));
    let deep = format!(r#"{{"schemaVersion":2,"x":{}{}}}"#, "[".repeat(9999), "]".repeat(9999));
    assert!(matches!(Document::parse(deep.as_bytes(), None), Err(ManifestError::Malformed(_))));
}

#[test]
fn what_else_is_there_is_tolerated() {
    let value = with(
        with(manifest(), "subject", json!({"mediaType": "x", "digest": "sha512:00", "size": 3})),
        "artifactType",
        json!("application/vnd.example"),
    );
    let value = with(value, "annotations", json!({"org.example.some": "thing"}));
    let Document::Manifest(found) = parse(&value, None).unwrap() else { panic!("no manifest") };
    assert_eq!(found.annotations.get("org.example.some").unwrap(), "thing");
    assert_eq!(found.artifact_type.as_deref().unwrap(), "application/vnd.example");
    assert_eq!(found.parts().count(), 2);
    assert!(parse(&with(manifest(), "annotations", json!(null)), None).is_ok());
}

fn descriptors() -> impl Strategy<Value = Descriptor> {
    let annotations = proptest::collection::btree_map("[a-z.]{1,9}", ".{0,9}", 0..3);
    let platform = proptest::option::of(("[a-z]{1,5}", "[a-z0-9]{1,5}"));
    ("[a-z/+.]{1,20}", any::<u64>(), 0..TOO_LARGE, annotations, platform).prop_map(
        |(media_type, seed, size, annotations, platform)| Descriptor {
            annotations,
            platform: platform.map(|(os, architecture)| Platform::new(&os, &architecture, None)),
            urls: vec![format!("https://example.org/{seed}")],
            ..Descriptor::new(&media_type, Digest::of(&seed.to_le_bytes()), size)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        config in descriptors(),
        layers in proptest::collection::vec(descriptors(), 0..4),
    ) {
        let manifest = Manifest::new(config, layers.clone());
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let found = Document::parse(&bytes, Some(OCI_MANIFEST)).unwrap();
        prop_assert_eq!(found, Document::Manifest(Box::new(manifest)));
        let index = Index::new(layers);
        let bytes = serde_json::to_vec(&index).unwrap();
        prop_assert_eq!(Document::parse(&bytes, None).unwrap(), Document::Index(index));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Document::parse(&bytes, None));
    }
}
