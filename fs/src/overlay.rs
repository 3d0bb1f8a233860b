//! The root as an overlay of read-only layers and one writable directory.
use crate::error::Error;
use crate::kernel::HANDLE;
use crate::path::{HostPath, refuse};
use crate::state::State;
use crate::step::Operation;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::mount::{MountFlags, mount};
use rustix::process::fchdir;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What an overlay is made of: see the kernel's `filesystems/overlayfs.rst`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The read-only layers, the uppermost first.
    pub lower: Vec<PathBuf>,
    /// The directory that takes all changes.
    pub upper: PathBuf,
    /// An empty directory on the same file system as `upper`, for the kernel's own use.
    pub work: PathBuf,
    /// Never wait for the disk (`volatile`, Linux 5.10): after a crash of the host `upper` is
    /// worthless.
    pub volatile: bool,
    /// Keep the overlay's marks in `user.*` attributes, as a user namespace needs (Linux 5.11).
    pub userxattr: bool,
}

impl Overlay {
    /// The most layers that one page of mount options has room for.
    pub const MAX_LOWER: usize = 200;
}

/// The step of [`Step::root_overlay`](crate::Step::root_overlay).
#[derive(Debug, Clone)]
pub struct RootOverlay {
    lower: Vec<HostPath>,
    upper: HostPath,
    work: HostPath,
    flags: &'static [u8],
}

/// Layers come from strangers: the kernel is not to follow what their attributes say about
/// renamed directories and split files. With `userxattr` it never does, and takes no such option.
const TRUSTED: &[u8] = b",index=off,metacopy=off,redirect_dir=nofollow";
const TRUSTED_VOLATILE: &[u8] = b",index=off,metacopy=off,redirect_dir=nofollow,volatile";

impl RootOverlay {
    pub(crate) fn new(overlay: &Overlay) -> Result<Self, Error> {
        let role = "lower directory of an overlay";
        if overlay.lower.is_empty() {
            return Err(refuse(Path::new(""), role, "an overlay needs at least one"));
        }
        if let Some(beyond) = overlay.lower.get(Overlay::MAX_LOWER) {
            return Err(refuse(beyond, role, "an overlay takes at most 200"));
        }
        let lower: Result<_, _> =
            overlay.lower.iter().map(|dir| HostPath::new(dir, role)).collect();
        let flags: &[u8] = match (overlay.userxattr, overlay.volatile) {
            (true, true) => b",userxattr,volatile",
            (true, false) => b",userxattr",
            (false, true) => TRUSTED_VOLATILE,
            (false, false) => TRUSTED,
        };
        Ok(Self {
            lower: lower?,
            upper: HostPath::new(&overlay.upper, "upper directory of an overlay")?,
            work: HostPath::new(&overlay.work, "work directory of an overlay")?,
            flags,
        })
    }

    fn flags(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.flags)
    }
}

impl fmt::Display for RootOverlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mount overlay as the root (lowerdir=")?;
        for (i, lower) in self.lower.iter().enumerate() {
            write!(f, "{}{lower}", if i == 0 { "" } else { ":" })?;
        }
        write!(f, ",upperdir={},workdir={}{})", self.upper, self.work, self.flags())
    }
}

