//! What layers have been made to do to the host that unpacked them.

use super::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

/// A directory for the layer, and beside it what it must not reach.
struct Host {
    place: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("outside")).unwrap();
        fs::write(place.path().join("outside/secret"), "secret").unwrap();
        Self { place }
    }

    fn outside(&self) -> String {
        self.place.path().join("outside").display().to_string()
    }

    fn layer(&self) -> PathBuf {
        self.place.path().join("layer")
    }

    /// Unpacks and makes sure that nothing else has changed.
    fn unpack(&self, entries: &[Vec<u8>]) -> Result<Unpacked, Error> {
        let done = unpack_to(entries, &self.layer());
        let outside = self.place.path().join("outside");
        assert_eq!(tree(&outside), ["secret=secret"], "{done:?}");
        assert_eq!(outside.join("secret").metadata().unwrap().nlink(), 1, "{done:?}");
        assert_eq!(fs::read_dir(self.place.path()).unwrap().count(), 2, "{done:?}");
        done
    }

    /// Unpacks what is to be refused, and says why it was.
    fn refuses(&self, entries: &[Vec<u8>]) -> String {
        match self.unpack(entries) {
            Err(error @ (Error::Refused { .. } | Error::File { .. })) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["../outside/a", "a/../../outside/a", "/../outside/a", "./../outside/a", ".."] {
        let why = Host::new().refuses(&[file(path, "x")]);
        assert!(why.contains("it leads out of the layer"), "{why}");
    }
}

#[test]
fn an_absolute_path_is_one_in_the_layer() {
    let host = Host::new();
    host.unpack(&[file("/etc/a", "x")]).unwrap();
    assert_eq!(tree(&host.layer()), ["etc/", "etc/a=x"]);
}

#[test]
fn links_out_of_the_layer_lead_to_its_root() {
    let host = Host::new();
    let absolute = link("absolute", &host.outside());
    let up = link("up", "../../../../outside");
    host.unpack(&[
        absolute.header(),
        up.header(),
        file("absolute/a", "1"),
        file("absolute/secret", "2"),
        file("up/b", "3"),
        directory("absolute/sub/").header(),
    ])
    .unwrap();
    let inside = |path: &str| host.layer().join(path);
    let in_layer = inside(host.outside().trim_start_matches('/'));
    assert_eq!(fs::read_to_string(in_layer.join("secret")).unwrap(), "2");
    assert_eq!(fs::read_to_string(inside("outside/b")).unwrap(), "3");
}

#[test]
fn a_chain_of_links_does_not_lead_out() {
    let host = Host::new();
    host.unpack(&[
        directory("a/").header(),
        link("a/up", "..").header(),
        link("a/twice", "up/..").header(),
        link("a/out", "twice/../outside").header(),
        file("a/out/x", "1"),
    ])
    .unwrap();
    assert_eq!(fs::read_to_string(host.layer().join("outside/x")).unwrap(), "1");
}

#[test]
fn links_of_the_kernel_are_not_followed() {
    let host = Host::new();
    let fd = File::open(host.place.path()).unwrap();
    for to in [
        "/proc/self/cwd",
        "/proc/self/root",
        &format!("/proc/self/fd/{}", {
            use std::os::fd::AsRawFd;
            fd.as_raw_fd()
        }),
    ] {
        fs::remove_dir_all(host.layer()).ok();
        // In the root of the layer there is no such link.
        host.unpack(&[link("l", to).header(), file("l/outside/secret", "x")]).unwrap();
        assert!(host.layer().join(to.trim_start_matches('/')).is_dir());
    }
}

#[test]
fn a_link_that_goes_round_is_refused() {
    let host = Host::new();
    let why = host.refuses(&[link("a", "b").header(), link("b", "a").header(), file("a/x", "")]);
    assert!(why.contains("a of the layer: ") || why.contains("too many links"), "{why}");
}

#[test]
fn a_file_does_not_go_through_a_link_of_its_name() {
    let host = Host::new();
    let to = format!("{}/secret", host.outside());
    host.unpack(&[link("l", &to).header(), file("l", "mine")]).unwrap();
    assert_eq!(tree(&host.layer()), ["l=mine"]);
}

#[test]
fn nothing_is_done_to_what_a_link_leads_to() {
    let host = Host::new();
    let secret = host.place.path().join("outside/secret");
    let before = secret.metadata().unwrap();
    let strange = Member { mode: 0o4777, ..link("l", secret.to_str().unwrap()) };
    host.unpack(&[strange.header()]).unwrap();
    let after = secret.metadata().unwrap();
    assert_eq!(
        (after.mode(), after.modified().unwrap()),
        (before.mode(), before.modified().unwrap())
    );
}

#[test]
fn a_directory_in_the_place_of_a_link_is_made() {
    let host = Host::new();
    let to = host.outside();
    host.unpack(&[link("l", &to).header(), directory("l/").header(), file("l/a", "x")]).unwrap();
    assert_eq!(tree(&host.layer()), ["l/", "l/a=x"]);
}

#[test]
fn a_directory_that_became_a_link_is_not_written_through() {
    let host = Host::new();
    host.unpack(&[
        directory("d/").header(),
        file("d/a", "1"),
        directory("d/e/").header(),
        file("d/e/b", "1"),
        link("d", &host.outside()).header(),
        file("d/secret", "2"),
    ])
    .unwrap();
    let moved = host.layer().join(host.outside().trim_start_matches('/'));
    assert_eq!(tree(&moved), ["secret=2"]);
}

#[test]
fn a_link_that_leads_elsewhere_now_does_so_at_once() {
    let host = Host::new();
    host.unpack(&[
        directory("one/").header(),
        directory("two/").header(),
        link("l", "one").header(),
        file("l/a", "1"),
        link("l", "two").header(),
        file("l/b", "2"),
    ])
    .unwrap();
    assert_eq!(tree(&host.layer()), ["l->two", "one/", "one/a=1", "two/", "two/b=2"]);
}

#[test]
fn hard_links_to_the_host_are_refused() {
    let host = Host::new();
    let secret = format!("{}/secret", host.outside());
    for entries in [
        vec![hard_link("h", &secret).header()],
        vec![hard_link("h", "../outside/secret").header()],
        vec![link("l", &host.outside()).header(), hard_link("h", "l/secret").header()],
        vec![hard_link("h", "").header()],
        vec![hard_link("h", "/").header()],
        vec![hard_link("h", "missing").header()],
        vec![directory("d/").header(), hard_link("h", "d").header()],
        vec![member("p", Kind::Pipe).header(), hard_link("h", "p").header()],
        vec![file(".wh.w", ""), hard_link("h", "w").header()],
    ] {
        let host = Host::new();
        host.refuses(&entries);
    }
}

#[test]
fn a_hard_link_to_a_link_is_one_to_the_link() {
    let host = Host::new();
    let secret = format!("{}/secret", host.outside());
    host.unpack(&[link("l", &secret).header(), hard_link("h", "l").header(), file("h", "x")])
        .unwrap();
    assert_eq!(tree(&host.layer()), ["h=x".to_owned(), format!("l->{secret}")]);
}

#[test]
fn a_whiteout_through_a_link_removes_nothing_outside() {
    let host = Host::new();
    host.unpack(&[link("l", &host.outside()).header(), file("l/.wh.secret", "")]).unwrap();
    // Nor is what it replaces followed.
    let host = Host::new();
    host.unpack(&[link("l", &host.outside()).header(), file("l", "")]).unwrap();
}

#[test]
fn removing_a_tree_follows_no_link_in_it() {
    let host = Host::new();
    host.unpack(&[
        directory("d/").header(),
        link("d/l", &host.outside()).header(),
        file("d/deep/er/x", ""),
        file("d", "file"),
    ])
    .unwrap();
    assert_eq!(tree(&host.layer()), ["d=file"]);
}

#[test]
fn whiteouts_of_nothing_are_refused() {
    for path in [".wh.", "a/.wh.", ".wh..", ".wh...", "a/.wh...", ".wh.a/b"] {
        Host::new().refuses(&[file(path, "")]);
    }
}

#[test]
fn a_device_that_is_a_whiteout_is_refused() {
    let host = Host::new();
    let options = Options { devices: true, ..mine() };
    for options in [options, mine()] {
        let layer = archive(&[member("etc", Kind::Char).header()]);
        let error = unpack_with(&layer, &host.layer(), &options).unwrap_err();
        assert!(error.to_string().contains("for something removed"), "{error}");
    }
}

#[test]
fn nobody_gets_an_id_that_means_something_else() {
    for owner in [(u32::MAX, 0), (0, u32::MAX)] {
        let strange = Member { owner, ..member("a", Kind::File) };
        assert!(Host::new().refuses(&[strange.header()]).contains("nobody can own it"));
    }
}

#[test]
fn a_directory_with_something_in_it_is_no_place_for_a_layer() {
    let host = Host::new();
    fs::create_dir(host.layer()).unwrap();
    symlink(host.outside(), host.layer().join("l")).unwrap();
    let error = host.unpack(&[file("l/a", "")]).unwrap_err();
    assert!(matches!(error, Error::NotEmpty), "{error}");
}

#[test]
fn what_is_told_of_a_name_cannot_drive_a_terminal() {
    let why = Host::new().refuses(&[file("../\u{1b}[2J", "")]);
    assert!(why.contains("\\u{1b}"), "{why}");
    assert!(Host::new().refuses(&[file(&format!("../{}", "x".repeat(5000)), "")]).len() < 400);
}
