use std::path::{Path, PathBuf};

use minidock_image::config::Config;
use oci_spec::runtime::{Mount, MountBuilder};

use crate::{
    AccessTimes, Error, MountRequest, MountSource, Propagation, RunOptions, TmpfsOptions, TmpfsSize,
};

/// A directory on the host that a mount needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) path: PathBuf,
    /// Its parent is the engine's, which nobody else may enter: files in it may be setuid.
    pub(crate) private: bool,
}

/// The mounts of every container, then the caller's in the order of their depth, so that none
/// hides another by accident.
pub(super) fn describe(
    options: &RunOptions,
    config: &Config,
    root: &Path,
    directory: &Path,
) -> Result<(Vec<Mount>, Vec<Volume>), Error> {
    let requests = requests(options, config);
    check(&requests)?;
    let mut mounts: Vec<Mount> = defaults(options)?
        .into_iter()
        .filter(|mount| !requests.iter().any(|own| same(&own.target, mount.destination())))
        .collect();
    let mut volumes = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let (mount, volume) = user_mount(request, root, directory, index)?;
        mounts.push(mount);
        volumes.extend(volume);
    }
    // The engine's own before the caller's at the same depth: a sort keeps their order.
    mounts.sort_by_key(|mount| mount.destination().components().count());
    Ok((mounts, volumes))
}

/// What the caller asks for, and the image's volumes where that is nothing.
pub(super) fn requests(options: &RunOptions, config: &Config) -> Vec<MountRequest> {
    let anonymous = config
        .volumes
        .iter()
        .filter(|path| !options.mounts.iter().any(|mount| same(&mount.target, path)))
        .map(|path| MountRequest {
            source: MountSource::Volume { name: None },
            target: path.clone(),
            read_only: false,
            propagation: None,
        });
    options.mounts.iter().cloned().chain(anonymous).collect()
}

/// The files of a volume. An anonymous one goes by its place among the mounts.
pub(super) fn volume(
    name: Option<&str>,
    root: &Path,
    directory: &Path,
    index: usize,
) -> Result<PathBuf, Error> {
    Ok(match name {
        Some(name) => root.join("volumes").join(volume_name(name)?).join("_data"),
        None => directory.join("volumes").join(index.to_string()),
    })
}

fn same(target: &str, other: impl AsRef<Path>) -> bool {
    Path::new(target) == other.as_ref()
}

fn check(requests: &[MountRequest]) -> Result<(), Error> {
    for (index, request) in requests.iter().enumerate() {
        let target = Path::new(&request.target);
        if !target.is_absolute() {
            return Err(Error::new(format!(
                "invalid mount path: '{}' mount path must be absolute",
                request.target
            )));
        }
        if target == Path::new("/") {
            return Err(Error::new("invalid specification: destination can't be '/'"));
        }
        if target.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(Error::new(format!("the mount point {} contains '..'", request.target)));
        }
        // What lies below would decide what the engine itself writes and reads there.
        if target.starts_with("/proc") {
            return Err(Error::new(format!(
                "a mount on {} would change what /proc says",
                request.target
            ))
            .hint("choose another place in the container"));
        }
        if requests.iter().take(index).any(|other| same(&other.target, target)) {
            return Err(Error::new(format!("Duplicate mount point: {}", request.target)));
        }
    }
    Ok(())
}

fn mount(
    typ: &str,
    source: impl Into<PathBuf>,
    target: &str,
    options: &[&str],
) -> Result<Mount, Error> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let builder = MountBuilder::default().typ(typ).source(source).destination(target);
    Ok(builder.options(options).build()?)
}

fn defaults(options: &RunOptions) -> Result<Vec<Mount>, Error> {
    let access = if options.privileged { "rw" } else { "ro" };
    let shm_size = format!("size={}", options.shm_size);
    Ok(vec![
        mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        mount(
            "tmpfs",
            "tmpfs",
            "/dev",
            &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
        )?,
        mount(
            "devpts",
            "devpts",
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", access])?,
        mount("cgroup", "cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", access])?,
        mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?,
        mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size])?,
    ])
}

fn user_mount(
    request: &MountRequest,
    root: &Path,
    directory: &Path,
    index: usize,
) -> Result<(Mount, Option<Volume>), Error> {
    let mut options: Vec<String> = vec![if request.read_only { "ro" } else { "rw" }.to_owned()];
    let (source, volume) = match &request.source {
        MountSource::Tmpfs { options: wanted } => {
            options.extend(tmpfs_options(wanted));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            return Ok((mount("tmpfs", "tmpfs", &request.target, &options)?, None));
        }
        MountSource::Bind { path, create, non_recursive } => {
            options.push(if *non_recursive { "bind" } else { "rbind" }.to_owned());
            (path.clone(), bind_source(path, *create)?)
        }
        MountSource::Volume { name } => {
            let path = self::volume(name.as_deref(), root, directory, index)?;
            options.push("rbind".to_owned());
            (path.clone(), Some(Volume { path, private: true }))
        }
    };
    if request.propagation == Some(Propagation::Shared) {
        return Err(Error::new(format!(
            "cannot share mounts below {} with the host: the container's mounts are its own",
            request.target
        ))
        .hint("rslave lets mounts of the host appear in the container"));
    }
    options.push(
        match request.propagation.unwrap_or(Propagation::Private) {
            Propagation::Private => "rprivate",
            Propagation::Slave => "rslave",
            Propagation::Shared => "rshared",
        }
        .to_owned(),
    );
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Ok((mount("bind", source, &request.target, &options)?, volume))
}

