//! Three threads, through which a layer passes in buffers that are used again and again: one
//! decompresses it, one works out the digest, and the caller's own unpacks it. Whoever is faster
//! waits for a buffer.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use super::decode::Decoder;
use super::options::go_on;
use super::{Compression, Error, Options};
use crate::{Digest, digest::Hasher};

/// Bytes of a buffer, and how many there are: 4 MiB in all.
const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 16;

/// A layer as it comes out of the other threads. It also ends where one of them has failed.
pub(super) struct Stream {
    full: Receiver<Vec<u8>>,
    empty: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    /// How much of it was taken.
    at: usize,
}

impl Stream {
    /// Takes another buffer when this one is used up.
    fn refill(&mut self) {
        if self.at < self.buffer.len() {
            return;
        }
        let next = self.full.recv().unwrap_or_default();
        let used = std::mem::replace(&mut self.buffer, next);
        self.at = 0;
        if used.capacity() > 0 {
            // When nobody takes it any more all has been decompressed.
            drop(self.empty.try_send(used));
        }
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill();
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.buffer.len());
    }
}

impl Read for Stream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut from = self.fill_buf()?;
        let count = from.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

/// What `consume` makes of the decompressed layer; the digest of all of that and its length. The
/// first thread to fail says why; the others then end by themselves.
pub(super) fn run<T>(
    input: impl Read + Send,
    compression: Compression,
    options: &Options<'_>,
    consume: impl FnOnce(Stream) -> Result<T, Error>,
) -> Result<(T, Digest, u64), Error> {
    let (to_hasher, decoded) = sync_channel(BUFFERS);
    let (to_consumer, full) = sync_channel(BUFFERS);
    let (empty, to_fill) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for all.
        drop(empty.try_send(Vec::with_capacity(BUFFER)));
    }
    thread::scope(|scope| {
        let decoder = thread::Builder::new()
            .name("layer-decode".into())
            .spawn_scoped(scope, move || {
                let decoder = Decoder::new(input, compression)?;
                decode(decoder, options, &to_fill, &to_hasher)
            })
            .map_err(Error::Thread)?;
        let hasher = thread::Builder::new()
            .name("layer-digest".into())
            .spawn_scoped(scope, move || hash(&decoded, &to_consumer))
            .map_err(Error::Thread)?;
        let consumed = consume(Stream { full, empty, buffer: Vec::new(), at: 0 });
        let (decoded, hashed) = (join(decoder), join(hasher));
        decoded??;
        let (digest, length) = hashed?;
        Ok((consumed?, digest, length))
    })
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T, Error> {
    thread.join().map_err(|_| Error::Thread(io::Error::other("one has died")))
}

/// Until all is decompressed, or nobody takes it any more.
fn decode(
    mut decoder: Decoder<'_>,
    options: &Options<'_>,
    empty: &Receiver<Vec<u8>>,
    to: &SyncSender<Vec<u8>>,
) -> Result<(), Error> {
    let limits = &options.limits;
    let mut total = 0_u64;
    while let Ok(mut buffer) = empty.recv() {
        go_on(options.cancelled)?;
        buffer.resize(BUFFER, 0);
        let filled = decoder.fill(&mut buffer)?;
        buffer.truncate(filled);
        total = total.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        if total > limits.total {
            return Err(Error::Limit { what: "bytes", limit: limits.total });
        }
        if total > limits.ratio_from && total / limits.ratio.max(1) > decoder.taken() {
            let what = "bytes of one that is compressed";
            return Err(Error::Limit { what, limit: limits.ratio });
        }
        if to.send(buffer).is_err() || filled < BUFFER {
            break;
        }
    }
    Ok(())
}

/// Takes the digest of what passes, also of what nobody takes any more.
fn hash(from: &Receiver<Vec<u8>>, to: &SyncSender<Vec<u8>>) -> (Digest, u64) {
    let mut hasher = Hasher::default();
    while let Ok(buffer) = from.recv() {
        hasher.update(&buffer);
        if to.send(buffer).is_err() {
            break;
        }
    }
    hasher.finish()
}
