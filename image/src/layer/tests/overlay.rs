//! What the kernel makes of layers.

use super::*;

use rustix::mount::{MountFlags, mount};

/// What there is when layers lie on one another, the uppermost first; changes go to `upper`.
fn merged(place: &Path, layers: &[&str], upper: Option<&str>, act: impl FnOnce(&Path)) {
    let path = |name: &str| place.join(name).display().to_string();
    let lower: Vec<_> = layers.iter().map(|name| path(name)).collect();
    let mut options = format!("lowerdir={}", lower.join(":"));
    if let Some(upper) = upper {
        for name in [upper, "work"] {
            fs::create_dir_all(place.join(name)).unwrap();
        }
        options = format!("{options},upperdir={},workdir={}", path(upper), path("work"));
    }
    let target = place.join("merged");
    fs::create_dir_all(&target).unwrap();
    let options = std::ffi::CString::new(options).unwrap();
    mount("overlay", &target, "overlay", MountFlags::empty(), Some(options.as_c_str())).unwrap();
    act(&target);
    rustix::mount::unmount(&target, rustix::mount::UnmountFlags::DETACH).unwrap();
}

fn below() -> Vec<Vec<u8>> {
    vec![
        file("a", "1"),
        file("d/a", "1"),
        file("d/b", "1"),
        file("o/a", "1"),
        file("o/deep/a", "1"),
        file("own/a", "1"),
        file("own-file", "1"),
        directory("empty/").header(),
        link("l", "d").header(),
    ]
}

#[test]
#[ignore = "needs root: an overlay"]
fn layers_on_one_another_are_what_they_say() {
    apart(|place| {
        let options = Options::default();
        unpack_with(&archive(&below()), &place.join("one"), &options).unwrap();
        let above = archive(&[
            file(".wh.a", ""),
            file("d/.wh.a", ""),
            file("d/c", "2"),
            file("o/.wh..wh..opq", ""),
            file("o/new", "2"),
            file(".wh.own", ""),
            file("own/b", "2"),
            file("own-file", "2"),
            file(".wh.own-file", ""),
            file(".wh.empty", ""),
            file(".wh.l", ""),
            file(".wh.never-there", ""),
        ]);
        unpack_with(&above, &place.join("two"), &options).unwrap();
        merged(place, &["two", "one"], None, |merged| {
            let expected =
                ["d/", "d/b=1", "d/c=2", "o/", "o/new=2", "own-file=2", "own/", "own/b=2"];
            assert_eq!(tree(merged), expected);
        });
    });
}

#[test]
#[ignore = "needs root: an overlay"]
fn what_a_container_has_changed_is_a_layer() {
    apart(|place| {
        let options = Options::default();
        unpack_with(&archive(&below()), &place.join("one"), &options).unwrap();
        let mut expected = Vec::new();
        merged(place, &["one"], Some("upper"), |merged| {
            fs::remove_file(merged.join("a")).unwrap();
            fs::write(merged.join("d/b"), "changed").unwrap();
            fs::remove_file(merged.join("d/a")).unwrap();
            fs::remove_dir_all(merged.join("o")).unwrap();
            fs::create_dir(merged.join("o")).unwrap();
            fs::write(merged.join("o/new"), "2").unwrap();
            fs::remove_dir(merged.join("empty")).unwrap();
            fs::write(merged.join("empty"), "a file now").unwrap();
            fs::hard_link(merged.join("own-file"), merged.join("again")).unwrap();
            expected = tree(merged);
        });
        let upper =
            PackOptions { source: Source::Upper { user_xattrs: false }, ..PackOptions::default() };
        let (layer, _) = packed(&place.join("upper"), &upper).unwrap();
        unpack_with(&layer, &place.join("two"), &options).unwrap();
        merged(place, &["two", "one"], None, |merged| assert_eq!(tree(merged), expected));
        assert!(packed(&place.join("two"), &upper).unwrap().0 == layer);
    });
}
