use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::anyhow;
use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;
use crate::exit::UsageError;
use crate::saved::Saved;
use crate::values::in_words;

/// Flags of `minidock export`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Export {
    /// Write to this file rather than to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    container: Vec<String>,
}

impl Do for Export {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let id = engine.find(self.container.first().map_or("", String::as_str))?;
        into(self.output, |output| Ok(engine.export(&id, output)?))
    }
}

/// Lets an archive be written into a file, which is there when it is whole, or to standard output.
pub(super) fn into(
    path: Option<String>,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    match path.filter(|path| !path.is_empty()) {
        Some(path) => {
            let failed = |error: io::Error| anyhow!("cannot write {path}: {}", in_words(&error));
            let saved = Saved::begin(Path::new(&path)).map_err(failed)?;
            let mut output = BufWriter::new(saved.file());
            write(&mut output)?;
            output.flush().map_err(failed)?;
            drop(output);
            saved.finish().map_err(failed)?;
        }
        None if io::stdout().is_terminal() => return Err(refusal().into()),
        None => {
            let mut output = BufWriter::new(io::stdout().lock());
            write(&mut output)?;
            output.flush().map_err(|error| {
                anyhow!("cannot write to standard output: {}", in_words(&error))
            })?;
        }
    }
    Ok(0)
}

fn refusal() -> UsageError {
    UsageError::failed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
}
