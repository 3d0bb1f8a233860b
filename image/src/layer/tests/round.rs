//! What is packed and unpacked is what was there, whatever it is.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use rustix::fs::{FileType, Mode, XattrFlags, mknodat, setxattr};

const UPPER: PackOptions<'static> = PackOptions {
    source: Source::Upper { user_xattrs: true },
    owner: Owner::Mine,
    latest: None,
    cancelled: None,
};

/// Something in an upper directory. What cannot be there, because of what is there already, is left
/// out.
#[derive(Debug, Clone)]
struct Made {
    path: Vec<Vec<u8>>,
    what: What,
    mode: u32,
    modified: (i64, u32),
    attribute: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum What {
    Directory {
        opaque: bool,
    },
    File(Vec<u8>),
    Link(Vec<u8>),
    Pipe,
    Whiteout,
    /// A further name of a file or link that was made before.
    Again(prop::sample::Index),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = (1_u8..).prop_filter("a slash", |byte| *byte != b'/');
    let any = prop::collection::vec(byte, 1..251)
        .prop_filter("a name", |name| name != b"." && name != b".." && !name.starts_with(b".wh."));
    prop_oneof![3 => Just(b"a".to_vec()), 3 => Just(b"b".to_vec()), 1 => Just(b".wh".to_vec()), 2 => any]
}

fn made() -> impl Strategy<Value = Made> {
    let data = || prop::collection::vec(any::<u8>(), 0..1500);
    let what = prop_oneof![
        any::<bool>().prop_map(|opaque| What::Directory { opaque }),
        data().prop_map(What::File),
        prop::collection::vec(1_u8.., 1..300).prop_map(What::Link),
        Just(What::Pipe),
        Just(What::Whiteout),
        any::<prop::sample::Index>().prop_map(What::Again),
    ];
    let attribute = prop::option::of((prop::collection::vec(1_u8.., 1..20), data()));
    let modified = (-(1_i64 << 31)..1 << 33, 0_u32..1_000_000_000);
    (prop::collection::vec(name(), 1..5), what, 0_u32..0o10000, modified, attribute).prop_map(
        |(path, what, mode, modified, attribute)| Made { path, what, mode, modified, attribute },
    )
}

fn node(path: &Path, kind: FileType) -> std::io::Result<()> {
    let directory = File::open(path.parent().unwrap())?;
    Ok(mknodat(directory, path.file_name().unwrap(), kind, Mode::empty(), 0)?)
}

fn build(top: &Path, all: &[Made]) {
    let mut made: Vec<(PathBuf, &Made)> = Vec::new();
    for one in all {
        let path =
            one.path.iter().fold(top.to_owned(), |path, name| path.join(OsStr::from_bytes(name)));
        if fs::create_dir_all(path.parent().unwrap()).is_err() || path.symlink_metadata().is_ok() {
            continue;
        }
        let done = match &one.what {
            What::Directory { opaque } => fs::create_dir(&path).map(|()| {
                if *opaque {
                    setxattr(&path, "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
                }
            }),
            What::File(data) => fs::write(&path, data),
            What::Link(text) => symlink(OsStr::from_bytes(text), &path),
            What::Pipe => node(&path, FileType::Fifo),
            What::Whiteout => node(&path, FileType::CharacterDevice),
            What::Again(which) if !made.is_empty() => match which.get(&made) {
                (first, Made { what: What::File(_) | What::Link(_), .. }) => {
                    fs::hard_link(first, &path)
                }
                _ => continue,
            },
            What::Again(_) => continue,
        };
        if done.is_ok() && !matches!(one.what, What::Again(_)) {
            made.push((path, one));
        }
    }
    // The ones inside first: what is made in a directory changes its time.
    made.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    made.iter().for_each(|(path, one)| dress(path, one));
}

fn dress(path: &Path, one: &Made) {
    let least = if matches!(one.what, What::Directory { .. }) { 0o700 } else { 0o600 };
    if !matches!(one.what, What::Directory { .. } | What::File(_)) {
        return;
    }
    if let Some((name, value)) = &one.attribute {
        // Not every file system takes all of them.
        let name = [b"user.", name.as_slice()].concat();
        setxattr(path, OsStr::from_bytes(&name), value, XattrFlags::empty()).ok();
    }
    fs::set_permissions(path, PermissionsExt::from_mode(one.mode | least)).unwrap();
    let (seconds, nanoseconds) = one.modified;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    File::open(path)
        .unwrap()
        .set_modified(time + Duration::from_nanos(nanoseconds.into()))
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_layer_comes_out_as_it_went_in(all in prop::collection::vec(made(), 0..14)) {
        let place = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| place.path().join(name));
        fs::create_dir(&from).unwrap();
        build(&from, &all);
        let (layer, done) = packed(&from, &UPPER).unwrap();
        let unpacked = unpack_with(&gzip(&layer), &to, &mine()).unwrap();
        prop_assert_eq!(unpacked.diff_id, done.diff_id);
        prop_assert_eq!(unpacked.entries, done.entries);
        let (again, _) = packed(&to, &UPPER).unwrap();
        prop_assert!(again == layer, "{:?}", all);
    }

    /// Nothing that has another beginning than a layer does harm.
    #[test]
    fn no_bytes_whatever_are_more_than_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..3000),
        at in any::<prop::sample::Index>(),
        kind in prop::sample::select(b"0123456gxLKS".to_vec()),
    ) {
        let place = tempfile::tempdir().unwrap();
        drop(unpack_with(&bytes, &place.path().join("plain"), &mine()));
        let mut header = member("a/b", Kind::File).header();
        header[156] = kind;
        let spot = at.index(BLOCK);
        header[spot] = bytes.first().copied().unwrap_or(0);
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.splice(0..0, header);
        drop(unpack_with(&bytes, &place.path().join("layer"), &mine()));
        prop_assert!(fs::read_dir(place.path()).unwrap().count() <= 2);
    }
}
