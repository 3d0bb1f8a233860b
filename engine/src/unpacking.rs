//! How the layers of images are unpacked, whatever they came by.

use std::fs::File;
use std::os::fd::AsFd;

use minidock_image::Digest;
use minidock_image::layer::{self, Compression, Options, Owner};
use minidock_image::manifest::Descriptor;
use minidock_image::store::{LayerRecord, Store};

use crate::Error;

/// As this caller can have it: without root all files are the caller's, devices are left out, and
/// the overlay is mounted with attributes that need no privilege.
pub(crate) fn options() -> Options<'static> {
    match nix::unistd::geteuid().is_root() {
        true => Options::default(),
        false => {
            Options { owner: Owner::Mine, devices: false, user_xattrs: true, ..Options::default() }
        }
    }
}

/// Unpacks a layer whose archive is in the store, unless it is there. The caller holds
/// [`Store::adding`] until an image of it has a name.
pub(crate) fn layer(store: &Store, diff_id: &Digest, archive: &Descriptor) -> Result<(), Error> {
    if store.has_layer(diff_id)? {
        return Ok(());
    }
    let draft = store.new_layer()?;
    let directory = File::open(draft.path());
    let directory = directory.map_err(|error| Error::path("open", draft.path(), &error))?;
    let blob = store.open_blob(&archive.digest, archive.size)?;
    let unpacked = layer::unpack(blob, Compression::Detect, directory.as_fd(), &options())?;
    if unpacked.diff_id != *diff_id {
        let what = "is not what the image's configuration says: unpacked it has the digest";
        let (archive, found) = (archive.digest, unpacked.diff_id);
        return Err(Error::new(format!("layer {archive} {what} {found} instead of {diff_id}")));
    }
    let record = LayerRecord::from(&unpacked);
    Ok(draft.commit(record)?)
}
