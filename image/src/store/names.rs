//! `index.json`: which images there are, and what they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use super::{Store, StoreError, files};
use crate::manifest::{Descriptor, Index};
use crate::{Digest, Reference};

/// The tag alone, by the OCI image specification (`annotations.md`).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The whole name, as containerd and docker write it.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
/// Names with a digest by which the image was had from registries, with spaces between them.
const DIGESTS: &str = "io.minidock.image.digests";
/// More than ten thousand images have, in bytes.
const MAX_INDEX: u64 = 64 << 20;

/// All images, by the digests of their manifests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Names {
    pub(super) images: BTreeMap<Digest, Named>,
    annotations: BTreeMap<String, String>,
}

/// One manifest, and what it is called. One without any name is an image nevertheless: one whose
/// name another image has now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Without the names.
    pub(super) descriptor: Descriptor,
    pub(super) tags: BTreeSet<Reference>,
    pub(super) digests: BTreeSet<Reference>,
}

impl Named {
    /// All of its names.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.tags.iter().chain(&self.digests)
    }
}

impl Names {
    fn parse(contents: &[u8]) -> Result<Self, String> {
        let index: Index = serde_json::from_slice(contents).map_err(|error| error.to_string())?;
        let mut names = Self { images: BTreeMap::new(), annotations: index.annotations };
        for mut descriptor in index.manifests {
            let parse = |text: &str| text.parse::<Reference>().map_err(|error| error.to_string());
            let name = descriptor.annotations.remove(IMAGE_NAME);
            let name = name.as_deref().map(parse).transpose()?;
            let digests = descriptor.annotations.remove(DIGESTS).unwrap_or_default();
            let digests = digests.split_whitespace().map(parse).collect::<Result<Vec<_>, _>>()?;
            if name.is_some() {
                descriptor.annotations.remove(REF_NAME);
            }
            let named = names.images.entry(descriptor.digest).or_insert_with(|| Named {
                descriptor,
                tags: BTreeSet::new(),
                digests: BTreeSet::new(),
            });
            for reference in name.into_iter().chain(digests) {
                named.add(&reference);
            }
        }
        Ok(names)
    }

    /// An entry for each tag, and one for an image without.
    fn to_index(&self) -> Index {
        let mut index = Index::new(Vec::new());
        index.annotations.clone_from(&self.annotations);
        for named in self.images.values() {
            let digests = named.digests.iter().map(ToString::to_string).collect::<Vec<_>>();
            let mut plain = named.descriptor.clone();
            if !digests.is_empty() {
                plain.annotations.insert(DIGESTS.to_owned(), digests.join(" "));
            }
            let tagged = named.tags.iter().map(|tag| called(plain.clone(), tag));
            index.manifests.extend(tagged);
            if named.tags.is_empty() {
                index.manifests.push(plain);
            }
        }
        index
    }

    /// Gives an image a name; another one that had it has it no longer.
    pub(super) fn tag(&mut self, reference: &Reference, descriptor: &Descriptor) {
        self.untag(reference);
        self.add(descriptor).add(reference);
    }

    /// Adds an image, if need be without a name.
    pub(super) fn add(&mut self, descriptor: &Descriptor) -> &mut Named {
        self.images.entry(descriptor.digest).or_insert_with(|| Named {
            descriptor: without_names(descriptor),
            tags: BTreeSet::new(),
            digests: BTreeSet::new(),
        })
    }

    /// Takes a name away. The image stays.
    pub(super) fn untag(&mut self, reference: &Reference) -> bool {
        self.images.values_mut().fold(false, |found, named| {
            found | named.tags.remove(reference) | named.digests.remove(reference)
        })
    }

    /// The image of this name.
    pub(super) fn find(&self, reference: &Reference) -> Option<&Named> {
        let reference = canonical(reference);
        let mut images = self.images.values();
        images.find(|named| named.tags.contains(&reference) || named.digests.contains(&reference))
    }
}

impl Named {
    fn add(&mut self, reference: &Reference) {
        let reference = canonical(reference);
        match reference.digest() {
            Some(_) => self.digests.insert(reference),
            None => self.tags.insert(reference),
        };
    }
}

/// A digest says all, so a tag beside it does not count.
pub(super) fn canonical(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(*digest),
        None => reference.clone(),
    }
}

fn without_names(descriptor: &Descriptor) -> Descriptor {
    let mut plain = descriptor.clone();
    for annotation in [REF_NAME, IMAGE_NAME, DIGESTS] {
        plain.annotations.remove(annotation);
    }
    plain
}

/// The descriptor with the annotations that give it a name.
pub(crate) fn called(mut descriptor: Descriptor, name: &Reference) -> Descriptor {
    descriptor.annotations.insert(IMAGE_NAME.to_owned(), name.to_string());
    if let Some(tag) = name.tag() {
        descriptor.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
    }
    descriptor
}

