//! Binding files and directories into the root.
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::kernel::{attach, clone_tree, refuse_procfs, set_attr};
use crate::mount::is_directory;
use crate::path::{HostPath, RootPath, ScratchName};
use crate::state::State;
use crate::step::Operation;
use crate::target::Missing;
use rustix::fs::{CWD, ResolveFlags};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a bind comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An absolute path on the host; symbolic links are followed.
    Host(PathBuf),
    /// A file of [`Step::scratch`](crate::Step::scratch), by its name.
    Scratch(String),
    /// A mount that the parent has made, by its index in [`State::with_trees`]. It decides by
    /// itself whether the mounts below it are there.
    Tree(usize),
}

/// The step of [`Step::bind`](crate::Step::bind).
#[derive(Debug, Clone)]
pub struct Bind {
    source: From,
    target: RootPath,
    recursive: bool,
    attr: MountAttr,
    propagation: Option<Propagation>,
}

#[derive(Debug, Clone)]
enum From {
    Host(HostPath),
    Scratch(ScratchName),
    Tree(usize),
}

impl Bind {
    pub(crate) fn new(
        source: &Source,
        target: &Path,
        recursive: bool,
        attr: MountAttr,
        propagation: Option<Propagation>,
    ) -> Result<Self, Error> {
        let source = match source {
            Source::Host(path) => From::Host(HostPath::new(path, "bind source")?),
            Source::Scratch(name) => From::Scratch(ScratchName::new(name)?),
            Source::Tree(index) => From::Tree(*index),
        };
        let target = RootPath::new(target, "bind target")?;
        Ok(Self { source, target, recursive, attr, propagation })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            From::Host(path) => write!(f, "bind {path} on {}", self.target)?,
            From::Scratch(name) => write!(f, "bind scratch file {name} on {}", self.target)?,
            From::Tree(index) => write!(f, "attach prepared tree {index} on {}", self.target)?,
        }
        let recursive = self.recursive.then_some("recursive");
        let propagation = self.propagation.map(|p| p.name(self.recursive));
        let words: Vec<_> =
            recursive.into_iter().chain(self.attr.names()).chain(propagation).collect();
        if words.is_empty() { Ok(()) } else { write!(f, " ({})", words.join(",")) }
    }
}

impl Operation for Bind {
    fn name(&self) -> &'static str {
        "bind"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &[
            "open_tree",
            "fstatfs",
            "fstat",
            "openat2",
            "mkdirat",
            "openat",
            "fchmod",
            "mount_setattr",
            "move_mount",
            "close",
        ]
    }

    fn shell(&self) -> Vec<String> {
        let source = match &self.source {
            From::Host(path) => path.quote(),
            From::Scratch(name) => name.quote(),
            From::Tree(_) => {
                let why = "a mount made outside of the user namespace: not possible in a shell";
                return vec![format!("# {why}")];
            }
        };
        let target = self.target.quote();
        let mut lines = vec![
            format!(
                "if [ -d {source} ]; then mkdir -p {target}; else mkdir -p \"$(dirname {target})\"; \
                 [ -e {target} ] || : > {target}; fi"
            ),
            format!("mount --{}bind {source} {target}", if self.recursive { "r" } else { "" }),
        ];
        if !self.attr.is_empty() {
            lines.push(remount(&target, self.attr, self.recursive));
        }
        if let Some(propagation) = self.propagation {
            lines.push(format!("mount --make-{} {target}", propagation.name(self.recursive)));
        }
        lines
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let tree = match &self.source {
            From::Host(path) => clone_tree(CWD, path.as_c_str(), self.recursive)?,
            From::Scratch(name) => clone_tree(state.scratch()?, name.as_c_str(), self.recursive)?,
            From::Tree(index) => state.take_tree(*index)?,
        };
        let directory = is_directory(&tree)?;
        let missing = if directory { Missing::Directory } else { Missing::File };
        let target = self.target.ensure(state.root()?, missing, ResolveFlags::empty())?;
        // move_mount(2) would only say EINVAL.
        match (directory, is_directory(&target)?) {
            (true, false) => return Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            (false, true) => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
            _ => {}
        }
        refuse_procfs(&target)?;
        set_attr(&tree, self.attr, self.propagation, self.recursive)?;
        attach(&tree, &target)
    }
}

/// The command that adds attributes to a mount. `ro=recursive` would be shorter, but util-linux
/// ignores it before 2.39 without a word.
pub(crate) fn remount(target: &str, attr: MountAttr, recursive: bool) -> String {
    if recursive {
        format!(
            "for m in $(findmnt -nrRo TARGET {target}); do mount -o remount,bind,{attr} \"$m\"; done"
        )
    } else {
        format!("mount -o remount,bind,{attr} {target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_reads_as_expected() {
        let bind = |source, recursive, attr, propagation| {
            Bind::new(&source, Path::new("/data"), recursive, attr, propagation)
                .expect("a bind")
                .to_string()
        };
        let host = Source::Host("/srv".into());
        assert_eq!(bind(host.clone(), false, MountAttr::empty(), None), "bind /srv on /data");
        assert_eq!(
            bind(host, true, MountAttr::RDONLY, Some(Propagation::Private)),
            "bind /srv on /data (recursive,ro,rprivate)"
        );
        let hosts = Source::Scratch("hosts".into());
        assert_eq!(
            bind(hosts, false, MountAttr::NODEV, None),
            "bind scratch file hosts on /data (nodev)"
        );
    }
}
