use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// Copies between two trees; what there is afterwards in the second.
fn copied(from: &str, to: &str) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| directory.path().join(name));
    fs::create_dir_all(source.join("dir/sub")).unwrap();
    fs::write(source.join("dir/file"), "new").unwrap();
    symlink("dir/file", source.join("link")).unwrap();
    fs::create_dir_all(target.join("there")).unwrap();
    fs::write(target.join("old"), "old").unwrap();
    symlink("/old", target.join("to-old")).unwrap();
    symlink("/../../../../etc/new", target.join("out")).unwrap();
    let node = |path: &Path| FileNode::directory(path).unwrap();
    let options =
        CopyOptions { from: from.into(), to: to.into(), keep_owner: false, follow: false };
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let ids = Ids::default();
    let owners = Owners { keep: false, otherwise: own, from_container: true };
    copy((&node(&source), &ids), (&node(&target), &ids), &options, owners)
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    list(&target, &target, &mut found);
    found.retain(|line| !["there", "old=old", "to-old", "out"].contains(&line.as_str()));
    found.sort();
    Ok(found)
}

fn list(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(top).unwrap().display().to_string();
        match path.symlink_metadata().unwrap() {
            meta if meta.is_dir() => {
                found.push(name);
                list(top, &path, found);
            }
            meta if meta.is_file() => {
                found.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
            _ => found.push(name),
        }
    }
}

#[test]
fn paths_mean_what_they_mean_to_docker() {
    for (from, to, expected) in [
        ("/dir/file", "/new", &["new=new"] as &[&str]),
        ("dir/file", "there", &["there/file=new"]),
        ("/dir/file", "/there/", &["there/file=new"]),
        ("/dir/file", "/there/x", &["there/x=new"]),
        ("/dir/file", "/old", &["old=new"]),
        ("/dir/file", "/to-old", &["old=new"]),
        ("/dir", "/there", &["there/dir", "there/dir/file=new", "there/dir/sub"]),
        ("/dir/", "/there", &["there/dir", "there/dir/file=new", "there/dir/sub"]),
        ("/dir/.", "/there", &["there/file=new", "there/sub"]),
        ("/dir", "/new", &["new", "new/file=new", "new/sub"]),
        ("/dir/.", "/new/", &["new", "new/file=new", "new/sub"]),
        ("/link", "/there", &["there/link"]),
    ] {
        assert_eq!(copied(from, to).unwrap(), expected, "{from} {to}");
    }
}

#[test]
fn paths_that_cannot_be_meant_are_refused() {
    for (from, to, words) in [
        ("/none", "/new", "no such file or directory"),
        ("/dir/file/", "/new", "not a directory"),
        ("/dir/file", "/none/", "destination directory must exist"),
        ("/dir/file", "/none/x", "no such file or directory"),
        ("/dir", "/old", "cannot copy directory"),
        // Inside the other tree, where there is no /etc.
        ("/dir/file", "/out", "no such file or directory"),
    ] {
        let error = copied(from, to).unwrap_err();
        assert!(error.to_lowercase().contains(words), "{from} {to}: {error}");
    }
}

#[test]
fn what_the_kernel_shows_is_not_copied_as_if_it_were_stored() {
    let host = FileNode::directory(Path::new("/")).unwrap();
    for path in ["/proc/version", "/proc", "/proc/", "/proc/.", "/proc/self", "/sys/kernel"] {
        let Err(error) = Source::find(&host, Path::new(path), false) else { panic!("{path}") };
        assert!(error.to_string().contains("the kernel shows it"), "{error}");
    }
    Source::find(&host, Path::new("/etc/passwd"), false).unwrap();
}

#[test]
fn an_error_tells_where_something_was_to_go() {
    let directory = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| directory.path().join(name));
    fs::create_dir_all(source.join("dir")).unwrap();
    fs::write(source.join("dir/file"), "new").unwrap();
    fs::create_dir(&target).unwrap();
    for name in ["pipe", "file"] {
        nix::unistd::mkfifo(&target.join(name), nix::sys::stat::Mode::S_IRUSR).unwrap();
    }
    let node = |path: &Path| FileNode::directory(path).unwrap();
    let ids = Ids::default();
    let owners = Owners { keep: false, otherwise: (0, 0), from_container: true };
    for (from, to, told) in [
        ("/dir/file", "/pipe", "cannot write /pipe: "),
        ("/dir/file", "/", "cannot write /file: "),
        ("/dir/.", "/", "cannot write /file: "),
    ] {
        let options =
            CopyOptions { from: from.into(), to: to.into(), keep_owner: false, follow: false };
        let copied = copy((&node(&source), &ids), (&node(&target), &ids), &options, owners);
        let error = copied.unwrap_err().to_string();
        assert!(error.starts_with(told), "{from} {to}: {error}");
    }
}
