//! Processes that are killed while they add and remove images leave no broken image.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use minidock_image::Digest;
use minidock_image::config::ImageConfig;
use minidock_image::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use minidock_image::store::{InUse, LayerRecord, Problem, Store, StoreError};

const ROOT: &str = "MINIDOCK_TEST_KILLED_STORE";
const ROUNDS: usize = 12;
/// They have layers in common, which each of two processes adds and removes.
const IMAGES: [(&str, [&str; 2]); 3] =
    [("one", ["base", "a"]), ("two", ["base", "b"]), ("three", ["a", "b"])];

fn add(store: &Store, seed: &str, layers: [&str; 2]) {
    let _lock = store.adding().unwrap();
    let part = |media_type: &str, content: &[u8]| {
        let (digest, size) = (Digest::of(content), content.len() as u64);
        let mut writer = store.partial(&digest, size).unwrap();
        let rest = content.get(usize::try_from(writer.written()).unwrap()..).unwrap();
        for byte in rest.chunks(2) {
            writer.write_all(byte).unwrap();
        }
        writer.commit().unwrap();
        Descriptor::new(media_type, digest, size)
    };
    let archives = layers.map(|layer| part(OCI_LAYER, layer.as_bytes()));
    let mut config = ImageConfig { author: Some(seed.to_owned()), ..ImageConfig::default() };
    for (layer, archive) in layers.iter().zip(&archives) {
        config.rootfs.diff_ids.push(archive.digest);
        if !store.has_layer(&archive.digest).unwrap() {
            let draft = store.new_layer().unwrap();
            fs::write(draft.path().join("file"), layer).unwrap();
            draft
                .commit(LayerRecord { diff_id: archive.digest, size: 1, entries: 1, opaque: false })
                .unwrap();
        }
    }
    let config = part(OCI_CONFIG, &config.to_bytes().unwrap());
    let manifest = serde_json::to_vec(&Manifest::new(config, archives.into())).unwrap();
    let manifest = part(OCI_MANIFEST, &manifest);
    store.tag(&[seed.parse().unwrap()], &manifest).unwrap();
}

/// What is started to be killed. On its own it does nothing.
#[test]
#[ignore = "is a part of another test"]
fn adds_and_removes_until_it_is_killed() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let store = Store::open(Path::new(&root));
    let mut output = std::io::stdout();
    for (seed, layers) in IMAGES.iter().cycle() {
        add(&store, seed, *layers);
        output.write_all(b"\nadded\n").unwrap();
        match store.removing().unwrap().remove(seed, true, &InUse::default()) {
            // The other one was faster.
            Err(StoreError::NoSuchImage(_)) => {}
            removed => drop(removed.unwrap()),
        }
        output.write_all(b"\nremoved\n").unwrap();
    }
}

/// Killed when it is dropped.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(root: &Path) -> Victim {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "adds_and_removes_until_it_is_killed"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .spawn();
    Victim(child.unwrap())
}

#[test]
fn whoever_is_killed_leaves_whole_images() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path());
    for round in 0..ROUNDS {
        let mut children = [start(directory.path()), start(directory.path())];
        let output = BufReader::new(children[0].0.stdout.take().unwrap());
        let steps = output.lines().map(Result::unwrap).filter(|line| line.ends_with("ed"));
        assert_eq!(steps.take(1 + round % 4).count(), 1 + round % 4, "it has failed by itself");
        drop(children);
        let is_harmless = |problem: &Problem| matches!(problem, Problem::Orphan(_));
        let problems = store.verify().unwrap();
        assert!(problems.iter().all(is_harmless), "{problems:?}");
        let before = store.list().unwrap();
        assert!(before.iter().all(|image| image.broken.is_none()), "{before:?}");
        store.removing().unwrap().collect_garbage(&BTreeSet::new()).unwrap();
        assert_eq!(store.verify().unwrap(), []);
        assert_eq!(store.list().unwrap(), before);
    }
}
