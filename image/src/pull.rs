//! Images from a registry into the store.
//!
//! The registry says under which digest it has the name; when the store has the same, that was all.
//! Otherwise come the manifest, the configuration that it names, and those layers that the store
//! does not have. Each layer is unpacked while it comes, and what comes is written down beside that:
//! a pull that breaks off goes on there the next time.
//!
//! Everything is compared with its digest, its size and the configuration while nothing of it can be
//! seen. Then the archives and the layers get their places, and at last the image its name. Until
//! then no lock of the store is held, so nobody waits for a download; what somebody removes in
//! between is fetched once more.

mod error;
mod layers;

use std::io::Read;

pub use error::{LayerError, PullError};
use layers::{Fetch, Part, Ready};

use crate::config::{ImageConfig, MAX_CONFIG};
use crate::layer::Options;
use crate::manifest::{Descriptor, Document, LayerType, Manifest, Platform, is_config};
use crate::registry::{self, Client, Verified};
use crate::store::Store;
use crate::transfer::{Step, Watch};
use crate::{Digest, Hasher, Observer, Reference};

/// An image to be pulled.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// Its name: with a digest, that is what comes, and otherwise its tag.
    pub reference: &'a Reference,
    /// What it has to be for. Otherwise it is the machine's own, and one that there is for one
    /// platform alone is taken whatever that is.
    pub platform: Option<&'a Platform>,
    /// How its layers are unpacked. What is to end the pull is [`Options::cancelled`], which should
    /// be the flag of the client too.
    pub options: &'a Options<'a>,
}

/// An image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What it is known by: the digest of its configuration.
    pub id: Digest,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// Under which the registry has it: that of the manifest, or of the index that leads there.
    pub digest: Digest,
    /// Whether it has changed anything.
    pub status: Status,
}

/// Whether a pull has changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The store had it.
    UpToDate,
    /// It came.
    Downloaded,
}

/// How many indexes lead to a manifest, at the most.
const MAX_DEPTH: usize = 3;
/// How often what others remove is fetched.
const ATTEMPTS: usize = 5;

/// An image that is known, but not all there.
struct Wanted {
    digest: Digest,
    descriptor: Descriptor,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    config: Vec<u8>,
    parts: Vec<Part>,
}

/// Pulls an image. It takes eleven threads at the most, each layer that is being unpacked less than
/// 20 MiB (and zstd's window), and two open files for each layer that has come. Any number of
/// processes may pull the same image at once.
///
/// # Errors
/// See [`PullError`]. Nothing of the image can be seen then; what has come of its archives may stay
/// for the next attempt.
pub fn pull(
    store: &Store,
    client: &Client,
    pull: &Pull<'_>,
    observer: &dyn Observer,
) -> Result<Pulled, PullError> {
    let watch = Watch::new(observer, pull.options.cancelled);
    let puller = Puller { store, client, pull, watch };
    puller.run().map_err(|error| match error {
        PullError::Registry(error) if matches!(error.kind(), registry::ErrorKind::Cancelled) => {
            PullError::Interrupted
        }
        PullError::Layer { source: LayerError::Interrupted, .. } => PullError::Interrupted,
        other => other,
    })
}

struct Puller<'a> {
    store: &'a Store,
    client: &'a Client,
    pull: &'a Pull<'a>,
    watch: Watch<'a>,
}

