//! Paths that are checked and turned into C strings before the clone.
use crate::error::Error;
use crate::text::{Shown, quote};
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// A C string from a path, or the reason why not.
pub(crate) fn c_path(path: &Path, role: &'static str) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| refuse(path, role, "it has a NUL byte"))
}

pub(crate) fn refuse(path: &Path, role: &'static str, reason: &'static str) -> Error {
    Error::Path { path: path.display().to_string(), role, reason }
}

/// A C string from text that fsconfig(2) takes: at most 255 bytes and no NUL.
pub(crate) fn c_value(value: &str, role: &'static str) -> Result<CString, Error> {
    let refuse = |reason| Error::Value { value: value.to_owned(), role, reason };
    if value.len() > 255 {
        return Err(refuse("fsconfig(2) takes at most 255 bytes"));
    }
    CString::new(value).map_err(|_| refuse("it has a NUL byte"))
}

/// An absolute path on the host. The engine's own directories and the user's volumes: the kernel
/// resolves it as usual.
#[derive(Debug, Clone)]
pub(crate) struct HostPath(CString);

impl HostPath {
    pub(crate) fn new(path: &Path, role: &'static str) -> Result<Self, Error> {
        if !path.is_absolute() {
            return Err(refuse(path, role, "it is not absolute"));
        }
        c_path(path, role).map(Self)
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }

    pub(crate) fn quote(&self) -> String {
        quote(self.0.as_bytes())
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.0.as_bytes()).fmt(f)
    }
}

/// An absolute path inside the container's root, split so that missing directories can be made
/// one by one without formatting anything.
#[derive(Debug, Clone)]
pub(crate) struct RootPath {
    absolute: CString,
    prefixes: Vec<Prefix>,
}

/// One component of a [`RootPath`], with the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    /// From the root to this component, without a leading slash.
    pub(crate) path: CString,
    /// This component alone.
    pub(crate) name: CString,
}

impl RootPath {
    pub(crate) fn new(path: &Path, role: &'static str) -> Result<Self, Error> {
        if !path.is_absolute() {
            return Err(refuse(path, role, "it is not absolute"));
        }
        let mut whole = Vec::new();
        let mut prefixes = Vec::new();
        for component in path.components() {
            // `..` stays: only the kernel knows what it means behind a symbolic link.
            let name = match component {
                Component::Normal(name) => name.as_bytes(),
                Component::ParentDir => b"..",
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            };
            if !whole.is_empty() {
                whole.push(b'/');
            }
            whole.extend_from_slice(name);
            let c = |bytes: &[u8]| {
                CString::new(bytes).map_err(|_| refuse(path, role, "it has a NUL byte"))
            };
            prefixes.push(Prefix { path: c(&whole)?, name: c(name)? });
        }
        if prefixes.is_empty() {
            return Err(refuse(path, role, "it is the root itself"));
        }
        whole.insert(0, b'/');
        let absolute = CString::new(whole).map_err(|_| refuse(path, role, "it has a NUL byte"))?;
        Ok(Self { absolute, prefixes })
    }

    pub(crate) fn absolute(&self) -> &CStr {
        &self.absolute
    }

    pub(crate) fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// The path as a word of a shell that knows `$ROOT`.
    pub(crate) fn quote(&self) -> String {
        format!("\"$ROOT\"{}", quote(self.absolute.as_bytes()))
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.absolute.as_bytes()).fmt(f)
    }
}

/// The name of one entry in the scratch directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScratchName(CString);

impl ScratchName {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let role = "name of a scratch file";
        let path = Path::new(name);
        match name {
            "" | "." | ".." => Err(refuse(path, role, "it names no file")),
            "root" | "empty" => Err(refuse(path, role, "it is reserved")),
            _ if name.contains('/') => Err(refuse(path, role, "it has a slash")),
            _ => c_path(path, role).map(Self),
        }
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }

    pub(crate) fn quote(&self) -> String {
        format!("\"$SCRATCH\"/{}", quote(self.0.as_bytes()))
    }
}

impl fmt::Display for ScratchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.0.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(path: &str) -> Vec<String> {
        let path = RootPath::new(Path::new(path), "test").expect("a good path");
        path.prefixes().iter().map(|p| p.path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_root_path_splits_into_prefixes_and_keeps_dot_dot() {
        assert_eq!(prefixes("/a/b/c"), ["a", "a/b", "a/b/c"]);
        assert_eq!(prefixes("//a/./../b/"), ["a", "a/..", "a/../b"]);
    }

    #[test]
    fn paths_that_cannot_be_meant_are_refused() {
        for path in ["", "relative", "/", "/./", "/a\0b"] {
            assert!(RootPath::new(Path::new(path), "test").is_err(), "{path:?}");
        }
        for path in ["", "relative", "/a\0b"] {
            assert!(HostPath::new(Path::new(path), "test").is_err(), "{path:?}");
        }
        for name in ["", ".", "..", "root", "empty", "a/b", "a\0b"] {
            assert!(ScratchName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_option_longer_than_fsconfig_takes_is_refused() {
        assert!(c_value(&"x".repeat(255), "test").is_ok());
        assert!(c_value(&"x".repeat(256), "test").is_err());
    }
}
