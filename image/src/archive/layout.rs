//! OCI's format (OCI image specification, `image-layout.md`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::ArchiveError;
use super::load::Unloaded;
use super::spool::{Spool, blob_name};
use crate::Reference;
use crate::manifest::{Descriptor, Document, Index, MAX_DOCUMENT, Manifest, Platform, is_config};
use crate::store::{IMAGE_NAME, REF_NAME};

/// How many indexes are one inside the other, below that of the layout.
const MAX_DEPTH: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

/// The images of the layout, for this platform where there are several.
pub(super) fn images(files: &Spool, platform: &Platform) -> Result<Vec<Unloaded>, ArchiveError> {
    check_version(files)?;
    let mut images = Vec::new();
    for (references, descriptor) in named(index(files)?, platform)? {
        let (descriptor, manifest, bytes) = manifest(files, descriptor, platform)?;
        images.push(image(files, references, descriptor, manifest, bytes)?);
    }
    if images.is_empty() { Err(ArchiveError::NoImages) } else { Ok(images) }
}

/// The entries of the layout's index with their names. Of several that have the same name the one
/// for the platform is meant.
fn named(index: Index, platform: &Platform) -> Result<Vec<Named>, ArchiveError> {
    let mut by_name: BTreeMap<BTreeSet<Reference>, Vec<Descriptor>> = BTreeMap::new();
    for descriptor in index.manifests {
        if !descriptor.is_attestation() {
            by_name.entry(names(&descriptor)?).or_default().push(descriptor);
        }
    }
    let mut all = Vec::new();
    for (names, group) in by_name {
        if names.is_empty() || group.len() == 1 {
            all.extend(group.into_iter().map(|descriptor| (names.clone(), descriptor)));
        } else {
            all.push((names, Index::new(group).select(platform)?.clone()));
        }
    }
    Ok(all)
}

type Named = (BTreeSet<Reference>, Descriptor);

fn check_version(files: &Spool) -> Result<(), ArchiveError> {
    let name = "oci-layout";
    let document = |reason| ArchiveError::Document { name: name.to_owned(), reason };
    let layout: Layout = serde_json::from_slice(&files.contents(name, 4096)?)
        .map_err(|error| document(error.to_string()))?;
    match layout.image_layout_version.as_str() {
        "1.0.0" => Ok(()),
        other => Err(document(format!("its version is {other:?} and not 1.0.0"))),
    }
}

fn index(files: &Spool) -> Result<Index, ArchiveError> {
    let name = "index.json";
    match parse(name, &files.contents(name, MAX_DOCUMENT)?, None)? {
        Document::Index(index) => Ok(index),
        Document::Manifest(_) => Err(ArchiveError::Document {
            name: name.to_owned(),
            reason: "it is no index".to_owned(),
        }),
    }
}

/// Follows indexes to the manifest for the platform.
fn manifest(
    files: &Spool,
    mut at: Descriptor,
    platform: &Platform,
) -> Result<(Descriptor, Manifest, Vec<u8>), ArchiveError> {
    for _ in 0..=MAX_DEPTH {
        let name = blob_name(&at.digest);
        files.blob(&at.digest)?;
        let bytes = files.contents(&name, MAX_DOCUMENT)?;
        match parse(&name, &bytes, Some(&at.media_type))? {
            Document::Index(index) => at = index.select(platform)?.clone(),
            Document::Manifest(manifest) => {
                let document = Document::Manifest(manifest.clone());
                let (media_type, size) = (document.media_type(), bytes.len() as u64);
                // What else the descriptor says is the archive's word, and not the image's.
                let plain = Descriptor::new(media_type, at.digest, size);
                return Ok((plain, *manifest, bytes));
            }
        }
    }
    Err(ArchiveError::Document {
        name: blob_name(&at.digest),
        reason: "it has indexes of indexes of indexes".to_owned(),
    })
}

fn image(
    files: &Spool,
    references: BTreeSet<Reference>,
    descriptor: Descriptor,
    manifest: Manifest,
    bytes: Vec<u8>,
) -> Result<Unloaded, ArchiveError> {
    if !is_config(&manifest.config.media_type) {
        let reason = format!("it is no image, but {:?}", manifest.config.media_type);
        return Err(ArchiveError::Document { name: blob_name(&descriptor.digest), reason });
    }
    let parts = manifest.parts().map(|part| files.blob(&part.digest).cloned());
    let parts = parts.collect::<Result<_, _>>()?;
    let config_name = blob_name(&manifest.config.digest);
    Ok(Unloaded { references, descriptor, manifest, bytes, config_name, parts })
}

fn parse(name: &str, bytes: &[u8], media_type: Option<&str>) -> Result<Document, ArchiveError> {
    Document::parse(bytes, media_type)
        .map_err(|source| ArchiveError::Manifest { name: name.to_owned(), source })
}

/// What the archive calls the image. Docker and containerd write the whole name; others write it,
/// or a tag alone, into the annotation that is the specification's. A digest is no name here:
/// nobody has seen that the image comes from there.
fn names(descriptor: &Descriptor) -> Result<BTreeSet<Reference>, ArchiveError> {
    let annotation = |key: &str| descriptor.annotations.get(key);
    let name = match (annotation(IMAGE_NAME), annotation(REF_NAME)) {
        (Some(name), _) => Some(name.parse::<Reference>()?),
        (None, Some(name)) if name.contains([':', '/']) => name.parse().ok(),
        (None, _) => None,
    };
    Ok(name.into_iter().filter(|name| name.digest().is_none()).collect())
}
