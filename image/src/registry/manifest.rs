use serde::Deserialize;
use serde::de::IgnoredAny;
use ureq::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_NONE_MATCH, LINK};
use ureq::http::{Method, Uri};

use super::client::{Ask, Endpoint, Inner, Target, read_body};
use super::http::{Answered, Call, Sent, header, resolve, same_origin};
use super::{Client, Error, ErrorKind};
use crate::{Digest, Reference};

/// The types of manifests.
pub mod media_type {
    /// An image for several platforms (OCI).
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image (OCI).
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image for several platforms (docker).
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// An image (docker).
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
}

/// What is asked for, in this order.
const ACCEPTED: [&str; 4] = [
    media_type::OCI_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_LIST,
    media_type::DOCKER_MANIFEST,
];
const SCHEMA_ONE: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Of a manifest: the limit that the specification wants registries to have.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// Of one answer of tags.
const MAX_TAGS_BODY: u64 = 4 * 1024 * 1024;
/// A repository may have many tags, but somebody has to read them.
const MAX_TAGS: usize = 100_000;
const MAX_PAGES: usize = 1000;

/// A manifest whose digest was checked. Nothing else in it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// As they came, which is what the digest is of.
    pub bytes: Vec<u8>,
    /// One of [`media_type`].
    pub media_type: String,
    /// That of the bytes.
    pub digest: Digest,
}

/// What a registry says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its digest, as the registry says.
    pub digest: Digest,
    /// One of [`media_type`].
    pub media_type: String,
    /// In bytes.
    pub size: u64,
}

impl Client {
    /// The manifest of the reference: of its digest, if it has one, else of its tag. Mirrors are
    /// asked before the registry.
    ///
    /// # Errors
    /// There is none, or none that one may see; it is larger than 4 MiB, of a kind that is not
    /// supported, or not the one with this digest; the registry cannot be reached, or misbehaves.
    pub fn manifest(&self, reference: &Reference) -> Result<Manifest, Error> {
        let got = self.0.at_sources(reference, |from| self.0.manifest(from, reference, None))?;
        got.ok_or_else(|| {
            let kind = ErrorKind::Protocol("nothing, without having been asked".to_owned());
            Error::at(GET, &reference.name(), kind)
        })
    }

    /// The manifest, unless it is still the one with this digest: nothing then.
    ///
    /// # Errors
    /// As for [`Self::manifest`].
    pub fn manifest_unless(
        &self,
        reference: &Reference,
        known: &Digest,
    ) -> Result<Option<Manifest>, Error> {
        let got =
            self.0.at_sources(reference, |from| self.0.manifest(from, reference, Some(known)))?;
        // Registries need not know of conditions.
        Ok(got.filter(|manifest| manifest.digest != *known))
    }

    /// What the registry, or a mirror, says of the manifest; nothing when there is none.
    ///
    /// # Errors
    /// As for [`Self::manifest`].
    pub fn head(&self, reference: &Reference) -> Result<Option<Descriptor>, Error> {
        match self.0.at_sources(reference, |from| self.0.head(from, reference)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => Ok(None),
            result => result.map(Some),
        }
    }

    /// All tags of the repository, in the registry's order.
    ///
    /// # Errors
    /// The repository does not exist, or one may not see it; there are more than 100,000; one is
    /// no tag; the registry cannot be reached, or misbehaves.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        let registry = Inner::registry(reference);
        let mut tags = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = || self.0.tags(&registry, reference, next.as_ref());
            let (more, link) = self.0.patiently(page)?;
            tags.extend(more);
            if tags.len() > MAX_TAGS {
                break;
            }
            match link {
                Some(link) => next = Some(link),
                None => return Ok(tags),
            }
        }
        let kind = ErrorKind::Protocol("it has too many tags".to_owned());
        Err(Error::at(TAGS, &reference.name(), kind))
    }
}

const GET: &str = "get the manifest";
const TAGS: &str = "list the tags of";

#[derive(Deserialize)]
struct TagList {
    /// Says that it is a list: with `tags` alone optional, everything would be one.
    #[serde(rename = "name")]
    _name: IgnoredAny,
    /// Some registries say null when there is none.
    tags: Option<Vec<String>>,
}

