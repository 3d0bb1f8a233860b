//! Manifests and indexes, as registries and archives have them.

use std::collections::BTreeMap;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Digest;
use crate::json::or_default;

mod media;
mod platform;

pub(crate) use media::Kind;
pub use media::{
    Compression, DOCKER_CONFIG, DOCKER_INDEX, DOCKER_MANIFEST, LayerType, OCI_CONFIG, OCI_INDEX,
    OCI_LAYER, OCI_MANIFEST, is_config,
};
pub use platform::{InvalidPlatform, NoMatch, Platform};

/// How large a manifest or an index may be, in bytes. Registries take no larger ones.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// How many layers an image may have. The kernel mounts no more than 500.
pub const MAX_LAYERS: usize = 1000;
/// How many manifests an index may have.
pub const MAX_MANIFESTS: usize = 1000;
/// A size at which not every reader of JSON has the same number any more.
const TOO_LARGE: u64 = 1 << 53;

/// Names a content, and says what it is (OCI image specification, `descriptor.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else it may be had.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What else is said about it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What the image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What the thing is that a manifest describes, when that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// The parts of an image for one platform (OCI image specification, `manifest.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    /// What it says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the thing is that it describes, when that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration; its digest is the image's id.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What else is said about the image.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The manifests of an image for several platforms (OCI image specification, `image-index.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u32,
    /// What it says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests, or indexes of manifests.
    pub manifests: Vec<Descriptor>,
    /// What else is said about them.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the name of an image leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Manifests for several platforms.
    Index(Index),
    /// The parts of one image.
    Manifest(Box<Manifest>),
}

/// A document that is not a manifest, or one that is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It has more bytes than [`MAX_DOCUMENT`].
    #[error("the manifest has {0} bytes; no more than {MAX_DOCUMENT} are read")]
    TooLarge(u64),
    /// It is no JSON, or a field of it is not what it has to be.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It has the format of before 2016.
    #[error(
        "the image has a manifest of schema version 1, which is not supported: \
         it has to be pushed again by a newer program"
    )]
    Schema1,
    /// Its version is another one.
    #[error("the manifest has schema version {0}, which is not known")]
    Version(u64),
    /// It says that it is something else.
    #[error("{0:?} is the media type of no manifest or index")]
    MediaType(String),
    /// It says another thing about itself than whoever has sent it.
    #[error("the manifest says that it is {declared:?}, but it was sent as {given:?}")]
    Disagreement {
        /// What it says.
        declared: String,
        /// What its sender, or whoever refers to it, says.
        given: String,
    },
    /// It could be read as a manifest and as an index, with different contents.
    #[error("the manifest is ambiguous: it has the fields of a manifest and those of an index")]
    Ambiguous,
    /// It has too many entries.
    #[error("the manifest has {count} {what}; no more than {limit} are accepted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many are accepted.
        limit: usize,
    },
}

/// Which fields there are. A manifest that has those of an index too means different images to
/// different readers (CVE-2021-41190).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index. `media_type` is what its sender says that it is, or whoever
    /// refers to it; parameters behind a semicolon do not count.
    ///
    /// # Errors
    /// It is neither, could be both, or is larger than what is accepted.
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(ManifestError::TooLarge(bytes.len() as u64));
        }
        let outline: Outline = serde_json::from_slice(bytes)?;
        match outline.kind(media_type)? {
            Kind::Index => {
                let index: Index = serde_json::from_slice(bytes)?;
                at_most("manifests", index.manifests.len(), MAX_MANIFESTS)?;
                Ok(Self::Index(index))
            }
            Kind::Manifest => {
                let manifest: Manifest = serde_json::from_slice(bytes)?;
                at_most("layers", manifest.layers.len(), MAX_LAYERS)?;
                Ok(Self::Manifest(Box::new(manifest)))
            }
        }
    }

    /// The media type: what it says, or otherwise OCI's.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Index(index) => index.media_type.as_deref().unwrap_or(OCI_INDEX),
            Self::Manifest(manifest) => manifest.media_type.as_deref().unwrap_or(OCI_MANIFEST),
        }
    }
}

impl Outline {
    fn kind(&self, given: Option<&str>) -> Result<Kind, ManifestError> {
        let given = given.map(|given| given.split(';').next().unwrap_or(given).trim());
        let given = given.filter(|given| !given.is_empty());
        let declared = self.media_type.as_deref().filter(|declared| !declared.is_empty());
        let is_old = [given, declared].into_iter().flatten().any(media::is_schema_1);
        match self.schema_version {
            _ if is_old => return Err(ManifestError::Schema1),
            Some(1) => return Err(ManifestError::Schema1),
            Some(2) => {}
            version => return Err(ManifestError::Version(version.unwrap_or(0))),
        }
        if let (Some(declared), Some(given)) = (declared, given)
            && declared != given
        {
            let [declared, given] = [declared, given].map(|text| text.chars().take(200).collect());
            return Err(ManifestError::Disagreement { declared, given });
        }
        let is_index = self.manifests.is_some();
        let is_manifest = self.config.is_some() || self.layers.is_some();
        if self.fs_layers.is_some() || is_index && is_manifest {
            return Err(ManifestError::Ambiguous);
        }
        let kind = match declared.or(given) {
            Some(name) => media::kind(name)
                .ok_or_else(|| ManifestError::MediaType(name.chars().take(200).collect()))?,
            None if is_index => Kind::Index,
            None => Kind::Manifest,
        };
        let is_other = match kind {
            Kind::Index => is_manifest,
            Kind::Manifest => is_index,
        };
        if is_other { Err(ManifestError::Ambiguous) } else { Ok(kind) }
    }
}

impl Descriptor {
    /// A descriptor that says nothing else.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

impl Manifest {
    /// An OCI manifest of these parts.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            annotations: BTreeMap::new(),
        }
    }

    /// All that it refers to: the configuration and the layers.
    pub fn parts(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

impl Index {
    /// An OCI index of these manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
        }
    }
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), ManifestError> {
    match count > limit {
        true => Err(ManifestError::TooMany { what, count, limit }),
        false => Ok(()),
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        size if size < TOO_LARGE => Ok(size),
        size => Err(D::Error::custom(format_args!("a size of {size} bytes is too large"))),
    }
}

#[cfg(test)]
mod tests;
