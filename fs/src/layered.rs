//! What several layers show together, read as overlayfs would: see the kernel's
//! `filesystems/overlayfs.rst`. It takes no mount, hence no privilege.
use crate::node::{FileNode, NodeType};
use std::io;
use std::path::{Component, Path};

/// The marks of a directory that hides what lower layers have of it: root's, and those in a user
/// namespace.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// What a layer has to say of a path.
enum Word {
    Found(FileNode),
    /// Neither it nor what is below it has anything there.
    Hidden,
    /// The layers below decide.
    Nothing,
}

/// What is at the end of a path in which no name but the last may be a link. `layers` are in order,
/// the uppermost first.
pub(crate) fn visible(layers: &[FileNode], path: &Path) -> io::Result<Option<FileNode>> {
    for (index, layer) in layers.iter().enumerate() {
        match look(layer, path, index + 1 == layers.len())? {
            Word::Found(node) => return Ok(Some(node)),
            Word::Hidden => return Ok(None),
            Word::Nothing => {}
        }
    }
    Ok(None)
}

/// Below the lowest layer there is nothing to be hidden.
fn look(layer: &FileNode, path: &Path, lowest: bool) -> io::Result<Word> {
    let mut node = layer.try_clone()?;
    let mut opaque = false;
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    for name in names {
        if node.meta().kind != NodeType::Directory {
            return Ok(Word::Hidden);
        }
        opaque = opaque || !lowest && is_opaque(&node)?;
        node = match node.child(name, false)? {
            Some(child) if is_whiteout(&child) => return Ok(Word::Hidden),
            Some(child) => child,
            None if opaque => return Ok(Word::Hidden),
            None => return Ok(Word::Nothing),
        };
    }
    Ok(Word::Found(node))
}

/// A character device 0/0.
fn is_whiteout(node: &FileNode) -> bool {
    let meta = node.meta();
    meta.kind == NodeType::Char && meta.device == (0, 0)
}

fn is_opaque(node: &FileNode) -> io::Result<bool> {
    for name in OPAQUE {
        if node.xattr(name)?.is_some_and(|value| value == b"y") {
            return Ok(true);
        }
    }
    Ok(false)
}
