//! What callers do with images.

use std::path::PathBuf;

use minidock_image::Reference;
use minidock_image::config::History;
use minidock_image::store::{Image, ImageSummary, Pruned, Removed};

use crate::{Engine, Error, store};

mod changes;
mod in_use;
mod transfer;

use in_use::in_use;
pub use transfer::{ArchiveFormat, ImportOptions, LoadedImage};

/// An image, and what there is of it on the disk.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageDetails {
    /// Its names.
    pub summary: ImageSummary,
    /// Its parts.
    pub image: Image,
    /// Its layers, the lowest first.
    pub layers: Vec<ImageLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageLayer {
    /// The directory of its files, if it is unpacked.
    pub path: PathBuf,
    /// What its files have together, in bytes; for one that is not unpacked, its archive.
    pub bytes: u64,
}

impl ImageDetails {
    /// How it was made, the first step first, and the bytes of the layer that each step has made.
    /// A layer without a step is not told of.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = (&History, u64)> {
        let mut layers = self.layers.iter();
        let steps = self.image.config.history.iter().map(|step| match step.empty_layer {
            true => (step, 0),
            false => (step, layers.next().map_or(0, |layer| layer.bytes)),
        });
        // The layers are counted from the first step on.
        steps.collect::<Vec<_>>().into_iter()
    }
}

impl Engine {
    /// All images of the store, in the order of their ids; broken ones are among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn images(&self) -> Result<Vec<ImageSummary>, Error> {
        let store = store::open(&self.root);
        let _lock = store.reading()?;
        Ok(store.list()?)
    }

    /// The image that is meant: by its name, by its id or the beginning of that.
    ///
    /// # Errors
    /// [`Kind::NoSuchImage`](crate::Kind::NoSuchImage); several are meant, or it is broken.
    pub fn image(&self, name: &str) -> Result<ImageDetails, Error> {
        let store = store::open(&self.root);
        let _lock = store.reading()?;
        let image = store.resolve(name)?.image;
        let summary = store.list()?.into_iter().find(|summary| summary.id == image.id);
        let summary = summary.ok_or_else(|| store::unknown_image(name))?;
        let layers = image.config.rootfs.diff_ids.iter().zip(&image.manifest.layers);
        let layers = layers.map(|(diff_id, archive)| {
            let bytes = store.layer(diff_id)?.map_or(archive.size, |layer| layer.size);
            Ok(ImageLayer { path: store.layer_path(diff_id), bytes })
        });
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(ImageDetails { summary, image, layers })
    }

    /// Gives an image a further name, which another image may have had.
    ///
    /// # Errors
    /// There is no such image, the name is not one or has a digest, or the store cannot be written.
    pub fn tag_image(&self, source: &str, target: &str) -> Result<(), Error> {
        let target = new_name(target)?;
        let store = store::open(&self.root);
        let _lock = store.adding()?;
        let found = store.resolve(source)?;
        Ok(store.tag(&[target], &found.image.descriptor)?)
    }

    /// Takes a name away from an image, and removes the image with its last one; or removes an
    /// image that is named by its id.
    ///
    /// # Errors
    /// [`Kind::NoSuchImage`](crate::Kind::NoSuchImage); a container is made of it, which only one
    /// that does not run lets `force` pass by; it has several names, which needs `force`.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<Vec<Removed>, Error> {
        let store = store::open(&self.root);
        let removing = store.removing()?;
        Ok(removing.remove(name, force, &in_use(self)?)?)
    }

    /// Removes the images that have no name, or with `all` those that no container is made of, of
    /// those that are wanted; and what
    /// there is that belongs to no image.
    ///
    /// # Errors
    /// The store cannot be read or written, or it cannot be told what a container is made of.
    pub fn prune_images(
        &self,
        all: bool,
        wanted: impl Fn(&ImageSummary) -> bool,
    ) -> Result<Pruned, Error> {
        let store = store::open(&self.root);
        let removing = store.removing()?;
        let in_use = in_use(self)?;
        let mut pruned = removing.prune(all, &wanted, &in_use)?;
        // What those have left who were killed belongs to no image.
        let garbage = removing.collect_garbage(&in_use.layers)?;
        pruned.removed.extend(garbage.layers.into_iter().map(Removed::Deleted));
        pruned.reclaimed = pruned.reclaimed.saturating_add(garbage.bytes);
        Ok(pruned)
    }
}

