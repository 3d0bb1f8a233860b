//! Docker's grammar of command lines, where it differs from clap's.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::values;

/// A flag of docker's that is refused, rather than taken to no effect.
#[derive(Debug)]
struct Refused {
    long: &'static str,
    short: Option<char>,
    takes_value: bool,
    why: &'static str,
}

const fn refused(long: &'static str, short: Option<char>, why: &'static str) -> Refused {
    Refused { long, short, takes_value: true, why }
}

const REFUSED: [Refused; 11] = [
    Refused {
        takes_value: false,
        ..refused("detach", Some('d'), "containers run in the foreground")
    },
    refused("label", Some('l'), "nothing keeps labels"),
    refused("label-file", None, "nothing keeps labels"),
    refused("link", None, "name the other container's address with --add-host"),
    refused("publish", Some('p'), "use --network host, or the container's own address"),
    Refused {
        takes_value: false,
        ..refused("publish-all", Some('P'), "use --network host, or the container's own address")
    },
    refused("restart", None, "a service manager can start a container again"),
    refused("runtime", None, "containers are run by minidock itself"),
    refused("storage-opt", None, "bound what is written with --read-only and --tmpfs"),
    refused("volume-driver", None, "volumes are directories: use -v or --mount"),
    refused("volumes-from", None, "name each volume with -v"),
];

/// Makes of a command what pflag, the library that reads docker's flags, makes of it: a boolean
/// takes `=true` and `=false`, a value may start with a dash, and of a repeated flag the last one
/// counts.
pub(crate) fn like_docker(command: Command) -> Command {
    command.args_override_self(true).mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(values::boolean),
        ArgAction::Set | ArgAction::Append if !arg.is_positional() => arg.allow_hyphen_values(true),
        _ => arg,
    })
}

/// Adds the flags that [`refusal`] looks for.
pub(crate) fn with_refused(command: Command) -> Command {
    command.args(REFUSED.iter().map(|flag| {
        let arg = Arg::new(flag.long).long(flag.long).hide(true);
        let arg = flag.short.into_iter().fold(arg, Arg::short);
        arg.action(if flag.takes_value { ArgAction::Append } else { ArgAction::SetTrue })
    }))
}

/// Why a flag that was given is refused, if one was.
pub(crate) fn refusal(matches: &ArgMatches) -> Option<String> {
    let is_given = |flag: &&Refused| match flag.takes_value {
        true => matches.contains_id(flag.long),
        false => matches.get_one::<bool>(flag.long) == Some(&true),
    };
    REFUSED.iter().find(is_given).map(|flag| {
        let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        format!("{short}--{} is not supported: {}", flag.long, flag.why)
    })
}
