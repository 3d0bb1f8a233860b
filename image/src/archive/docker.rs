//! Docker's format: a list of images in `manifest.json`, each of which names the files that it is
//! made of.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ArchiveError;
use super::load::Unloaded;
use super::spool::{Spool, Spooled, first};
use crate::manifest::{
    Compression, Descriptor, LayerType, MAX_LAYERS, Manifest, OCI_CONFIG, OCI_MANIFEST,
};
use crate::{Digest, Reference};

const LIST: &str = "manifest.json";
/// More than a list of a thousand images has, in bytes.
const MAX_LIST: u64 = 8 << 20;
const MAX_IMAGES: usize = 1000;
const MAX_NAMES: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default, deserialize_with = "crate::json::or_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "crate::json::or_default")]
    layers: Vec<String>,
}

/// The images of the archive, with the manifests that they would have in a registry.
pub(super) fn images(files: &Spool) -> Result<Vec<Unloaded>, ArchiveError> {
    let malformed = |reason| ArchiveError::Document { name: LIST.to_owned(), reason };
    let items: Vec<Item> = serde_json::from_slice(&files.contents(LIST, MAX_LIST)?)
        .map_err(|error| malformed(error.to_string()))?;
    if items.is_empty() {
        return Err(ArchiveError::NoImages);
    }
    let is_too_much =
        |item: &Item| item.layers.len() > MAX_LAYERS || item.repo_tags.len() > MAX_NAMES;
    if items.len() > MAX_IMAGES || items.iter().any(is_too_much) {
        return Err(malformed("it has too many images, names or layers".to_owned()));
    }
    items.into_iter().map(|item| image(files, item)).collect()
}

fn image(files: &Spool, item: Item) -> Result<Unloaded, ArchiveError> {
    let config = files.get(&item.config)?.clone();
    let layers = item.layers.iter().map(|name| files.get(name).cloned());
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let described = layers.iter().map(described).collect::<Result<Vec<_>, _>>()?;
    let manifest =
        Manifest::new(Descriptor::new(OCI_CONFIG, config.digest, config.size), described);
    let bytes = serde_json::to_vec(&manifest).map_err(|error| ArchiveError::Document {
        name: item.config.clone(),
        reason: error.to_string(),
    })?;
    let references = item.repo_tags.iter().map(|name| name.parse::<Reference>());
    let references = references.collect::<Result<BTreeSet<_>, _>>()?;
    let mut parts = vec![config];
    parts.extend(layers);
    Ok(Unloaded {
        references: references.into_iter().filter(|name| name.digest().is_none()).collect(),
        descriptor: Descriptor::new(OCI_MANIFEST, Digest::of(&bytes), bytes.len() as u64),
        manifest,
        bytes,
        config_name: item.config,
        parts,
    })
}

/// Docker's list does not say how a layer is compressed.
fn described(layer: &Spooled) -> Result<Descriptor, ArchiveError> {
    let compression = Compression::of(&first(layer, 6)?);
    let media_type = LayerType { compression, foreign: false }.media_type();
    Ok(Descriptor::new(&media_type, layer.digest, layer.size))
}