impl Operation for RootOverlay {
    fn name(&self) -> &'static str {
        "root_overlay"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat", "fchdir", "mount", "openat2", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let mut lines = vec!["LOWER=".to_owned()];
        for lower in &self.lower {
            // A colon or a comma in a path would end it: overlay knows a backslash, and so the
            // shell needs none of its own.
            let escape = r"sed 's/[\\:,]/\\&/g'";
            lines.push(format!(
                "LOWER=\"${{LOWER:+$LOWER:}}$(printf %s {} | {escape})\"",
                lower.quote()
            ));
        }
        let escape = r"sed 's/[\\,]/\\&/g'";
        lines.push(format!("UPPER=\"$(printf %s {} | {escape})\"", self.upper.quote()));
        lines.push(format!("WORK=\"$(printf %s {} | {escape})\"", self.work.quote()));
        lines.push(format!(
            "mount -t overlay -o \"lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK{}\" overlay \
             \"$ROOT\"",
            self.flags()
        ));
        lines
    }

    /// The options name open directories, `/proc/self/fd/5`, and no paths: nothing needs
    /// escaping, and the container's mountinfo tells nothing about the host. The directories are
    /// opened here and not before the clone, since the kernel takes them only from the mount
    /// namespace that mounts (EINVAL otherwise). mount(2) and not fsconfig(2), whose values end
    /// at 255 bytes: about 15 layers.
    fn apply(&self, state: &mut State) -> io::Result<()> {
        let scratch = state.scratch()?;
        let mut open: [Option<OwnedFd>; Overlay::MAX_LOWER + 2] = [const { None }; _];
        let mut slots = open.iter_mut();
        let mut options = Options::new();
        let mut push_dir = |options: &mut Options, prefix: &[u8], dir: &HostPath| {
            let fd = openat(CWD, dir.as_c_str(), HANDLE | OFlags::DIRECTORY, Mode::empty())?;
            options.push(prefix)?;
            options.push_fd(&fd)?;
            *slots.next().ok_or_else(too_long)? = Some(fd);
            Ok::<_, io::Error>(())
        };
        for (i, lower) in self.lower.iter().enumerate() {
            push_dir(&mut options, if i == 0 { b"lowerdir=" } else { b":" }, lower)?;
        }
        push_dir(&mut options, b",upperdir=", &self.upper)?;
        push_dir(&mut options, b",workdir=", &self.work)?;
        options.push(self.flags)?;
        // mount(2) takes a path as its target: a relative one needs no formatting either.
        fchdir(scratch)?;
        mount(c"overlay", c"root", c"overlay", MountFlags::empty(), options.as_c_str()?)?;
        let flags = HANDLE | OFlags::DIRECTORY;
        let root = crate::kernel::open_beneath(scratch, c"root", flags, ResolveFlags::BENEATH)?;
        state.root = Some(root);
        Ok(())
    }
}

/// The options of one mount(2), built without allocating. The kernel reads at most one page and
/// cuts the rest silently, so the last byte stays NUL.
struct Options {
    bytes: [u8; 4096],
    length: usize,
}

impl Options {
    const fn new() -> Self {
        Self { bytes: [0; 4096], length: 0 }
    }

    fn push(&mut self, text: &[u8]) -> io::Result<()> {
        let end = self.length.saturating_add(text.len());
        if end >= self.bytes.len() {
            return Err(too_long());
        }
        self.bytes.get_mut(self.length..end).ok_or_else(too_long)?.copy_from_slice(text);
        self.length = end;
        Ok(())
    }

    fn push_fd(&mut self, fd: &OwnedFd) -> io::Result<()> {
        self.push(b"/proc/self/fd/")?;
        let mut number = fd.as_raw_fd().unsigned_abs();
        let mut digits = [0; 10];
        let mut rest = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            rest -= 1;
            if number == 0 {
                break;
            }
        }
        self.push(digits.get(rest..).unwrap_or_default())
    }

    fn as_c_str(&self) -> io::Result<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| too_long())
    }
}

fn too_long() -> io::Error {
    io::Error::from_raw_os_error(libc::ENAMETOOLONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(layers: usize) -> Overlay {
        Overlay {
            lower: (0..layers).map(|i| PathBuf::from(format!("/l{i}"))).collect(),
            upper: "/u".into(),
            work: "/w".into(),
            ..Overlay::default()
        }
    }

    #[test]
    fn the_count_of_layers_is_bounded() {
        assert!(RootOverlay::new(&overlay(0)).is_err());
        assert!(RootOverlay::new(&overlay(Overlay::MAX_LOWER)).is_ok());
        assert!(RootOverlay::new(&overlay(Overlay::MAX_LOWER + 1)).is_err());
    }

    #[test]
    fn the_longest_options_fit_into_a_page() {
        let one = ":/proc/self/fd/9999".len();
        let rest = "lowerdir=,upperdir=,workdir=".len() + TRUSTED_VOLATILE.len();
        assert!((Overlay::MAX_LOWER + 2) * one + rest < 4096);
    }

    #[test]
    fn options_refuse_what_does_not_fit() {
        let mut options = Options::new();
        options.push(&[b'x'; 4095]).expect("one page less the NUL");
        assert_eq!(options.as_c_str().expect("a C string").count_bytes(), 4095);
        assert!(options.push(b"x").is_err());
    }

    #[test]
    fn a_descriptor_is_written_in_decimal() {
        let fd = OwnedFd::from(std::fs::File::open("/dev/null").expect("open /dev/null"));
        let mut options = Options::new();
        options.push_fd(&fd).expect("room");
        let text = options.as_c_str().expect("a C string").to_string_lossy().into_owned();
        assert_eq!(text, format!("/proc/self/fd/{}", fd.as_raw_fd()));
    }
}
