//! What `minidock` can be told to do.

use std::fmt::Display;
use std::ops::RangeInclusive;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use minidock_engine::{ContainerId, Engine};

use crate::cli::Places;
use crate::{exit, output};

pub(crate) mod attach;
pub(crate) mod completion;
pub(crate) mod cp;
pub(crate) mod df;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod export;
#[cfg(feature = "failpoints")]
pub(crate) mod failpoints;
pub(crate) mod generate;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod monitor;
pub(crate) mod network;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
mod together;
pub(crate) mod top;
pub(crate) mod update;
pub(crate) mod version;
pub(crate) mod wait;

/// A command other than `run` and `create`, whose flags end at the image.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What comes after the name.
    pub(crate) usage: &'static str,
    /// How many arguments there are beside flags.
    pub(crate) arguments: RangeInclusive<usize>,
    /// It cleans up after killed engines first, so that it sees what really is.
    pub(crate) sweeps: bool,
    /// The help does not name it.
    pub(crate) hidden: bool,
    pub(crate) declare: fn() -> Command,
    pub(crate) run: fn(&Engine, &ArgMatches) -> anyhow::Result<u8>,
}

/// Any number of arguments, but one at least.
const SOME: RangeInclusive<usize> = 1..=usize::MAX;

/// A verb's flags and arguments, parsed, can be done.
trait Do: CommandFactory + FromArgMatches {
    fn run(self, engine: &Engine) -> anyhow::Result<u8>;
}

const fn verb<T: Do>(
    name: &'static str,
    usage: &'static str,
    arguments: RangeInclusive<usize>,
    about: &'static str,
) -> Verb {
    Verb {
        name,
        about,
        usage,
        arguments,
        sweeps: true,
        hidden: false,
        declare: T::command,
        run: |engine, matches| T::from_arg_matches(matches)?.run(engine),
    }
}

/// All but `run` and `create`.
pub(crate) fn verbs() -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().chain(image::VERBS)
}

