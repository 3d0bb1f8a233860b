//! `fuzz`: inputs that no one would write, by libFuzzer, with properties that have to hold for
//! each of them (`fuzzing.rs` of engine, image, net and sec).

mod corpus;
mod report;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{debian, process};
use report::Report;

/// Arguments of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Add what is new in the scratch corpus, minimised, to fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Targets, as fuzz/fuzz_targets names them; all when none is given
    targets: Vec<String>,
}

const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";
const NIGHTLY: &str = "rustup toolchain install nightly --profile minimal";

/// An input that takes longer than this many seconds is a finding.
const SLOWEST: u64 = 10;
const LONGEST_INPUT: u64 = 16 << 10;

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let targets = chosen(known()?, &arguments.targets)?;
    let fuzzer = Fuzzer::ready()?;
    // Apart from the runs, so that a build that fails is not taken for a crash.
    fuzzer.build()?;
    let mut passed = 0;
    for target in &targets {
        let report = fuzzer.run(target, arguments.seconds)?;
        println!("{target:<15} {report}");
        match report.failure() {
            None => passed += 1,
            Some(failure) => println!("{failure}"),
        }
        if arguments.keep && report.failure().is_none() {
            let (added, removed) = corpus::keep(&fuzzer, target)?;
            println!("{target:<15} kept: {added} more, {removed} less");
        }
    }
    let failed = targets.len() - passed;
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "not all targets hold");
    Ok(())
}

/// The targets that exist.
fn known() -> Result<Vec<String>> {
    let directory = process::workspace().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn chosen(known: Vec<String>, wanted: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("there is no target {unknown}: there are {}", known.join(", "));
    }
    Ok(if wanted.is_empty() { known } else { wanted.to_vec() })
}

/// cargo-fuzz on the nightly toolchain.
struct Fuzzer {
    program: PathBuf,
}

impl Fuzzer {
    /// Finds what is needed, or says what is missing.
    fn ready() -> Result<Self> {
        ensure!(
            process::which("rustup").is_some(),
            "rustup is missing: it chooses the nightly toolchain, see https://rustup.rs"
        );
        let mut version = Command::new("rustup");
        version.args(["run", "nightly", "rustc", "--version"]);
        process::output(&mut version)
            .with_context(|| format!("the nightly toolchain is missing: run `{NIGHTLY}`"))?;
        // libFuzzer itself is built from its source.
        debian::ensure_program("c++", "g++")?;
        let program = process::installed("cargo-fuzz", CARGO_FUZZ)?;
        Ok(Self { program })
    }

    /// `cargo fuzz COMMAND`, with its files below `target`.
    fn command(&self, command: &str) -> Command {
        let mut fuzz = Command::new("rustup");
        process::outside_of_cargo(&mut fuzz);
        fuzz.args(["run", "nightly"]).arg(&self.program).args(["fuzz", command]);
        fuzz.arg("--fuzz-dir").arg(process::workspace().join("fuzz"));
        fuzz.arg("--target-dir").arg(scratch().join("build"));
        // The product's unsafe code is system calls, which no target makes: a sanitizer would
        // only cost time.
        fuzz.args(["--sanitizer", "none"]);
        fuzz.current_dir(process::workspace());
        fuzz
    }

    fn build(&self) -> Result<()> {
        println!("building the targets");
        process::output(&mut self.command("build")).map(drop).context("the targets do not build")
    }

    /// Runs a target from its kept inputs and those of earlier runs.
    fn run(&self, target: &str, seconds: u64) -> Result<Report> {
        let places = Places::new(target)?;
        let artifacts = format!("{}/", places.artifacts.display());
        let mut run = self.command("run");
        // New inputs go to the first directory.
        run.arg(target).arg(&places.scratch).arg(&places.kept).arg("--");
        run.arg(format!("-max_total_time={seconds}"));
        run.arg(format!("-timeout={SLOWEST}")).arg(format!("-max_len={LONGEST_INPUT}"));
        run.arg(format!("-artifact_prefix={artifacts}")).arg("-print_final_stats=1");
        if places.dictionary.is_file() {
            run.arg(format!("-dict={}", places.dictionary.display()));
        }
        let (status, text) = logged(&mut run, &places.log)?;
        Ok(Report::new(&text, status.success(), &places.log))
    }
}

/// Runs a command with all its output in a file; gives that, too.
fn logged(command: &mut Command, log: &Path) -> Result<(ExitStatus, String)> {
    let shown = process::display(command);
    let file = File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

/// Where everything lies that is not kept.
fn scratch() -> PathBuf {
    process::target().join("fuzz")
}

/// The directories and files of one target.
struct Places {
    /// In the repository.
    kept: PathBuf,
    dictionary: PathBuf,
    /// What earlier runs found.
    scratch: PathBuf,
    /// Inputs that break a property.
    artifacts: PathBuf,
    /// What `--keep` chooses from both.
    minimised: PathBuf,
    log: PathBuf,
}

impl Places {
    fn new(target: &str) -> Result<Self> {
        let (fuzz, own) = (process::workspace().join("fuzz"), scratch().join(target));
        let places = Self {
            kept: fuzz.join("corpus").join(target),
            dictionary: fuzz.join("dictionaries").join(format!("{target}.dict")),
            scratch: own.join("corpus"),
            artifacts: own.join("artifacts"),
            minimised: own.join("minimised"),
            log: own.join("log"),
        };
        for directory in [&places.kept, &places.scratch, &places.artifacts] {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_property_and_kept_inputs() {
        let fuzz = process::workspace().join("fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for target in known().unwrap() {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            assert!(fs::read_dir(fuzz.join("corpus").join(&target)).unwrap().next().is_some());
        }
    }

    #[test]
    fn unknown_targets_are_refused() {
        let known = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(known(), &[]).unwrap(), known());
        assert_eq!(chosen(known(), &["b".to_owned()]).unwrap(), ["b"]);
        assert!(chosen(known(), &["c".to_owned()]).is_err());
    }
}
