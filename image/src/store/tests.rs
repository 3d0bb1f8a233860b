use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::config::ImageConfig;
use crate::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::{Digest, Reference};

mod blobs;
mod interrupted;
mod layers;
mod naming;
mod removing;

/// A store in a directory of its own.
struct Fixture {
    store: Store,
    root: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        Self { store: Store::open(&root), root, _directory: directory }
    }

    /// Adds the parts of an image with these layers, and no name.
    fn parts(&self, seed: &str, layers: &[&str]) -> Descriptor {
        let archives = layers.iter().map(|text| self.store.put_blob(text.as_bytes()).unwrap());
        let archives = archives.collect::<Vec<_>>();
        let mut config = ImageConfig { author: Some(seed.to_owned()), ..ImageConfig::default() };
        config.architecture = "amd64".to_owned();
        config.os = "linux".to_owned();
        config.rootfs.diff_ids = archives.iter().map(|(digest, _)| *digest).collect();
        let (id, size) = self.store.put_blob(&config.to_bytes().unwrap()).unwrap();
        let layers =
            archives.iter().map(|(digest, size)| Descriptor::new(OCI_LAYER, *digest, *size));
        let manifest = Manifest::new(Descriptor::new(OCI_CONFIG, id, size), layers.collect());
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let (digest, size) = self.store.put_blob(&bytes).unwrap();
        Descriptor::new(OCI_MANIFEST, digest, size)
    }

    fn unpack(&self, layer: &str) -> Digest {
        let diff_id = Digest::of(layer.as_bytes());
        let draft = self.store.new_layer().unwrap();
        fs::write(draft.path().join("file"), layer).unwrap();
        draft
            .commit(LayerRecord { diff_id, size: layer.len() as u64, entries: 1, opaque: false })
            .unwrap();
        diff_id
    }

    /// Adds an image of these names, whole and unpacked.
    fn image(&self, seed: &str, layers: &[&str], names: &[&str]) -> Descriptor {
        let descriptor = self.parts(seed, layers);
        for layer in layers {
            if !self.store.has_layer(&Digest::of(layer.as_bytes())).unwrap() {
                self.unpack(layer);
            }
        }
        let names = names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        self.store.tag(&names, &descriptor).unwrap();
        descriptor
    }

    fn id(&self, descriptor: &Descriptor) -> Digest {
        self.store.image(descriptor).unwrap().id
    }

    fn remove(&self, name: &str, force: bool) -> Result<Vec<String>, StoreError> {
        self.remove_with(name, force, &InUse::default())
    }

    /// What a removal has done, in words.
    fn remove_with(
        &self,
        name: &str,
        force: bool,
        uses: &InUse,
    ) -> Result<Vec<String>, StoreError> {
        let removed = self.store.removing().unwrap().remove(name, force, uses)?;
        Ok(removed.iter().map(told).collect())
    }

    fn collect(&self) -> Garbage {
        self.store.removing().unwrap().collect_garbage(&std::collections::BTreeSet::new()).unwrap()
    }

    /// The images have what they need, and there is nothing else.
    fn assert_sound(&self) {
        assert_eq!(self.store.verify().unwrap(), []);
    }
}

fn told(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(name) => format!("-{}", name.familiar()),
        Removed::Deleted(digest) => digest.to_string(),
    }
}

fn text(digest: Digest) -> String {
    digest.to_string()
}