impl Inner {
    fn ask_for<'a>(&self, from: &Endpoint, reference: &Reference, path: &str) -> Ask<'a> {
        Ask {
            operation: GET,
            method: Method::GET,
            target: Target::Path(format!("{}/{path}", from.repository(reference))),
            headers: vec![(ACCEPT, ACCEPTED.join(", "))],
            scopes: vec![from.scope(reference, "pull")],
            within: self.options.idle,
        }
    }

    fn manifest(
        &self,
        from: &Endpoint,
        reference: &Reference,
        known: Option<&Digest>,
    ) -> Result<Option<Manifest>, Error> {
        let mut ask = self.ask_for(from, reference, &manifest_path(reference));
        ask.headers.extend(known.map(|known| (IF_NONE_MATCH, format!("\"{known}\""))));
        let good: &[u16] = if known.is_some() { &[200, 304] } else { &[200] };
        let (call, answer) = self.ask(from, &ask, Sent::Nothing, good)?;
        if answer.status() == 304 {
            return Ok(None);
        }
        let said = said_digest(&call, &answer)?;
        let media_type = header(&answer, &CONTENT_TYPE).unwrap_or_default().to_owned();
        let bytes = read_body(&call, answer, MAX_MANIFEST)?;
        let found = Digest::of(&bytes);
        // Which digest is wrong matters less than that one is: the one that was asked for is told.
        for expected in reference.digest().copied().into_iter().chain(said) {
            if expected != found {
                return Err(call.error(ErrorKind::WrongDigest { expected, found }));
            }
        }
        let media_type = kind_of(&media_type, &bytes).map_err(|kind| call.error(kind))?;
        Ok(Some(Manifest { bytes, media_type, digest: found }))
    }

    fn head(&self, from: &Endpoint, reference: &Reference) -> Result<Descriptor, Error> {
        let mut ask = self.ask_for(from, reference, &manifest_path(reference));
        ask.operation = "look for the manifest";
        ask.method = Method::HEAD;
        let (call, answer) = self.ask(from, &ask, Sent::Nothing, &[200])?;
        let said = said_digest(&call, &answer)?;
        let media_type = bare(header(&answer, &CONTENT_TYPE).unwrap_or_default());
        let size = header(&answer, &CONTENT_LENGTH).and_then(|size| size.parse().ok());
        // Some say less than they should to HEAD.
        let (Some(digest), Some(size), true) = (said, size, is_accepted(&media_type)) else {
            let got = self.manifest(from, reference, None)?;
            let got = got.ok_or_else(|| call.protocol("nothing, without having been asked"))?;
            let size = got.bytes.len() as u64;
            return Ok(Descriptor { digest: got.digest, media_type: got.media_type, size });
        };
        match reference.digest() {
            Some(expected) if *expected != digest => {
                let kind = ErrorKind::WrongDigest { expected: *expected, found: digest };
                Err(call.error(kind))
            }
            _ => Ok(Descriptor { digest, media_type, size }),
        }
    }

    fn tags(
        &self,
        from: &Endpoint,
        reference: &Reference,
        next: Option<&Uri>,
    ) -> Result<(Vec<String>, Option<Uri>), Error> {
        let mut ask = self.ask_for(from, reference, "tags/list?n=1000");
        ask.operation = TAGS;
        ask.headers = vec![(ACCEPT, "application/json".to_owned())];
        if let Some(next) = next {
            ask.target = Target::Url(next);
        }
        let (call, answer) = self.ask(from, &ask, Sent::Nothing, &[200])?;
        let link = header(&answer, &LINK).and_then(next_of).map(str::to_owned);
        let text = read_body(&call, answer, MAX_TAGS_BODY)?;
        let list: TagList =
            serde_json::from_slice(&text).map_err(|_| call.protocol("not a list of tags"))?;
        let tags = list.tags.unwrap_or_default();
        if tags.iter().any(|tag| reference.with_tag(tag).is_err()) {
            return Err(call.protocol("something in the list is no tag"));
        }
        let link = match link {
            None => None,
            Some(link) => {
                let link = resolve(&call.url, &link).map_err(|why| call.protocol(why))?;
                if !same_origin(&link, &call.url) {
                    return Err(call.protocol("the rest of the list is somewhere else"));
                }
                Some(link)
            }
        };
        Ok((tags, link))
    }
}