fn tmpfs_options(wanted: &TmpfsOptions) -> Vec<String> {
    let TmpfsOptions { size, inodes, mode, uid, gid, exec, suid, dev, access_times, .. } = *wanted;
    let flags = [
        (!suid).then_some("nosuid"),
        (!dev).then_some("nodev"),
        (!exec).then_some("noexec"),
        match access_times {
            AccessTimes::Relative => None,
            AccessTimes::Always => Some("strictatime"),
            AccessTimes::Never => Some("noatime"),
        },
        wanted.no_directory_access_times.then_some("nodiratime"),
    ];
    let values = [
        size.map(|size| match size {
            TmpfsSize::Bytes(bytes) => format!("size={bytes}"),
            TmpfsSize::Percent(percent) => format!("size={percent}%"),
        }),
        inodes.map(|number| format!("nr_inodes={number}")),
        Some(format!("mode={:o}", mode.unwrap_or(0o1777))),
        uid.map(|uid| format!("uid={uid}")),
        gid.map(|gid| format!("gid={gid}")),
    ];
    flags.into_iter().flatten().map(str::to_owned).chain(values.into_iter().flatten()).collect()
}

fn bind_source(path: &Path, create: bool) -> Result<Option<Volume>, Error> {
    if !path.is_absolute() {
        return Err(Error::new(format!(
            "invalid mount path: '{}' must be absolute",
            path.display()
        )));
    }
    match path.symlink_metadata() {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
            Ok(Some(Volume { path: path.to_owned(), private: false }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::new(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            path.display()
        ))
        .hint("make it first; `-v` makes a missing directory by itself")),
        Err(error) => Err(Error::path("look at the mount source", path, &error)),
    }
}

fn volume_name(name: &str) -> Result<&str, Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        return Ok(name);
    }
    Err(Error::new(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
    ))
    .hint("a path of the host must be absolute or begin with ./"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    fn request(source: MountSource, target: &str) -> MountRequest {
        MountRequest { source, target: target.to_owned(), read_only: false, propagation: None }
    }

    fn tmpfs(target: &str) -> MountRequest {
        request(MountSource::Tmpfs { options: TmpfsOptions::default() }, target)
    }

    fn run(mounts: Vec<MountRequest>) -> Result<(Vec<Mount>, Vec<Volume>), Error> {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        options.mounts = mounts;
        describe(&options, &Config::default(), Path::new("/root"), Path::new("/root/containers/i"))
    }

    #[test]
    fn a_mount_of_the_caller_takes_the_place_of_a_default() {
        let (mounts, _) = run(vec![tmpfs("/dev/shm")]).unwrap();
        let shm: Vec<_> = mounts.iter().filter(|mount| mount.destination() == "/dev/shm").collect();
        assert_eq!(shm.len(), 1);
    }

    #[test]
    fn a_tmpfs_is_strict_unless_more_is_asked_for() {
        let strict = ["nosuid", "nodev", "noexec", "mode=1777"];
        assert_eq!(tmpfs_options(&TmpfsOptions::default()), strict);
        let wanted = TmpfsOptions {
            size: Some(TmpfsSize::Percent(10)),
            inodes: Some(100),
            mode: Some(0o700),
            uid: Some(1),
            gid: Some(2),
            exec: true,
            suid: true,
            dev: true,
            access_times: AccessTimes::Always,
            no_directory_access_times: true,
        };
        let lenient = "strictatime nodiratime size=10% nr_inodes=100 mode=700 uid=1 gid=2";
        assert_eq!(tmpfs_options(&wanted).join(" "), lenient);
        let bytes = TmpfsOptions { size: Some(TmpfsSize::Bytes(4096)), ..wanted };
        assert!(tmpfs_options(&bytes).contains(&"size=4096".to_owned()));
    }

    #[test]
    fn deeper_mounts_come_later() {
        let (mounts, _) = run(vec![tmpfs("/a/b"), tmpfs("/a")]).unwrap();
        let place = |mounts: &[Mount], path: &str| {
            mounts.iter().position(|mount| mount.destination() == path).unwrap()
        };
        assert!(place(&mounts, "/a") < place(&mounts, "/a/b"));
        // The engine's own mounts below a directory of the caller's are not hidden by it.
        let (mounts, _) = run(vec![tmpfs("/dev")]).unwrap();
        assert!(place(&mounts, "/dev") < place(&mounts, "/dev/pts"));
    }

    #[test]
    fn bad_places_are_refused() {
        for bad in ["a", "/", "/a/../b", "/proc", "/proc/self"] {
            assert!(run(vec![tmpfs(bad)]).is_err(), "{bad}");
        }
        assert!(run(vec![tmpfs("/a"), tmpfs("/a/")]).is_err());
    }

    #[test]
    fn volumes_lie_below_the_root() {
        let named = MountSource::Volume { name: Some("data".to_owned()) };
        let (_, volumes) = run(vec![request(named, "/d")]).unwrap();
        assert_eq!(volumes[0].path, Path::new("/root/volumes/data/_data"));
        let hostile = MountSource::Volume { name: Some("../x".to_owned()) };
        assert!(run(vec![request(hostile, "/d")]).is_err());
    }

    #[test]
    fn a_missing_source_is_an_error_unless_it_is_to_be_made() {
        let bind = |create| MountSource::Bind {
            path: "/nonexistent/x".into(),
            create,
            non_recursive: false,
        };
        assert!(run(vec![request(bind(false), "/d")]).is_err());
        assert_eq!(run(vec![request(bind(true), "/d")]).unwrap().1.len(), 1);
    }
}
