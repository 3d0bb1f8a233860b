use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::spool::{Spool, Spooled};
use super::{ArchiveError, Loaded, LoadedLayer};
use crate::config::{ImageConfig, MAX_CONFIG};
use crate::manifest::{Compression, Descriptor, LayerType, Manifest};
use crate::store::Store;
use crate::{Digest, Reference};

/// An image of an archive, before anything of it is in the store.
#[derive(Debug)]
pub(super) struct Unloaded {
    pub(super) references: BTreeSet<Reference>,
    pub(super) descriptor: Descriptor,
    pub(super) manifest: Manifest,
    /// The document.
    pub(super) bytes: Vec<u8>,
    /// What the configuration is called in the archive.
    pub(super) config_name: String,
    /// The configuration and the layers, in the manifest's order.
    pub(super) parts: Vec<Spooled>,
}

/// Checks all images, and then puts them into the store.
pub(super) fn into_store(
    files: &Spool,
    images: Vec<Unloaded>,
    store: &Store,
) -> Result<Vec<Loaded>, ArchiveError> {
    let mut blobs: BTreeMap<Digest, PathBuf> = BTreeMap::new();
    let mut loaded: BTreeMap<Digest, Loaded> = BTreeMap::new();
    let mut order = Vec::new();
    for image in &images {
        let found = check(files, image, store)?;
        for part in &image.parts {
            blobs.insert(part.digest, part.path.clone());
        }
        let digest = image.descriptor.digest;
        if let Some(same) = loaded.get_mut(&digest) {
            same.references.extend(found.references);
            same.references.sort_unstable();
            same.references.dedup();
        } else {
            loaded.insert(digest, found);
            order.push(digest);
        }
    }
    for (digest, path) in blobs {
        store.adopt(&path, &digest)?;
    }
    for image in images {
        store.put_blob(&image.bytes)?;
    }
    Ok(order.into_iter().filter_map(|digest| loaded.remove(&digest)).collect())
}

fn check(files: &Spool, image: &Unloaded, store: &Store) -> Result<Loaded, ArchiveError> {
    let name = &image.config_name;
    let bytes = files.contents(name, MAX_CONFIG)?;
    let of_config = |source| ArchiveError::Config { name: name.clone(), source };
    let config = ImageConfig::parse(&bytes).map_err(of_config)?;
    config.check(&image.manifest).map_err(of_config)?;
    for (part, descriptor) in image.parts.iter().zip(image.manifest.parts()) {
        if part.size != descriptor.size {
            let reason = format!("it has {} bytes instead of {}", part.size, descriptor.size);
            return Err(ArchiveError::Document { name: part.digest.to_string(), reason });
        }
    }
    let layers = config.rootfs.diff_ids.iter().zip(&image.manifest.layers);
    let layers = layers.map(|(diff_id, layer)| {
        let kind = LayerType::of(&layer.media_type).ok_or_else(|| ArchiveError::Document {
            name: layer.digest.to_string(),
            reason: format!("{:?} is the media type of no layer", layer.media_type),
        })?;
        // What it is when it is compressed is seen when it is unpacked.
        if kind.compression == Compression::None && layer.digest != *diff_id {
            let (found, expected) = (layer.digest, *diff_id);
            return Err(ArchiveError::Damaged { name: "layer".to_owned(), found, expected });
        }
        let path = store.blob_path(&layer.digest);
        Ok(LoadedLayer { diff_id: *diff_id, descriptor: layer.clone(), path })
    });
    Ok(Loaded {
        references: image.references.iter().cloned().collect(),
        id: image.manifest.config.digest,
        descriptor: image.descriptor.clone(),
        layers: layers.collect::<Result<_, _>>()?,
    })
}
