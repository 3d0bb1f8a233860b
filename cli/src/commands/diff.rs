use std::os::unix::ffi::OsStrExt;

use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;
use crate::output;

/// Arguments of `minidock diff`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Diff {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    container: Vec<String>,
}

impl Do for Diff {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let id = engine.find(self.container.first().map_or("", String::as_str))?;
        let mut lines = Vec::new();
        for change in engine.diff(&id)? {
            lines.extend(format!("{} ", change.kind.letter()).bytes());
            // A name is bytes, and none of them is to drive a terminal or begin a line.
            let path = String::from_utf8_lossy(change.path.as_bytes());
            let shown = |letter: char| match letter {
                char::REPLACEMENT_CHARACTER => '?',
                letter if letter.is_control() => '?',
                letter => letter,
            };
            lines.extend(path.chars().map(shown).collect::<String>().into_bytes());
            lines.push(b'\n');
        }
        output::stream(&lines)?;
        Ok(0)
    }
}
