use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use super::*;
use crate::config::ImageConfig;
use crate::manifest::{Manifest, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};

mod docker_archives;
mod hostile;
mod oci_archives;

/// A store in a directory of its own.
struct Fixture {
    store: Store,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: Store::open(&directory.path().join("root")), _directory: directory }
    }

    fn read(&self, archive: &[u8]) -> Result<Vec<Loaded>, ArchiveError> {
        read(archive, &self.store, &platform(), &Limits::default())
    }

    /// Adds an image with these layers, plain ones, and gives it names.
    fn image(&self, seed: &str, layers: &[&str], names: &[&str]) -> Saved {
        let config = config(seed, layers);
        let mut blobs = Vec::new();
        for content in std::iter::once(config.as_slice()).chain(layers.iter().map(|l| l.as_bytes()))
        {
            blobs.push(self.store.put_blob(content).unwrap());
        }
        let manifest = manifest(&config, layers);
        let (digest, size) = self.store.put_blob(&manifest).unwrap();
        let descriptor = Descriptor::new(OCI_MANIFEST, digest, size);
        let references = names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        self.store.tag(&references, &descriptor).unwrap();
        Saved { descriptor, references }
    }

    /// There is no blob, and nothing that was begun.
    fn assert_empty(&self) {
        for directory in ["blobs/sha256", "ingest"] {
            let path = self.store.images().join(directory);
            let names = fs::read_dir(&path).map(|entries| entries.count());
            assert_eq!(names.unwrap_or(0), 0, "{directory}");
        }
    }
}

fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

fn config(seed: &str, layers: &[&str]) -> Vec<u8> {
    let mut config = ImageConfig { author: Some(seed.to_owned()), ..ImageConfig::default() };
    config.os = "linux".to_owned();
    config.architecture = "amd64".to_owned();
    config.rootfs.diff_ids = layers.iter().map(|layer| Digest::of(layer.as_bytes())).collect();
    config.to_bytes().unwrap()
}

fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::of(content), content.len() as u64)
}

fn manifest(config: &[u8], layers: &[&str]) -> Vec<u8> {
    let layers = layers.iter().map(|layer| descriptor(OCI_LAYER, layer.as_bytes()));
    let manifest = Manifest::new(descriptor(OCI_CONFIG, config), layers.collect());
    serde_json::to_vec(&manifest).unwrap()
}

/// A tar archive of these files.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        add(&mut archive, name, tar::EntryType::Regular, content);
    }
    archive.into_inner().unwrap()
}

fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    // Names that the tar crate would not write, as `../x`.
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

fn link(archive: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_link_name_literal(target).unwrap();
    header.set_size(0);
    header.set_entry_type(kind);
    header.set_cksum();
    archive.append(&header, &[][..]).unwrap();
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn blob(content: &[u8]) -> String {
    spool::blob_name(&Digest::of(content))
}

/// What is read of an archive must be as `save` has written it.
#[test]
fn what_is_written_is_read_again() {
    let from = Fixture::new();
    let one = from.image("one", &["layer a", "layer b"], &["app:1", "host:5000/app:2"]);
    let two = from.image("two", &["layer a"], &[]);
    let again = Saved { references: vec!["app:3".parse().unwrap()], ..one.clone() };
    let images = [one.clone(), two.clone(), again];
    type Write = fn(&Store, &[Saved], &mut Vec<u8>) -> Result<(), ArchiveError>;
    let formats: [Write; 2] = [|s, i, o| write_oci(s, i, o), |s, i, o| write_docker(s, i, o)];
    for write in formats {
        let mut archive = Vec::new();
        write(&from.store, &images, &mut archive).unwrap();
        let mut same = Vec::new();
        let reversed = images.iter().rev().cloned().collect::<Vec<_>>();
        write(&from.store, &reversed, &mut same).unwrap();
        assert!(archive == same, "the same images have other bytes");
        let compressed = [gzip(&archive), zstd::encode_all(&archive[..], 1).unwrap(), archive];
        for archive in compressed {
            let into = Fixture::new();
            let _lock = into.store.adding().unwrap();
            let loaded = into.read(&archive).unwrap();
            assert_eq!(loaded.len(), 2);
            let of = |saved: &Saved| {
                let same = |l: &&Loaded| l.descriptor.digest == saved.descriptor.digest;
                loaded.iter().find(same).unwrap()
            };
            let names = of(&one).references.iter().map(Reference::familiar).collect::<Vec<_>>();
            assert_eq!(names, ["app:1", "app:3", "host:5000/app:2"]);
            assert_eq!(of(&two).references, []);
            assert_eq!(of(&one).id, from.store.image(&one.descriptor).unwrap().id);
            let layers = of(&one).layers.iter().map(|layer| fs::read(&layer.path).unwrap());
            assert_eq!(layers.collect::<Vec<_>>(), [b"layer a", b"layer b"]);
            for image in &loaded {
                into.store.tag(&image.references, &image.descriptor).unwrap();
            }
            let unpacked =
                |p: &crate::store::Problem| matches!(p, crate::store::Problem::NotUnpacked { .. });
            assert!(into.store.verify().unwrap().iter().all(unpacked));
            assert_eq!(into.store.list().unwrap().len(), 2);
        }
    }
}

#[test]
fn a_damaged_image_is_not_written() {
    let from = Fixture::new();
    let one = from.image("one", &["layer a"], &["app:1"]);
    fs::write(from.store.blob_path(&Digest::of(b"layer a")), "LAYER A").unwrap();
    let error = write_oci(&from.store, &[one], Vec::new()).unwrap_err();
    assert!(matches!(error, ArchiveError::Store(StoreError::Damaged { .. })), "{error}");
}

#[test]
fn an_output_that_fails_is_told() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let from = Fixture::new();
    let one = from.image("one", &["layer a"], &["app:1"]);
    let error = write_docker(&from.store, &[one], Full).unwrap_err();
    assert!(matches!(error, ArchiveError::Write(_)), "{error}");
}

#[test]
fn docker_s_list_names_the_same_files() {
    let from = Fixture::new();
    let one = from.image("one", &["layer a"], &["app:1"]);
    let id = from.store.image(&one.descriptor).unwrap().id;
    let mut archive = Vec::new();
    write_docker(&from.store, &[one], &mut archive).unwrap();
    let mut names = Vec::new();
    let mut documents = std::collections::BTreeMap::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 0);
        documents.insert(name.clone(), serde_json::from_str::<Value>(&text).unwrap_or_default());
        names.push(name);
    }
    assert!(names.is_sorted());
    let layer = blob(b"layer a");
    let config = spool::blob_name(&id);
    let list = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": [layer]}]);
    assert_eq!(documents["manifest.json"], list);
    let top = Digest::of(b"layer a").hex();
    assert_eq!(documents["repositories"], json!({"app": {"1": top}}));
    let annotations = &documents["index.json"]["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/library/app:1");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");
}
