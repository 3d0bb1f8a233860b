use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Digest;
use crate::layer::{Compression, Limits, Options, Owner, PackOptions, Source, pack, unpack};
use crate::tar::mended;

const OPTIONS: Options<'static> = Options {
    owner: Owner::Mine,
    devices: false,
    user_xattrs: true,
    limits: Limits {
        entries: 200,
        total: 4 << 20,
        file: 1 << 20,
        ratio: 250,
        ratio_from: 1 << 20,
        depth: 20,
        directories: 64 << 10,
        trailing: 64 << 10,
    },
    cancelled: None,
};

const UPPER: PackOptions<'static> = PackOptions {
    source: Source::Upper { user_xattrs: true },
    owner: Owner::Mine,
    latest: None,
    cancelled: None,
};

/// A layer, compressed or not, and the same with the sums of its headers put right: nothing beside
/// its directory is touched, it takes no more than it may, its digest is that of its bytes, and
/// what came of it, packed, is a layer that comes to the same.
pub fn layer(data: &[u8]) {
    let place = Place::new();
    for (name, data) in [("as-it-is", data), ("mended", &mended(data))] {
        once(&place.0, name, data);
    }
}

fn once(place: &Path, name: &str, data: &[u8]) {
    let [first, second] = ["first", "second"].map(|turn| place.join(format!("{name}-{turn}")));
    let done = unpacked(data, &first);
    untouched(place);
    let Some((entries, digest, length)) = done else { return };
    assert!(entries <= OPTIONS.limits.entries && length <= OPTIONS.limits.total);
    if length == data.len() as u64 {
        assert_eq!(digest, Digest::of(data));
    }
    // A directory that its own owner cannot read is not packed.
    let Some(packed) = packed(&first) else { return };
    let Some((_, digest, _)) = unpacked(&packed, &second) else {
        panic!("what was packed is not unpacked");
    };
    assert_eq!(digest, Digest::of(&packed));
    let again = self::packed(&second);
    assert!(again.is_some_and(|again| again == packed), "what was packed comes to something else");
    untouched(place);
}

fn unpacked(data: &[u8], into: &Path) -> Option<(u64, Digest, u64)> {
    made(fs::create_dir(into));
    let into = made(File::open(into));
    let done = unpack(data, Compression::Detect, into.as_fd(), &OPTIONS).ok()?;
    Some((done.entries, done.diff_id, done.length))
}

fn packed(tree: &Path) -> Option<Vec<u8>> {
    let tree = made(File::open(tree));
    let mut packed = Vec::new();
    pack(tree.as_fd(), &mut packed, &UPPER).ok().map(|_| packed)
}

fn untouched(place: &Path) {
    assert_eq!(made(fs::read(place.join("secret"))), b"secret");
    for entry in made(fs::read_dir(place)) {
        let name = made(entry).file_name();
        let name = name.to_string_lossy();
        let known = name == "secret" || name.ends_with("-first") || name.ends_with("-second");
        assert!(known, "{name} was made beside the layer");
    }
}

/// A directory with something that is nobody's business.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("minidock-fuzz-layer-{process}-{next}"));
        made(fs::create_dir(&path));
        made(fs::write(path.join("secret"), "secret"));
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        made(fs::remove_dir_all(&self.0));
    }
}

fn made<T>(result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("the machine does not do it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_layers_hold() {
        super::super::replay::replay("layer", layer);
    }
}