impl Store {
    /// Gives an image these names, each of which another image may have had, which stays without.
    /// A name with a digest is noted as where the image comes from. Without any, the image is noted
    /// alone.
    ///
    /// # Errors
    /// The image is not whole: its manifest, its configuration or a layer is missing or not
    /// accepted. The list of images cannot be read or written.
    pub fn tag(&self, names: &[Reference], descriptor: &Descriptor) -> Result<(), StoreError> {
        let _lock = self.adding()?;
        self.check_whole(descriptor)?;
        self.change_names(|all| {
            all.add(descriptor);
            for name in names {
                all.tag(&canonical(name), descriptor);
            }
            Ok(())
        })
    }

    /// Takes a name away and says whether there was one. The image stays, if need be without any.
    ///
    /// # Errors
    /// The list of images cannot be read or written.
    pub fn untag(&self, name: &Reference) -> Result<bool, StoreError> {
        let _lock = self.adding()?;
        self.change_names(|all| Ok(all.untag(&canonical(name))))
    }

    pub(super) fn names(&self) -> Result<Names, StoreError> {
        let path = self.images.join("index.json");
        let Some(contents) = files::read_bounded(&path, MAX_INDEX)? else {
            return Ok(Names::default());
        };
        Names::parse(&contents).map_err(|reason| StoreError::Index { path, reason })
    }

    /// Writes the list anew, when it is another one.
    pub(super) fn change_names<T>(
        &self,
        change: impl FnOnce(&mut Names) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _lock = self.lock_index()?;
        let before = self.names()?;
        let mut after = before.clone();
        let told = change(&mut after)?;
        if after != before {
            let path = self.images.join("index.json");
            let contents = serde_json::to_vec(&after.to_index()).map_err(|error| {
                StoreError::Index { path: path.clone(), reason: error.to_string() }
            })?;
            files::replace(&path, &contents)?;
        }
        Ok(told)
    }

    pub(super) fn lock_index(&self) -> Result<File, StoreError> {
        let path = self.images.join("index.lock");
        let file = files::open_lock(&path)?;
        file.lock().map_err(StoreError::io("lock", &path))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::OCI_MANIFEST;

    fn descriptor(seed: &str) -> Descriptor {
        let mut made = Descriptor::new(OCI_MANIFEST, Digest::of(seed.as_bytes()), 1);
        made.annotations.insert("org.example.kept".to_owned(), "yes".to_owned());
        made
    }

    fn again(names: &Names) -> Names {
        Names::parse(&serde_json::to_vec(&names.to_index()).unwrap()).unwrap()
    }

    #[test]
    fn an_index_says_all_that_is_known() {
        let mut names = Names::default();
        names.add(&descriptor("alone"));
        for name in ["a:1", "a:2", "host:5000/b/c:x"] {
            names.tag(&name.parse().unwrap(), &descriptor("many"));
        }
        let digest = format!("a:1@{}", Digest::of(b"index"));
        names.tag(&digest.parse().unwrap(), &descriptor("many"));
        names.tag(&digest.replace("a:1", "b").parse().unwrap(), &descriptor("digest"));
        assert_eq!(again(&names), names);
        let found = names.find(&digest.parse().unwrap()).unwrap();
        assert_eq!((found.tags.len(), found.digests.len()), (3, 1));
        assert_eq!(names.to_index().manifests.len(), 5);
        let annotations = &names
            .to_index()
            .manifests
            .iter()
            .find(|found| {
                found.annotations.get(IMAGE_NAME).is_some_and(|name| name == "host:5000/b/c:x")
            })
            .unwrap()
            .annotations
            .clone();
        assert_eq!(annotations.get(REF_NAME).unwrap(), "x");
        assert_eq!(annotations.get("org.example.kept").unwrap(), "yes");
    }

    #[test]
    fn a_name_has_one_image() {
        let mut names = Names::default();
        let name = "a".parse().unwrap();
        names.tag(&name, &descriptor("old"));
        names.tag(&name, &descriptor("new"));
        assert_eq!(names.find(&name).unwrap().descriptor.digest, descriptor("new").digest);
        assert_eq!(names.images.len(), 2);
        assert!(names.untag(&name));
        assert!(!names.untag(&name));
        assert_eq!(names.images.len(), 2);
    }

    #[test]
    fn an_entry_of_another_program_is_kept() {
        let mut other = descriptor("other");
        other.annotations.insert(REF_NAME.to_owned(), "latest".to_owned());
        let index = Index::new(vec![other.clone()]);
        let names = Names::parse(&serde_json::to_vec(&index).unwrap()).unwrap();
        assert_eq!(again(&names), names);
        assert_eq!(names.to_index().manifests, [other]);
        let bad = br#"{"schemaVersion":2,"manifests":[{"digest":"sha256:x","size":1}]}"#;
        assert!(Names::parse(bad).is_err());
    }
}
