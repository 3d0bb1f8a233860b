use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use minidock_fs::{Descent, FileNode, Meta, NodeType, shown};
use minidock_image::tar::{BLOCK, Kind, Member, is_portable};

use crate::Error;
use crate::view::Ids;

/// Writes an archive.
pub(crate) struct Packer<W: Write> {
    output: W,
    ids: Ids,
    mounted: Mounted,
    /// The first name of files that have several.
    names: HashMap<(u64, u64), Vec<u8>>,
}

/// What becomes of what is mounted in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounted {
    /// It is left out.
    LeftOut,
    /// Files are taken; not what the kernel shows as such, nor the devices, whose directory has this
    /// device and number.
    Files { devices: Option<(u64, u64)> },
}

/// A directory on the way down.
struct Level {
    /// What is still to be written of it.
    names: std::vec::IntoIter<OsString>,
    /// How long the path of the directory above is.
    above: usize,
}

impl<W: Write> Packer<W> {
    pub(crate) fn new(output: W, ids: Ids, mounted: Mounted) -> Self {
        Self { output, ids, mounted, names: HashMap::new() }
    }

    /// A file, or a directory with all that is in it.
    pub(crate) fn add(&mut self, node: &FileNode, path: &[u8]) -> Result<(), Error> {
        self.one(node, path)?;
        match node.meta().kind {
            NodeType::Directory => self.contents(node, path),
            _ => Ok(()),
        }
    }

