//! Docker's grammar of command lines, where it differs from clap's.

use clap::{ArgAction, Command};

use crate::values;

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
