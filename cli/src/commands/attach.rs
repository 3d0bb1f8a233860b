use clap::{ArgAction, Parser};
use minidock_engine::{AttachOptions, Attached, ContainerId, Engine, Error, Keys};

use super::Do;
use crate::output;

/// Flags of `minidock attach`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Attach {
    /// Leave the container by these keys (ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", value_parser = Keys::parse)]
    detach_keys: Option<Keys>,
    /// Keep the caller's standard input to the caller
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container; =false keeps them
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::values::boolean)]
    sig_proxy: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    container: Vec<String>,
}

impl Do for Attach {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let id = engine.find(self.container.first().map_or("", String::as_str))?;
        let info = engine.inspect(&id)?;
        let options = AttachOptions {
            input: info.options.interactive && !self.no_stdin,
            tty: info.options.tty,
            forward_signals: self.sig_proxy && !info.options.tty,
            detach_keys: self.detach_keys,
        };
        ended(engine.attach(&id, &options))
    }
}

/// The exit code of a caller who was attached.
pub(crate) fn ended(attached: Result<Attached, Error>) -> anyhow::Result<u8> {
    left(attached?)
}

/// The same of one who is not any more.
pub(crate) fn left(attached: Attached) -> anyhow::Result<u8> {
    match attached {
        Attached::Ended(code) => Ok(code),
        Attached::Detached => {
            output::complain("read escape sequence\n");
            Ok(0)
        }
    }
}

/// How the caller of `run` or `start` is attached to a container.
pub(super) fn options(
    engine: &Engine,
    id: &ContainerId,
    (input, detach_keys): (bool, Option<Keys>),
) -> Result<AttachOptions, Error> {
    let info = engine.inspect(id)?;
    let tty = info.options.tty;
    let input = input && info.options.interactive;
    Ok(AttachOptions { input, tty, forward_signals: !tty, detach_keys })
}
