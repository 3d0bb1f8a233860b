use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::header::{CONTENT_TYPE, LOCATION};
use ureq::http::{Method, Uri};

use super::client::{Ask, Endpoint, Inner, Progress, Target};
use super::http::{Call, Sent, header, resolve, with_query};
use super::manifest::said_digest;
use super::{Client, Error, ErrorKind};
use crate::{Digest, Reference};

const PUSH: &str = "push the blob to";

impl Client {
    /// Sends a blob to the repository, whether it has it or not. `open` gives the blob from its
    /// beginning; it is called again for each try. The registry checks the digest, and so is it
    /// checked that `open` gives `size` bytes.
    ///
    /// The whole blob is sent as the body of one request, which every registry takes; an upload
    /// that breaks begins anew.
    ///
    /// # Errors
    /// One may not push there; `open` or its reader failed; the registry cannot be reached, or
    /// misbehaves.
    pub fn push_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        open: &dyn Fn() -> io::Result<Box<dyn Read>>,
    ) -> Result<(), Error> {
        let registry = Inner::registry(reference);
        // A token may run out between the two requests of an upload.
        let mut refused = false;
        self.0.patiently(|| {
            loop {
                let location = self.0.begin_upload(&registry, reference, &[])?;
                let Begun::At(location) = location else { return Ok(()) };
                match self.0.upload(&registry, reference, (digest, size), &location, open) {
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Unauthorized(_)) && !refused =>
                    {
                        refused = true;
                    }
                    result => return result,
                }
            }
        })
    }

    /// Makes a blob of another repository of the same registry one of this repository too. If it is
    /// false the registry does not do so, and the blob has to be pushed.
    ///
    /// # Errors
    /// One may not push there; the registry cannot be reached, or misbehaves.
    pub fn mount_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        from: &Reference,
    ) -> Result<bool, Error> {
        if from.registry() != reference.registry() {
            return Ok(false);
        }
        let registry = Inner::registry(reference);
        let digest = digest.to_string();
        let query = [("mount", digest.as_str()), ("from", from.repository())];
        let begun = self.0.patiently(|| self.0.begin_upload(&registry, reference, &query))?;
        // The upload that the registry has begun instead is left alone: it forgets it by itself.
        Ok(matches!(begun, Begun::Mounted))
    }

    /// Sends a manifest, under the reference's tag if it has one, else under its digest. All that it
    /// names has to be there.
    ///
    /// # Errors
    /// It does not have the reference's digest; one may not push there; the registry does not want
    /// it, cannot be reached, or misbehaves.
    pub fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let operation = "push the manifest to";
        let found = Digest::of(bytes);
        let wrong = |expected| ErrorKind::WrongDigest { expected, found };
        if let Some(expected) = reference.digest().filter(|expected| **expected != found) {
            return Err(Error::at(operation, &reference.to_string(), wrong(*expected)));
        }
        let registry = Inner::registry(reference);
        let name = reference.tag().map_or_else(|| found.to_string(), str::to_owned);
        let ask = Ask {
            operation,
            method: Method::PUT,
            target: Target::Path(format!("{}/manifests/{name}", registry.repository(reference))),
            headers: vec![(CONTENT_TYPE, media_type.to_owned())],
            scopes: vec![registry.scope(reference, "pull,push")],
            within: self.0.options.commit,
        };
        let push = || self.0.ask(&registry, &ask, Sent::Bytes(bytes), &[200, 201]);
        let (call, answer) = self.0.patiently(push)?;
        match said_digest(&call, &answer)? {
            Some(said) if said != found => {
                Err(call.error(ErrorKind::WrongDigest { expected: found, found: said }))
            }
            _ => Ok(found),
        }
    }
}

/// What the registry has done when asked to begin an upload.
enum Begun {
    /// It has the blob, and wants nothing.
    Mounted,
    /// It is to be sent there.
    At(Uri),
}

impl Inner {
    fn begin_upload(
        &self,
        registry: &Endpoint,
        reference: &Reference,
        mount: &[(&str, &str)],
    ) -> Result<Begun, Error> {
        let mut scopes = vec![registry.scope(reference, "pull,push")];
        let mut query = String::new();
        for (name, value) in mount {
            let separator = if query.is_empty() { '?' } else { '&' };
            query = format!("{query}{separator}{name}={}", super::http::encoded(value));
            if *name == "from" {
                scopes.push(format!("repository:{value}:pull"));
            }
        }
        let repository = registry.repository(reference);
        let ask = Ask {
            operation: PUSH,
            method: Method::POST,
            target: Target::Path(format!("{repository}/blobs/uploads/{query}")),
            headers: Vec::new(),
            scopes,
            within: self.options.idle,
        };
        let good: &[u16] = if mount.is_empty() { &[202] } else { &[201, 202] };
        let (call, answer) = self.ask(registry, &ask, Sent::Bytes(&[]), good)?;
        if answer.status() == 201 {
            return Ok(Begun::Mounted);
        }
        let location = header(&answer, &LOCATION).unwrap_or_default();
        resolve(&call.url, location).map(Begun::At).map_err(|why| call.protocol(why))
    }

    fn upload(
        &self,
        registry: &Endpoint,
        reference: &Reference,
        (digest, size): (&Digest, u64),
        location: &Uri,
        open: &dyn Fn() -> io::Result<Box<dyn Read>>,
    ) -> Result<(), Error> {
        let failed = |kind| Error::new(PUSH, location, kind);
        let target = with_query(location, &[("digest", &digest.to_string())])
            .map_err(|why| failed(ErrorKind::Protocol(why.to_owned())))?;
        let ask = Ask {
            operation: PUSH,
            method: Method::PUT,
            target: Target::Url(&target),
            headers: vec![(CONTENT_TYPE, "application/octet-stream".to_owned())],
            scopes: vec![registry.scope(reference, "pull,push")],
            within: self.options.commit,
        };
        let reader = open().map_err(|error| failed(ErrorKind::Source(error)))?;
        let progress = self.options.progress.clone();
        let mut source = Source { reader, progress, digest, size, done: 0, failure: None };
        let result = self.ask(registry, &ask, Sent::Stream(&mut source, size), &[201]);
        // The own failure is the cause of whatever the connection says.
        if let Some(failure) = source.failure {
            return Err(failed(ErrorKind::Source(failure)));
        }
        let (call, answer) = result?;
        check(&call, said_digest(&call, &answer)?, digest)
    }
}

fn check(call: &Call, said: Option<Digest>, digest: &Digest) -> Result<(), Error> {
    match said {
        Some(said) if said != *digest => {
            Err(call.error(ErrorKind::WrongDigest { expected: *digest, found: said }))
        }
        _ => Ok(()),
    }
}

/// What is sent, counted.
struct Source<'a> {
    reader: Box<dyn Read>,
    progress: Option<Arc<dyn Progress>>,
    digest: &'a Digest,
    size: u64,
    done: u64,
    failure: Option<io::Error>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size - self.done;
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = match self.reader.read(&mut buffer[..most]) {
            Ok(0) => {
                Err(io::Error::other(format!("it has {} bytes, not {}", self.done, self.size)))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            result => result,
        };
        match count {
            Ok(count) => {
                self.done += count as u64;
                if let Some(progress) = &self.progress {
                    progress.bytes(self.digest, self.done, self.size);
                }
                Ok(count)
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), "the source failed");
                self.failure = Some(error);
                Err(told)
            }
        }
    }
}