    /// What is in a directory, but not the directory itself. However deep it goes: a container can
    /// nest more directories than there are descriptors.
    pub(crate) fn contents(&mut self, top: &FileNode, path: &[u8]) -> Result<(), Error> {
        let mut path = path.to_vec();
        let mut way = Descent::new(top.try_clone().map_err(|error| failed(&path, &error))?);
        let names = top.names().map_err(|error| failed(&path, &error))?.into_iter();
        let mut levels = vec![Level { names, above: 0 }];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                way.leave().map_err(|error| failed(&path, &error))?;
                path.truncate(level.above);
                levels.pop();
                continue;
            };
            let above = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name.as_bytes());
            match self.child(way.at(), &name, &path)? {
                Some(directory) => {
                    let names =
                        directory.names().map_err(|error| failed(&path, &error))?.into_iter();
                    way.enter(directory);
                    levels.push(Level { names, above });
                }
                None => path.truncate(above),
            }
        }
        Ok(())
    }

    /// Something in a directory; if it is one itself, that is to be gone through.
    fn child(
        &mut self,
        directory: &FileNode,
        name: &OsStr,
        path: &[u8],
    ) -> Result<Option<FileNode>, Error> {
        let told = |error: io::Error| failed(path, &error);
        let node = match directory.child(name, true) {
            Err(error) if error.raw_os_error() == Some(libc::EXDEV) => {
                let mounted = directory.child(name, false).map_err(told)?;
                match mounted {
                    Some(node) if !self.takes(&node).map_err(told)? => {
                        return self.place(&node.meta(), path).map(|()| None);
                    }
                    mounted => mounted,
                }
            }
            node => node.map_err(told)?,
        };
        // It has gone meanwhile.
        let Some(node) = node else { return Ok(None) };
        self.one(&node, path)?;
        Ok((node.meta().kind == NodeType::Directory).then_some(node))
    }

    /// Whether something that is mounted is gone into.
    fn takes(&self, node: &FileNode) -> io::Result<bool> {
        match self.mounted {
            Mounted::LeftOut => Ok(false),
            Mounted::Files { devices } => {
                Ok(devices != Some(node.meta().inode) && !node.is_of_the_kernel()?)
            }
        }
    }

    /// One file, or a directory without what is in it. Archives have no sockets.
    fn one(&mut self, node: &FileNode, path: &[u8]) -> Result<(), Error> {
        let meta = node.meta();
        let Some(mut member) = self.member(&meta, path) else { return Ok(()) };
        if meta.links > 1 && meta.kind != NodeType::Directory {
            if let Some(first) = self.names.get(&meta.inode) {
                (member.kind, member.link, member.size) = (Kind::HardLink, first.clone(), 0);
                return self.write(&member, io::empty());
            }
            self.names.insert(meta.inode, path.to_vec());
        }
        let told = |error: io::Error| failed(path, &error);
        member.attributes = attributes(node).map_err(told)?;
        match meta.kind {
            NodeType::File => {
                // It may grow or shrink meanwhile; its size has been told by then.
                let mut file = node.read().map_err(told)?.take(member.size);
                self.write(&member, file.by_ref().chain(io::repeat(0)))?;
                match file.limit() {
                    0 if member.size == 0 => refuse_hidden(file.get_mut()).map_err(told),
                    0 => Ok(()),
                    _ => Err(told(io::Error::other("it is shorter than its size, or became so"))),
                }
            }
            NodeType::Link => {
                member.link = node.link().map_err(told)?.into_vec();
                self.write(&member, io::empty())
            }
            _ => self.write(&member, io::empty()),
        }
    }

    /// The place of something mounted: an empty directory or file.
    fn place(&mut self, meta: &Meta, path: &[u8]) -> Result<(), Error> {
        let kind = match meta.kind {
            NodeType::Directory => NodeType::Directory,
            _ => NodeType::File,
        };
        match self.member(&Meta { kind, size: 0, ..*meta }, path) {
            Some(member) => self.write(&member, io::empty()),
            None => Ok(()),
        }
    }

    /// Nothing for what archives have no place for.
    fn member(&self, meta: &Meta, path: &[u8]) -> Option<Member> {
        let kind = kind(meta.kind)?;
        let is = |kind| meta.kind == kind;
        let slash: &[u8] = if is(NodeType::Directory) { b"/" } else { b"" };
        Some(Member {
            path: [path, slash].concat(),
            kind,
            link: Vec::new(),
            mode: meta.mode,
            owner: self.ids.inside((meta.uid, meta.gid)),
            modified: meta.modified,
            device: if is(NodeType::Char) || is(NodeType::Block) { meta.device } else { (0, 0) },
            size: if is(NodeType::File) { meta.size } else { 0 },
            attributes: Vec::new(),
        })
    }

    /// As much data as the member says.
    fn write(&mut self, member: &Member, data: impl Read) -> Result<(), Error> {
        let written = self.output.write_all(&member.header()).and_then(|()| {
            io::copy(&mut data.take(member.size), &mut self.output)?;
            self.output.write_all(&vec![0; member.padding()])
        });
        written.map_err(|error| Error::io("write", "the archive", &error))
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W, Error> {
        let ended = self.output.write_all(&[0; 2 * BLOCK]).and_then(|()| self.output.flush());
        match ended {
            Ok(()) => Ok(self.output),
            Err(error) => Err(Error::io("write", "the archive", &error)),
        }
    }
}

/// What has data and, even then, no size is made up by the kernel as it is read, and would be copied
/// as an empty file.
fn refuse_hidden(file: &mut File) -> io::Result<()> {
    if file.read(&mut [0])? > 0 && file.metadata()?.len() == 0 {
        return Err(io::Error::other("it has data, but no size: the kernel shows it"));
    }
    Ok(())
}

/// Archives have no sockets.
fn kind(of: NodeType) -> Option<Kind> {
    Some(match of {
        NodeType::File => Kind::File,
        NodeType::Directory => Kind::Directory,
        NodeType::Link => Kind::Link,
        NodeType::Char => Kind::Char,
        NodeType::Block => Kind::Block,
        NodeType::Pipe => Kind::Pipe,
        _ => return None,
    })
}

fn attributes(node: &FileNode) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let mut found = Vec::new();
    for name in node.xattr_names()?.into_iter().filter(|name| is_portable(name)) {
        if let Some(value) = node.xattr(&name)? {
            found.push((name, value));
        }
    }
    Ok(found)
}

fn failed(path: &[u8], error: &io::Error) -> Error {
    Error::io("read", shown(path), error)
}
