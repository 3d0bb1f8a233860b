//! Files into containers and out of them, by docker's rules for paths.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use minidock_fs::{FileNode, NodeType};

use crate::archive::{self, Links, Mounted, Owners, Packer, Place, Unpacker};
use crate::explain::Reporter;
use crate::view::{self, Ids, Purpose};
use crate::{ContainerId, Engine, Error, Explain};

/// What is copied, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// The path that is copied; on the host an absolute one.
    pub from: PathBuf,
    /// The path that it is copied to, likewise.
    pub to: PathBuf,
    /// `-a`: owners are kept.
    pub keep_owner: bool,
    /// `-L`: what a link at the end of `from` leads to is copied.
    pub follow: bool,
}

/// The whole tree of a container as its layers have it, also below what is mounted in it.
pub(crate) fn export(
    engine: &Engine,
    id: &ContainerId,
    output: &mut dyn Write,
) -> Result<(), Error> {
    view::with(engine, id, Purpose::Own, |view| {
        let mut packer = Packer::new(output, view.ids.clone(), Mounted::LeftOut);
        packer.contents(&view.root, b"")?;
        packer.finish().map(drop)
    })
}

/// A path of a container as an archive.
pub(crate) fn archive(
    engine: &Engine,
    id: &ContainerId,
    (from, follow): (&Path, bool),
    output: &mut dyn Write,
) -> Result<(), Error> {
    view::with(engine, id, Purpose::Read, |view| {
        let source = Source::find(&view.root, from, follow)?;
        source.pack(output, view.ids.clone())
    })
}

/// An archive into a directory of a container.
pub(crate) fn extract(
    engine: &Engine,
    id: &ContainerId,
    (to, keep_owner): (&Path, bool),
    input: &mut dyn Read,
) -> Result<(), Error> {
    view::with(engine, id, Purpose::Write, |view| {
        let directory = look_up(&view.root, to)?.ok_or_else(|| missing(to))?;
        match directory.meta().kind {
            NodeType::Directory => {}
            _ => {
                return Err(Error::new(format!(
                    "destination {:?} must be a directory",
                    to.display()
                )));
            }
        }
        view::check_writable(&view.root, &directory)?;
        let owners = Owners { keep: keep_owner, otherwise: (0, 0), from_container: false };
        let links = Links { root: &view.root, path: to.to_owned() };
        let mut input = archive::plain(input)?;
        let ids = &view.ids;
        let directory = (&directory, to.to_owned());
        let unpacker = Unpacker::new(directory, Some(links), Place::Inside, ids, owners)?;
        warn(unpacker.run(&mut input)?);
        // What compresses it may have a checksum at its end.
        let rest = io::copy(&mut input, &mut io::sink());
        rest.map(drop).map_err(|error| Error::io("read", "the archive", &error))
    })
}

/// Out of a container; how many bytes it was.
pub(crate) fn out(engine: &Engine, id: &ContainerId, options: &CopyOptions) -> Result<u64, Error> {
    let host = FileNode::directory(Path::new("/"))?;
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let owners = Owners { keep: options.keep_owner, otherwise: own, from_container: true };
    view::with(engine, id, Purpose::Read, |view| {
        copy((&view.root, &view.ids), (&host, &Ids::default()), options, owners)
    })
}

/// Into a container; how many bytes it was.
pub(crate) fn into(engine: &Engine, id: &ContainerId, options: &CopyOptions) -> Result<u64, Error> {
    let host = FileNode::directory(Path::new("/"))?;
    let owners = Owners { keep: options.keep_owner, otherwise: (0, 0), from_container: false };
    view::with(engine, id, Purpose::Write, |view| {
        copy((&host, &Ids::default()), (&view.root, &view.ids), options, owners)
    })
}

