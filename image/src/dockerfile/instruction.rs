use std::time::Duration;

use super::heredoc::Heredoc;
use super::mount::{Mount, MountSpec};

/// An instruction of a stage, with the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line at which it begins, from 1.
    pub line: usize,
    /// As it was written, its lines joined: what a history shows.
    pub text: String,
    /// What is to be done.
    pub instruction: Instruction,
}

/// An instruction, before or after its variables were put in ([`super::Scope::expand`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Takes files from the context, the network or the file itself.
    Add(Add),
    /// Declares variables of the build: names, and defaults if there are any.
    Arg(Vec<(String, Option<String>)>),
    /// The default command, or what the entrypoint gets as arguments.
    Cmd(Command),
    /// Takes files from the context, a stage, an image or the file itself.
    Copy(Copy),
    /// The program of the image.
    Entrypoint(Command),
    /// Variables of the environment, in order.
    Env(Vec<(String, String)>),
    /// Ports; expanded, each as `80/tcp`.
    Expose(Vec<String>),
    /// How to know that the container is well.
    Healthcheck(Healthcheck),
    /// Labels, in order.
    Label(Vec<(String, String)>),
    /// The author.
    Maintainer(String),
    /// An instruction for whoever builds upon the image, with its heredocs.
    Onbuild(String),
    /// Runs a program.
    Run(Run),
    /// What the shell form is given to.
    Shell(Vec<String>),
    /// The signal that ends the container.
    Stopsignal(String),
    /// Who runs the programs.
    User(String),
    /// Directories that are to be volumes.
    Volume(Vec<String>),
    /// The working directory, relative to the one before.
    Workdir(String),
}

/// How a program is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Its words, in JSON.
    Exec(Vec<String>),
    /// A text for the shell.
    Shell(String),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: RunCommand,
    /// What is mounted meanwhile, in order. Known only after the expansion; empty before.
    pub mounts: Vec<Mount>,
    /// Which network there is.
    pub network: RunNetwork,
    /// `--security=insecure`: with all privileges.
    pub insecure: bool,
    pub(super) specs: Vec<MountSpec>,
}

/// What `RUN` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunCommand {
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A text for the shell, heredocs included.
    Shell(String),
    /// A file with a `#!` line, which is executed itself.
    Script {
        /// The heredoc's name, for people.
        name: String,
        /// The file.
        text: String,
    },
}

/// `RUN --network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunNetwork {
    /// That of the build.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// What `COPY` and `ADD` have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// What is copied, in order; at least one.
    pub sources: Vec<FileSource>,
    /// Where to; a directory when it ends with `/`.
    pub destination: String,
    /// `--chown`: user and group, names or numbers.
    pub chown: Option<String>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<String>,
    /// `--link`: a layer that does not depend on the ones below.
    pub link: bool,
    /// `--exclude`: patterns of what is left out.
    pub exclude: Vec<String>,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// A path with wildcards; for `ADD` also an address.
    Path(String),
    /// A text that stands in the file: its name is that of the file made.
    Text(Heredoc),
}

/// `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What and where to.
    pub files: Files,
    /// `--from`: a stage or an image instead of the context ([`super::Graph::origin`]).
    pub from: Option<String>,
    /// `--parents`: with the directories above the sources.
    pub parents: bool,
}

/// `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What and where to.
    pub files: Files,
    /// `--checksum`: the digest of what comes from the network.
    pub checksum: Option<String>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
    /// `--unpack`: whether archives are unpacked; docker decides when it is not given.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// That of the base is switched off.
    None,
    /// A program that says so.
    Cmd {
        /// The program.
        command: Command,
        /// Between two checks.
        interval: Option<Duration>,
        /// For one check.
        timeout: Option<Duration>,
        /// While failures do not count.
        start_period: Option<Duration>,
        /// Between two checks during that.
        start_interval: Option<Duration>,
        /// How many failures in a row make it unwell.
        retries: Option<u32>,
    },
}

/// `FROM`: where a stage begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FromLine {
    /// With variables.
    pub(super) image: String,
    /// In lower case.
    pub(super) name: Option<String>,
    /// With variables.
    pub(super) platform: Option<String>,
}

/// What a line can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    From(FromLine),
    Instruction(Instruction),
}
