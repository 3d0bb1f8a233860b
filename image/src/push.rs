//! Images from the store to a registry: the layers that it does not have, the configuration, and the
//! manifest at last, byte for byte as the store has it.

use std::io::Read;
use std::sync::atomic::AtomicBool;

use crate::manifest::{Descriptor, LayerType, MAX_DOCUMENT};
use crate::registry::{self, Client, ErrorKind};
use crate::store::{Image, Store, StoreError};
use crate::transfer::{Step, Watch};
use crate::{Digest, Observer, Reference};

/// Why an image was not pushed. Layers that the registry has by then stay there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The registry cannot be reached, or does not want it.
    #[error(transparent)]
    Registry(registry::Error),
    /// The store cannot be read, or the image is not whole.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No image has this name.
    #[error("An image does not exist locally with the tag: {0}")]
    NoSuchImage(String),
    /// A digest is of what is there already.
    #[error("cannot push a digest reference: {0}")]
    Digest(String),
    /// The caller has said so.
    #[error("interrupted")]
    Interrupted,
}

impl From<registry::Error> for PushError {
    fn from(error: registry::Error) -> Self {
        match error.kind() {
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Registry(error),
        }
    }
}

/// A manifest that a registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

/// How many other repositories are asked for a layer before it is sent.
const MOUNTS: usize = 3;

/// Sends an image to the registry of its name. A layer that the registry has in another repository
/// from which, or to which, an image of ours came is not sent but taken from there. Afterwards the
/// store knows under which digest the registry has it.
///
/// # Errors
/// See [`PushError`].
pub fn push(
    store: &Store,
    client: &Client,
    reference: &Reference,
    cancelled: Option<&AtomicBool>,
    observer: &dyn Observer,
) -> Result<Pushed, PushError> {
    if reference.digest().is_some() {
        return Err(PushError::Digest(reference.familiar()));
    }
    let known = store.known(reference)?;
    let known = known.ok_or_else(|| PushError::NoSuchImage(reference.familiar_name()))?;
    let image = store.image(&known.descriptor)?;
    let pusher = Pusher { store, client, reference, image, watch: Watch::new(observer, cancelled) };
    pusher.run()
}

struct Pusher<'a> {
    store: &'a Store,
    client: &'a Client,
    reference: &'a Reference,
    image: Image,
    watch: Watch<'a>,
}

impl Pusher<'_> {
    fn run(&self) -> Result<Pushed, PushError> {
        let Descriptor { media_type, digest, size, .. } = &self.image.descriptor;
        let manifest = self.store.read_blob(digest, MAX_DOCUMENT)?;
        let repositories = self.store.repositories(self.reference.registry())?;
        let mut layers: Vec<&Descriptor> = Vec::new();
        for layer in &self.image.manifest.layers {
            if !layers.iter().any(|other| other.digest == layer.digest) {
                self.tell(layer, Step::Waiting);
                layers.push(layer);
            }
        }
        for layer in layers {
            let from = repositories.get(&layer.digest).into_iter().flatten();
            let from = from.filter(|other| other.name() != self.reference.name());
            let step = self.layer(layer, from)?;
            self.tell(layer, step);
        }
        let config = &self.image.manifest.config;
        if !self.client.has_blob(self.reference, &config.digest)? {
            self.send(config)?;
        }
        self.client.push_manifest(self.reference, media_type, &manifest)?;
        let by_digest = self.reference.with_digest(*digest);
        self.store.tag(&[by_digest], &self.image.descriptor)?;
        Ok(Pushed { digest: *digest, size: *size })
    }

    fn tell(&self, layer: &Descriptor, step: Step) {
        self.watch.observer.layer(&layer.digest, step);
    }

    fn layer<'a>(
        &self,
        layer: &Descriptor,
        from: impl Iterator<Item = &'a Reference>,
    ) -> Result<Step, PushError> {
        if self.watch.is_cancelled() {
            return Err(PushError::Interrupted);
        }
        // It says itself that only those of its URLs may give it away.
        let is_foreign = LayerType::of(&layer.media_type).is_some_and(|kind| kind.foreign);
        if is_foreign && !layer.urls.is_empty() {
            return Ok(Step::Skipped);
        }
        if self.client.has_blob(self.reference, &layer.digest)? {
            return Ok(Step::Exists);
        }
        for other in from.take(MOUNTS) {
            if self.mount(layer, other)? {
                return Ok(Step::Mounted(other.clone()));
            }
        }
        self.send(layer)?;
        Ok(Step::Complete)
    }

    /// Whoever may not read there, or where it is gone, sends it.
    fn mount(&self, layer: &Descriptor, from: &Reference) -> Result<bool, PushError> {
        match self.client.mount_blob(self.reference, &layer.digest, from) {
            Err(error) => match error.kind() {
                ErrorKind::Unauthorized(_)
                | ErrorKind::Denied(_)
                | ErrorKind::NotFound(_)
                | ErrorKind::Status(_) => Ok(false),
                _ => Err(error.into()),
            },
            mounted => Ok(mounted?),
        }
    }

    fn send(&self, blob: &Descriptor) -> Result<(), PushError> {
        let open = || {
            let opened = self.store.open_blob(&blob.digest, blob.size);
            opened.map(|reader| Box::new(reader) as Box<dyn Read>).map_err(std::io::Error::other)
        };
        Ok(self.client.push_blob(self.reference, &blob.digest, blob.size, &open)?)
    }
}
