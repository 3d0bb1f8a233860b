//! The kernel of the machine, and the modules that the tests need, in an order that insmod takes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{debian, process};

const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// What the machine's disk and minidock need from the kernel, where it is not built in.
const WANTED: [&str; 19] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_rng",
    "ext4",
    "overlay",
    "bridge",
    "veth",
    "dummy",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_fib_inet",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "br_netfilter",
    "tun",
];

/// A kernel image and its modules.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    modules: PathBuf,
}

/// The kernel that was named, else Debian's from the cache, else Debian's from the network.
pub(super) fn find(named: Option<&Path>) -> Result<Kernel> {
    if let Some(image) = named {
        return from_image(image);
    }
    let cached = process::cache()?.join("kernel");
    if let Ok(kernel) = from_package(&cached) {
        return Ok(kernel);
    }
    println!("there is no kernel for the virtual machine: downloading Debian's cloud kernel");
    let advice = "cannot get a kernel: give one with --kernel FILE";
    let package = debian::dependency(META_PACKAGE, "linux-image-").context(advice)?;
    let part = tempfile::tempdir_in(process::cache()?)?;
    debian::unpack_package(&package, part.path()).context(advice)?;
    from_package(part.path())?;
    fs::rename(part.keep(), &cached).context("cannot keep the kernel in the cache")?;
    from_package(&cached)
}

fn from_package(dir: &Path) -> Result<Kernel> {
    let image = fs::read_dir(dir.join("boot"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("/vmlinuz-"))
        .context("the package has no kernel image")?;
    from_image(&image)
}

fn from_image(image: &Path) -> Result<Kernel> {
    let name = image.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let version = name.strip_prefix("vmlinuz-").unwrap_or(name);
    let near = image.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let places = [near, Path::new("/")]
        .map(|root| ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(version)));
    let Some(modules) = places.into_iter().flatten().find(|dir| dir.join("kernel").is_dir()) else {
        bail!("{}: there are no modules for version {version}", image.display());
    };
    if !image.is_file() {
        bail!("{} is not a file", image.display());
    }
    Ok(Kernel { image: image.to_path_buf(), modules })
}

impl Kernel {
    /// The wanted modules and what they depend on, each after its own dependencies, decompressed.
    pub(super) fn modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = HashMap::new();
        index(&self.modules.join("kernel"), &mut files)?;
        let built_in = fs::read_to_string(self.modules.join("modules.builtin")).unwrap_or_default();
        let built_in: HashSet<String> =
            built_in.lines().filter_map(|line| module_name(Path::new(line))).collect();
        let mut load = Load { files: &files, built_in: &built_in, order: Vec::new() };
        for name in WANTED {
            load.add(name).with_context(|| format!("cannot take the module {name}"))?;
        }
        Ok(load.order)
    }
}

struct Load<'a> {
    files: &'a HashMap<String, PathBuf>,
    built_in: &'a HashSet<String>,
    order: Vec<(String, Vec<u8>)>,
}

impl Load<'_> {
    fn add(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        if self.built_in.contains(&name) || self.order.iter().any(|(done, _)| *done == name) {
            return Ok(());
        }
        let Some(file) = self.files.get(&name) else {
            println!("  this kernel has no module {name}");
            return Ok(());
        };
        let content = decompressed(file)?;
        for dependency in depends(&content) {
            self.add(&dependency)?;
        }
        self.order.push((name, content));
        Ok(())
    }
}

fn index(dir: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            index(&entry.path(), files)?;
        } else if let Some(name) = module_name(&entry.path()) {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// `nf_nat` of `…/nf-nat.ko.xz`: in names of modules the kernel takes dashes for underscores.
fn module_name(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn decompressed(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|ext| ext.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(file).with_context(|| format!("cannot read {}", file.display())),
    };
    let package = if program == "xz" { "xz-utils" } else { program };
    let program = debian::ensure_program(program, package)?;
    let output = Command::new(program).arg("-dc").arg(file).output()?;
    if !output.status.success() {
        bail!("cannot decompress {}", file.display());
    }
    Ok(output.stdout)
}

/// What the module's own `.modinfo` says that it depends on. Only depmod makes modules.dep, and an
/// unpacked package has not been through it.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        let module = b"\x7fELF\0license=GPL\0depends=nf_nat,nf_tables\0name=x\0";
        assert_eq!(depends(module), ["nf_nat", "nf_tables"]);
        assert!(depends(b"\0depends=\0name=x\0").is_empty());
        assert!(depends(b"no module").is_empty());
    }

    #[test]
    fn module_names_have_no_dashes_nor_endings() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("kernel/net/nf-nat.ko.xz").as_deref(), Some("nf_nat"));
        assert_eq!(name("kernel/fs/ext4/ext4.ko").as_deref(), Some("ext4"));
        assert_eq!(name("modules.dep"), None);
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = HashMap::new();
        for (name, needs) in [("a", "b,c"), ("b", "c"), ("c", "")] {
            let file = dir.path().join(format!("{name}.ko"));
            fs::write(&file, format!("\0depends={needs}\0")).unwrap();
            files.insert(name.to_owned(), file);
        }
        let mut load = Load { files: &files, built_in: &HashSet::new(), order: Vec::new() };
        load.add("a").unwrap();
        load.add("c").unwrap();
        let order: Vec<&str> = load.order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }
}
