//! What images, containers and volumes take on the disk: the blocks that their files and directories
//! have, as du(1) counts them. What has several names counts once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use minidock_fs::{Meta, NodeType};
use minidock_image::store::{Image, ImageSummary, Store};
use minidock_image::{Digest, Reference};

use crate::containers::entries;
use crate::size::{Visit, walk};
use crate::{Engine, Error, Info, MountKind, store};

/// Bytes on the disk.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DiskUsage {
    /// The images of the store, by name.
    pub images: Vec<ImageUsage>,
    /// Bytes of the store: all images, what several of them share once, and their names.
    pub image_bytes: u64,
    /// Likewise without the images that no container is made from.
    pub used_image_bytes: u64,
    /// The containers, the youngest first.
    pub containers: Vec<ContainerUsage>,
    /// Named volumes by their name, then the anonymous ones of containers.
    pub volumes: Vec<VolumeUsage>,
    /// What could not be looked at, and so is not counted.
    pub errors: Vec<Error>,
}

/// An image on the disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImageUsage {
    /// The digest of its configuration.
    pub id: Digest,
    /// Its name, without the tag.
    pub name: String,
    /// Its tag.
    pub tag: String,
    /// When it was made, if it says so (RFC 3339).
    pub created: Option<String>,
    /// Bytes of all of it.
    pub bytes: u64,
    /// Bytes of what other images have too.
    pub shared_bytes: u64,
    /// How many containers are made from it.
    pub containers: usize,
}

/// A container on the disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct ContainerUsage {
    /// The container.
    pub info: Info,
    /// Bytes of its layer, its log and its description, without its volumes.
    pub bytes: u64,
}

/// A volume on the disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct VolumeUsage {
    /// Its name; of an anonymous one its container's short id and its number there.
    pub name: String,
    /// Bytes of all of it.
    pub bytes: u64,
    /// How many containers have it.
    pub containers: usize,
}

/// A container's anonymous volumes, which end with it.
const VOLUMES: &str = "volumes";

pub(crate) fn usage(engine: &Engine) -> Result<DiskUsage, Error> {
    let (infos, errors) = engine.list(true)?;
    let mut usage = DiskUsage { errors, ..DiskUsage::default() };
    usage.images(engine, &infos)?;
    usage.named_volumes(engine, &infos)?;
    for info in infos {
        usage.container(info)?;
    }
    Ok(usage)
}

/// The bytes of a tree, and why that is not all.
pub(crate) fn allocated(path: &Path) -> (u64, Option<Error>) {
    let blocks = Blocks::of(path, None);
    (blocks.bytes(), blocks.missed(path))
}

impl DiskUsage {
    fn images(&mut self, engine: &Engine, infos: &[Info]) -> Result<(), Error> {
        let store = store::open(&engine.root);
        let _lock = store.reading()?;
        let mut all = Parts::default();
        for image in store.list()? {
            match store.resolve(&image.id.hex()) {
                Ok(found) => all.add(&store, &image, &found.image),
                Err(error) => self.errors.push(error.into()),
            }
        }
        let sizes: BTreeMap<_, _> =
            all.owners.keys().map(|path| (path.clone(), self.part(path))).collect();
        let sum = |paths: &mut dyn Iterator<Item = &PathBuf>| {
            paths
                .filter_map(|path| sizes.get(path))
                .fold(0, |sum: u64, size| sum.saturating_add(*size))
        };
        let mut used = BTreeSet::new();
        for (image, parts) in &all.images {
            let containers = infos.iter().filter(|info| info.image_id == Some(image.id)).count();
            if containers > 0 {
                used.extend(parts);
            }
            let is_shared =
                |path: &&PathBuf| all.owners.get(*path).is_some_and(|owners| *owners > 1);
            let (bytes, shared_bytes) =
                (sum(&mut parts.iter()), sum(&mut parts.iter().filter(is_shared)));
            let created = image.created.clone();
            let usage = |(name, tag)| ImageUsage {
                id: image.id,
                name,
                tag,
                created: created.clone(),
                bytes,
                shared_bytes,
                containers,
            };
            self.images.extend(names(image).into_iter().map(usage));
        }
        self.images.sort_by(|one, other| (&one.name, &one.tag).cmp(&(&other.name, &other.tag)));
        for tree in [store.images(), &store.layers()] {
            // They may lie elsewhere.
            if let Ok(tree) = tree.canonicalize() {
                let bytes = self.counted(&tree, None).bytes();
                self.image_bytes = self.image_bytes.saturating_add(bytes);
            }
        }
        // What is left when all images go that no container is made of.
        let unused = sum(&mut all.owners.keys().filter(|path| !used.contains(path)));
        self.used_image_bytes = self.image_bytes.saturating_sub(unused);
        Ok(())
    }

