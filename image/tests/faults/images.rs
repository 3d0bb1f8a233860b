//! The images of a registry that misbehaves in other ways.

use std::collections::BTreeMap;
use std::io::Write;

use minidock_image::Digest;
use minidock_image::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

use super::server::{Reply, Request};

/// What a registry has.
#[derive(Clone, Default)]
pub(crate) struct Content {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest, with their types.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl Content {
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest.to_string(), bytes.to_vec());
        Descriptor::new(media_type, digest, bytes.len() as u64)
    }

    pub(crate) fn manifest(
        &mut self,
        media_type: &str,
        document: &impl serde::Serialize,
    ) -> Descriptor {
        let bytes = serde_json::to_vec(document).unwrap();
        let descriptor = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        let kept = (media_type.to_owned(), bytes);
        self.manifests.insert("c".to_owned(), kept.clone());
        self.manifests.insert(descriptor.digest.to_string(), kept);
        descriptor
    }

    /// An image with the tag `c`, of layers that are each one file; the descriptor of its manifest.
    pub(crate) fn image(&mut self, architecture: &str, layers: &[(Vec<u8>, Digest)]) -> Descriptor {
        let diff_ids: Vec<_> = layers.iter().map(|(_, diff_id)| diff_id).collect();
        let config = serde_json::json!({"os": "linux", "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.blob(OCI_CONFIG, config.to_string().as_bytes());
        let gzip = format!("{OCI_LAYER}+gzip");
        let layers = layers.iter().map(|(bytes, _)| self.blob(&gzip, bytes)).collect();
        self.manifest(OCI_MANIFEST, &Manifest::new(config, layers))
    }

    pub(crate) fn answer(&self, request: &Request) -> Option<Reply> {
        let (kind, name) = request.path.strip_prefix("/v2/a/b/")?.split_once('/')?;
        let head = |reply: Reply, bytes: &[u8]| match request.method.as_str() {
            "HEAD" => reply,
            _ => reply.then(bytes),
        };
        if kind == "manifests" {
            let (media_type, bytes) = self.manifests.get(name)?;
            let digest = Digest::of(bytes).to_string();
            let headers =
                [("Content-Type", media_type.as_str()), ("Docker-Content-Digest", &digest)];
            return Some(head(Reply::head(200, &headers, bytes.len()), bytes));
        }
        let bytes = self.blobs.get(name)?;
        let Some(from) = request.from() else { return Some(Reply::new(200, &[], bytes)) };
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        Some(Reply::new(206, &[("Content-Range", &range)], &bytes[from..]))
    }
}

/// An archive of one file, compressed, and its digest without that.
pub(crate) fn layer(name: &str, content: &[u8]) -> (Vec<u8>, Digest) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    let plain = builder.into_inner().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    (encoder.finish().unwrap(), Digest::of(&plain))
}

/// What no compression makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}