fn of(layer: &str) -> Digest {
    Digest::of(layer.as_bytes())
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn a_store_that_is_not_there_is_empty_and_stays_so() {
    let fixture = Fixture::new();
    let _lock = fixture.store.reading().unwrap();
    assert_eq!(fixture.store.list().unwrap(), []);
    assert_eq!(fixture.store.verify().unwrap(), []);
    assert!(!fixture.store.has_layer(&of("a")).unwrap());
    assert!(!fixture.store.has_blob(&of("a"), 1).unwrap());
    assert!(matches!(fixture.store.resolve("a"), Err(StoreError::NoSuchImage(_))));
    assert!(matches!(fixture.store.read_blob(&of("a"), 9), Err(StoreError::MissingBlob(_))));
    assert!(!fixture.root.exists());
}

#[test]
fn only_the_owner_can_look_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    for path in ["images", "layers", "images/ingest", "images/blobs/sha256"] {
        let mode = fs::metadata(fixture.root.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
    let layout = fs::read(fixture.root.join("images/oci-layout")).unwrap();
    assert_eq!(layout, br#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn what_is_wrong_is_told() {
    let fixture = Fixture::new();
    fixture.image("one", &["a", "b"], &["a"]);
    let two = fixture.image("two", &["c"], &["b"]);
    fixture.assert_sound();
    let blob = |layer: &str| fixture.store.blob_path(&of(layer));
    fs::write(blob("a"), "A").unwrap();
    fs::remove_file(blob("b")).unwrap();
    fs::remove_file(fixture.root.join("layers").join(of("a").hex()).join("layer.json")).unwrap();
    fs::remove_dir_all(fixture.root.join("layers").join(of("b").hex())).unwrap();
    fs::write(fixture.root.join("images/ingest/left"), "").unwrap();
    fs::write(fixture.root.join("layers/stray"), "").unwrap();
    fs::write(fixture.store.blob_path(&two.digest), "{}").unwrap();
    let orphan = fixture.store.put_blob(b"orphan").unwrap().0;
    let problems = fixture.store.verify().unwrap();
    let has =
        |wanted: &dyn Fn(&Problem) -> bool| assert!(problems.iter().any(wanted), "{problems:?}");
    has(&|p| matches!(p, Problem::Damaged { digest, .. } if *digest == of("a")));
    has(&|p| matches!(p, Problem::Missing { digest, .. } if *digest == of("b")));
    has(&|p| matches!(p, Problem::Layer { diff_id, .. } if *diff_id == of("a")));
    has(&|p| matches!(p, Problem::NotUnpacked { diff_id, .. } if *diff_id == of("b")));
    has(&|p| matches!(p, Problem::Image { image, .. } if *image == two.digest));
    for path in ["images/ingest/left".to_owned(), "layers/stray".to_owned()] {
        has(&|p| *p == Problem::Orphan(fixture.root.join(&path)));
    }
    has(&|p| *p == Problem::Orphan(fixture.store.blob_path(&orphan)));
    fs::write(fixture.root.join("images/index.json"), "[]").unwrap();
    let problems = fixture.store.verify().unwrap();
    assert!(problems.iter().any(|problem| matches!(problem, Problem::List(_))));
    assert!(!problems.iter().any(|problem| matches!(problem, Problem::Orphan(_))));
}

#[test]
fn a_broken_image_is_listed_and_can_be_removed() {
    let fixture = Fixture::new();
    let one = fixture.image("one", &["a"], &["broken"]);
    let two = fixture.image("two", &["b"], &["also"]);
    fixture.image("three", &["c"], &["whole"]);
    let id = fixture.id(&one);
    fs::remove_file(fixture.store.blob_path(&id)).unwrap();
    fs::remove_file(fixture.store.blob_path(&two.digest)).unwrap();
    let list = fixture.store.list().unwrap();
    assert_eq!(list.len(), 3);
    // One that has no manifest any more is known by that.
    for id in [id, two.digest] {
        let found = list.iter().find(|image| image.id == id).unwrap();
        assert!(found.broken.as_ref().unwrap().ends_with("is missing"), "{found:?}");
    }
    assert!(matches!(fixture.store.resolve("broken"), Err(StoreError::MissingBlob(_))));
    assert!(matches!(fixture.store.resolve(&id.short()), Err(StoreError::MissingBlob(_))));
    // What is still known to be of it stays while it is there.
    fixture.collect();
    assert!(fixture.store.has_blob(&of("a"), 1).unwrap());
    assert!(fixture.store.has_layer(&of("c")).unwrap());
    let removed = fixture.remove("broken", false).unwrap();
    assert_eq!(removed[..2], ["-broken:latest".to_owned(), text(id)]);
    let removed = fixture.remove(&two.digest.hex(), false).unwrap();
    assert_eq!(removed[..2], ["-also:latest".to_owned(), text(two.digest)]);
    fixture.assert_sound();
}

#[test]
fn whoever_removes_waits_for_whoever_reads() {
    let fixture = Fixture::new();
    fixture.image("one", &["a"], &["a"]);
    let (reading, adding) = (fixture.store.reading().unwrap(), fixture.store.adding().unwrap());
    let store = fixture.store.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let removing = std::thread::spawn(move || {
        let removing = store.removing().unwrap();
        tell.send(()).unwrap();
        removing.remove("a", false, &InUse::default()).unwrap();
    });
    drop(reading);
    let early = told.recv_timeout(std::time::Duration::from_millis(20));
    assert!(early.is_err(), "it did not wait");
    assert_eq!(fixture.store.list().unwrap().len(), 1);
    drop(adding);
    removing.join().unwrap();
    assert_eq!(fixture.store.list().unwrap().len(), 0);
}
