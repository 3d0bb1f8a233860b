//! Images from files and to files.

use std::io::{Read, Write};

use minidock_image::archive::{self, Limits, Saved};
use minidock_image::config::{History, ImageConfig};
use minidock_image::manifest::Platform;
use minidock_image::store::Store;
use minidock_image::{Digest, Reference};

use super::{changes, new_name};
use crate::time::Rfc3339;
use crate::{Engine, Error, store, unpacking};

/// What an image of an archive of files is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Its name, if it is to have one.
    pub name: Option<String>,
    /// Instructions of a Dockerfile that make no layer, such as `CMD ["sh"]`.
    pub changes: Vec<String>,
    /// What its history notes.
    pub message: String,
    /// What it is for, such as `linux/arm64`; this machine, if nothing is said.
    pub platform: Option<String>,
}

/// How images are written into an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveFormat {
    /// As docker 25 and newer do: both docker's own list and OCI's layout.
    #[default]
    Docker,
    /// OCI's image layout alone.
    Oci,
}

/// An image that has come from an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedImage {
    /// The digest of its configuration.
    pub id: Digest,
    /// The names that it has from there.
    pub names: Vec<Reference>,
}

impl Engine {
    /// Makes an image of an archive of files, plain or compressed by gzip or zstd; gives its id.
    ///
    /// # Errors
    /// The archive is not accepted, cannot be read or unpacked; the name, a change or the platform
    /// is not one; the store cannot be written.
    pub fn import_image(
        &self,
        archive: impl Read + Send,
        options: &ImportOptions,
    ) -> Result<Digest, Error> {
        let names = options.name.as_deref().map(new_name).transpose()?;
        let platform = match options.platform.as_deref() {
            Some(text) => text.parse()?,
            None => Platform::host(),
        };
        let now = Rfc3339::short(crate::host::now()).to_string();
        let mut config = ImageConfig {
            created: Some(now.clone()),
            architecture: platform.architecture,
            variant: platform.variant,
            os: platform.os,
            ..ImageConfig::default()
        };
        changes::apply(&mut config.config, &options.changes)?;
        let comment = Some(options.message.clone());
        let step = History { created: Some(now), comment, ..History::default() };
        let store = store::open(&self.root);
        // Its id is read before anybody can remove it.
        let _lock = store.adding()?;
        let unpacking = unpacking::options();
        let names: Vec<Reference> = names.into_iter().collect();
        let made = minidock_image::import(&store, archive, (config, step), &names, &unpacking)?;
        Ok(store.image(&made)?.id)
    }

    /// Writes images into an archive; a name without a tag stands for all tags of its repository.
    ///
    /// # Errors
    /// [`Kind::NoSuchImage`](crate::Kind::NoSuchImage); an image is broken; the output cannot be
    /// written, and what was written is no archive then.
    pub fn save_images(
        &self,
        names: &[String],
        format: ArchiveFormat,
        output: impl Write,
    ) -> Result<(), Error> {
        let store = store::open(&self.root);
        let _lock = store.reading()?;
        let mut images = Vec::new();
        for name in names {
            images.extend(named(&store, name)?);
        }
        Ok(match format {
            ArchiveFormat::Docker => archive::write_docker(&store, &images, output),
            ArchiveFormat::Oci => archive::write_oci(&store, &images, output),
        }?)
    }

    /// Takes the images of an archive into the store, with the names that they have there. Either all
    /// of them come or none.
    ///
    /// # Errors
    /// The archive is not accepted or cannot be read; a layer is not what it should be, or cannot be
    /// unpacked; the store cannot be written.
    pub fn load_images(&self, input: impl Read) -> Result<Vec<LoadedImage>, Error> {
        let store = store::open(&self.root);
        let _lock = store.adding()?;
        let loaded = archive::read(input, &store, &Platform::host(), &Limits::default())?;
        for layer in loaded.iter().flat_map(|image| &image.layers) {
            unpacking::layer(&store, &layer.diff_id, &layer.descriptor)?;
        }
        for image in &loaded {
            store.tag(&image.references, &image.descriptor)?;
        }
        let images = loaded.into_iter();
        Ok(images.map(|image| LoadedImage { id: image.id, names: image.references }).collect())
    }
}

