mod breakouts;
mod limits;
mod overlay;
mod packing;
mod round;
mod streams;
mod unpacking;

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use super::*;
use crate::tar::{BLOCK, Kind, Member};

/// One that is the caller's own, so that no test needs root.
fn member(path: &str, kind: Kind) -> Member {
    Member {
        path: path.into(),
        kind,
        link: Vec::new(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        owner: (0, 0),
        modified: (1_000_000_000, 0),
        device: (0, 0),
        size: 0,
        attributes: Vec::new(),
    }
}

fn link(path: &str, to: &str) -> Member {
    Member { link: to.into(), ..member(path, Kind::Link) }
}

fn hard_link(path: &str, to: &str) -> Member {
    Member { link: to.into(), ..member(path, Kind::HardLink) }
}

fn directory(path: &str) -> Member {
    member(path, Kind::Directory)
}

/// With its data.
fn file(path: &str, data: &str) -> Vec<u8> {
    data_of(&member(path, Kind::File), data.as_bytes())
}

fn data_of(member: &Member, data: &[u8]) -> Vec<u8> {
    let member = Member { size: data.len() as u64, ..member.clone() };
    [&member.header(), data, &vec![0; member.padding()]].concat()
}

fn with_attributes(member: Member, attributes: &[(&str, &[u8])]) -> Member {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).into(), value.to_vec())).collect();
    Member { attributes, ..member }
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 2 * BLOCK]].concat()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::bufread::GzEncoder::new(data, flate2::Compression::fast());
    let mut compressed = Vec::new();
    std::io::Read::read_to_end(&mut encoder, &mut compressed).unwrap();
    compressed
}

/// As anybody may: for tests that are not about owners and devices.
fn mine() -> Options<'static> {
    Options { owner: Owner::Mine, devices: false, user_xattrs: true, ..Options::default() }
}

fn unpack_with(layer: &[u8], into: &Path, options: &Options<'_>) -> Result<Unpacked, Error> {
    fs::create_dir_all(into).unwrap();
    let into = File::open(into).unwrap();
    unpack(layer, Compression::Detect, into.as_fd(), options)
}

fn unpack_to(entries: &[Vec<u8>], into: &Path) -> Result<Unpacked, Error> {
    unpack_with(&archive(entries), into, &mine())
}

fn packed(tree: &Path, options: &PackOptions<'_>) -> Result<(Vec<u8>, Packed), Error> {
    let mut written = Vec::new();
    let packed = pack(File::open(tree).unwrap().as_fd(), &mut written, options)?;
    Ok((written, packed))
}

/// The paths of everything in a tree, with the text of files and links.
fn tree(top: &Path) -> Vec<String> {
    fn walk(directory: &Path, top: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            found.push(match () {
                () if kind.is_dir() => format!("{name}/"),
                () if kind.is_symlink() => {
                    format!("{name}->{}", fs::read_link(&path).unwrap().display())
                }
                () if kind.is_file() => format!("{name}={}", fs::read_to_string(&path).unwrap()),
                () => format!("{name}!"),
            });
            if kind.is_dir() {
                walk(&path, top, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(top, top, &mut found);
    found.sort();
    found
}

/// A test in a mount namespace of its own, which goes with its thread, and on a file system of
/// 1 MiB.
fn apart(test: impl FnOnce(&Path) + Send) {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let inside = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).unwrap();
        mount("tmpfs", place, "tmpfs", MountFlags::empty(), Some(c"size=1m")).unwrap();
        test(place);
    };
    std::thread::scope(|scope| scope.spawn(inside).join()).unwrap();
}
