//! What images, containers and volumes take on the disk: the blocks that their files and directories
//! have, as du(1) counts them. What has several names counts once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use minidock_fs::{Meta, NodeType};

use crate::containers::entries;
use crate::size::{Visit, walk};
use crate::{Engine, Error, ImageName, Info, MountKind, RootSource, store};

/// Bytes on the disk.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DiskUsage {
    /// The images of the store, by name.
    pub images: Vec<ImageUsage>,
    /// Bytes of all images; what several of them share counts once.
    pub image_bytes: u64,
    /// Likewise of those that containers are made from.
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
        let images = store::all(&engine.root)?;
        let mut trees: BTreeMap<PathBuf, Blocks> = BTreeMap::new();
        for (_, path) in &images {
            trees.entry(path.clone()).or_insert_with(|| self.counted(path, None));
        }
        let (mut all, mut used) = (Union::default(), Union::default());
        trees.values().for_each(|tree| all.add(tree));
        for (path, tree) in &trees {
            let mut names = images.iter().filter(|(_, own)| own == path).map(|(name, _)| name);
            if names.any(|name| infos.iter().any(|info| is_of(info, name))) {
                used.add(tree);
            }
        }
        for (name, path) in &images {
            let Some(tree) = trees.get(path) else { continue };
            let names = images.iter().filter(|(_, own)| own == path).count();
            let created = self.created(engine, name);
            self.images.push(ImageUsage {
                name: name.name().to_owned(),
                tag: name.tag().to_owned(),
                created,
                bytes: tree.bytes(),
                shared_bytes: if names > 1 { tree.bytes() } else { all.shared(tree) },
                containers: infos.iter().filter(|info| is_of(info, name)).count(),
            });
        }
        (self.image_bytes, self.used_image_bytes) = (all.bytes, used.bytes);
        Ok(())
    }

    fn created(&mut self, engine: &Engine, name: &ImageName) -> Option<String> {
        match store::find(&engine.root, name) {
            Ok(image) => image.config.created.clone(),
            Err(error) => {
                self.errors.push(error);
                None
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

fn is_of(info: &Info, name: &ImageName) -> bool {
    match &info.options.source {
        RootSource::Image(image) => image.parse::<ImageName>().is_ok_and(|image| image == *name),
        RootSource::Directory(_) => false,
    }
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

/// Several trees, and what they share once.
#[derive(Default)]
struct Union {
    bytes: u64,
    /// In how many trees a file with several names is.
    owners: HashMap<(u64, u64), usize>,
}

impl Union {
    fn add(&mut self, tree: &Blocks) {
        self.bytes = self.bytes.saturating_add(tree.own);
        for (file, bytes) in &tree.linked {
            let count = self.owners.entry(*file).or_default();
            if *count == 0 {
                self.bytes = self.bytes.saturating_add(*bytes);
            }
            *count += 1;
        }
    }

    /// Bytes that one of the trees has in common with others.
    fn shared(&self, tree: &Blocks) -> u64 {
        let is_shared = |file: &(u64, u64)| self.owners.get(file).is_some_and(|count| *count > 1);
        tree.linked.iter().filter(|(file, _)| is_shared(file)).map(|(_, bytes)| *bytes).sum()
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

    fn image(root: &Path, name: &str) -> PathBuf {
        let directory = root.join("images").join(name);
        fs::create_dir_all(directory.join("rootfs")).unwrap();
        let config = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\
                      \"diff_ids\":[]},\"created\":\"2026-01-02T03:04:05Z\"}";
        fs::write(directory.join("config.json"), config).unwrap();
        directory
    }

    #[test]
    fn what_images_share_counts_once() {
        let top = tempfile::tempdir().unwrap();
        let engine = Engine::new(top.path().to_owned(), top.path().join("state"));
        let (one, two) = (image(top.path(), "alpine/3"), image(top.path(), "my/app/latest"));
        fs::write(one.join("rootfs/big"), [1; 50_000]).unwrap();
        fs::hard_link(one.join("rootfs/big"), two.join("rootfs/big")).unwrap();
        fs::hard_link(one.join("rootfs/big"), two.join("rootfs/again")).unwrap();
        fs::write(two.join("rootfs/own"), [1; 5000]).unwrap();
        fs::create_dir_all(top.path().join("volumes/data/_data")).unwrap();
        let usage = usage(&engine).unwrap();
        assert!(usage.errors.is_empty(), "{:?}", usage.errors);
        let [first, second] = &usage.images[..] else { panic!("{usage:?}") };
        assert_eq!((first.name.as_str(), first.tag.as_str()), ("alpine", "3"));
        assert_eq!((second.name.as_str(), second.tag.as_str()), ("my/app", "latest"));
        assert_eq!(first.created.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!((first.bytes, second.bytes), (du(&[&one]), du(&[&two])));
        assert_eq!(first.shared_bytes, second.shared_bytes);
        assert!(first.shared_bytes >= 50_000);
        assert_eq!((usage.image_bytes, usage.used_image_bytes), (du(&[&one, &two]), 0));
        // A further name of the same image.
        symlink("3", top.path().join("images/alpine/latest")).unwrap();
        let named = super::usage(&engine).unwrap();
        assert_eq!((named.images.len(), named.image_bytes), (3, usage.image_bytes));
        assert_eq!((named.images[1].tag.as_str(), named.images[1].bytes), ("latest", first.bytes));
        assert_eq!(named.images[1].shared_bytes, first.bytes);
        let [data] = &usage.volumes[..] else { panic!("{usage:?}") };
        assert_eq!((data.name.as_str(), data.containers), ("data", 0));
        assert_eq!(data.bytes, du(&[&top.path().join("volumes/data")]));
    }
}
