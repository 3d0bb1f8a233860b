use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::Serialize;

use super::ArchiveError;
use super::spool::blob_name;
use crate::manifest::{Descriptor, Index};
use crate::store::{Image, Store, StoreError, called};
use crate::tar::{BLOCK, Kind, Member};
use crate::{Digest, Reference};

/// An image that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its manifest.
    pub descriptor: Descriptor,
    /// What it is to be called in the archive. Names without a tag are left out.
    pub references: Vec<Reference>,
}

/// What a file of the archive has in it.
#[derive(Debug)]
enum Source {
    Bytes(Vec<u8>),
    Blob(Digest, u64),
}

/// An entry of docker's list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

type Files = BTreeMap<String, Source>;

/// Writes images as an OCI image layout in a tar archive. The same images always have the same
/// bytes. The caller holds the store's lock ([`Store::reading`]).
///
/// # Errors
/// An image is missing or damaged, or the output cannot be written. What was written then is no
/// archive.
pub fn write_oci(store: &Store, images: &[Saved], output: impl Write) -> Result<(), ArchiveError> {
    let images = merged(store, images)?;
    write(store, &layout(&images)?, output)
}

/// Writes images as docker 25 and newer do: an OCI image layout, in which docker's list names the
/// same files. Otherwise as [`write_oci`].
///
/// # Errors
/// As those of [`write_oci`].
pub fn write_docker(
    store: &Store,
    images: &[Saved],
    output: impl Write,
) -> Result<(), ArchiveError> {
    let images = merged(store, images)?;
    let mut files = layout(&images)?;
    let mut repositories: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    let mut items = Vec::new();
    for (image, names) in &images {
        let tags = names.iter().map(Reference::familiar).collect::<Vec<_>>();
        items.push(Item {
            config: blob_name(&image.id),
            repo_tags: (!tags.is_empty()).then_some(tags),
            layers: image.manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
        });
        // Whoever reads this wants a layer; those who do are older than the other lists.
        let Some(top) = image.manifest.layers.last() else { continue };
        for (name, tag) in names.iter().filter_map(|name| Some((name.familiar_name(), name.tag()?)))
        {
            repositories.entry(name).or_default().insert(tag, top.digest.hex());
        }
    }
    files.insert("manifest.json".to_owned(), document("manifest.json", &items)?);
    if !repositories.is_empty() {
        files.insert("repositories".to_owned(), document("repositories", &repositories)?);
    }
    write(store, &files, output)
}

/// Each image once, with all of its names that have tags, in order.
fn merged(store: &Store, images: &[Saved]) -> Result<Vec<(Image, Vec<Reference>)>, StoreError> {
    let mut merged: Vec<(Image, Vec<Reference>)> = Vec::new();
    for Saved { descriptor, references } in images {
        let names = references.iter().filter(|name| name.digest().is_none()).cloned();
        let same = |(image, _): &&mut (Image, _)| image.descriptor.digest == descriptor.digest;
        match merged.iter_mut().find(same) {
            Some((_, all)) => all.extend(names),
            None => merged.push((store.image(descriptor)?, names.collect())),
        }
    }
    for (_, names) in &mut merged {
        names.sort_unstable();
        names.dedup();
    }
    merged.sort_by_key(|(image, _)| image.descriptor.digest);
    Ok(merged)
}

fn layout(images: &[(Image, Vec<Reference>)]) -> Result<Files, ArchiveError> {
    let mut files = Files::new();
    let mut index = Index::new(Vec::new());
    for (image, names) in images {
        let mut plain = image.descriptor.clone();
        plain.platform = Some(image.config.platform());
        for part in image.manifest.parts().chain([&image.descriptor]) {
            files.insert(blob_name(&part.digest), Source::Blob(part.digest, part.size));
        }
        index.manifests.extend(names.iter().map(|name| called(plain.clone(), name)));
        if names.is_empty() {
            index.manifests.push(plain);
        }
    }
    let version = BTreeMap::from([("imageLayoutVersion", "1.0.0")]);
    files.insert("oci-layout".to_owned(), document("oci-layout", &version)?);
    files.insert("index.json".to_owned(), document("index.json", &index)?);
    Ok(files)
}

fn document(name: &str, document: &impl Serialize) -> Result<Source, ArchiveError> {
    let bytes = serde_json::to_vec(document);
    bytes.map(Source::Bytes).map_err(|error| ArchiveError::Document {
        name: name.to_owned(),
        reason: error.to_string(),
    })
}

fn write(store: &Store, files: &Files, mut output: impl Write) -> Result<(), ArchiveError> {
    for (name, source) in files {
        match source {
            Source::Bytes(bytes) => append(&mut output, name, bytes.len() as u64, &bytes[..])?,
            Source::Blob(digest, size) => {
                append(&mut output, name, *size, store.open_blob(digest, *size)?)?;
            }
        }
    }
    let ended = output.write_all(&[0; 2 * BLOCK]).and_then(|()| output.flush());
    ended.map_err(ArchiveError::Write)
}

fn append(
    output: &mut impl Write,
    name: &str,
    size: u64,
    mut contents: impl Read,
) -> Result<(), ArchiveError> {
    let member = Member {
        path: name.into(),
        kind: Kind::File,
        link: Vec::new(),
        mode: 0o644,
        owner: (0, 0),
        modified: (0, 0),
        device: (0, 0),
        size,
        attributes: Vec::new(),
    };
    output.write_all(&member.header()).map_err(ArchiveError::Write)?;
    io::copy(&mut contents, output).map_err(|error| {
        // A blob that is not what it should be is not the output's fault.
        match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            Err(error) => ArchiveError::Write(error),
        }
    })?;
    let zeros = [0; BLOCK];
    let padding = zeros.get(..member.padding()).unwrap_or_default();
    output.write_all(padding).map_err(ArchiveError::Write)
}
