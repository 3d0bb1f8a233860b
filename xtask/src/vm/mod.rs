//! `test-vm`: the privileged tests in virtual machines, one for each layout of control groups.

mod accelerator;
mod build;
mod cpio;
mod initramfs;
mod kernel;
mod machine;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{debian, process, rootfs, tally::Tally};
use accelerator::Accelerator;
pub(crate) use build::TRIPLE;
use machine::{Machine, Outcome};

/// Arguments of `test-vm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The layout of control groups to boot with
    #[arg(long, value_enum, default_value_t = Choice::All)]
    layout: Choice,
    /// A kernel image, with its modules in ../lib/modules beside it [default: Debian's cloud kernel]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// No tests: a shell in the machine, with minidock in its PATH (`exit` powers off)
    #[arg(long)]
    shell: bool,
    /// Only tests whose name contains this
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Only the tests of these packages
    #[arg(long = "package", short, value_name = "PACKAGE")]
    packages: Vec<String>,
    /// The longest that one layout may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3000)]
    timeout: u64,
    /// Machines at the same time [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// The tests have run with this layout, and on v2 they run in any case: with the other kernel
    #[arg(skip)]
    tested: Option<&'static str>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            layout: Choice::All,
            kernel: None,
            shell: false,
            filter: None,
            packages: Vec::new(),
            timeout: 3000,
            jobs: None,
            tested: None,
        }
    }
}

impl Arguments {
    /// All machines but that with a layout that this host has and that the tests have run on.
    pub(crate) fn without(tested: Option<&'static str>) -> Self {
        Self { tested, ..Self::default() }
    }

    fn layouts(&self) -> Vec<&'static str> {
        let layouts = self.layout.layouts().iter().copied();
        layouts.filter(|layout| *layout == "v2" || self.tested != Some(layout)).collect()
    }

    /// What the machines with any layout but v2 are for. Whoever names packages or a layout gets all
    /// tests of those.
    fn only(&self) -> &'static [&'static str] {
        match self.packages.is_empty() && self.layout == Choice::All {
            true => &build::ABOUT_CGROUPS,
            false => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    V2,
    V1,
    Hybrid,
    All,
}

impl Choice {
    /// The names as vm-init reads them from the kernel's command line.
    fn layouts(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &["v2"],
            Self::V1 => &["v1"],
            Self::Hybrid => &["hybrid"],
            Self::All => &["v2", "v1", "hybrid"],
        }
    }
}

/// Runs the command; failed tests are an error.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let outcome = execute(arguments)?;
    println!("{} passed, {} failed", outcome.passed, outcome.failed);
    if outcome.failed > 0 {
        bail!("tests failed in the virtual machines");
    }
    Ok(())
}

/// Boots each machine and adds up what the tests in them said. A machine that broke down counts as
/// one failed test.
pub(crate) fn execute(arguments: &Arguments) -> Result<Tally> {
    let qemu = debian::ensure_program("qemu-system-x86_64", "qemu-system-x86")?;
    let kernel = kernel::find(arguments.kernel.as_deref())?;
    let store = process::target().join("test-store");
    rootfs::ensure(&store)?;
    let built = build::build(&arguments.packages, arguments.shell)?;
    let dir = process::target().join("vm");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let initramfs = dir.join("initramfs.cpio");
    initramfs::write(&initramfs, &kernel, &store, &built)?;
    let probe = dir.join("probe.cpio");
    initramfs::write_probe(&probe, &built)?;
    let accelerator = Accelerator::probe(&qemu, &kernel.image, &probe)?;
    let machine = Machine {
        accelerator,
        qemu,
        kernel: kernel.image,
        initramfs,
        dir,
        filter: arguments.filter.clone(),
        only: arguments.only(),
        timeout: Duration::from_secs(arguments.timeout),
    };
    if arguments.shell {
        machine.shell(arguments.layout.layouts()[0])?;
        return Ok(Tally::default());
    }
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = arguments.jobs.unwrap_or(processors).max(1);
    let outcomes = boot_all(&machine, &arguments.layouts(), jobs)?;
    for outcome in &outcomes {
        println!("{outcome}");
    }
    Ok(outcomes.iter().map(Outcome::tally).sum())
}

fn boot_all(machine: &Machine, layouts: &[&str], jobs: usize) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for group in layouts.chunks(jobs) {
        let booted: Vec<Result<Outcome>> = thread::scope(|scope| {
            let threads: Vec<_> =
                group.iter().map(|layout| scope.spawn(|| machine.test(layout))).collect();
            let gone = || Err(anyhow::anyhow!("the thread of a machine died"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| gone())).collect()
        });
        for outcome in booted {
            outcomes.push(outcome?);
        }
    }
    Ok(outcomes)
}

/// Everything of ours that goes into a machine.
#[derive(Debug)]
struct Built {
    init: PathBuf,
    binary: Option<PathBuf>,
    /// The binary that can be made to die at its failpoints.
    failpoints: Option<PathBuf>,
    /// Name and file of each test executable.
    tests: Vec<(String, PathBuf)>,
    /// Name and file of each example.
    examples: Vec<(String, PathBuf)>,
}

impl Built {
    fn file_name(path: &Path) -> Result<&str> {
        path.file_name().and_then(|name| name.to_str()).context("a file without a plain name")
    }
}
