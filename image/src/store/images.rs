use std::collections::{BTreeMap, BTreeSet};

use super::names::{Named, canonical};
use super::{Store, StoreError};
use crate::config::{ImageConfig, MAX_CONFIG};
use crate::manifest::{Descriptor, Document, MAX_DOCUMENT, Manifest, Platform};
use crate::{Digest, Reference};

/// An image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// What it is known by: the digest of its configuration.
    pub id: Digest,
    /// Its manifest's.
    pub descriptor: Descriptor,
    /// Its parts.
    pub manifest: Manifest,
    /// What its containers are to be.
    pub config: ImageConfig,
}

/// An image, and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// The name that it has and was found by; nothing when that was its id.
    pub reference: Option<Reference>,
}

/// What a list of images shows of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSummary {
    /// The digest of its configuration; that of its manifest when the manifest cannot be read.
    pub id: Digest,
    /// Its names with a tag, in order.
    pub references: Vec<Reference>,
    /// Its names with a digest: where it comes from.
    pub digests: Vec<Reference>,
    /// The digests of its manifests: one, unless the same image came in two forms.
    pub manifests: Vec<Digest>,
    /// When it was made (RFC 3339).
    pub created: Option<String>,
    /// What it is for; nothing when it cannot be read.
    pub platform: Option<Platform>,
    /// What its layers have unpacked, in bytes. For one that is not unpacked its archive counts.
    pub size: u64,
    /// The layers, the lowest first.
    pub diff_ids: Vec<Digest>,
    /// What its maker has noted about it.
    pub labels: BTreeMap<String, String>,
    /// It has no name with a tag: another image has it now, or it never had one.
    pub dangling: bool,
    /// Why it cannot be used: it is damaged, or parts of it are missing.
    pub broken: Option<String>,
}

/// An entry of the list of images, read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Digest,
    pub(super) named: Named,
    pub(super) image: Result<Image, StoreError>,
}

impl Store {
    /// Reads the manifest and the configuration of an image.
    ///
    /// # Errors
    /// One of them is missing or not accepted.
    pub fn image(&self, descriptor: &Descriptor) -> Result<Image, StoreError> {
        let manifest = self.manifest(descriptor)?;
        let id = manifest.config.digest;
        let of_config = |source| StoreError::Config { digest: id, source };
        let contents = self.read_blob(&id, MAX_CONFIG)?;
        if contents.len() as u64 != manifest.config.size {
            let (expected, found) = (manifest.config.size, contents.len() as u64);
            return Err(StoreError::WrongSize { digest: id, expected, found });
        }
        let config = ImageConfig::parse(&contents).map_err(of_config)?;
        config.check(&manifest).map_err(of_config)?;
        Ok(Image { id, descriptor: descriptor.clone(), manifest, config })
    }

    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, StoreError> {
        let digest = descriptor.digest;
        let contents = self.read_blob(&digest, MAX_DOCUMENT)?;
        if contents.len() as u64 != descriptor.size {
            let (expected, found) = (descriptor.size, contents.len() as u64);
            return Err(StoreError::WrongSize { digest, expected, found });
        }
        match Document::parse(&contents, Some(&descriptor.media_type)) {
            Ok(Document::Manifest(manifest)) => Ok(*manifest),
            Ok(Document::Index(_)) => Err(StoreError::NoImage(digest)),
            Err(source) => Err(StoreError::Manifest { digest, source }),
        }
    }

    /// Checks that all parts of an image are there. The layers are not read.
    pub(super) fn check_whole(&self, descriptor: &Descriptor) -> Result<Image, StoreError> {
        let image = self.image(descriptor)?;
        for layer in &image.manifest.layers {
            if !self.has_blob(&layer.digest, layer.size)? {
                return Err(StoreError::MissingBlob(layer.digest));
            }
        }
        Ok(image)
    }