    /// A blob, or a layer with all of its files.
    fn part(&mut self, path: &Path) -> u64 {
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => self.counted(path, None).bytes(),
            Ok(meta) => meta.blocks().saturating_mul(512),
            Err(error) => {
                self.errors.push(Error::path("look at", path, &error));
                0
            }
        }
    }

    fn named_volumes(&mut self, engine: &Engine, infos: &[Info]) -> Result<(), Error> {
        let directory = engine.root.join("volumes");
        for name in entries(&directory)? {
            let kind = MountKind::Volume(Some(name.clone()));
            let has = |info: &&Info| info.described.mounts.iter().any(|mount| mount.kind == kind);
            let containers = infos.iter().filter(has).count();
            let bytes = self.counted(&directory.join(&name), None).bytes();
            self.volumes.push(VolumeUsage { name, bytes, containers });
        }
        Ok(())
    }

    fn container(&mut self, info: Info) -> Result<(), Error> {
        let volumes: PathBuf = info.directory.join(VOLUMES);
        for number in entries(&volumes)? {
            let bytes = self.counted(&volumes.join(&number), None).bytes();
            let name = format!("{}/{number}", info.id.short());
            self.volumes.push(VolumeUsage { name, bytes, containers: 1 });
        }
        let bytes = self.counted(&info.directory, Some(OsStr::new(VOLUMES))).bytes();
        self.containers.push(ContainerUsage { info, bytes });
        Ok(())
    }

    fn counted(&mut self, path: &Path, skipped: Option<&OsStr>) -> Blocks {
        let blocks = Blocks::of(path, skipped);
        self.errors.extend(blocks.missed(path));
        blocks
    }
}

/// What images are made of on the disk.
#[derive(Default)]
struct Parts {
    images: Vec<(ImageSummary, BTreeSet<PathBuf>)>,
    /// How many images have it.
    owners: BTreeMap<PathBuf, usize>,
}

impl Parts {
    fn add(&mut self, store: &Store, summary: &ImageSummary, image: &Image) {
        let blobs = image.manifest.parts().map(|part| part.digest).chain(summary.manifests.clone());
        let layers = image.config.rootfs.diff_ids.iter();
        let layers = layers.filter_map(|id| store.layer_path(id).parent().map(Path::to_path_buf));
        let parts: BTreeSet<_> =
            blobs.map(|digest| store.blob_path(&digest)).chain(layers).collect();
        for part in &parts {
            *self.owners.entry(part.clone()).or_default() += 1;
        }
        self.images.push((summary.clone(), parts));
    }
}

/// Repository and tag of each name of an image.
fn names(image: &ImageSummary) -> Vec<(String, String)> {
    let none = || "<none>".to_owned();
    let mut names: Vec<_> = image
        .references
        .iter()
        .map(|name| (name.familiar_name(), name.tag().map_or_else(none, str::to_owned)))
        .collect();
    if names.is_empty() {
        let repository = image.digests.first().map(Reference::familiar_name);
        names.push((repository.unwrap_or_else(none), none()));
    }
    names
}

/// The blocks of a tree.
#[derive(Debug, Default)]
struct Blocks {
    /// Bytes of what has one name.
    own: u64,
    /// Bytes of what has several, by device and inode.
    linked: HashMap<(u64, u64), u64>,
    /// What could not be looked at: how much, and why the first of it.
    missed: Option<(usize, io::Error)>,
}

impl Blocks {
    fn of(path: &Path, skipped: Option<&OsStr>) -> Self {
        let mut blocks = Self::default();
        // Only what `miss` says ends it.
        drop(walk(path, skipped, &mut blocks));
        blocks
    }

