//! `-v`.

use std::path::{Component, Path};

use minidock_engine::{MountRequest, MountSource, Propagation};

use super::{ValueError, is_restricted_name};

/// `-v [source:]target[:options]`. A source that starts with `.` is a path yet to be made
/// absolute; one that has no slash in front is a named volume.
pub(crate) fn volume(text: &str) -> Result<MountRequest, ValueError> {
    let invalid = || ValueError::new(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, words) = match parts[..] {
        [target] => (None, target, ""),
        [_, options] if Options::parse(options).is_some() => return Err(invalid()),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(invalid()),
    };
    if parts.first().is_some_and(|first| first.is_empty()) {
        return Err(invalid());
    }
    let options =
        Options::parse(words).ok_or_else(|| ValueError::new(format!("invalid mode: {words}")))?;
    let target = mount_point(target).map_err(|error| {
        ValueError::new(format!("invalid volume specification: '{text}': {error}"))
    })?;
    let source = match source {
        Some(path) if path.starts_with(['/', '.']) => {
            MountSource::Bind { path: path.into(), create: true, non_recursive: false }
        }
        Some(name) => MountSource::Volume { name: Some(volume_name(name)?) },
        None => MountSource::Volume { name: None },
    };
    let is_bind = matches!(source, MountSource::Bind { .. });
    if (options.propagation.is_some() && !is_bind) || (options.no_copy && is_bind) {
        return Err(ValueError::new(format!("invalid mode: {words}")));
    }
    let Options { read_only, propagation, .. } = options;
    Ok(MountRequest { source, target, read_only, propagation })
}

#[derive(Debug)]
struct Options {
    read_only: bool,
    propagation: Option<Propagation>,
    no_copy: bool,
}

impl Options {
    /// Words of five kinds, each kind at most once. Labels (`z`, `Z`) mean something to SELinux
    /// and consistency to virtual machines only; docker takes both everywhere. `nocopy` is how
    /// things are: nothing of the image is copied into a new volume.
    fn parse(words: &str) -> Option<Options> {
        let mut options = Options { read_only: false, propagation: None, no_copy: false };
        let mut seen = [false; 5];
        for word in words.split(',').filter(|_| !words.is_empty()) {
            let kind = match word {
                "ro" | "rw" => {
                    options.read_only = word == "ro";
                    0
                }
                "z" | "Z" => 1,
                "consistent" | "cached" | "delegated" => 2,
                "nocopy" => {
                    options.no_copy = true;
                    3
                }
                word => {
                    options.propagation = Some(propagation(word)?);
                    4
                }
            };
            let first = seen.get_mut(kind)?;
            if std::mem::replace(first, true) {
                return None;
            }
        }
        Some(options)
    }
}

/// A word of `mount_namespaces(7)`.
pub(crate) fn propagation(word: &str) -> Option<Propagation> {
    match word {
        "private" | "rprivate" => Some(Propagation::Private),
        "slave" | "rslave" => Some(Propagation::Slave),
        "shared" | "rshared" => Some(Propagation::Shared),
        _ => None,
    }
}

/// The name of a volume, which is a directory's.
pub(crate) fn volume_name(name: &str) -> Result<String, ValueError> {
    if is_restricted_name(name) {
        return Ok(name.to_owned());
    }
    if name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(ValueError::new(
            "volume name is too short, names should be at least two alphanumeric characters",
        ));
    }
    Err(ValueError::new(format!(
        "{name:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, \
         use absolute path"
    )))
}

/// An absolute path below the root.
pub(crate) fn mount_point(path: &str) -> Result<String, ValueError> {
    if !path.starts_with('/') {
        return Err(ValueError::new(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let depth = Path::new(path).components().fold(0_usize, |depth, part| match part {
        Component::Normal(_) => depth + 1,
        Component::ParentDir => depth.saturating_sub(1),
        _ => depth,
    });
    if depth == 0 {
        return Err(ValueError::new("invalid specification: destination can't be '/'"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn bind(path: &str, target: &str) -> MountRequest {
        MountRequest {
            source: MountSource::Bind { path: path.into(), create: true, non_recursive: false },
            target: target.to_owned(),
            read_only: false,
            propagation: None,
        }
    }

    fn named(name: Option<&str>, target: &str) -> MountRequest {
        let source = MountSource::Volume { name: name.map(str::to_owned) };
        MountRequest { source, ..bind("", target) }
    }

    #[test]
    fn volumes() {
        let read_only = |request| MountRequest { read_only: true, ..request };
        let with =
            |propagation, request| MountRequest { propagation: Some(propagation), ..request };
        check(
            volume,
            &[
                ("/a:/b", bind("/a", "/b")),
                ("/a:/b:", bind("/a", "/b")),
                ("/a:/b:rw", bind("/a", "/b")),
                ("/a:/b:z", bind("/a", "/b")),
                ("./src:/b", bind("./src", "/b")),
                ("..:/b", bind("..", "/b")),
                ("/a:/b:ro", read_only(bind("/a", "/b"))),
                ("/a:/b:Z,ro,cached", read_only(bind("/a", "/b"))),
                ("/a:/b:rslave", with(Propagation::Slave, bind("/a", "/b"))),
                ("/a:/b:ro,rshared", with(Propagation::Shared, read_only(bind("/a", "/b")))),
                ("/a:/b:rprivate", with(Propagation::Private, bind("/a", "/b"))),
                ("data:/b", named(Some("data"), "/b")),
                ("data:/b:ro", read_only(named(Some("data"), "/b"))),
                ("data:/b:nocopy", named(Some("data"), "/b")),
                ("data:/b:ro,nocopy", read_only(named(Some("data"), "/b"))),
                ("/b", named(None, "/b")),
            ],
            &[
                ("", "invalid volume specification: ''"),
                (":/b", "invalid volume specification: ':/b'"),
                ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
                ("/a:ro", "invalid volume specification: '/a:ro'"),
                ("/a:/b:x", "invalid mode: x"),
                ("/a:/b:ro,rw", "invalid mode: ro,rw"),
                ("/a:/b:ro,", "invalid mode: ro,"),
                ("/a:nocopy", "invalid volume specification: '/a:nocopy'"),
                ("/a:/b:nocopy", "invalid mode: nocopy"),
                ("data:/b:nocopy,nocopy", "invalid mode: nocopy,nocopy"),
                ("data:/b:rslave", "invalid mode: rslave"),
                (
                    "/a:relative",
                    "invalid volume specification: '/a:relative': invalid mount path: \
                     'relative' mount path must be absolute",
                ),
                (
                    "/a:/",
                    "invalid volume specification: '/a:/': invalid specification: destination \
                     can't be '/'",
                ),
                (
                    "/a:/x/..",
                    "invalid volume specification: '/a:/x/..': invalid specification: \
                     destination can't be '/'",
                ),
                (
                    "d:/b",
                    "volume name is too short, names should be at least two alphanumeric \
                     characters",
                ),
                (
                    "a/b:/b",
                    "\"a/b\" includes invalid characters for a local volume name, only \
                     \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host \
                     directory, use absolute path",
                ),
            ],
        );
    }
}
