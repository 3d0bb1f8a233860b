//! What nobody needs any more.

use std::collections::BTreeSet;
use std::fs;

use super::layers::{GONE, NEW};
use super::{Removing, Store, StoreError, files};
use crate::Digest;

/// What was removed since nobody needed it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Manifests, configurations and archives of layers.
    pub blobs: Vec<Digest>,
    /// Layers that were unpacked, by their diff ids.
    pub layers: Vec<Digest>,
    /// How many things that somebody had not finished.
    pub unfinished: u64,
    /// How many bytes the blobs and the files of the layers had.
    pub bytes: u64,
}

/// What is needed.
#[derive(Debug, Default)]
struct Marked {
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
    /// So is all else, as long as something that has a name cannot be read.
    is_all: bool,
}

impl Removing<'_> {
    /// Removes blobs and layers of no image, but not the layers that are in use, and what those
    /// have left who have died. While there is an image that cannot be read, or an entry of another
    /// program's in the list, nothing is garbage but that: whose the rest is cannot be known.
    ///
    /// # Errors
    /// An image cannot be read for reasons that have nothing to do with it, in which case nothing
    /// is removed; or something cannot be removed.
    pub fn collect_garbage(&self, layers_in_use: &BTreeSet<Digest>) -> Result<Garbage, StoreError> {
        let store = self.store;
        let mut marked = store.marked()?;
        marked.layers.extend(layers_in_use);
        let mut garbage = Garbage::default();
        if marked.is_all {
            garbage.unfinished = store.remove_orphans()?;
            return Ok(garbage);
        }
        for digest in digests_in(&store.blobs())?.difference(&marked.blobs) {
            let path = store.blob_path(digest);
            let size = fs::symlink_metadata(&path).map_or(0, |meta| meta.len());
            files::remove_file(&path)?;
            garbage.bytes = garbage.bytes.saturating_add(size);
            garbage.blobs.push(*digest);
        }
        for diff_id in digests_in(&store.layers)?.difference(&marked.layers) {
            // One that is broken has no size that is known.
            let size = store.layer(diff_id).ok().flatten().map_or(0, |layer| layer.size);
            store.remove_layer(diff_id)?;
            garbage.bytes = garbage.bytes.saturating_add(size);
            garbage.layers.push(*diff_id);
        }
        garbage.unfinished = store.remove_orphans()?;
        Ok(garbage)
    }
}

impl Store {
    fn marked(&self) -> Result<Marked, StoreError> {
        let mut marked = Marked::default();
        for entry in self.entries()? {
            marked.blobs.insert(entry.named.descriptor.digest);
            match entry.image {
                Ok(image) => {
                    marked.blobs.extend(image.manifest.parts().map(|part| part.digest));
                    marked.layers.extend(image.config.rootfs.diff_ids);
                }
                Err(error) if !error.is_of_image() => return Err(error),
                // Its layers can be unpacked again, if it can be used again at all.
                Err(_) => match self.manifest(&entry.named.descriptor) {
                    Ok(manifest) => {
                        marked.blobs.extend(manifest.parts().map(|part| part.digest));
                        // Nobody knows which layers it has.
                        marked.is_all = true;
                    }
                    // Nor anything else of it: it may be mended, or be another program's.
                    Err(error) if error.is_of_image() => marked.is_all = true,
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(marked)
    }

    /// Removes what is not whole and that nobody is making any more. That needs no lock.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_orphans(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        let ingest = self.ingest();
        for name in files::names_in(&ingest)? {
            let path = ingest.join(name);
            let Some(lock) = files::lock_of_orphan(&path)? else { continue };
            let is_directory = lock.metadata().map_err(StoreError::io("read", &path))?.is_dir();
            match is_directory {
                true => fs::remove_dir_all(&path).map_err(StoreError::io("remove", &path))?,
                false => files::remove_file(&path)?,
            }
            removed += 1;
        }
        for name in files::names_in(&self.layers)? {
            if ![NEW, GONE].iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let path = self.layers.join(name);
            let Some(_lock) = files::lock_of_orphan(&path)? else { continue };
            self.remove_tree.remove(&path).map_err(StoreError::io("remove", &path))?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// The digests that things in a directory are named by.
pub(super) fn digests_in(directory: &std::path::Path) -> Result<BTreeSet<Digest>, StoreError> {
    let names = files::names_in(directory)?;
    Ok(names.iter().filter_map(|name| format!("sha256:{name}").parse().ok()).collect())
}
