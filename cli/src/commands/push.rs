use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Reference};

use super::Do;
use super::pull::is_bare;
use crate::exit::UsageError;
use crate::{output, progress};

/// Flags of `minidock push`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Push {
    /// Push all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print the image's name alone
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    image: Vec<String>,
}

impl Do for Push {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let image = self.image.into_iter().next().unwrap_or_default();
        let is_bare = is_bare(&image);
        if self.all_tags && !is_bare {
            return Err(UsageError::failed("tag can't be used with --all-tags/-a").into());
        }
        if is_bare && !self.all_tags && !self.quiet {
            output::print("Using default tag: latest\n")?;
        }
        progress::shown(engine, self.quiet).push(&image, self.all_tags)?;
        // It was a name for the engine.
        match image.parse::<Reference>() {
            Ok(name) if self.quiet && self.all_tags => output::print(&format!("{}\n", name.name())),
            Ok(name) if self.quiet => output::print(&format!("{name}\n")),
            _ => Ok(0),
        }
    }
}
