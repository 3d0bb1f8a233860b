//! The initramfs: vm-init, the modules, and under `root/` what becomes the machine's disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Built, cpio::Archive, kernel::Kernel};
use crate::process;

/// Programs of the host that tests use: strace, ip and nft, and the util-linux that `--explain=sh` speaks of,
/// whose namesakes in busybox lack options.
const TOOLS: [&str; 13] = [
    "strace",
    "chroot",
    "findmnt",
    "setpriv",
    "prlimit",
    "unshare",
    "nsenter",
    "mount",
    "umount",
    "pivot_root",
    "ip",
    "nft",
    "docker-registry",
];

type Out = Archive<BufWriter<File>>;

/// Writes the archive.
pub(super) fn write(file: &Path, kernel: &Kernel, store: &Path, built: &Built) -> Result<()> {
    let mut archive = begin(file, built)?;
    modules(&mut archive, kernel)?;
    root(&mut archive, store, built)?;
    archive.finish().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// Writes an archive of nothing but vm-init, to see whether a machine runs at all.
pub(super) fn write_probe(file: &Path, built: &Built) -> Result<()> {
    let archive = begin(file, built)?;
    archive.finish().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

fn begin(file: &Path, built: &Built) -> Result<Out> {
    let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut archive = Archive::new(BufWriter::new(out));
    archive.directory("dev")?;
    // The kernel opens it as the standard streams of init.
    archive.character_device("dev/console", (5, 1))?;
    archive.file("init", 0o755, &fs::read(&built.init)?)?;
    Ok(archive)
}

fn modules(archive: &mut Out, kernel: &Kernel) -> Result<()> {
    archive.directory("modules")?;
    // The names sort in the order of loading.
    for (number, (name, content)) in kernel.modules()?.iter().enumerate() {
        archive.file(&format!("modules/{number:03}-{name}.ko"), 0o644, content)?;
    }
    Ok(())
}

fn root(archive: &mut Out, store: &Path, built: &Built) -> Result<()> {
    let alpine = crate::rootfs::alpine(store)?;
    archive
        .tree(&alpine, "root")
        .and_then(|()| directories(archive, "root/minidock/store"))
        .and_then(|()| archive.tree(&store.join("images"), "root/minidock/store/images"))
        .and_then(|()| archive.tree(&store.join("layers"), "root/minidock/store/layers"))
        .with_context(|| format!("cannot take the images of {}", store.display()))?;
    archive.directory("root/minidock/bin")?;
    if let Some(binary) = &built.binary {
        archive.file("root/minidock/bin/minidock", 0o755, &fs::read(binary)?)?;
    }
    if let Some(binary) = &built.failpoints {
        archive.file("root/minidock/bin/minidock-failpoints", 0o755, &fs::read(binary)?)?;
    }
    archive.directory("root/minidock/tests")?;
    let mut list = String::new();
    for (name, path) in &built.tests {
        let file = Built::file_name(path)?;
        archive.file(&format!("root/minidock/tests/{file}"), 0o755, &fs::read(path)?)?;
        list.push_str(&format!("{name} /minidock/tests/{file}\n"));
    }
    // A test finds the examples where cargo puts them: beside the directory of the tests.
    archive.directory("root/minidock/examples")?;
    for (_, path) in &built.examples {
        let file = format!("root/minidock/examples/{}", Built::file_name(path)?);
        archive.file(&file, 0o755, &fs::read(path)?)?;
    }
    archive.file("root/minidock/tests.list", 0o644, list.as_bytes())?;
    for tool in TOOLS {
        match process::which(tool) {
            Some(program) => add_tool(archive, &program)?,
            None => println!("  {tool} is not on this host, so it is missing in the machine"),
        }
    }
    Ok(())
}

fn directories(archive: &mut Out, path: &str) -> std::io::Result<()> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.skip(1).try_for_each(|end| archive.directory(&path[..end]))
}

/// Adds a program of the host with the shared libraries that it needs, in the same places.
fn add_tool(archive: &mut Out, program: &Path) -> Result<()> {
    let libraries = process::output(Command::new("ldd").arg(program)).unwrap_or_default();
    let mut made = BTreeSet::new();
    for path in [program.to_path_buf()].into_iter().chain(parse_ldd(&libraries)) {
        let name = format!("root{}", path.display());
        if let Some((parent, _)) = name.rsplit_once('/')
            && made.insert(parent.to_owned())
        {
            directories(archive, parent)?;
        }
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        archive.file(&name, 0o755, &content)?;
    }
    Ok(())
}

/// The paths of `libc.so.6 => /lib/… (0x…)` and of `/lib64/ld-linux… (0x…)`.
fn parse_ldd(text: &str) -> Vec<PathBuf> {
    let paths = text.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
    });
    paths.collect()
}

/// An empty ext4 file system for the machine's root, as a sparse file.
pub(super) fn make_disk(file: &Path) -> Result<()> {
    let mke2fs = crate::debian::ensure_program("mke2fs", "e2fsprogs")?;
    let mut disk = File::create(file).with_context(|| format!("cannot make {}", file.display()))?;
    disk.set_len(2 << 30).with_context(|| format!("cannot size {}", file.display()))?;
    disk.flush()?;
    let mut command = Command::new(mke2fs);
    command.args(["-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1"]).arg(file);
    process::output(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths: Vec<PathBuf> =
            ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from).into();
        assert_eq!(parse_ldd(text), paths);
    }
}
