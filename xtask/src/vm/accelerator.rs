//! KVM where it really runs our kernel, software emulation elsewhere.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::machine::{follow, stop};

/// Software emulation boots in about this time: a slower KVM is of no use.
const LIMIT: Duration = Duration::from_secs(6);

/// What runs the machine's processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    Emulation,
}

impl Accelerator {
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // 57-bit addresses only make the emulation slower.
            Self::Emulation => ["-accel", "tcg", "-cpu", "max,la57=off"],
        }
    }

    /// Boots the kernel as far as vm-init. Only that tells: a /dev/kvm that opens may run no guest
    /// at all, or a boot sector but no kernel.
    pub(super) fn probe(qemu: &Path, kernel: &Path, initramfs: &Path) -> Result<Self> {
        if File::options().read(true).write(true).open("/dev/kvm").is_err() {
            println!("no usable /dev/kvm: software emulation");
            return Ok(Self::Emulation);
        }
        let mut child = Command::new(qemu)
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-M", "q35", "-m", "512"])
            .args(Self::Kvm.arguments())
            .args(["-display", "none", "-serial", "stdio"])
            .args(["-append", "console=ttyS0 quiet panic=-1 minidock.probe=1"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", qemu.display()))?;
        let output = child.stdout.take().context("QEMU has no standard output")?;
        let mut alive = false;
        follow(output, Instant::now() + LIMIT, |line| alive |= line == "@@ probe");
        stop(&mut child)?;
        if alive {
            println!("KVM runs the machine");
            return Ok(Self::Kvm);
        }
        println!("/dev/kvm is there but boots no kernel within {LIMIT:?}: software emulation");
        Ok(Self::Emulation)
    }
}
