//! What is written here others read, and the other way round.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use minidock_image::archive::{Limits, Loaded, Saved, read, write_docker, write_oci};
use minidock_image::config::ImageConfig;
use minidock_image::manifest::{
    Compression, Descriptor, LayerType, Manifest, OCI_CONFIG, OCI_MANIFEST, Platform,
};
use minidock_image::store::Store;
use minidock_image::{Digest, Reference};

struct Fixture {
    directory: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { store: Store::open(&directory.path().join("root")), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An image of a plain layer and a compressed one.
    fn image(&self, name: &str) -> Saved {
        let plain = layer("plain");
        let compressed = layer("compressed");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&compressed).unwrap();
        let mut config = ImageConfig {
            os: "linux".to_owned(),
            architecture: Platform::host().architecture,
            ..ImageConfig::default()
        };
        config.config.env = vec!["A=b".to_owned()];
        config.config.cmd = Some(vec!["/bin/sh".to_owned()]);
        config.rootfs.diff_ids = vec![Digest::of(&plain), Digest::of(&compressed)];
        let layer_type = |compression| LayerType { compression, foreign: false }.media_type();
        let layers = vec![
            self.part(&layer_type(Compression::None), &plain),
            self.part(&layer_type(Compression::Gzip), &gzip.finish().unwrap()),
        ];
        let manifest = Manifest::new(self.part(OCI_CONFIG, &config.to_bytes().unwrap()), layers);
        let descriptor = self.part(OCI_MANIFEST, &serde_json::to_vec(&manifest).unwrap());
        let references = vec![name.parse().unwrap()];
        self.store.tag(&references, &descriptor).unwrap();
        Saved { descriptor, references }
    }

    fn part(&self, media_type: &str, content: &[u8]) -> Descriptor {
        let (digest, size) = self.store.put_blob(content).unwrap();
        Descriptor::new(media_type, digest, size)
    }

    /// The image that is in an archive of one, in this store.
    fn load(&self, path: &Path) -> Loaded {
        let _lock = self.store.adding().unwrap();
        let file = File::open(path).unwrap();
        let loaded = read(file, &self.store, &Platform::host(), &Limits::default()).unwrap();
        let [image] = <[Loaded; 1]>::try_from(loaded).unwrap();
        self.store.tag(&image.references, &image.descriptor).unwrap();
        image
    }

    fn skopeo(&self, from: &str, to: &str) {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "--tmpdir"]).arg(self.directory.path());
        let output = command.args(["copy", from, to]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "skopeo copy {from} {to}: {error}");
    }
}

/// A layer's archive, with one file.
fn layer(text: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_path(text).unwrap();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, text.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}

fn named(image: &Loaded) -> Vec<String> {
    image.references.iter().map(Reference::to_string).collect()
}

fn assert_same(from: (&Fixture, &Saved), into: (&Fixture, &Loaded)) {
    let before = from.0.store.image(&from.1.descriptor).unwrap().config;
    let after = into.0.store.image(&into.1.descriptor).unwrap().config;
    assert_eq!(after.rootfs.diff_ids, before.rootfs.diff_ids);
    assert_eq!(after.config.env, before.config.env);
    assert_eq!(after.config.cmd, before.config.cmd);
    assert_eq!(after.platform(), before.platform());
}

const NAME: &str = "host.example/app:1";

#[test]
#[ignore = "needs the program skopeo"]
fn skopeo_reads_oci_archives_and_writes_them() {
    let (from, into) = (Fixture::new(), Fixture::new());
    let saved = from.image(NAME);
    let (ours, theirs) = (from.path("ours.tar"), from.path("theirs.tar"));
    write_oci(&from.store, std::slice::from_ref(&saved), File::create(&ours).unwrap()).unwrap();
    from.skopeo(
        &format!("oci-archive:{}", ours.display()),
        &format!("oci-archive:{}:{NAME}", theirs.display()),
    );
    let image = into.load(&theirs);
    // skopeo compresses the plain layer, so the manifest is another one; the image is not.
    assert_eq!(image.id, from.store.image(&saved.descriptor).unwrap().id);
    assert_eq!(named(&image), [NAME]);
    assert_same((&from, &saved), (&into, &image));
}

#[test]
#[ignore = "needs the program skopeo"]
fn skopeo_reads_docker_archives_and_writes_them() {
    let (from, into) = (Fixture::new(), Fixture::new());
    let saved = from.image(NAME);
    let (ours, theirs) = (from.path("ours.tar"), from.path("theirs.tar"));
    write_docker(&from.store, std::slice::from_ref(&saved), File::create(&ours).unwrap()).unwrap();
    from.skopeo(
        &format!("docker-archive:{}:{NAME}", ours.display()),
        &format!("docker-archive:{}:{NAME}", theirs.display()),
    );
    let image = into.load(&theirs);
    assert_eq!(named(&image), [NAME]);
    assert_same((&from, &saved), (&into, &image));
    // Layers are plain there, so that each is what the configuration names.
    for layer in &image.layers {
        assert_eq!(Digest::of(&fs::read(&layer.path).unwrap()), layer.diff_id);
    }
}

#[test]
#[ignore = "needs the program skopeo"]
fn skopeo_turns_one_into_the_other() {
    for to_oci in [true, false] {
        let (from, into) = (Fixture::new(), Fixture::new());
        let saved = from.image(NAME);
        let (ours, theirs) = (from.path("ours.tar"), from.path("theirs.tar"));
        let images = std::slice::from_ref(&saved);
        let output = File::create(&ours).unwrap();
        let (source, target) = match to_oci {
            true => {
                write_docker(&from.store, images, output).unwrap();
                ("docker-archive", "oci-archive")
            }
            false => {
                write_oci(&from.store, images, output).unwrap();
                ("oci-archive", "docker-archive")
            }
        };
        from.skopeo(
            &format!("{source}:{}", ours.display()),
            &format!("{target}:{}:{NAME}", theirs.display()),
        );
        let image = into.load(&theirs);
        assert_eq!(named(&image), [NAME], "{target}");
        assert_same((&from, &saved), (&into, &image));
    }
}

/// The store itself is an image layout.
#[test]
#[ignore = "needs the program skopeo"]
fn skopeo_reads_the_store() {
    let (from, into) = (Fixture::new(), Fixture::new());
    let saved = from.image("app:1");
    let theirs = from.path("theirs.tar");
    from.skopeo(
        &format!("oci:{}:1", from.store.images().display()),
        &format!("docker-archive:{}:{NAME}", theirs.display()),
    );
    assert_same((&from, &saved), (&into, &into.load(&theirs)));
}
