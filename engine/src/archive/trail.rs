use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use minidock_fs::{Descent, FileNode, NodeType};

/// Where links in the way to a file lead: the root that they are resolved in, and the path of the
/// directory in it.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    pub(crate) root: &'a FileNode,
    pub(crate) path: PathBuf,
}

/// What a directory is to have when nothing is made in it any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) mode: u32,
    pub(super) modified: (i64, u32),
}

/// The directory that was written to last, and the way to it: the next file is mostly near, and the
/// way from the top may be long.
#[derive(Debug)]
pub(super) struct Trail<'a> {
    top: &'a FileNode,
    links: Option<Links<'a>>,
    way: Descent,
    names: Vec<OsString>,
    /// Of each name, where it is in `seen`.
    places: Vec<usize>,
    seen: Seen,
}

/// The directories on the way, and those that were left and are to have something at the end, with
/// the ones that these are in: as many as an archive has made, however often it comes back to them.
#[derive(Debug, Default)]
struct Seen {
    /// Each stands after the one that it is in.
    all: Vec<Entered>,
    /// Where in `all` those are that are called so in another one.
    by_name: HashMap<Place, usize>,
}

/// The directory that it is in, nothing for those at the top; and the name there.
type Place = (Option<usize>, OsString);

#[derive(Debug)]
struct Entered {
    place: Place,
    last: Option<Last>,
}

impl Seen {
    fn enter(&mut self, place: Place, last: Option<Last>) -> usize {
        match self.by_name.get(&place) {
            Some(known) => {
                if let Some(entered) = self.all.get_mut(*known).filter(|_| last.is_some()) {
                    entered.last = last;
                }
                *known
            }
            None => {
                self.by_name.insert(place.clone(), self.all.len());
                self.all.push(Entered { place, last });
                self.all.len() - 1
            }
        }
    }

    /// Forgets a directory that is to have nothing, nor any below it.
    fn leave(&mut self, left: usize) {
        if left + 1 == self.all.len()
            && let Some(entered) = self.all.pop_if(|entered| entered.last.is_none())
        {
            self.by_name.remove(&entered.place);
        }
    }

    /// The names from the top to a directory.
    fn path(&self, at: usize) -> Vec<OsString> {
        let directory = |at: &usize| self.all.get(*at)?.place.0;
        let places = std::iter::successors(Some(at), directory);
        let mut parts: Vec<_> =
            places.filter_map(|at| self.all.get(at)).map(|seen| seen.place.1.clone()).collect();
        parts.reverse();
        parts
    }
}

impl<'a> Trail<'a> {
    pub(super) fn new(top: &'a FileNode, links: Option<Links<'a>>) -> io::Result<Self> {
        let way = Descent::new(top.try_clone()?);
        let (names, places, seen) = (Vec::new(), Vec::new(), Seen::default());
        Ok(Self { top, links, way, names, places, seen })
    }

    pub(super) fn at(&self) -> &FileNode {
        self.way.at()
    }

    /// Goes to a directory below the top; `make` makes those that are missing. A link is followed
    /// inside the root, if there is one.
    pub(super) fn go(
        &mut self,
        parts: &[OsString],
        make: impl Fn(&FileNode, &OsStr) -> io::Result<FileNode>,
    ) -> io::Result<()> {
        let shared = self.names.iter().zip(parts).take_while(|(one, other)| one == other).count();
        while self.names.len() > shared {
            if self.way.leave().is_err() {
                // Others have moved it, or a link has led there: from the top again.
                self.way = Descent::new(self.top.try_clone()?);
                while self.forget_last() {}
                break;
            }
            self.forget_last();
        }
        for part in parts.iter().skip(self.names.len()) {
            let next = match self.at().child(part, false)? {
                None => make(self.at(), part)?,
                Some(next) => next,
            };
            let next = match (next.meta().kind, &self.links) {
                (NodeType::Directory, _) => next,
                (NodeType::Link, Some(links)) => self.follow(links, part)?,
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            };
            self.enter(part, next, None);
        }
        Ok(())
    }

    /// False when it is at the top.
    fn forget_last(&mut self) -> bool {
        self.places.pop().into_iter().for_each(|place| self.seen.leave(place));
        self.names.pop().is_some()
    }

    fn follow(&self, links: &Links<'_>, name: &OsStr) -> io::Result<FileNode> {
        let mut path = links.path.clone();
        path.extend(&self.names);
        path.push(name);
        let found = links.root.resolve(&path)?.ok_or_else(missing)?;
        match found.meta().kind {
            NodeType::Directory => Ok(found),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Goes down into a directory that is in this one.
    pub(super) fn enter(&mut self, name: &OsStr, directory: FileNode, last: Option<Last>) {
        let above = self.places.last().copied();
        self.places.push(self.seen.enter((above, name.to_owned()), last));
        self.names.push(name.to_owned());
        self.way.enter(directory);
    }

    /// Gives every directory what it is to have, the last one first. What is missing by then is
    /// left alone.
    pub(super) fn finish(mut self) -> Result<(), (Vec<OsString>, io::Error)> {
        let seen = std::mem::take(&mut self.seen);
        self.places.clear();
        for (place, entered) in seen.all.iter().enumerate().rev() {
            let Some(last) = entered.last else { continue };
            let parts = seen.path(place);
            let set = self.go(&parts, |_, _| Err(missing())).and_then(|()| {
                self.at().set_owner_and_mode(None, last.mode)?;
                self.at().set_modified(last.modified)
            });
            match set {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err((parts, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// In words that a person expects, unlike those of `io::ErrorKind`.
fn missing() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(text: &str) -> Vec<OsString> {
        text.split('/').map(OsString::from).collect()
    }

    #[test]
    fn what_is_remembered_does_not_grow_with_the_times_that_it_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let top = FileNode::directory(directory.path()).unwrap();
        let mut trail = Trail::new(&top, None).unwrap();
        let make = |parent: &FileNode, name: &OsStr| parent.make_directory(name);
        let last = Last { mode: 0o700, modified: (5, 0) };
        for _ in 0..100 {
            trail.go(&way("a/b/c"), make).unwrap();
            trail.go(&way("d"), make).unwrap();
            let made = trail.at().make_directory(OsStr::new("e")).unwrap();
            trail.enter(OsStr::new("e"), made, Some(last));
        }
        // `d` and `e`; what was only passed through is forgotten.
        assert_eq!(trail.seen.path(1), way("d/e"));
        assert_eq!((trail.seen.all.len(), trail.seen.by_name.len()), (2, 2));
        trail.go(&way("a/b"), make).unwrap();
        assert_eq!((trail.seen.all.len(), trail.seen.by_name.len()), (4, 4));
        trail.finish().unwrap();
        let modified = |path: &str| directory.path().join(path).metadata().unwrap().modified();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(5);
        assert_eq!(modified("d/e").unwrap(), time);
        assert_ne!(modified("d").unwrap(), time);
    }
}
