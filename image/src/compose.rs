//! Images that are put together here, and not by a registry: of an archive of files, of what a
//! container has written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use crate::Reference;
use crate::config::{ConfigError, History, ImageConfig};
use crate::layer::{self, Options};
use crate::manifest::{Compression, Descriptor, LayerType, Manifest, OCI_CONFIG, OCI_MANIFEST};
use crate::store::{BlobWriter, LayerRecord, Store, StoreError};

/// Why an image was not made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The store cannot be written, or says something else about itself than it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive is not accepted, or cannot be unpacked.
    #[error(transparent)]
    Layer(#[from] layer::Error),
    /// The configuration cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The rest of the archive cannot be read, or not be kept.
    #[error("cannot keep the archive of the layer: {0}")]
    Archive(#[source] io::Error),
    /// The manifest cannot be written.
    #[error("cannot write the manifest: {0}")]
    Manifest(#[source] serde_json::Error),
}

/// A layer of the store: its archive, and its files.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLayer {
    /// The archive as it came.
    pub archive: Descriptor,
    /// The files.
    pub record: LayerRecord,
}

/// Adds a layer to the store, its archive and its files, in one pass over the archive. It is
/// garbage until an image of it has a name: whoever calls holds [`Store::adding`] up to that.
///
/// # Errors
/// The archive is not accepted, cannot be read, or the store not be written.
pub fn add_layer(
    store: &Store,
    archive: impl Read + Send,
    options: &Options<'_>,
) -> Result<NewLayer, ComposeError> {
    let mut kept = Kept { input: archive, blob: store.new_blob()?, first: Vec::new() };
    let draft = store.new_layer()?;
    let directory = File::open(draft.path()).map_err(ComposeError::Archive)?;
    let unpacked =
        layer::unpack(&mut kept, layer::Compression::Detect, directory.as_fd(), options)?;
    // Nobody has said which digest it should have.
    if !unpacked.ended {
        return Err(layer::Error::Truncated.into());
    }
    // What follows the end belongs to the digest.
    io::copy(&mut kept, &mut io::sink()).map_err(ComposeError::Archive)?;
    let compression = Compression::of(&kept.first);
    let (digest, size) = kept.blob.commit()?;
    let record = LayerRecord::from(&unpacked);
    draft.commit(record)?;
    let media_type = LayerType { compression, foreign: false }.media_type();
    Ok(NewLayer { archive: Descriptor::new(&media_type, digest, size), record })
}

/// Adds an image of these layers, the lowest first, with these names. `config` says everything but
/// the layers, and `history` what has made the ones that are not in it yet.
///
/// # Errors
/// The store cannot be written; a layer's archive is missing.
pub fn add_image(
    store: &Store,
    layers: &[Descriptor],
    config: &ImageConfig,
    names: &[Reference],
) -> Result<Descriptor, ComposeError> {
    let (id, size) = store.put_blob(&config.to_bytes()?)?;
    let manifest = Manifest::new(Descriptor::new(OCI_CONFIG, id, size), layers.to_vec());
    let bytes = serde_json::to_vec(&manifest).map_err(ComposeError::Manifest)?;
    let (digest, size) = store.put_blob(&bytes)?;
    let descriptor = Descriptor::new(OCI_MANIFEST, digest, size);
    store.tag(names, &descriptor)?;
    Ok(descriptor)
}

/// Makes an image of one archive of files, plain or compressed: `docker import`. `config` says what
/// its containers are to be; the layer and `step`, which tells where it comes from, are added.
///
/// # Errors
/// As [`add_layer`] and [`add_image`].
pub fn import(
    store: &Store,
    archive: impl Read + Send,
    (mut config, step): (ImageConfig, History),
    names: &[Reference],
    options: &Options<'_>,
) -> Result<Descriptor, ComposeError> {
    let _adding = store.adding()?;
    let layer = add_layer(store, archive, options)?;
    config.rootfs.diff_ids.push(layer.record.diff_id);
    config.history.push(step);
    add_image(store, &[layer.archive], &config, names)
}

/// What is read is written down too.
struct Kept<R> {
    input: R,
    blob: BlobWriter,
    /// Its first bytes, by which the compression is known.
    first: Vec<u8>,
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.blob.write_all(read)?;
        self.first.extend(read.iter().take(8_usize.saturating_sub(self.first.len())));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    /// An archive with a file.
    fn archive(name: &str) -> Vec<u8> {
        let mut builder = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_ustar();
        header.set_size(2);
        header.set_mode(0o644);
        header.set_uid(rustix::process::geteuid().as_raw().into());
        header.set_gid(rustix::process::getegid().as_raw().into());
        builder.append_data(&mut header, name, &b"hi"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_archive_becomes_an_image() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        let plain = archive("etc/file");
        let packed = gzip(&plain);
        let name: Reference = "imported:1".parse().unwrap();
        let mut config = ImageConfig::default();
        config.config.cmd = Some(vec!["/bin/sh".to_owned()]);
        let step = History { comment: Some("Imported from -".to_owned()), ..History::default() };
        let made = (config, step);
        let options = Options { owner: layer::Owner::Mine, ..Options::default() };
        import(&store, &packed[..], made, std::slice::from_ref(&name), &options).unwrap();
        let image = store.resolve("imported:1").unwrap().image;
        assert_eq!(image.config.rootfs.diff_ids, [Digest::of(&plain)]);
        let [layer] = &image.manifest.layers[..] else { panic!("{:?}", image.manifest) };
        assert_eq!((layer.digest, layer.size), (Digest::of(&packed), packed.len() as u64));
        assert!(layer.media_type.ends_with("+gzip"), "{}", layer.media_type);
        let file = store.layer_path(&Digest::of(&plain)).join("etc/file");
        assert_eq!(std::fs::read(file).unwrap(), b"hi");
        assert_eq!(image.config.history.len(), 1);
        assert!(store.verify().unwrap().is_empty());
    }

    #[test]
    fn of_what_is_no_archive_nothing_stays() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        let made = || (ImageConfig::default(), History::default());
        for bad in [&b"no archive at all"[..], &archive("a/.wh.."), &gzip(&archive("x"))[..60]] {
            let error = import(&store, bad, made(), &[], &Options::default()).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
        assert!(store.list().unwrap().is_empty());
        assert!(store.verify().unwrap().is_empty());
        for directory in [store.layers(), root.path().join("images/ingest")] {
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "{directory:?}");
        }
    }
}
