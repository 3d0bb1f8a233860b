//! Names in a layer.

use super::Error;

/// What the names begin with that say what a layer removes.
const MARK: &[u8] = b".wh.";
/// What those begin with that say something else.
const PLUMBING: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Bytes of a name and of a path, as the kernel has them (`NAME_MAX`, `PATH_MAX`).
const LONGEST: usize = 255;
pub(super) const LONGEST_PATH: usize = 4096;

/// A path in the layer: names with one `/` between them, nothing for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

/// What a name is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// A file of the layer.
    File,
    /// What is called so in the layers below is removed.
    Whiteout(&'a [u8]),
    /// The directory hides everything in the layers below.
    Opaque,
    /// Something about the layer that only aufs has made use of.
    Plumbing,
}

impl Name {
    /// Leading `/` and `./` mean nothing.
    pub(super) fn parse(path: &[u8], depth: usize) -> Result<Self, Error> {
        let refused = |why| Err(Error::refused(path, why));
        if path.is_empty() {
            return refused("it has no name");
        }
        if path.contains(&0) {
            return refused("a name with a NUL");
        }
        let (mut clean, mut count) = (Vec::with_capacity(path.len()), 0);
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return refused("it leads out of the layer"),
                part if part.len() > LONGEST => return refused("a name is too long"),
                part => {
                    if !clean.is_empty() {
                        clean.push(b'/');
                    }
                    clean.extend(part);
                    count += 1;
                }
            }
        }
        if clean.len() > LONGEST_PATH {
            return refused("its path is too long");
        }
        if count > depth {
            return refused("it is too deep");
        }
        Ok(Self(clean))
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that it is in, and its name there.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        let slash = self.0.iter().rposition(|byte| *byte == b'/');
        match slash.and_then(|at| self.0.split_at_checked(at)) {
            Some((parent, name)) => (parent, name.get(1..).unwrap_or_default()),
            None => (b"", &self.0),
        }
    }

    pub(super) fn meaning(&self) -> Result<Meaning<'_>, Error> {
        let refused = |why| Err(Error::refused(&self.0, why));
        let (parent, name) = self.split();
        match parent.split(|byte| *byte == b'/').find(|part| part.starts_with(MARK)) {
            Some(part) if part.starts_with(PLUMBING) => return Ok(Meaning::Plumbing),
            Some(_) => return refused("it is in something that is removed"),
            None => {}
        }
        match (name, name.strip_prefix(MARK)) {
            (_, None) => Ok(Meaning::File),
            (OPAQUE, _) => Ok(Meaning::Opaque),
            (name, _) if name.starts_with(PLUMBING) => Ok(Meaning::Plumbing),
            (_, Some(b"" | b"." | b"..")) => refused("it removes nothing that has a name"),
            (_, Some(rest)) => Ok(Meaning::Whiteout(rest)),
        }
    }
}

/// Whether nothing in a tree may be called so, since it would be taken for the mark of something
/// removed.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(MARK)
}

/// How a layer says that something is removed.
pub(super) fn whiteout(name: &[u8]) -> Vec<u8> {
    [MARK, name].concat()
}

/// How a layer says that a directory is opaque.
pub(super) fn opaque() -> &'static [u8] {
    OPAQUE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Name, Error> {
        Name::parse(path.as_bytes(), 10)
    }

    #[test]
    fn what_leads_nowhere_else_is_left_out_of_a_path() {
        for (path, clean) in [
            ("./a", "a"),
            ("/a//b/", "a/b"),
            ("a/./b", "a/b"),
            ("./", ""),
            ("/", ""),
            ("...", "..."),
        ] {
            assert_eq!(parse(path).unwrap().path(), clean.as_bytes(), "{path}");
        }
        assert_eq!(parse("a/b/c").unwrap().split(), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(parse("a").unwrap().split(), (&b""[..], &b"a"[..]));
    }

    #[test]
    fn what_no_file_can_be_called_is_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(11);
        let path = format!("{}/", "x".repeat(250)).repeat(17);
        for bad in ["", "..", "../a", "a/..", "/..", "a/../b", "a\0b", &long, &deep] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(Name::parse(path.as_bytes(), 255).is_err());
        assert!(parse(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn names_say_what_is_removed() {
        for (path, meaning) in [
            ("a/b", Meaning::File),
            ("a/.who", Meaning::File),
            ("a/.wh.b", Meaning::Whiteout(b"b")),
            (".wh..b", Meaning::Whiteout(b".b")),
            ("a/.wh..wh..opq", Meaning::Opaque),
            ("a/.wh..wh.plnk", Meaning::Plumbing),
            (".wh..wh.plnk/1.2", Meaning::Plumbing),
            (".wh..wh.aufs", Meaning::Plumbing),
        ] {
            assert_eq!(parse(path).unwrap().meaning().unwrap(), meaning, "{path}");
        }
        for bad in [".wh.", "a/.wh..", ".wh...", ".wh.a/b"] {
            assert!(parse(bad).unwrap().meaning().is_err(), "{bad}");
        }
    }
}
