use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use ureq::BodyReader;
use ureq::http::Method;
use ureq::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, RANGE};

use super::client::{Ask, Endpoint, Inner, Target};
use super::http::{Answered, Call, Sent, header};
use super::{Client, Error, ErrorKind};
use crate::{Digest, Hasher, Reference};

/// What a transfer has to bring to count as one that makes progress: with less, a registry could
/// hold somebody for ever by one byte per connection.
const PROGRESS: u64 = 1024 * 1024;
const GET: &str = "get the blob";

/// A blob while it arrives. When the connection breaks, it is resumed where it was; when a mirror
/// fails, at the next one. It gives as many bytes as were announced, or an error (see
/// [`Error::of`]); whether they are the right ones says [`Verified`].
pub struct Blob {
    inner: Arc<Inner>,
    reference: Reference,
    digest: Digest,
    size: u64,
    done: u64,
    /// Where it comes from; the first is asked, and the last is the registry.
    sources: VecDeque<Endpoint>,
    body: Option<(Call, BodyReader<'static>)>,
    failures: u32,
    /// Bytes since the last failure.
    since: u64,
    /// Whether anything has come.
    seen: bool,
}

impl Client {
    /// The bytes of a blob, from `from` (which may be its end) on.
    ///
    /// # Errors
    /// There is none; it has another size than `size`; the registry cannot be reached, or
    /// misbehaves. The reader's errors are the same ones.
    pub fn blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        from: u64,
    ) -> Result<Blob, Error> {
        let mut blob = Blob {
            inner: self.0.clone(),
            reference: reference.clone(),
            digest: *digest,
            size,
            done: from.min(size),
            sources: self.0.sources(reference).into(),
            body: None,
            failures: 0,
            since: 0,
            seen: false,
        };
        // The first answer says whether there is one at all.
        while blob.done < blob.size && blob.body.is_none() {
            if let Err(error) = blob.open() {
                blob.recover(error)?;
            }
        }
        Ok(blob)
    }

    /// Whether the registry itself, no mirror, has the blob in this repository.
    ///
    /// # Errors
    /// The registry cannot be reached, refuses, or misbehaves.
    pub fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        let registry = Inner::registry(reference);
        let mut ask = self.0.ask_for_blob(&registry, reference, digest);
        ask.operation = "look for the blob";
        ask.method = Method::HEAD;
        let asked = self.0.patiently(|| self.0.ask(&registry, &ask, Sent::Nothing, &[200, 404]));
        asked.map(|(_, answer)| answer.status() == 200)
    }
}

impl Inner {
    fn ask_for_blob(&self, from: &Endpoint, reference: &Reference, digest: &Digest) -> Ask<'_> {
        Ask {
            operation: GET,
            method: Method::GET,
            target: Target::Path(format!("{}/blobs/{digest}", from.repository(reference))),
            headers: vec![(ACCEPT, "application/octet-stream, */*".to_owned())],
            scopes: vec![from.scope(reference, "pull")],
            within: self.options.idle,
        }
    }
}

impl Blob {
    /// How many bytes of the blob have come, those before the place where it was begun included.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Asks the first source for the rest.
    fn open(&mut self) -> Result<(), Error> {
        let registry = || Inner::registry(&self.reference);
        let source = self.sources.front().cloned().unwrap_or_else(registry);
        let mut ask = self.inner.ask_for_blob(&source, &self.reference, &self.digest);
        if self.done > 0 {
            ask.headers.push((RANGE, format!("bytes={}-", self.done)));
        }
        let good: &[u16] = if self.done > 0 { &[200, 206] } else { &[200] };
        let (call, answer) = self.inner.ask(&source, &ask, Sent::Nothing, good)?;
        let skip = self.skipped(&call, &answer)?;
        let mut body = answer.into_body().into_reader();
        // One that ends before that has nothing more to give, which the next read sees.
        let skipped = io::copy(&mut (&mut body).take(skip), &mut io::sink());
        skipped.map_err(|error| call.error(error))?;
        self.body = Some((call, body));
        self.seen = true;
        Ok(())
    }

    /// How much of the answer is before the place that was asked for: all of it, when the server
    /// does not know of ranges. The size has to be the one that was announced.
    fn skipped(&self, call: &Call, answer: &Answered) -> Result<u64, Error> {
        let wrong_size = |found| call.error(ErrorKind::WrongSize { expected: self.size, found });
        let length = header(answer, &CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if answer.status() != 206 {
            return match length {
                Some(length) if length != self.size => Err(wrong_size(length)),
                _ => Ok(self.done),
            };
        }
        let range = header(answer, &CONTENT_RANGE).and_then(range_of);
        let (first, total) = range.ok_or_else(|| call.protocol("a part without Content-Range"))?;
        if first != self.done {
            return Err(call.protocol("another part than was asked for"));
        }
        if let Some(total) = total.filter(|total| *total != self.size) {
            return Err(wrong_size(total));
        }
        Ok(0)
    }

    /// Waits after an error, or goes on to the next source; gives the error back if all was tried.
    fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.body = None;
        if self.since >= PROGRESS {
            self.failures = 0;
        }
        self.since = 0;
        if matches!(error.kind(), ErrorKind::Cancelled) {
            return Err(error);
        }
        if self.sources.len() > 1 {
            if let Some(mirror) = self.sources.pop_front() {
                self.inner.passed_over(&mirror, &error);
            }
            return Ok(());
        }
        self.inner.pause(error, &mut self.failures, self.seen)
    }

