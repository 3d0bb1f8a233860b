//! From the initramfs to a disk: pivot_root(2) refuses the initramfs as a root, and an overlay wants
//! a file system with extended attributes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};

use crate::mount_at;

const DISK: &str = "/dev/vda";
const KERNEL: [&str; 3] = ["dev", "proc", "sys"];

/// /dev, /proc and /sys.
pub(super) fn mount_kernel_file_systems(root: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount_at("devtmpfs", &root.join("dev"), MsFlags::MS_NOSUID, "mode=755")?;
    mount_at("proc", &root.join("proc"), flags | MsFlags::MS_NODEV, "")?;
    mount_at("sysfs", &root.join("sys"), flags | MsFlags::MS_NODEV, "")
}

/// Moves /root of the initramfs onto the disk, and makes the disk the root.
pub(super) fn switch_root() -> Result<()> {
    let new = Path::new("/new");
    wait_for(Path::new(DISK))?;
    fs::create_dir(new)?;
    mount(Some(DISK), new, Some("ext4"), MsFlags::empty(), None::<&str>)
        .context("cannot mount the disk")?;
    move_children(Path::new("/root"), new).context("cannot fill the disk")?;
    for dir in KERNEL {
        let (from, to) = (Path::new("/").join(dir), new.join(dir));
        fs::create_dir_all(&to)?;
        mount(Some(&from), &to, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .with_context(|| format!("cannot move /{dir}"))?;
    }
    std::env::set_current_dir(new)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .context("cannot make the disk the root")?;
    nix::unistd::chroot(".").context("cannot enter the disk")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

/// What a host's init mounts besides, and the propagation that systemd gives to the root.
pub(super) fn mount_runtime_file_systems() -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let noexec = flags | MsFlags::MS_NOEXEC;
    mount_at("devpts", Path::new("/dev/pts"), MsFlags::MS_NOSUID, "mode=620,gid=5,ptmxmode=666")?;
    mount_at("tmpfs", Path::new("/dev/shm"), flags, "mode=1777")?;
    mount_at("mqueue", Path::new("/dev/mqueue"), noexec, "")?;
    mount_at("tmpfs", Path::new("/run"), flags, "mode=755")?;
    for (link, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{target}"), Path::new("/dev").join(link))
            .with_context(|| format!("cannot make the link /dev/{link}"))?;
    }
    let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, shared, None::<&str>)
        .context("cannot make the mounts shared")
}

fn wait_for(device: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !device.exists() {
        if Instant::now() >= deadline {
            bail!("there is no {}", device.display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Moves one file at a time, so that the memory of the initramfs does not hold everything twice.
fn move_children(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let source = entry?.path();
        let target = to.join(source.file_name().unwrap_or_default());
        move_entry(&source, &target).with_context(|| source.display().to_string())?;
    }
    Ok(())
}

fn move_entry(source: &Path, target: &Path) -> Result<()> {
    let meta = source.symlink_metadata()?;
    let (uid, gid) = (Some(meta.uid()), Some(meta.gid()));
    if meta.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
        lchown(target, uid, gid)?;
        fs::remove_file(source)?;
        return Ok(());
    }
    if meta.is_dir() {
        fs::create_dir(target)?;
        move_children(source, target)?;
        fs::remove_dir(source)?;
    } else {
        fs::copy(source, target)?;
        fs::remove_file(source)?;
    }
    chown(target, uid, gid)?;
    fs::set_permissions(target, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    Ok(())
}
