//! Images that are pulled, and what is not seen of those that are not.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minidock_image::layer::{self, Owner};
use minidock_image::manifest::{Index, Manifest, OCI_INDEX, OCI_MANIFEST, Platform};
use minidock_image::pull::{LayerError, Pull, PullError, Pulled, Status, pull};
use minidock_image::store::Store;
use minidock_image::{Digest, Nobody, Observer, Reference, Step as Told};

use super::images::{Content, layer, noise};
use super::server::{Reply, Server, Step};
use super::{client, hasty};

struct Place {
    root: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        Self { root, store }
    }

    fn pull(&self, server: &Server) -> Result<Pulled, PullError> {
        self.pull_for(&super::reference(server), None)
    }

    fn pull_for(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Pulled, PullError> {
        self.with(reference, platform, &Nobody, &AtomicBool::new(false))
    }

    fn with(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        observer: &dyn Observer,
        cancel: &AtomicBool,
    ) -> Result<Pulled, PullError> {
        let options = layer::Options {
            owner: Owner::Mine,
            devices: false,
            user_xattrs: true,
            cancelled: Some(cancel),
            ..layer::Options::default()
        };
        let request = Pull { reference, platform, options: &options };
        pull(&self.store, &client(hasty()), &request, observer)
    }

    fn file(&self, diff_id: &Digest, name: &str) -> Vec<u8> {
        fs::read(self.store.layer_path(diff_id).join(name)).unwrap()
    }

    /// Nothing can be seen, and nothing but archives that may be gone on with is there.
    fn assert_nothing(&self, partial: usize) {
        assert!(self.store.list().unwrap().is_empty());
        let images = self.root.path().join("images");
        assert_eq!(count(&images.join("blobs/sha256")), 0);
        assert_eq!(count(&self.store.layers()), 0);
        assert_eq!(count(&images.join("ingest")), partial);
    }
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

fn serve(content: &Content) -> Server {
    let content = content.clone();
    Server::new(move |request| content.answer(request))
}

#[test]
fn an_image_is_pulled_and_then_asked_for_once() {
    let mut content = Content::default();
    let layers = [layer("one", b"1"), layer("two", &noise(3_000_000)), layer("one", b"1")];
    let manifest = content.image("amd64", &layers);
    let server = serve(&content);
    let place = Place::new();
    let pulled = place.pull(&server).unwrap();
    assert_eq!((pulled.status, pulled.digest), (Status::Downloaded, manifest.digest));
    assert_eq!(place.file(&layers[0].1, "one"), b"1");
    assert_eq!(place.file(&layers[1].1, "two"), noise(3_000_000));
    assert!(place.store.verify().unwrap().is_empty());
    // One manifest, one configuration, two different layers.
    assert_eq!(server.requests().len(), 4);
    let again = place.pull(&server).unwrap();
    assert_eq!(again, Pulled { status: Status::UpToDate, ..pulled });
    assert_eq!(server.requests().len(), 5);
    let by_digest = super::reference(&server).with_digest(manifest.digest);
    assert_eq!(place.pull_for(&by_digest, None).unwrap().status, Status::UpToDate);
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_new_image_shares_what_it_has_with_the_old_one() {
    let (base, old, new) = (layer("base", b"x"), layer("old", b"x"), layer("new", b"x"));
    let mut content = Content::default();
    content.image("amd64", &[base.clone(), old]);
    let content = Arc::new(Mutex::new(content));
    let shared = content.clone();
    let server = Server::new(move |request| shared.lock().unwrap().answer(request));
    let place = Place::new();
    place.pull(&server).unwrap();
    content.lock().unwrap().image("amd64", &[base.clone(), new.clone()]);
    let before = server.requests().len();
    assert_eq!(place.pull(&server).unwrap().status, Status::Downloaded);
    let base = Digest::of(&base.0).to_string();
    let asked = server.requests();
    assert!(!asked[before..].iter().any(|request| request.path.contains(&base)));
    assert_eq!(place.file(&new.1, "new"), b"x");
    assert_eq!(place.store.list().unwrap().len(), 2);
}

#[test]
fn an_index_leads_to_the_platform() {
    let mut content = Content::default();
    let (mine, other) = (layer("mine", b"1"), layer("other", b"2"));
    let mut manifests = Vec::new();
    for (architecture, layer) in [("amd64", &mine), ("s390x", &other)] {
        let mut found = content.image(architecture, std::slice::from_ref(layer));
        found.platform = Some(Platform::new("linux", architecture, None));
        manifests.push(found);
    }
    let index = content.manifest(OCI_INDEX, &Index::new(manifests));
    let server = serve(&content);
    let place = Place::new();
    let wanted = |text: &str| text.parse::<Platform>().unwrap();
    let reference = super::reference(&server);
    let pulled = place.pull_for(&reference, Some(&wanted("linux/s390x"))).unwrap();
    assert_eq!(pulled.digest, index.digest);
    assert_eq!(place.file(&other.1, "other"), b"2");
    let amd = place.pull_for(&reference, Some(&wanted("linux/amd64"))).unwrap();
    assert_eq!((amd.status, amd.digest), (Status::Downloaded, index.digest));
    let again = place.pull_for(&reference, Some(&wanted("linux/amd64"))).unwrap();
    assert_eq!(again.status, Status::UpToDate);
    let error = place.pull_for(&reference, Some(&wanted("linux/arm64"))).unwrap_err();
    assert!(matches!(error, PullError::Platform { .. }), "{error}");
}

/// What is wrong with an image, and how that is told.
#[test]
fn of_a_wrong_layer_nothing_is_seen_and_it_is_named() {
    let good = layer("good", b"x");
    let bad = layer("bad", &noise(100_000));
    let name = Digest::of(&bad.0).to_string();
    let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = Content::default();
        content.image("amd64", &[good.clone(), bad.clone()]);
        change(content.blobs.get_mut(&name).unwrap());
        content
    };
    let mut wrong_id = Content::default();
    wrong_id.image("amd64", &[good.clone(), (bad.0.clone(), good.1)]);
    for (content, words) in [
        // The last byte but eight is before the checksum of gzip, which nobody looks at before.
        (spoil(&|bytes| bytes[4] ^= 1), "has the digest"),
        (spoil(&|bytes| bytes.truncate(50_000)), "bytes"),
        (spoil(&|bytes| bytes.extend_from_slice(b"more")), "bytes"),
        (wrong_id, "without its compression it has the digest"),
    ] {
        let server = serve(&content);
        let place = Place::new();
        let error = place.pull(&server).unwrap_err();
        assert!(matches!(error, PullError::Layer { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&name) && text.contains(words), "{text}");
        // The good one may have come, and stays for the next attempt.
        let left = count(&place.root.path().join("images/ingest"));
        place.assert_nothing(left);
        assert!(!place.root.path().join("images/ingest").join(&name["sha256:".len()..]).exists());
    }
}

#[test]
fn a_pull_that_broke_off_goes_on_where_it_was() {
    let big = layer("big", &noise(400_000));
    let mut content = Content::default();
    content.image("amd64", std::slice::from_ref(&big));
    let half = big.0.len() / 2;
    let broken = content.clone();
    let name = Digest::of(&big.0).to_string();
    let of = name.clone();
    let server = Server::new(move |request| {
        if !request.path.ends_with(&of) {
            return broken.answer(request);
        }
        // Half of it once, and then never any more.
        match request.from() {
            None => Some(Reply::head(200, &[], big.0.len()).then(&big.0[..half])),
            Some(_) => Some(Reply::new(500, &[], "")),
        }
    });
    let place = Place::new();
    let error = place.pull(&server).unwrap_err();
    assert!(matches!(error, PullError::Layer { source: LayerError::Registry(_), .. }), "{error}");
    place.assert_nothing(1);
    drop(server);

    let whole = serve(&content);
    place.pull(&whole).unwrap();
    let asked = whole.requests();
    let blob = asked.iter().find(|request| request.path.ends_with(&name)).unwrap();
    assert_eq!(blob.from(), Some(half));
    assert!(place.store.verify().unwrap().is_empty());
}

#[test]
fn what_an_interrupted_pull_has_left_is_not_believed() {
    let big = layer("big", &noise(400_000));
    let mut content = Content::default();
    content.image("amd64", std::slice::from_ref(&big));
    let server = serve(&content);
    let place = Place::new();
    let digest = Digest::of(&big.0);
    let mut partial = place.store.partial(&digest, big.0.len() as u64).unwrap();
    partial.write_all(&[0; 1000]).unwrap();
    drop(partial);
    place.pull(&server).unwrap();
    assert!(place.store.verify().unwrap().is_empty());
}

/// Wants an end at the first layer.
struct Stop<'a>(&'a AtomicBool);

impl Observer for Stop<'_> {
    fn layer(&self, _: &Digest, step: Told) {
        if step == Told::Waiting {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn of_an_interrupted_pull_nothing_is_seen() {
    let mut content = Content::default();
    content.image("amd64", &[layer("one", b"1"), layer("two", b"2")]);
    let server = serve(&content);
    let place = Place::new();
    let cancel = AtomicBool::new(false);
    let done = place.with(&super::reference(&server), None, &Stop(&cancel), &cancel);
    assert!(matches!(done, Err(PullError::Interrupted)), "{done:?}");
    place.assert_nothing(0);
    place.pull(&server).unwrap();
}

#[test]
fn several_may_pull_the_same_at_once() {
    let mut content = Content::default();
    let layers: Vec<_> = (0_u8..5).map(|n| layer(&format!("f{n}"), &[n; 1000])).collect();
    content.image("amd64", &layers);
    let server = Server::new(move |request| {
        let reply = content.answer(request)?;
        // So that they meet.
        let wait = Step::Wait(Duration::from_millis(20));
        Some(Reply(std::iter::once(wait).chain(reply.0).collect()))
    });
    let place = Place::new();
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(|| place.pull(&server))).collect();
        for pull in pulls {
            pull.join().unwrap().unwrap();
        }
    });
    assert!(place.store.verify().unwrap().is_empty());
    assert_eq!(count(&place.store.layers()), 5);
    assert_eq!(count(&place.root.path().join("images/ingest")), 0);
}

