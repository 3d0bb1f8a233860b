//! The media types of images: OCI's, and those of docker's schema 2 that mean the same.

/// How a layer's archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// A plain tar archive: its digest is the layer's diff id.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What the media type of a layer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerType {
    /// How it is compressed.
    pub compression: Compression,
    /// It may be kept by others than the registry, and is not to be pushed to another one
    /// ("nondistributable", or docker's "foreign").
    pub foreign: bool,
}

/// The kinds of documents that a registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Manifest,
}

/// The media type of an OCI image's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI index: the manifests of an image for several platforms.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an OCI image's configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer that is not compressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Docker's name of a manifest (schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's name of an index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's name of a configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What begins the media types of manifests that are no longer read.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

impl LayerType {
    /// What this media type says; nothing when it is not that of a layer.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        // The longer names first: each of these is followed by how it is compressed.
        let names = [(FOREIGN, true), (OCI_LAYER, false), (DOCKER_FOREIGN, true)];
        let mut names = names.into_iter().chain([(DOCKER_LAYER, false)]);
        names.find_map(|(name, foreign)| {
            let compression = match media_type.strip_prefix(name)? {
                "" => Compression::None,
                "+gzip" | ".gzip" => Compression::Gzip,
                "+zstd" | ".zstd" => Compression::Zstd,
                _ => return None,
            };
            Some(Self { compression, foreign })
        })
    }

    /// OCI's media type of such a layer.
    #[must_use]
    pub fn media_type(self) -> String {
        let name = if self.foreign { FOREIGN } else { OCI_LAYER };
        let suffix = match self.compression {
            Compression::None => "",
            Compression::Gzip => "+gzip",
            Compression::Zstd => "+zstd",
        };
        format!("{name}{suffix}")
    }
}

impl Compression {
    /// What a content is compressed with, by its first bytes (six are enough).
    #[must_use]
    pub fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Whether it is the configuration of an image, and not of another thing that registries keep.
#[must_use]
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

pub(crate) fn kind(media_type: &str) -> Option<Kind> {
    match media_type {
        OCI_INDEX | DOCKER_INDEX => Some(Kind::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => Some(Kind::Manifest),
        _ => None,
    }
}

pub(crate) fn is_schema_1(media_type: &str) -> bool {
    media_type.starts_with(SCHEMA_1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_their_media_types() {
        use Compression::{Gzip, None as Plain, Zstd};
        for (media_type, compression, foreign) in [
            ("application/vnd.oci.image.layer.v1.tar", Plain, false),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Gzip, false),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Zstd, false),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", Plain, true),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Gzip, true),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Zstd, true),
            ("application/vnd.docker.image.rootfs.diff.tar", Plain, false),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Gzip, false),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Zstd, false),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Gzip, true),
        ] {
            let found = LayerType::of(media_type).unwrap();
            assert_eq!((found.compression, found.foreign), (compression, foreign), "{media_type}");
            assert_eq!(LayerType::of(&found.media_type()), Some(found));
        }
        for other in ["", OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+bzip2"] {
            assert_eq!(LayerType::of(other), None, "{other}");
        }
    }
}