fn manifest_path(reference: &Reference) -> String {
    let digest = reference.digest().map(Digest::to_string);
    let name = digest.as_deref().or(reference.tag()).unwrap_or("latest");
    format!("manifests/{name}")
}

/// What the registry says that the digest is.
pub(super) fn said_digest(call: &Call, answer: &Answered) -> Result<Option<Digest>, Error> {
    let said = header(answer, &CONTENT_DIGEST).map(str::parse);
    said.transpose().map_err(|_| call.protocol("the header Docker-Content-Digest is no digest"))
}

/// Without parameters, such as `; charset=utf-8`.
fn bare(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_accepted(media_type: &str) -> bool {
    ACCEPTED.contains(&media_type)
}

/// What says of which kind a manifest is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

/// The type of a manifest: that of the answer, which the content must not contradict. A content
/// that could be read as both kinds is refused: two readers of one digest would have two images.
fn kind_of(header: &str, bytes: &[u8]) -> Result<String, ErrorKind> {
    let header = bare(header);
    if SCHEMA_ONE.contains(&header.as_str()) {
        return Err(ErrorKind::SchemaOne);
    }
    let protocol = |text: &str| ErrorKind::Protocol(text.to_owned());
    let probe: Probe =
        serde_json::from_slice(bytes).map_err(|_| protocol("the answer is no manifest"))?;
    if probe.schema_version == 1 {
        return Err(ErrorKind::SchemaOne);
    }
    let inner = probe.media_type.as_deref().map(bare);
    let kind = match inner {
        Some(inner) if is_accepted(&header) && inner != header => {
            return Err(protocol("the manifest is of another type than the answer says"));
        }
        _ if is_accepted(&header) => header,
        // Some send application/json or text/plain.
        Some(inner) if is_accepted(&inner) => inner,
        inner => {
            let named = inner.unwrap_or(header);
            return Err(ErrorKind::Unsupported(super::error::clean(&named, 100)));
        }
    };
    let is_index = [media_type::OCI_INDEX, media_type::DOCKER_LIST].contains(&kind.as_str());
    let is_one = probe.config.is_some() || probe.layers.is_some();
    match probe.manifests.is_some() == is_index && is_one != is_index {
        true => Ok(kind),
        false => Err(protocol("the content is not of its type of manifest")),
    }
}

/// The target of `<target>; rel="next"` (RFC 8288); registries send one link.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters.split([';', ',']).map(str::trim);
    parameters.any(|one| one == "rel=\"next\"" || one == "rel=next").then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_of_one_kind() {
        let image = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let named = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}"#;
        let both = r#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#;
        let kind = |header: &str, text: &str| kind_of(header, text.as_bytes());
        let typed = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
        assert_eq!(kind(typed, image).unwrap(), media_type::OCI_MANIFEST);
        assert_eq!(kind(media_type::OCI_INDEX, index).unwrap(), media_type::OCI_INDEX);
        assert_eq!(kind("text/plain", named).unwrap(), media_type::DOCKER_MANIFEST);
        let one = r#"{"schemaVersion":1,"fsLayers":[]}"#;
        assert!(matches!(kind("application/json", one), Err(ErrorKind::SchemaOne)));
        assert!(matches!(kind(SCHEMA_ONE[1], one), Err(ErrorKind::SchemaOne)));
        assert!(matches!(kind("text/html", image), Err(ErrorKind::Unsupported(_))));
        for (header, text) in [
            (media_type::OCI_MANIFEST, named),
            (media_type::OCI_MANIFEST, index),
            (media_type::OCI_INDEX, image),
            (media_type::OCI_INDEX, both),
            (media_type::OCI_MANIFEST, both),
            (media_type::OCI_MANIFEST, "<html>"),
        ] {
            assert!(matches!(kind(header, text), Err(ErrorKind::Protocol(_))), "{header} {text}");
        }
    }

    #[test]
    fn a_list_goes_on_at_its_link() {
        assert_eq!(
            next_of(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#),
            Some("/v2/a/tags/list?last=b&n=2")
        );
        assert_eq!(next_of("</v2/a>; rel=prev"), None);
        assert_eq!(next_of("nonsense"), None);
    }
}
