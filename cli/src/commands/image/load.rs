use std::io::{self, IsTerminal};

use clap::{ArgAction, Parser};
use minidock_engine::{Engine, LoadedImage};

use super::import::open;
use crate::commands::Do;
use crate::exit::UsageError;
use crate::output;

/// Flags of `minidock load`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Load {
    /// Read from this file rather than from standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<String>,
    /// Show no progress; always so
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    _arguments: Vec<String>,
}

impl Do for Load {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let input = self.input.as_deref().filter(|path| !path.is_empty());
        if input.is_none() && io::stdin().is_terminal() {
            return Err(UsageError::failed("requested load from stdin, but stdin is empty").into());
        }
        let loaded = engine.load_images(open(input.unwrap_or("-"))?)?;
        output::print(&loaded.iter().map(lines).collect::<String>())
    }
}

fn lines(image: &LoadedImage) -> String {
    if image.names.is_empty() {
        return format!("Loaded image ID: {}\n", image.id);
    }
    image.names.iter().map(|name| format!("Loaded image: {}\n", name.familiar())).collect()
}

#[cfg(test)]
mod tests {
    use minidock_engine::Digest;

    use super::*;

    #[test]
    fn what_is_loaded_is_told_as_docker_does() {
        let id = Digest::of(b"");
        let mut image = LoadedImage { id, names: Vec::new() };
        assert_eq!(lines(&image), format!("Loaded image ID: {id}\n"));
        image.names = ["alpine", "me/app:1"].map(|name| name.parse().unwrap()).to_vec();
        let text = "Loaded image: alpine:latest\nLoaded image: me/app:1\n";
        assert_eq!(lines(&image), text);
    }
}