    /// The next bytes; none only at the end of the blob.
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let left = self.size - self.done;
        if left == 0 {
            return self.end();
        }
        loop {
            let Some((call, body)) = &mut self.body else {
                if let Err(error) = self.open() {
                    self.recover(error)?;
                }
                continue;
            };
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let error = match body.read(&mut buffer[..most]) {
                Ok(0) => call.error(ErrorKind::Broken("it ended too early".to_owned())),
                Ok(count) => {
                    self.done += count as u64;
                    self.since = self.since.saturating_add(count as u64);
                    return Ok(count);
                }
                Err(error) => call.error(error),
            };
            self.recover(error)?;
        }
    }

    /// Looks whether there is more than there should be. Whether the connection ends well is of no
    /// interest when everything is there.
    fn end(&mut self) -> Result<usize, Error> {
        match self.body.take().map(|(call, mut body)| (call, body.read(&mut [0]))) {
            Some((call, Ok(1..))) => Err(call.error(ErrorKind::TooLarge(self.size))),
            _ => Ok(0),
        }
    }
}

/// First byte and, if known, total of `bytes first-last/total`.
fn range_of(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, total))
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.next(buffer)?;
        if count > 0
            && let Some(progress) = &self.inner.options.progress
        {
            progress.bytes(&self.digest, self.done, self.size);
        }
        Ok(count)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("digest", &self.digest)
            .field("size", &self.size)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// Passes bytes on, and gives an error at their end if they are not those of the digest. Who has
/// read it to its end without error has the right content.
#[derive(Debug)]
pub struct Verified<R> {
    inner: R,
    hasher: Hasher,
    digest: Digest,
    size: u64,
    /// So that a reader that is asked once more says the same.
    wrong: Option<(Digest, u64)>,
    ended: bool,
}

impl<R: Read> Verified<R> {
    /// Of a content of this digest and size in bytes. `before` has seen what comes before that which
    /// the reader gives: nothing, unless a transfer is resumed.
    pub fn new(inner: R, before: Hasher, digest: Digest, size: u64) -> Self {
        Self { inner, hasher: before, digest, size, wrong: None, ended: false }
    }

    /// The reader.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn error(&self, kind: ErrorKind) -> io::Error {
        Error::at("check", &self.digest.to_string(), kind).into()
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = if self.ended { 0 } else { self.inner.read(buffer)? };
        if count > 0 {
            self.hasher.update(&buffer[..count]);
            return Ok(count);
        }
        if !self.ended {
            let (found, length) = self.hasher.clone().finish();
            self.wrong =
                Some((found, length)).filter(|_| found != self.digest || length != self.size);
            self.ended = true;
        }
        match self.wrong {
            None => Ok(0),
            Some((_, found)) if found != self.size => {
                Err(self.error(ErrorKind::WrongSize { expected: self.size, found }))
            }
            Some((found, _)) => {
                Err(self.error(ErrorKind::WrongDigest { expected: self.digest, found }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read() {
        assert_eq!(range_of("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range_of("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "5-9/10", "bytes -9/10", "bytes 5-9", "bytes */10", "bytes 5-9/x"] {
            assert_eq!(range_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wrong_content_is_an_error_at_its_end_and_stays_one() {
        let read = |text: &'static str, before: &[u8], size| {
            let mut hasher = Hasher::default();
            hasher.update(before);
            let mut reader = Verified::new(text.as_bytes(), hasher, Digest::of(b"abc"), size);
            let mut all = Vec::new();
            let result = reader.read_to_end(&mut all);
            assert_eq!(all, text.as_bytes());
            assert_eq!(reader.read(&mut [0]).is_ok(), result.is_ok());
            result.map_err(|error| Error::of(&error).unwrap().to_string())
        };
        assert!(read("abc", b"", 3).is_ok());
        assert!(read("c", b"ab", 3).is_ok());
        assert!(read("abd", b"", 3).unwrap_err().contains("has the digest"));
        assert!(read("abcd", b"", 3).unwrap_err().contains("has 4 bytes, not 3"));
        assert!(read("ab", b"", 3).unwrap_err().contains("has 2 bytes, not 3"));
    }
}
