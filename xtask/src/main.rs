//! Developer tasks of the minidock workspace: `cargo xtask <command>`.
//!
//! Nothing here is part of the product, so unlike the product's crates this one may execute
//! programs (cargo, QEMU, apt-get, pip) and reach the network.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool reports here")]

mod bench;
mod debian;
mod dist;
mod fetch;
mod fuzz;
mod process;
mod rootfs;
mod tally;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of minidock")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put an Alpine root file system into an image store
    Rootfs(rootfs::Arguments),
    /// Run the privileged tests in virtual machines, one for each layout of control groups
    TestVm(vm::Arguments),
    /// Check the workspace's own rules
    Tidy,
    /// Run everything that must hold: format, lints, rules, documentation and all tests
    Test(test::Arguments),
    /// What continuous integration runs: the same as `test`
    Ci(test::Arguments),
    /// Run the fuzz targets, each for a while
    Fuzz(fuzz::Arguments),
    /// Measure the start of a container beside other runtimes
    Bench(bench::Arguments),
    /// Build the static binary into target/dist, with its man pages and completions
    Dist,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Rootfs(arguments) => rootfs::run(&arguments),
        Command::TestVm(arguments) => vm::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Test(arguments) | Command::Ci(arguments) => test::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Dist => dist::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