    fn bytes(&self) -> u64 {
        self.linked.values().fold(self.own, |sum, bytes| sum.saturating_add(*bytes))
    }

    fn missed(&self, path: &Path) -> Option<Error> {
        let (count, first) = self.missed.as_ref()?;
        let error = Error::path("look at all of", path, first);
        Some(error.hint(format!("{count} of its files and directories are not counted")))
    }
}

impl Visit for Blocks {
    fn see(&mut self, meta: &Meta) {
        let bytes = meta.allocated;
        match meta.kind == NodeType::Directory || meta.links < 2 {
            true => self.own = self.own.saturating_add(bytes),
            false => drop(self.linked.insert(meta.inode, bytes)),
        }
    }

    fn miss(&mut self, error: io::Error) -> io::Result<()> {
        match &mut self.missed {
            Some((count, _)) => *count += 1,
            missed => *missed = Some((1, error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    /// What du(1) says, which counts what it has counted already only once.
    fn du(paths: &[&Path]) -> u64 {
        let du = Command::new("du").args(["-s", "-c", "--block-size=1"]).args(paths).output();
        let text = String::from_utf8(du.unwrap().stdout).unwrap();
        text.lines().last().unwrap().split('\t').next().unwrap().parse().unwrap()
    }

    #[test]
    fn blocks_are_those_that_du_counts() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("tree/a/b")).unwrap();
        fs::write(at("tree/one"), [1; 100_000]).unwrap();
        fs::write(at("tree/a/b/two"), [1; 200]).unwrap();
        fs::hard_link(at("tree/one"), at("tree/a/again")).unwrap();
        fs::File::create(at("tree/sparse")).and_then(|file| file.set_len(1 << 30)).unwrap();
        symlink("../..", at("tree/link")).unwrap();
        let (bytes, missed) = allocated(&at("tree"));
        assert_eq!(bytes, du(&[&at("tree")]));
        assert!(bytes >= 100_000 && missed.is_none(), "{bytes} {missed:?}");
        let without = Blocks::of(&at("tree"), Some(OsStr::new("a"))).bytes();
        fs::remove_dir_all(at("tree/a")).unwrap();
        assert_eq!(without, du(&[&at("tree")]));
        assert_eq!(allocated(&at("missing")).0, 0);
        assert!(allocated(&at("tree/one")).1.is_some());
    }

    #[test]
    fn what_images_share_counts_once() {
        let top = tempfile::tempdir().unwrap();
        let engine = Engine::new(top.path().to_owned(), top.path().join("state"));
        let base = [("etc/passwd", &[b'x'; 50_000][..])];
        store::tests::image(top.path(), "alpine:3", &[&base]);
        store::tests::image(top.path(), "my/app", &[&base, &[("app", &[b'y'; 5000])]]);
        fs::create_dir_all(top.path().join("volumes/data/_data")).unwrap();
        let usage = usage(&engine).unwrap();
        assert!(usage.errors.is_empty(), "{:?}", usage.errors);
        let [first, second] = &usage.images[..] else { panic!("{usage:?}") };
        assert_eq!((first.name.as_str(), first.tag.as_str()), ("alpine", "3"));
        assert_eq!((second.name.as_str(), second.tag.as_str()), ("my/app", "latest"));
        assert_eq!(first.created.as_deref(), Some("2026-01-02T03:04:05Z"));
        // The layer and its archive.
        assert!(first.shared_bytes >= 100_000, "{first:?}");
        assert_eq!(first.shared_bytes, second.shared_bytes);
        assert!(second.bytes >= second.shared_bytes + 10_000, "{second:?}");
        let (images, layers) = (top.path().join("images"), top.path().join("layers"));
        assert_eq!(usage.image_bytes, du(&[&images, &layers]));
        // All that is not the images' own are their names.
        let all = first.bytes + second.bytes - first.shared_bytes;
        assert_eq!(usage.used_image_bytes, usage.image_bytes - all);
        let [data] = &usage.volumes[..] else { panic!("{usage:?}") };
        assert_eq!((data.name.as_str(), data.containers), ("data", 0));
        assert_eq!(data.bytes, du(&[&top.path().join("volumes/data")]));
    }
}