impl Puller<'_> {
    fn run(&self) -> Result<Pulled, PullError> {
        if let Some(known) = self.is_known()? {
            return Ok(known);
        }
        let wanted = self.wanted()?;
        let mut ready = Vec::new();
        for _ in 0..ATTEMPTS {
            let pairs = self.store.pairs()?;
            let fetch = Fetch {
                store: self.store,
                client: self.client,
                reference: self.pull.reference,
                options: self.pull.options,
                watch: &self.watch,
                pairs: &pairs,
            };
            let missing = wanted.parts.iter().filter(|part| !has(&ready, part)).cloned();
            ready.extend(fetch.all(&missing.collect::<Vec<_>>())?);
            let adding = self.store.adding()?;
            if self.is_whole(&wanted, &ready)? {
                let status = self.add(&wanted, ready)?;
                drop(adding);
                let Wanted { digest, descriptor, manifest, .. } = wanted;
                return Ok(Pulled { id: manifest.config.digest, descriptor, digest, status });
            }
            // Of the others the rest was in the store, and may be what is gone.
            ready.retain(|ready| ready.blob.is_some() && ready.layer.is_some());
        }
        Err(PullError::Removed(self.name()))
    }

    fn name(&self) -> String {
        self.pull.reference.familiar()
    }

    /// The image, if the store has the same as the registry.
    fn is_known(&self) -> Result<Option<Pulled>, PullError> {
        let reference = self.pull.reference;
        let Some(known) = self.store.known(reference)? else { return Ok(None) };
        // One that is damaged is pulled anew.
        let Ok(image) = self.store.image(&known.descriptor) else { return Ok(None) };
        let wanted = self.pull.platform.cloned().unwrap_or_else(Platform::host);
        if image.config.platform() != wanted {
            return Ok(None);
        }
        for (diff_id, archive) in image.config.rootfs.diff_ids.iter().zip(&image.manifest.layers) {
            let is_there = self.store.has_layer(diff_id)?
                && self.store.has_blob(&archive.digest, archive.size)?;
            if !is_there {
                return Ok(None);
            }
        }
        let digest = match reference.digest() {
            Some(digest) => *digest,
            None if known.digests.is_empty() => return Ok(None),
            // Asked so, it does not count where pulls are counted.
            None => match self.client.head(reference)? {
                Some(found) if known.digests.contains(&found.digest) => found.digest,
                _ => return Ok(None),
            },
        };
        let (id, descriptor) = (image.id, known.descriptor);
        Ok(Some(Pulled { id, descriptor, digest, status: Status::UpToDate }))
    }

    /// What the image consists of.
    fn wanted(&self) -> Result<Wanted, PullError> {
        let (digest, found, manifest) = self.manifest()?;
        let config = self.config(&manifest)?;
        let of_config = |source| PullError::Config { name: self.name(), source };
        let parsed = ImageConfig::parse(&config).map_err(of_config)?;
        parsed.check(&manifest).map_err(of_config)?;
        if let Some(wanted) = self.pull.platform.filter(|wanted| !wanted.takes(&parsed.platform()))
        {
            let (found, wanted) = (parsed.platform().to_string(), wanted.to_string());
            return Err(PullError::OtherPlatform { name: self.name(), found, wanted });
        }
        let mut parts: Vec<Part> = Vec::new();
        for (archive, diff_id) in manifest.layers.iter().zip(parsed.rootfs.diff_ids) {
            let part = Part { archive: archive.clone(), diff_id };
            self.accept(&part.archive)?;
            if !parts.contains(&part) {
                self.watch.observer.layer(&archive.digest, Step::Waiting);
                parts.push(part);
            }
        }
        let size = found.bytes.len() as u64;
        let descriptor = Descriptor::new(&found.media_type, found.digest, size);
        Ok(Wanted { digest, descriptor, manifest, manifest_bytes: found.bytes, config, parts })
    }

    /// The digest of what the name leads to, and the manifest that is meant.
    fn manifest(&self) -> Result<(Digest, registry::Manifest, Manifest), PullError> {
        let mut found = self.client.manifest(self.pull.reference)?;
        let digest = found.digest;
        let wanted = self.pull.platform.cloned().unwrap_or_else(Platform::host);
        for _ in 0..=MAX_DEPTH {
            let document = Document::parse(&found.bytes, Some(&found.media_type))
                .map_err(|source| PullError::Manifest { name: self.name(), source })?;
            let index = match document {
                Document::Manifest(manifest) => return Ok((digest, found, *manifest)),
                Document::Index(index) => index,
            };
            let chosen = index
                .select(&wanted)
                .map_err(|source| PullError::Platform { name: self.name(), source })?;
            found = self.client.manifest(&self.pull.reference.with_digest(chosen.digest))?;
            if found.bytes.len() as u64 != chosen.size {
                let (size, expected) = (found.bytes.len(), chosen.size);
                let digest = chosen.digest;
                return Err(self.no_image(format!(
                    "the manifest {digest} has {size} bytes instead of {expected}"
                )));
            }
        }
        Err(self.no_image("there are too many indexes on the way to its manifest".to_owned()))
    }

    fn no_image(&self, why: String) -> PullError {
        PullError::NoImage { name: self.name(), why }
    }

    /// The bytes of the configuration, which have its digest.
    fn config(&self, manifest: &Manifest) -> Result<Vec<u8>, PullError> {
        let Descriptor { media_type, digest, size, .. } = &manifest.config;
        if !is_config(media_type) {
            let shown: String = media_type.chars().take(100).collect();
            return Err(self.no_image(format!("it is no image but {shown:?}")));
        }
        if *size > MAX_CONFIG {
            return Err(PullError::Config {
                name: self.name(),
                source: crate::config::ConfigError::TooLarge(*size),
            });
        }
        if self.store.has_blob(digest, *size)?
            && let Ok(bytes) = self.store.read_blob(digest, MAX_CONFIG)
        {
            return Ok(bytes);
        }
        let blob = self.client.blob(self.pull.reference, digest, *size, 0)?;
        let mut bytes = Vec::new();
        let mut verified = Verified::new(blob, Hasher::default(), *digest, *size);
        match verified.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(match LayerError::from(error) {
                LayerError::Registry(error) => error.into(),
                LayerError::Interrupted => PullError::Interrupted,
                other => self.no_image(format!("cannot read its configuration: {other}")),
            }),
        }
    }

    /// Refuses what is no layer, and what the registry does not have itself.
    fn accept(&self, archive: &Descriptor) -> Result<(), PullError> {
        let digest = archive.digest;
        let limit = self.pull.options.limits.total;
        let refuse = |why: String| Err(self.no_image(format!("layer {digest} {why}")));
        let Some(kind) = LayerType::of(&archive.media_type) else {
            let shown: String = archive.media_type.chars().take(100).collect();
            return refuse(format!("is of a type that is not supported: {shown:?}"));
        };
        if archive.size > limit {
            return refuse(format!("has {} bytes; no more than {limit} are read", archive.size));
        }
        let registry = self.pull.reference.registry();
        let elsewhere = archive.urls.iter().find(|url| host_of(url) != Some(registry));
        match elsewhere {
            Some(url) if kind.foreign => {
                let shown: String = url.chars().take(200).collect();
                refuse(format!("is not at the registry but at {shown:?}, and is not fetched there"))
            }
            _ => Ok(()),
        }
    }

    /// Whether all that the image needs is in the store or has come; nothing is removed meanwhile.
    fn is_whole(&self, wanted: &Wanted, ready: &[Ready]) -> Result<bool, PullError> {
        for part in &wanted.parts {
            let Part { archive, diff_id } = part;
            let here = || ready.iter().filter(|ready| ready.part == *part);
            let is_there = (here().any(|ready| ready.blob.is_some())
                || self.store.has_blob(&archive.digest, archive.size)?)
                && (here().any(|ready| ready.layer.is_some()) || self.store.has_layer(diff_id)?);
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives everything its place, and the image its names.
    fn add(&self, wanted: &Wanted, ready: Vec<Ready>) -> Result<Status, PullError> {
        let reference = self.pull.reference;
        let before = self.store.known(reference)?.map(|known| known.descriptor.digest);
        let is_old = ready.is_empty() && before == Some(wanted.descriptor.digest);
        for Ready { blob, layer, .. } in ready {
            if self.watch.is_cancelled() {
                return Err(PullError::Interrupted);
            }
            blob.map(crate::store::BlobWriter::commit).transpose()?;
            layer.map(|(draft, record)| draft.commit(record)).transpose()?;
        }
        self.store.put_blob(&wanted.config)?;
        self.store.put_blob(&wanted.manifest_bytes)?;
        let by_digest = reference.with_digest(wanted.digest);
        let named = match reference.digest() {
            Some(_) => vec![by_digest],
            None => vec![reference.clone(), by_digest],
        };
        self.store.tag(&named, &wanted.descriptor)?;
        Ok(if is_old { Status::UpToDate } else { Status::Downloaded })
    }
}

fn has(ready: &[Ready], part: &Part) -> bool {
    ready.iter().any(|ready| ready.part == *part)
}

/// Host and port of a URL.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    rest.split(['/', '?', '#']).next()
}