const VERBS: &[Verb] = &[
    verb::<attach::Attach>(
        "attach",
        "[OPTIONS] CONTAINER",
        1..=1,
        "Show what a running container writes, and type to it",
    ),
    Verb {
        sweeps: false,
        ..verb::<completion::Completion>(
            "completion",
            "bash|fish|zsh",
            1..=1,
            "Print what a shell reads to complete commands",
        )
    },
    verb::<prune::ContainerPrune>(
        "container prune",
        "[OPTIONS]",
        0..=0,
        "Remove all containers that do not run",
    ),
    // A container that runs has somebody in charge.
    Verb {
        sweeps: false,
        ..verb::<exec::Exec>(
            "exec",
            "[OPTIONS] CONTAINER COMMAND [ARG...]",
            2..=usize::MAX,
            "Run a command in a running container",
        )
    },
    verb::<events::Events>("events", "[OPTIONS]", 0..=0, "Show what happens to containers"),
    verb::<generate::Systemd>(
        "generate systemd",
        "[OPTIONS] CONTAINER",
        1..=1,
        "Write a unit of systemd that starts a container",
    ),
    verb::<info::Info>("info", "[OPTIONS]", 0..=0, "Show what is known of the engine and its host"),
    verb::<inspect::Inspect>(
        "inspect",
        "[OPTIONS] NAME|ID [NAME|ID...]",
        SOME,
        "Show all that is known of containers, networks and images",
    ),
    verb::<diff::Diff>("diff", "CONTAINER", 1..=1, "Show what a container has changed"),
    verb::<cp::Cp>(
        "cp",
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        minidock cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
        2..=2,
        "Copy files into a container or out of it",
    ),
    verb::<export::Export>(
        "export",
        "[OPTIONS] CONTAINER",
        1..=1,
        "Write a container's files as a tar archive",
    ),
    verb::<kill::Kill>(
        "kill",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Send a signal to running containers",
    ),
    verb::<login::Login>("login", "[OPTIONS] [SERVER]", 0..=1, "Log in at a registry"),
    verb::<login::Logout>("logout", "[SERVER]", 0..=1, "Forget the log-in at a registry"),
    verb::<logs::Logs>("logs", "[OPTIONS] CONTAINER", 1..=1, "Show what a container has written"),
    // For who builds packages.
    Verb {
        sweeps: false,
        hidden: true,
        ..verb::<man::Man>("man", "DIR", 1..=1, "Write the man pages into a directory")
    },
    verb::<network::connect::NetworkConnect>(
        "network connect",
        "[OPTIONS] NETWORK CONTAINER",
        2..=2,
        "Connect a container to a further network",
    ),
    verb::<network::create::NetworkCreate>(
        "network create",
        "[OPTIONS] NETWORK",
        1..=1,
        "Make a network",
    ),
    verb::<network::disconnect::NetworkDisconnect>(
        "network disconnect",
        "[OPTIONS] NETWORK CONTAINER",
        2..=2,
        "Part a container from a network",
    ),
    verb::<network::inspect::NetworkInspect>(
        "network inspect",
        "[OPTIONS] NETWORK [NETWORK...]",
        SOME,
        "Show all that is known of networks",
    ),
    verb::<network::ls::NetworkLs>("network ls", "[OPTIONS]", 0..=0, "List networks"),
    verb::<network::prune::NetworkPrune>(
        "network prune",
        "[OPTIONS]",
        0..=0,
        "Remove all networks that no container uses",
    ),
    verb::<network::reload::NetworkReload>(
        "network reload",
        "",
        0..=0,
        "Make the firewall of networks anew",
    ),
    verb::<network::rm::NetworkRm>(
        "network rm",
        "[OPTIONS] NETWORK [NETWORK...]",
        SOME,
        "Remove networks",
    ),
    verb::<pause::Pause>(
        "pause",
        "CONTAINER [CONTAINER...]",
        SOME,
        "Freeze all processes of containers",
    ),
    verb::<port::Port>(
        "port",
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        1..=2,
        "Show where ports of a container are published",
    ),
    verb::<ps::Ps>("ps", "[OPTIONS]", 0..=0, "List containers"),
    verb::<pull::Pull>(
        "pull",
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        1..=1,
        "Get an image from a registry",
    ),
    verb::<push::Push>("push", "[OPTIONS] NAME[:TAG]", 1..=1, "Send an image to a registry"),
    verb::<rename::Rename>("rename", "CONTAINER NEW_NAME", 2..=2, "Give a container another name"),
    verb::<restart::Restart>(
        "restart",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Stop containers and start them again",
    ),
    verb::<rm::Rm>("rm", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Remove containers"),
    Verb {
        sweeps: false,
        hidden: true,
        ..verb::<search::Search>("search", "TERM", 0..=usize::MAX, "Not supported")
    },
    verb::<start::Start>("start", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "Start containers"),
    verb::<stats::Stats>(
        "stats",
        "[OPTIONS] [CONTAINER...]",
        0..=usize::MAX,
        "Show what containers use",
    ),
    verb::<df::SystemDf>(
        "system df",
        "[OPTIONS]",
        0..=0,
        "Show what images, containers and volumes take on the disk, as du counts it",
    ),
    // Docker has it twice.
    Verb {
        hidden: true,
        ..verb::<info::Info>(
            "system info",
            "[OPTIONS]",
            0..=0,
            "Show what is known of the engine and its host",
        )
    },
    verb::<prune::SystemPrune>(
        "system prune",
        "[OPTIONS]",
        0..=0,
        "Remove what is not used, or list all objects on this host",
    ),
    verb::<stop::Stop>("stop", "[OPTIONS] CONTAINER [CONTAINER...]", SOME, "End containers"),
    verb::<top::Top>("top", "CONTAINER [ps OPTIONS]", SOME, "Show the processes of a container"),
    verb::<pause::Unpause>(
        "unpause",
        "CONTAINER [CONTAINER...]",
        SOME,
        "Let frozen containers go on",
    ),
    verb::<update::Update>(
        "update",
        "[OPTIONS] CONTAINER [CONTAINER...]",
        SOME,
        "Change the limits of containers",
    ),
    verb::<version::Version>("version", "[OPTIONS]", 0..=0, "Show the version"),
    verb::<wait::Wait>(
        "wait",
        "CONTAINER [CONTAINER...]",
        SOME,
        "Wait for the end of containers and print their exit codes",
    ),
    #[cfg(feature = "failpoints")]
    Verb {
        sweeps: false,
        hidden: true,
        ..verb::<failpoints::Failpoints>("failpoints", "", 0..=0, "Name the places to be killed at")
    },
];

/// Does it. Every command first undoes what killed engines have left; what of that fails does not
/// hold it up.
pub(crate) fn perform(verb: &Verb, places: Places, matches: &ArgMatches) -> anyhow::Result<u8> {
    let engine = Engine::new(places.root, places.state);
    engine.check()?;
    if verb.sweeps
        && let Err(error) = engine.sweep()
    {
        exit::warn(&error.into());
    }
    (verb.run)(&engine, matches)
}

/// The command that the first word or two name, and how many they are.
pub(crate) fn find(words: &[String]) -> Option<(&'static Verb, usize)> {
    let named = |count: usize| {
        let name = words.get(..count)?.join(" ");
        Some((verbs().find(|verb| verb.name == name)?, count))
    };
    named(1).or_else(|| named(2))
}

/// Whether commands of two words begin with this one.
pub(crate) fn is_group(word: &str) -> bool {
    let first =
        |verb: &'static Verb| verb.name.split_once(' ').is_some_and(|(first, _)| first == word);
    verbs().any(first)
}

/// Does something to each container that is named, in their order: prints the argument as it was
/// given, or what has come of it. What fails is told, and does not hold up the others.
fn each<T: Display>(
    engine: &Engine,
    names: &[String],
    mut act: impl FnMut(&ContainerId, &str) -> anyhow::Result<T>,
) -> anyhow::Result<u8> {
    let mut code = 0;
    for name in names {
        let done = engine.find(name).map_err(Into::into).and_then(|id| act(&id, name));
        match done {
            Ok(text) => drop(output::print(&format!("{text}\n"))?),
            Err(error) => code = exit::complain(&error),
        }
    }
    Ok(code)
}

#[cfg(test)]
pub(crate) mod tests {
    use minidock_engine::{Info, RootSource, RunOptions};

    /// A container that was never started.
    pub(crate) fn info(name: &str) -> Info {
        let id = format!("0123456789abcdef{}", "0".repeat(48)).parse().unwrap();
        let options = RunOptions::new(RootSource::Image("alpine".to_owned()));
        Info::new(id, name, options)
    }

    pub(super) fn numbered(number: u8) -> Info {
        let mut info = info(&format!("n{number}"));
        info.id = format!("{number:064x}").parse().unwrap();
        info
    }
}