/// The images that a name stands for.
fn named(store: &Store, name: &str) -> Result<Vec<Saved>, Error> {
    if let Some(repository) = repository(name) {
        let mut images = Vec::new();
        for summary in store.list()? {
            for reference in summary.references.iter().filter(|one| one.name() == repository) {
                let descriptor = store.resolve(&reference.to_string())?.image.descriptor;
                images.push(Saved { descriptor, references: vec![reference.clone()] });
            }
        }
        if !images.is_empty() {
            return Ok(images);
        }
    }
    let found = store.resolve(name)?;
    let references = found.reference.into_iter().collect();
    Ok(vec![Saved { descriptor: found.image.descriptor, references }])
}

/// The repository that is meant as a whole.
fn repository(text: &str) -> Option<String> {
    let reference: Reference = text.parse().ok()?;
    // A colon before a slash is a registry's.
    let has_tag = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    (!has_tag).then(|| reference.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::store::tests::{archive, image};

    fn engine() -> (tempfile::TempDir, Engine) {
        let place = tempfile::tempdir().unwrap();
        let engine = Engine::new(place.path().join("root"), place.path().join("state"));
        (place, engine)
    }

    #[test]
    fn what_is_saved_is_loaded_again() {
        let (_place, engine) = engine();
        image(&engine.root, "app:1", &[&[("a", b"low")], &[("b", b"high")]]);
        engine.tag_image("app:1", "app:2").unwrap();
        let id = engine.image("app:1").unwrap().image.id;
        for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
            let mut saved = Vec::new();
            engine.save_images(&["app".to_owned()], format, &mut saved).unwrap();
            let (_place, other) = self::engine();
            let loaded = other.load_images(&saved[..]).unwrap();
            let names: Vec<_> = loaded.iter().flat_map(|image| &image.names).collect();
            assert_eq!((loaded[0].id, names.len()), (id, 2));
            let layers = other.image("app:2").unwrap().layers;
            assert_eq!(std::fs::read(layers[1].path.join("b")).unwrap(), b"high");
        }
        let mut saved = Vec::new();
        engine.save_images(&[id.short()], ArchiveFormat::Docker, &mut saved).unwrap();
        let (_place, other) = self::engine();
        assert!(other.load_images(&saved[..]).unwrap()[0].names.is_empty());
        assert!(other.images().unwrap()[0].dangling);
        let error = engine.save_images(&["nosuch".to_owned()], ArchiveFormat::Oci, &mut saved);
        assert_eq!(error.unwrap_err().what(), Kind::NoSuchImage);
    }

    #[test]
    fn of_what_is_no_archive_nothing_shows() {
        let (_place, engine) = engine();
        assert!(engine.load_images(&b"nothing"[..]).is_err());
        let options = ImportOptions { name: Some("x".to_owned()), ..ImportOptions::default() };
        assert!(engine.import_image(&b"nothing"[..], &options).is_err());
        assert!(engine.images().unwrap().is_empty());
    }

    #[test]
    fn an_archive_of_files_becomes_an_image() {
        let (_place, engine) = engine();
        let options = ImportOptions {
            name: Some("made:1".to_owned()),
            changes: vec!["CMD [\"/a\"]".to_owned()],
            message: "a note".to_owned(),
            platform: Some("linux/arm64".to_owned()),
        };
        let id = engine.import_image(&archive(&[("a", b"text")])[..], &options).unwrap();
        let made = engine.image("made:1").unwrap();
        assert_eq!((made.image.id, made.summary.size), (id, 4));
        assert_eq!(made.image.config.architecture, "arm64");
        assert_eq!(made.image.config.config.cmd.as_deref().unwrap(), ["/a"]);
        let (step, bytes) = made.history().next().unwrap();
        assert_eq!((step.comment.as_deref(), bytes), (Some("a note"), 4));
    }

    #[test]
    fn a_name_without_a_tag_is_a_repository() {
        assert_eq!(repository("app").as_deref(), Some("docker.io/library/app"));
        assert_eq!(repository("localhost:5000/app").as_deref(), Some("localhost:5000/app"));
        assert_eq!(repository("localhost:5000/app:1"), None);
        assert_eq!(repository(&format!("app@sha256:{}", "a".repeat(64))), None);
    }
}
