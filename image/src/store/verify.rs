use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use super::garbage::digests_in;
use super::{Store, StoreError, files};
use crate::Digest;

/// Something about the store that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A blob is not what its name says.
    #[error("the blob {digest} is damaged: {reason}")]
    Damaged {
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of an image is not there.
    #[error("the image {image} lacks its part {digest}")]
    Missing {
        /// The image's manifest.
        image: Digest,
        /// What is missing.
        digest: Digest,
    },
    /// An image cannot be used.
    #[error("the image {image} cannot be used: {reason}")]
    Image {
        /// Its manifest.
        image: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// The list of the images, or the layout's version, cannot be read. Nothing is known of the
    /// images then.
    #[error("{0}")]
    List(String),
    /// A layer's directory has no record, or not its own.
    #[error("the layer {diff_id} is broken: {reason}")]
    Layer {
        /// Which.
        diff_id: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer of an image is not unpacked. It can be made of its archive.
    #[error("the layer {diff_id} of the image {image} is not unpacked")]
    NotUnpacked {
        /// The image's manifest.
        image: Digest,
        /// Which.
        diff_id: Digest,
    },
    /// Nobody needs it: the next collection of garbage removes it, unless a container is made of
    /// it, or its name is one that the store does not know.
    #[error("{} belongs to no image", .0.display())]
    Orphan(PathBuf),
}

impl Store {
    /// Reads all that there is and tells what is wrong with it. Things that somebody is making at
    /// the moment are not among that.
    ///
    /// # Errors
    /// A directory of the store cannot be read.
    pub fn verify(&self) -> Result<Vec<Problem>, StoreError> {
        let _lock = self.reading()?;
        let mut problems = self.check_layout();
        let damaged = self.check_blobs(&mut problems)?;
        let mut needed = (BTreeSet::new(), BTreeSet::new());
        let is_listed = match self.entries() {
            Ok(_) => self.check_images(&damaged, &mut needed, &mut problems).is_ok(),
            Err(error) => {
                problems.push(Problem::List(error.to_string()));
                false
            }
        };
        self.check_layers(&mut problems)?;
        if is_listed {
            self.find_orphans(&needed.0, &needed.1, &mut problems)?;
        }
        Ok(problems)
    }

    fn check_layout(&self) -> Vec<Problem> {
        let path = self.images.join("oci-layout");
        let is_known = |contents: &[u8]| {
            let layout: serde_json::Value = serde_json::from_slice(contents).ok()?;
            Some(layout.get("imageLayoutVersion")?.as_str()? == "1.0.0")
        };
        let reason = match files::read_bounded(&path, 4096) {
            Ok(None) if !self.images.exists() => return Vec::new(),
            Ok(None) => "it is missing".to_owned(),
            Ok(Some(contents)) if is_known(&contents) == Some(true) => return Vec::new(),
            Ok(Some(_)) => "it does not name the version 1.0.0".to_owned(),
            Err(error) => error.to_string(),
        };
        vec![Problem::List(format!("{}: {reason}", path.display()))]
    }

    fn check_blobs(&self, problems: &mut Vec<Problem>) -> Result<BTreeSet<Digest>, StoreError> {
        let mut damaged = BTreeSet::new();
        let mut chunk = vec![0; 64 << 10];
        for digest in digests_in(&self.blobs())? {
            let mut read = || -> io::Result<()> {
                let size = fs::metadata(self.blob_path(&digest))?.len();
                let mut blob = self.open_blob(&digest, size).map_err(io::Error::other)?;
                while blob.read(&mut chunk)? > 0 {}
                Ok(())
            };
            if let Err(error) = read() {
                problems.push(Problem::Damaged { digest, reason: error.to_string() });
                damaged.insert(digest);
            }
        }
        Ok(damaged)
    }

    fn check_images(
        &self,
        damaged: &BTreeSet<Digest>,
        (blobs, layers): &mut (BTreeSet<Digest>, BTreeSet<Digest>),
        problems: &mut Vec<Problem>,
    ) -> Result<(), StoreError> {
        for entry in self.entries()? {
            let image = entry.named.descriptor.digest;
            blobs.insert(image);
            let manifest = match &entry.image {
                Ok(found) => found.manifest.clone(),
                Err(error) => {
                    problems.push(Problem::Image { image, reason: error.to_string() });
                    let Ok(manifest) = self.manifest(&entry.named.descriptor) else { continue };
                    manifest
                }
            };
            for part in manifest.parts() {
                blobs.insert(part.digest);
                if !damaged.contains(&part.digest) && !self.has_blob(&part.digest, part.size)? {
                    problems.push(Problem::Missing { image, digest: part.digest });
                }
            }
            let config = entry.image.ok().map(|found| found.config);
            for diff_id in config.into_iter().flat_map(|config| config.rootfs.diff_ids) {
                if layers.insert(diff_id) && !self.layer_directory(&diff_id).exists() {
                    problems.push(Problem::NotUnpacked { image, diff_id });
                }
            }
        }
        Ok(())
    }

    fn check_layers(&self, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
        for diff_id in digests_in(&self.layers)? {
            let reason = match self.layer(&diff_id) {
                Ok(Some(_)) if self.layer_path(&diff_id).is_dir() => continue,
                Ok(Some(_)) => "its files are missing".to_owned(),
                Ok(None) => "its record is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            problems.push(Problem::Layer { diff_id, reason });
        }
        Ok(())
    }

    fn find_orphans(
        &self,
        blobs: &BTreeSet<Digest>,
        layers: &BTreeSet<Digest>,
        problems: &mut Vec<Problem>,
    ) -> Result<(), StoreError> {
        for (directory, needed) in [(&self.blobs(), blobs), (&self.layers, layers)] {
            for name in files::names_in(directory)? {
                let digest = format!("sha256:{name}").parse();
                let path = directory.join(&name);
                let is_needed = match digest {
                    Ok(digest) => needed.contains(&digest),
                    Err(_) if name.starts_with('.') => files::lock_of_orphan(&path)?.is_none(),
                    Err(_) => false,
                };
                if !is_needed {
                    problems.push(Problem::Orphan(path));
                }
            }
        }
        let ingest = self.ingest();
        for name in files::names_in(&ingest)? {
            if files::lock_of_orphan(&ingest.join(&name))?.is_some() {
                problems.push(Problem::Orphan(ingest.join(name)));
            }
        }
        Ok(())
    }
}
