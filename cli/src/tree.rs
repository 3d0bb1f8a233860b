//! The whole command line as one definition, for completions and man pages. Commands are parsed by
//! their own definitions, one at a time.

use clap::{Arg, Command, CommandFactory};

use crate::args::RunArgs;
use crate::cli::Minidock;
use crate::commands::{Verb, verbs};
use crate::help;

/// `minidock` with all its commands; those of two words are commands of their group.
pub(crate) fn tree() -> Command {
    let runs = [("run", help::RUN), ("create", help::CREATE)].map(|(name, about)| {
        let image = Arg::new("image").value_name("IMAGE").required(true);
        let command = Arg::new("command").value_name("COMMAND").num_args(0..);
        flags(Command::new(name).about(about), &RunArgs::command()).args([image, command])
    });
    let minidock =
        Command::new("minidock").about(help::ABOUT).version(crate::commands::version::VERSION);
    let mut tree = flags(plain(minidock), &Minidock::command()).subcommands(runs.map(plain));
    for verb in verbs().filter(|verb| !verb.hidden) {
        tree = match verb.name.split_once(' ') {
            None => tree.subcommand(command(verb, verb.name)),
            Some((group, name)) => add(tree, group, command(verb, name)),
        };
    }
    tree
}

/// The group is made when it is not there yet.
fn add(tree: Command, group: &'static str, command: Command) -> Command {
    if tree.find_subcommand(group).is_some() {
        return tree.mut_subcommand(group, |group| group.subcommand(command));
    }
    let about = format!("Commands of the group {group}");
    tree.subcommand(plain(Command::new(group)).about(about).subcommand(command))
}

fn command(verb: &Verb, name: &'static str) -> Command {
    let declared = (verb.declare)();
    let command = flags(plain(Command::new(name)).about(verb.about), &declared);
    match *verb.arguments.end() {
        0 => command,
        _ => command.args(declared.get_positionals().cloned()),
    }
}

fn plain(command: Command) -> Command {
    command.disable_help_flag(true).disable_version_flag(true).disable_help_subcommand(true)
}

/// What has a long name, and is shown.
fn flags(command: Command, declared: &Command) -> Command {
    let shown = |arg: &&Arg| arg.get_long().is_some() && !arg.is_hide_set();
    command.args(declared.get_arguments().filter(shown).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_place() {
        let tree = tree();
        tree.clone().debug_assert();
        for verb in verbs().filter(|verb| !verb.hidden) {
            let found = verb.name.split(' ').try_fold(&tree, |at, name| at.find_subcommand(name));
            assert_eq!(
                found.map(|command| command.get_about().map(ToString::to_string)),
                Some(Some(verb.about.to_owned()))
            );
        }
        assert!(tree.find_subcommand("run").is_some() && tree.find_subcommand("create").is_some());
    }
}
