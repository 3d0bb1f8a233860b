//! Making files in a tree that strangers may change meanwhile: every name is made or opened in a
//! directory that is held, and nothing that it refers to is followed.
use crate::node::{FileNode, Meta, NodeType};
use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags, chmodat,
    chownat, linkat, makedev, mkdirat, mknodat, openat2, setxattr, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

impl FileNode {
    /// Opens the directory `name`, and makes it when there is none.
    ///
    /// # Errors
    /// ENOTDIR when something else has that name; the errno of mkdirat(2) otherwise.
    pub fn make_directory(&self, name: &OsStr) -> io::Result<Self> {
        let text = one(name)?;
        match mkdirat(self.as_fd(), &text, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let made = self.child(name, false)?.ok_or(Errno::NOENT)?;
        match made.meta().kind {
            NodeType::Directory => Ok(made),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    /// Makes a new file, readable by its owner alone, and opens it for writing.
    ///
    /// # Errors
    /// EEXIST when something has that name.
    pub fn make_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(openat2(self.as_fd(), &one(name)?, flags, mode, resolve)?))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// EEXIST when something has that name.
    pub fn make_link(&self, name: &OsStr, text: &OsStr) -> io::Result<()> {
        let text = CString::new(text.as_bytes()).map_err(|_| io::Error::from(Errno::INVAL))?;
        Ok(symlinkat(text, self.as_fd(), &one(name)?)?)
    }

    /// Gives a file another name, here.
    ///
    /// # Errors
    /// EEXIST when something has that name; EXDEV on another file system.
    pub fn make_hard_link(&self, name: &OsStr, file: &Self) -> io::Result<()> {
        let (path, name) = (file.proc_path(), one(name)?);
        Ok(linkat(rustix::fs::CWD, path, self.as_fd(), &name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Makes a device, pipe or socket like another.
    ///
    /// # Errors
    /// EEXIST when something has that name; EPERM for devices without CAP_MKNOD; EINVAL for others.
    pub fn make_special(&self, name: &OsStr, like: &Meta) -> io::Result<()> {
        let kind = match like.kind {
            NodeType::Char => rustix::fs::FileType::CharacterDevice,
            NodeType::Block => rustix::fs::FileType::BlockDevice,
            NodeType::Pipe => rustix::fs::FileType::Fifo,
            _ => return Err(Errno::INVAL.into()),
        };
        let device = makedev(like.device.0, like.device.1);
        Ok(mknodat(self.as_fd(), &one(name)?, kind, Mode::RUSR | Mode::WUSR, device)?)
    }

    /// Removes a name that is no directory's. That there is none is fine.
    ///
    /// # Errors
    /// EISDIR for a directory, EBUSY for a mount point.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(self.as_fd(), &one(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets the owner, then the permission bits, but not a link's, which has none.
    ///
    /// # Errors
    /// The errno of chown(2) and chmod(2).
    pub fn set_owner_and_mode(&self, owner: Option<(u32, u32)>, mode: u32) -> io::Result<()> {
        use rustix::fs::{Gid, Uid};
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(self.as_fd(), c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        }
        if self.meta().kind != NodeType::Link {
            let mode = Mode::from_raw_mode(mode & 0o7777);
            chmodat(rustix::fs::CWD, self.proc_path(), mode, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Sets when it was last changed: seconds since the epoch, and nanoseconds.
    ///
    /// # Errors
    /// The errno of utimensat(2).
    pub fn set_modified(&self, (seconds, nanoseconds): (i64, u32)) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
        };
        Ok(utimensat(rustix::fs::CWD, self.proc_path(), &times, AtFlags::empty())?)
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// The errno of setxattr(2).
    pub fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        Ok(setxattr(self.proc_path(), name, value, XattrFlags::empty())?)
    }
}

/// One plain name.
fn one(name: &OsStr) -> io::Result<CString> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(Errno::INVAL.into());
    }
    CString::new(bytes).map_err(|_| Errno::INVAL.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn what_a_name_leads_to_is_never_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        let [inside, outside] = ["inside", "outside"].map(|name| dir.path().join(name));
        std::fs::create_dir(&inside).expect("a directory");
        std::fs::create_dir(&outside).expect("a directory");
        std::fs::write(outside.join("file"), "safe").expect("a file");
        symlink(outside.join("file"), inside.join("file")).expect("a link");
        symlink(&outside, inside.join("directory")).expect("a link");
        let root = FileNode::directory(&inside).expect("the directory");
        let name = OsStr::new;
        assert!(root.make_file(name("file")).is_err());
        assert!(root.make_directory(name("directory")).is_err());
        assert!(root.make_directory(name("../x")).is_err());
        let link = root.child(name("file"), false).expect("a look-up").expect("the link");
        link.set_owner_and_mode(None, 0o777).expect("nothing to do");
        link.set_modified((1, 2)).expect("times of the link");
        let file = outside.join("file").metadata().expect("the file");
        assert_ne!((file.mode() & 0o777, file.mtime()), (0o777, 1));
        root.remove_file(name("file")).expect("removing the link");
        assert_eq!(std::fs::read_to_string(outside.join("file")).expect("read"), "safe");
    }

    #[test]
    fn files_are_made_as_they_are_wanted() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = FileNode::directory(dir.path()).expect("the directory");
        let name = OsStr::new;
        drop(root.make_file(name("a")).expect("a file"));
        let a = root.child(name("a"), false).expect("a look-up").expect("the file");
        a.set_owner_and_mode(None, 0o640).expect("mode");
        a.set_modified((7, 8)).expect("time");
        root.make_hard_link(name("b"), &a).expect("a link");
        root.make_link(name("c"), name("/nowhere")).expect("a link");
        let meta = dir.path().join("b").metadata().expect("the file");
        assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o640, 2));
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (7, 8));
        assert_eq!(root.names().expect("names"), ["a", "b", "c"]);
    }
}
