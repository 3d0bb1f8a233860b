//! What the store tells those who transfer images.

use std::collections::{BTreeMap, BTreeSet};

use super::{Store, StoreError};
use crate::manifest::Descriptor;
use crate::{Digest, Reference};

/// The image of a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// Its manifest.
    pub(crate) descriptor: Descriptor,
    /// Under which digests the repository of the name has it: that of its manifest, or those of the
    /// indexes that lead there.
    pub(crate) digests: Vec<Digest>,
}

impl Store {
    /// The image that has this very name.
    pub(crate) fn known(&self, reference: &Reference) -> Result<Option<Known>, StoreError> {
        Ok(self.names()?.find(reference).map(|named| {
            let of_there = named.digests.iter().filter(|found| found.name() == reference.name());
            Known {
                descriptor: named.descriptor.clone(),
                digests: of_there.filter_map(Reference::digest).copied().collect(),
            }
        }))
    }

    /// Which archives are known to be those of which layers: each with its diff id, as the images
    /// of the store say, which were checked when they came.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pairs(&self) -> Result<BTreeSet<(Digest, Digest)>, StoreError> {
        let images = self.entries()?.into_iter().filter_map(|entry| entry.image.ok());
        let pairs = images.flat_map(|image| {
            let archives = image.manifest.layers.into_iter().map(|layer| layer.digest);
            archives.zip(image.config.rootfs.diff_ids).collect::<Vec<_>>()
        });
        Ok(pairs.collect())
    }

    /// The repositories of a registry from which, or to which, archives of layers came.
    pub(crate) fn repositories(
        &self,
        registry: &str,
    ) -> Result<BTreeMap<Digest, BTreeSet<Reference>>, StoreError> {
        let mut found: BTreeMap<Digest, BTreeSet<Reference>> = BTreeMap::new();
        for entry in self.entries()? {
            let Ok(image) = entry.image else { continue };
            let here = entry.named.digests.iter().filter(|name| name.registry() == registry);
            for name in here {
                for layer in &image.manifest.layers {
                    found.entry(layer.digest).or_default().insert(name.clone());
                }
            }
        }
        Ok(found)
    }
}