/// A name that an image is to have.
fn new_name(text: &str) -> Result<Reference, Error> {
    let name: Reference = text.parse()?;
    let path = name.familiar_name();
    let is_id = path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit());
    match () {
        () if name.digest().is_some() => {
            Err(Error::new("refusing to create a tag with a digest reference"))
        }
        () if path == "sha256" => {
            Err(Error::new("refusing to create an ambiguous tag using digest algorithm as name"))
        }
        () if is_id => Err(Error::new(format!(
            "invalid repository name ({path}), cannot specify 64-byte hexadecimal strings"
        ))),
        () => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::store::tests::image;

    fn engine(place: &tempfile::TempDir) -> Engine {
        Engine::new(place.path().join("root"), place.path().join("state"))
    }

    #[test]
    fn a_name_is_given_and_the_last_one_takes_the_image_with_it() {
        let place = tempfile::tempdir().unwrap();
        let engine = engine(&place);
        image(&engine.root, "first", &[&[("a", b"low")], &[("b", b"high")]]);
        engine.tag_image("first", "second:1").unwrap();
        let found = engine.image("second:1").unwrap();
        assert_eq!(found.summary.references.len(), 2);
        let sizes: Vec<u64> = found.layers.iter().map(|layer| layer.bytes).collect();
        assert_eq!(sizes, [3, 4]);
        let steps: Vec<u64> = found.history().map(|(_, bytes)| bytes).collect();
        assert_eq!(steps, sizes);
        let id = found.image.id.hex();
        let error = engine.remove_image(&id[..12], false).unwrap_err().to_string();
        assert!(error.contains("must be forced"), "{error}");
        assert_eq!(engine.remove_image("first", false).unwrap().len(), 1);
        let removed = engine.remove_image("second:1", false).unwrap();
        assert!(removed.contains(&Removed::Deleted(found.image.id)), "{removed:?}");
        assert!(engine.images().unwrap().is_empty());
        for layer in found.layers {
            assert!(!layer.path.exists());
        }
        for error in
            [engine.image("first").unwrap_err(), engine.remove_image("first", false).unwrap_err()]
        {
            assert_eq!(error.what(), Kind::NoSuchImage);
            assert_eq!(error.to_string(), "No such image: first:latest");
        }
    }

    #[test]
    fn what_would_be_taken_for_an_id_is_no_name() {
        let place = tempfile::tempdir().unwrap();
        let engine = engine(&place);
        image(&engine.root, "first", &[&[]]);
        let digest = format!("a@sha256:{}", "a".repeat(64));
        for bad in ["sha256:1", &"a".repeat(64), &digest, "Bad"] {
            assert!(engine.tag_image("first", bad).is_err(), "{bad}");
        }
        assert_eq!(engine.images().unwrap().first().unwrap().references.len(), 1);
    }

    #[test]
    fn only_what_has_no_name_is_pruned_unless_all_is() {
        let place = tempfile::tempdir().unwrap();
        let engine = engine(&place);
        image(&engine.root, "same", &[&[("a", b"old")]]);
        image(&engine.root, "same", &[&[("a", b"newer")]]);
        assert_eq!(engine.images().unwrap().len(), 2);
        assert!(engine.prune_images(false, |_| false).unwrap().removed.is_empty());
        let pruned = engine.prune_images(false, |_| true).unwrap();
        assert!(pruned.reclaimed > 3, "{pruned:?}");
        assert_eq!(engine.images().unwrap().len(), 1);
        engine.prune_images(true, |_| true).unwrap();
        assert!(engine.images().unwrap().is_empty());
    }
}
