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
    let is_there = store.has_layer(diff_id)?;
    if is_there && store.pairs()?.contains(&(archive.digest, *diff_id)) {
        return Ok(());
    }
    let options = options();
    if is_there {
        // Another archive of it: that it is one was only said so far.
        let blob = store.open_blob(&archive.digest, archive.size)?;
        let found = layer::diff_id(blob, Compression::Detect, &options)?;
        return check(archive, diff_id, &found);
    }
    let draft = store.new_layer()?;
    let directory = File::open(draft.path());
    let directory = directory.map_err(|error| Error::path("open", draft.path(), &error))?;
    let blob = store.open_blob(&archive.digest, archive.size)?;
    let unpacked = layer::unpack(blob, Compression::Detect, directory.as_fd(), &options)?;
    check(archive, diff_id, &unpacked.diff_id)?;
    Ok(draft.commit(LayerRecord::from(&unpacked))?)
}

fn check(archive: &Descriptor, diff_id: &Digest, found: &Digest) -> Result<(), Error> {
    if found == diff_id {
        return Ok(());
    }
    let what = "is not what the image's configuration says: unpacked it has the digest";
    let archive = archive.digest;
    Err(Error::new(format!("layer {archive} {what} {found} instead of {diff_id}")))
}