#[test]
fn what_is_no_image_or_elsewhere_is_refused() {
    let one = layer("one", b"1");
    let place = Place::new();
    let told = |change: &dyn Fn(&mut Manifest)| {
        let mut content = Content::default();
        let found = content.image("amd64", std::slice::from_ref(&one));
        let bytes = &content.manifests[&found.digest.to_string()].1;
        let mut manifest: Manifest = serde_json::from_slice(bytes).unwrap();
        change(&mut manifest);
        content.manifest(OCI_MANIFEST, &manifest);
        let server = serve(&content);
        let error = place.pull(&server).unwrap_err().to_string();
        // Before anything of its layers is asked for.
        let layer = Digest::of(&one.0).to_string();
        assert!(!server.requests().iter().any(|request| request.path.ends_with(&layer)));
        place.assert_nothing(0);
        error
    };
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let error = told(&|manifest| {
        manifest.layers[0].media_type = foreign.to_owned();
        manifest.layers[0].urls = vec!["https://elsewhere.example/layer".to_owned()];
    });
    assert!(error.contains("elsewhere.example"), "{error}");
    let error = told(&|manifest| manifest.layers[0].media_type = "text/plain".to_owned());
    assert!(error.contains("text/plain"), "{error}");
    let error = told(&|manifest| manifest.layers[0].size = 1 << 50);
    assert!(error.contains("no more than"), "{error}");
    let error = told(&|manifest| manifest.config.media_type = "application/x-chart".to_owned());
    assert!(error.contains("no image"), "{error}");
    let error = told(&|manifest| manifest.layers.clear());
    assert!(error.contains("0"), "{error}");
}

#[test]
fn a_layer_that_is_here_is_not_believed_to_be_that_of_another_archive() {
    let (own, other) = (layer("own", b"1"), layer("other", b"2"));
    let content = Arc::new(Mutex::new(Content::default()));
    let shared = content.clone();
    let server = Server::new(move |request| shared.lock().unwrap().answer(request));
    let place = Place::new();
    content.lock().unwrap().image("amd64", &[own.clone(), other.clone()]);
    place.pull(&server).unwrap();
    // Both the archive and the layer are here, but they have nothing to do with one another; and
    // then an archive that is not.
    for archive in [other.0, layer("new", b"3").0] {
        content.lock().unwrap().image("amd64", &[(archive, own.1)]);
        let error = place.pull(&server).unwrap_err();
        let told = matches!(error, PullError::Layer { source: LayerError::WrongDiffId { .. }, .. });
        assert!(told, "{error}");
        assert_eq!(place.store.list().unwrap().len(), 1);
    }
}