fn copy(
    (from, from_ids): (&FileNode, &Ids),
    (to, to_ids): (&FileNode, &Ids),
    options: &CopyOptions,
    owners: Owners,
) -> Result<u64, Error> {
    let source = Source::find(from, &options.from, options.follow)?;
    if source.node.meta().kind == NodeType::Socket {
        let path = minidock_fs::shown(options.from.as_os_str().as_bytes());
        return Err(Error::new(format!("cannot copy {path}: it is a socket")));
    }
    let Target { directory, path, place } = target(to, &options.to, &source, owners)?;
    let unpacker = Unpacker::new((&directory, path), None, place, to_ids, owners)?;
    let piped = |error: io::Error| Error::io("make", "a pipe", &error);
    let (reader, writer) = io::pipe().map_err(piped)?;
    let mut writer = Counted { writer, bytes: 0, broken: false };
    let ids = from_ids.clone();
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let packed = source.pack(&mut writer, ids);
            (packed, writer.bytes, writer.broken)
        });
        let unpacked = unpacker.run(reader);
        let panicked = || (Err(Error::new("the thread that reads has panicked")), 0, false);
        let (packed, bytes, broken) = packing.join().unwrap_or_else(|_| panicked());
        match packed {
            // Whoever does not get on with the writing stops the reading.
            Err(error) if !broken => Err(error),
            _ => unpacked.map(|warning| {
                warn(warning);
                bytes
            }),
        }
    })
}

fn warn(warning: Option<String>) {
    let reporter = Reporter::new(Explain::Off);
    warning.iter().for_each(|warning| reporter.warn(warning));
}

