//! The layers of an image: several at a time, each unpacked while it comes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::error::{LayerError, PullError};
use crate::layer::{self, Compression, Options};
use crate::manifest::Descriptor;
use crate::registry::{Blob, Client};
use crate::store::{BlobWriter, LayerDraft, LayerRecord, Store, StoreError};
use crate::transfer::{Step, Watch};
use crate::{Digest, Reference};

/// How many come at once: what docker does.
const AT_ONCE: usize = 3;

/// A layer that an image needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) archive: Descriptor,
    pub(super) diff_id: Digest,
}

/// What has come of a layer: whole and right, but not to be seen yet. Dropped, it goes.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) part: Part,
    /// Unless it is in the store.
    pub(super) blob: Option<BlobWriter>,
    /// The same.
    pub(super) layer: Option<(LayerDraft, LayerRecord)>,
}

/// Where layers come from, and how.
#[derive(Debug)]
pub(super) struct Fetch<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) reference: &'a Reference,
    pub(super) options: &'a Options<'a>,
    pub(super) watch: &'a Watch<'a>,
    /// Which archives are known to be those of which layers.
    pub(super) pairs: &'a BTreeSet<(Digest, Digest)>,
}

impl Fetch<'_> {
    /// Gets all that the store does not have. The first error is the result, and ends the others.
    pub(super) fn all(&self, parts: &[Part]) -> Result<Vec<Ready>, PullError> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Result<Vec<Ready>, PullError>> = Mutex::new(Ok(Vec::new()));
        let work = || {
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.watch.is_over() {
                    return;
                }
                self.note(&done, self.one(part), part);
            }
        };
        thread::scope(|scope| {
            for number in 0..AT_ONCE.min(parts.len()) {
                let name = format!("pull-{number}");
                if let Err(error) = thread::Builder::new().name(name).spawn_scoped(scope, work) {
                    self.watch.stop();
                    *done.lock().unwrap_or_else(PoisonError::into_inner) =
                        Err(PullError::Thread(error));
                    return;
                }
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.watch.is_cancelled() { Err(PullError::Interrupted) } else { done }
    }

    fn note(
        &self,
        done: &Mutex<Result<Vec<Ready>, PullError>>,
        got: Result<Option<Ready>, LayerError>,
        part: &Part,
    ) {
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        match (got, &mut *done) {
            (Ok(ready), Ok(all)) => all.extend(ready),
            (Err(source), Ok(_)) => {
                self.watch.stop();
                *done = Err(PullError::Layer { archive: part.archive.digest, source });
            }
            // It is told already.
            (_, Err(_)) => {}
        }
    }

    /// Nothing when the store has it.
    fn one(&self, part: &Part) -> Result<Option<Ready>, LayerError> {
        let archive = &part.archive;
        let is_unpacked = self.store.has_layer(&part.diff_id)?;
        if self.store.has_blob(&archive.digest, archive.size)? {
            if is_unpacked && self.pairs.contains(&(archive.digest, part.diff_id)) {
                self.tell(part, Step::Exists);
                return Ok(None);
            }
            match self.stored(part, is_unpacked) {
                // What is there is of no use: it is replaced.
                Err(error) if error.is_damage() => {}
                ready => return ready.map(Some),
            }
        }
        self.download(part, is_unpacked).map(Some)
    }

    fn tell(&self, part: &Part, step: Step) {
        self.watch.observer.layer(&part.archive.digest, step);
    }

    /// Unpacks what is in the store.
    fn stored(&self, part: &Part, is_unpacked: bool) -> Result<Ready, LayerError> {
        let mut stored = self.store.open_blob(&part.archive.digest, part.archive.size)?;
        let layer = self.unpack(part, &mut stored, is_unpacked)?;
        self.tell(part, Step::Complete);
        Ok(Ready { part: part.clone(), blob: None, layer })
    }

    /// What was begun earlier is gone on with. Should it turn out to be wrong, which the power
    /// failing can make of it, all of it comes once more.
    fn download(&self, part: &Part, is_unpacked: bool) -> Result<Ready, LayerError> {
        let mut blob = self.store.partial(&part.archive.digest, part.archive.size)?;
        let is_resumed = blob.written() > 0;
        let mut got = self.into(part, &mut blob, is_unpacked);
        if is_resumed && got.as_ref().is_err_and(|error| !error.is_of_transfer()) {
            blob.restart()?;
            got = self.into(part, &mut blob, is_unpacked);
        }
        match got {
            Ok(layer) => {
                self.tell(part, Step::Complete);
                Ok(Ready { part: part.clone(), blob: Some(blob), layer })
            }
            Err(error) => {
                if !error.is_of_transfer() {
                    blob.keep_partial(false);
                }
                Err(error)
            }
        }
    }

    fn into(
        &self,
        part: &Part,
        blob: &mut BlobWriter,
        is_unpacked: bool,
    ) -> Result<Option<(LayerDraft, LayerRecord)>, LayerError> {
        let Descriptor { digest, size, .. } = part.archive;
        let rest = self.client.blob(self.reference, &digest, size, blob.written())?;
        let earlier = blob.reader()?;
        let mut input = Incoming { earlier, rest, blob, part, watch: self.watch, failure: None };
        let layer = self.unpack(part, &mut input, is_unpacked);
        if let Some(failure) = input.failure {
            return Err(LayerError::Archive(failure));
        }
        match layer {
            // What is missing is no fault of what is there.
            Err(error) if error.is_of_transfer() => Err(error),
            Err(error) => match blob.check() {
                // That is why it could not be unpacked.
                Err(wrong @ StoreError::WrongDigest { .. }) => Err(wrong.into()),
                _ => Err(error),
            },
            Ok(layer) => blob.check().map(|_| layer).map_err(Into::into),
        }
    }

    /// Reads a layer to its end, unpacks it if that has not been done, and compares it with what the
    /// configuration says.
    fn unpack(
        &self,
        part: &Part,
        input: &mut (dyn Read + Send),
        is_unpacked: bool,
    ) -> Result<Option<(LayerDraft, LayerRecord)>, LayerError> {
        let mut input = Watched { input, watch: self.watch };
        let options = Options { cancelled: Some(&self.watch.stopped), ..*self.options };
        let (found, layer) = if is_unpacked {
            (layer::diff_id(&mut input, Compression::Detect, &options)?, None)
        } else {
            let draft = self.store.new_layer()?;
            let directory = File::open(draft.path())
                .map_err(|error| StoreError::io("open", draft.path())(error))?;
            let done = layer::unpack(&mut input, Compression::Detect, directory.as_fd(), &options)?;
            let record = LayerRecord::from(&done);
            (done.diff_id, Some((draft, record)))
        };
        // What follows the end belongs to the digest.
        io::copy(&mut input, &mut io::sink())?;
        match found == part.diff_id {
            true => Ok(layer),
            false => Err(LayerError::WrongDiffId { expected: part.diff_id, found }),
        }
    }
}

/// Gives nothing more when nobody wants it.
struct Watched<'a> {
    input: &'a mut (dyn Read + Send),
    watch: &'a Watch<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.watch.is_over() {
            true => Err(io::Error::other(layer::Error::Cancelled)),
            false => self.input.read(buffer),
        }
    }
}

/// An archive while it comes: what there is of it, and then the rest, which is written down.
struct Incoming<'a> {
    earlier: io::Take<File>,
    rest: Blob,
    blob: &'a mut BlobWriter,
    part: &'a Part,
    watch: &'a Watch<'a>,
    /// Why it could not be written down.
    failure: Option<io::Error>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.earlier.limit() > 0 {
            return match self.earlier.read(buffer)? {
                // Nobody else writes to it.
                0 if !buffer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(count),
            };
        }
        let before = self.rest.done();
        let count = self.rest.read(buffer)?;
        if let Err(error) = self.blob.write_all(buffer.get(..count).unwrap_or_default()) {
            let told = io::Error::new(error.kind(), "cannot keep the archive");
            self.failure = Some(error);
            return Err(told);
        }
        if before < self.part.archive.size && self.rest.done() == self.part.archive.size {
            self.watch.observer.layer(&self.part.archive.digest, Step::Downloaded);
        }
        Ok(count)
    }
}