    /// All images, read.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let names = self.names()?;
        let entries = names.images.into_values().map(|named| {
            let image = self.image(&named.descriptor);
            let id = match &image {
                Ok(image) => image.id,
                // It is known by the same id as before, as far as that can be known.
                Err(_) => self
                    .manifest(&named.descriptor)
                    .map_or(named.descriptor.digest, |manifest| manifest.config.digest),
            };
            Entry { id, named, image }
        });
        Ok(entries.collect())
    }

    /// The image that is meant: by its name, by a digest, or by the first digits of its id, by
    /// docker's rules. A name goes before an id. The image may be removed right after that, unless
    /// the caller holds [`Store::reading`].
    ///
    /// # Errors
    /// There is none, or several have ids that begin so; or the one that is meant cannot be used.
    pub fn resolve(&self, name: &str) -> Result<Found, StoreError> {
        if let Some(reference) = reference(name)
            && let Some(named) = self.names()?.find(&reference)
        {
            let image = self.image(&named.descriptor)?;
            return Ok(Found { image, reference: Some(reference) });
        }
        let mut entries = self.entries()?;
        let position = by_id(&entries, name)?;
        Ok(Found { image: entries.swap_remove(position).image?, reference: None })
    }

    /// All images, in the order of their ids. One that is broken is among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<ImageSummary>, StoreError> {
        let mut by_id: BTreeMap<Digest, Vec<Entry>> = BTreeMap::new();
        for entry in self.entries()? {
            by_id.entry(entry.id).or_default().push(entry);
        }
        by_id.into_iter().map(|(id, entries)| self.summary(id, &entries)).collect()
    }

    fn summary(&self, id: Digest, entries: &[Entry]) -> Result<ImageSummary, StoreError> {
        let all = |names: fn(&Named) -> &BTreeSet<Reference>| {
            let names = entries.iter().flat_map(|entry| names(&entry.named).iter().cloned());
            names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        let (references, digests) = (all(|named| &named.tags), all(|named| &named.digests));
        let mut summary = ImageSummary {
            id,
            dangling: references.is_empty(),
            references,
            digests,
            manifests: entries.iter().map(|entry| entry.named.descriptor.digest).collect(),
            created: None,
            platform: None,
            size: 0,
            diff_ids: Vec::new(),
            labels: BTreeMap::new(),
            broken: None,
        };
        let images = entries.iter().map(|entry| entry.image.as_ref());
        match images.reduce(Result::or) {
            Some(Ok(image)) => {
                match self.size(image) {
                    Ok(size) => summary.size = size,
                    Err(error @ StoreError::Layer { .. }) => {
                        summary.broken = Some(error.to_string());
                    }
                    Err(error) => return Err(error),
                }
                summary.created.clone_from(&image.config.created);
                summary.platform = Some(image.config.platform());
                summary.diff_ids.clone_from(&image.config.rootfs.diff_ids);
                summary.labels.clone_from(&image.config.config.labels);
            }
            Some(Err(error)) => summary.broken = Some(error.to_string()),
            None => {}
        }
        Ok(summary)
    }

    fn size(&self, image: &Image) -> Result<u64, StoreError> {
        let mut layers = image.config.rootfs.diff_ids.iter().zip(&image.manifest.layers);
        layers.try_fold(0_u64, |sum, (diff_id, archive)| {
            let size = self.layer(diff_id)?.map_or(archive.size, |layer| layer.size);
            Ok(sum.saturating_add(size))
        })
    }
}

/// The name that a text is, unless it can only be an id.
pub(super) fn reference(text: &str) -> Option<Reference> {
    if full_digest(text).is_some() {
        return None;
    }
    text.parse().ok().map(|reference| canonical(&reference))
}

/// An id as a whole, with or without its algorithm.
fn full_digest(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{hex}").parse().ok()
}

/// Where the image is whose id this is, or begins so, or whose manifest has this digest.
pub(super) fn by_id(entries: &[Entry], text: &str) -> Result<usize, StoreError> {
    let shown = || text.chars().take(300).collect();
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_prefix = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex.is_empty() || !is_prefix {
        return Err(StoreError::NoSuchImage(shown()));
    }
    let mut ids: BTreeSet<Digest> = entries.iter().map(|entry| entry.id).collect();
    ids.retain(|id| id.hex().starts_with(hex));
    if ids.len() > 1 {
        return Err(StoreError::Ambiguous { prefix: shown(), ids: ids.into_iter().collect() });
    }
    let whole = full_digest(text);
    let found = entries.iter().enumerate().filter(|(_, entry)| {
        ids.contains(&entry.id) || Some(entry.named.descriptor.digest) == whole
    });
    // Of two forms of an image one that can be used.
    let best = found.min_by_key(|(_, entry)| (!ids.contains(&entry.id), entry.image.is_err()));
    best.map(|(position, _)| position).ok_or_else(|| StoreError::NoSuchImage(shown()))
}