/// Counts what is written, and notes that nobody reads it.
struct Counted {
    writer: io::PipeWriter,
    bytes: u64,
    broken: bool,
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(data);
        match &written {
            Ok(count) => self.bytes += u64::try_from(*count).unwrap_or(0),
            Err(error) => self.broken |= error.kind() == io::ErrorKind::BrokenPipe,
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// What is copied.
struct Source {
    node: FileNode,
    name: OsString,
    /// What is in the directory, and not the directory.
    contents: bool,
    /// Device and number of `/dev`.
    devices: Option<(u64, u64)>,
}

impl Source {
    fn find(root: &FileNode, path: &Path, follow: bool) -> Result<Self, Error> {
        let end = End::of(path);
        let last = path.components().next_back();
        let (node, name) = match last {
            Some(Component::Normal(name)) if !follow && end == End::Name => {
                let above = path.parent().unwrap_or(Path::new("/"));
                let directory = look_up(root, above)?.ok_or_else(|| missing(path))?;
                let found = directory.child(name, false);
                (found.map_err(|error| failed(path, &error))?, name.to_owned())
            }
            Some(Component::Normal(name)) => (look_up(root, path)?, name.to_owned()),
            _ => (look_up(root, path)?, OsString::new()),
        };
        let node = node.ok_or_else(|| missing(path))?;
        if node.is_of_the_kernel().map_err(|error| failed(path, &error))? {
            let path = minidock_fs::shown(path.as_os_str().as_bytes());
            let why = "it is no file that somebody has stored, the kernel shows it";
            return Err(Error::new(format!("cannot copy {path}: {why}"))
                .hint("a program can read it, and store what it says"));
        }
        let is_directory = node.meta().kind == NodeType::Directory;
        if !is_directory && end != End::Name {
            return Err(failed(path, &io::ErrorKind::NotADirectory.into()));
        }
        let contents = is_directory && (end == End::Dot || name.is_empty());
        let devices = root.resolve(Path::new("/dev")).map_err(|error| failed(path, &error))?;
        let devices = devices.map(|devices| devices.meta().inode);
        Ok(Self { node, name, contents, devices })
    }

    fn is_directory(&self) -> bool {
        self.node.meta().kind == NodeType::Directory
    }

    fn pack(&self, output: &mut dyn Write, ids: Ids) -> Result<(), Error> {
        let mut packer = Packer::new(output, ids, Mounted::Files { devices: self.devices });
        match self.contents {
            true => packer.contents(&self.node, b"")?,
            false => packer.add(&self.node, self.name.as_bytes())?,
        }
        packer.finish().map(drop)
    }
}

/// How a path ends, which says more than what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Name,
    /// `/`: it is to be a directory.
    Slash,
    /// `/.`: what is in it.
    Dot,
}

impl End {
    fn of(path: &Path) -> Self {
        match path.as_os_str().as_bytes() {
            b"." | [.., b'/', b'.'] => Self::Dot,
            [.., b'/'] => Self::Slash,
            _ => Self::Name,
        }
    }
}

/// Where something goes to.
struct Target {
    directory: FileNode,
    /// The directory's.
    path: PathBuf,
    place: Place,
}

/// The directory that something goes to, and how it is called there.
fn target(root: &FileNode, path: &Path, source: &Source, owners: Owners) -> Result<Target, Error> {
    let end = End::of(path);
    let check = |directory: &FileNode| match owners.from_container {
        true => Ok(()),
        false => view::check_writable(root, directory),
    };
    match look_up(root, path)? {
        Some(directory) if directory.meta().kind == NodeType::Directory => {
            check(&directory)?;
            let place = match source.contents {
                true => Place::Inside,
                false => Place::Named(source.name.clone()),
            };
            Ok(Target { directory, path: path.to_owned(), place })
        }
        Some(_) if source.is_directory() => {
            Err(Error::new("cannot copy directory")
                .hint(format!("{} is no directory", path.display())))
        }
        Some(_) if end != End::Name => Err(failed(path, &io::ErrorKind::NotADirectory.into())),
        None if end != End::Name && !source.is_directory() => {
            Err(Error::new("destination directory must exist").hint(path.display().to_string()))
        }
        _ => {
            // A link that leads nowhere, or to a file, is followed: its place is not the link's.
            let place = place_of(root, path)?;
            let name = place.file_name().ok_or_else(|| missing(path))?.to_owned();
            let above = place.parent().unwrap_or(Path::new("/"));
            let directory = look_up(root, above)?.ok_or_else(|| missing(above))?;
            check(&directory)?;
            match source.contents {
                false => {
                    Ok(Target { directory, path: above.to_owned(), place: Place::Named(name) })
                }
                // A new directory for what is in another.
                true => {
                    let made = directory.make_directory(&name);
                    let made = made.map_err(|error| failed(path, &error))?;
                    let mode = source.node.meta().mode & 0o1777;
                    let dressed = made.set_owner_and_mode(None, mode);
                    dressed.map_err(|error| failed(path, &error))?;
                    Ok(Target { directory: made, path: place, place: Place::Inside })
                }
            }
        }
    }
}

/// Where a path leads when links at its end are followed, inside the root.
fn place_of(root: &FileNode, path: &Path) -> Result<PathBuf, Error> {
    const MOST_LINKS: usize = 40;
    let mut place: PathBuf = path.components().collect();
    for _ in 0..MOST_LINKS {
        let Some(name) = place.file_name().map(ToOwned::to_owned) else { return Ok(place) };
        let above = place.parent().unwrap_or(Path::new("/")).to_owned();
        let Some(directory) = look_up(root, &above)? else { return Ok(place) };
        let found = directory.child(&name, false).map_err(|error| failed(path, &error))?;
        match found {
            Some(link) if link.meta().kind == NodeType::Link => {
                place = above.join(link.link().map_err(|error| failed(path, &error))?);
            }
            _ => return Ok(place),
        }
    }
    Err(failed(path, &io::Error::from_raw_os_error(libc::ELOOP)))
}

fn look_up(root: &FileNode, path: &Path) -> Result<Option<FileNode>, Error> {
    let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
    root.resolve(path).map_err(|error| failed(path, &error))
}

fn missing(path: &Path) -> Error {
    failed(path, &io::Error::from_raw_os_error(libc::ENOENT))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::io("use", minidock_fs::shown(path.as_os_str().as_bytes()), error)
}

#[cfg(test)]
mod tests;
