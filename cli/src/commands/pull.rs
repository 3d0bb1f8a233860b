use clap::{ArgAction, Parser};
use minidock_engine::{Engine, PullOptions};

use super::Do;
use crate::exit::UsageError;
use crate::{output, progress};

/// Flags of `minidock pull`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Pull {
    /// Pull all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Choose among an image's platforms, such as linux/arm64 (this machine's)
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Print the image's name alone
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    image: Vec<String>,
}

impl Do for Pull {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let image = self.image.into_iter().next().unwrap_or_default();
        let is_bare = is_bare(&image);
        if self.all_tags && !is_bare {
            return Err(UsageError::failed("tag can't be used with --all-tags/-a").into());
        }
        if is_bare && !self.all_tags && !self.quiet {
            output::print("Using default tag: latest\n")?;
        }
        let platform = self.platform.filter(|platform| !platform.is_empty());
        let options = PullOptions { image, all_tags: self.all_tags, platform };
        let names = progress::shown(engine, self.quiet).pull(&options)?;
        let last = match (&names[..], self.all_tags) {
            ([first, ..], true) => first.name(),
            ([first, ..], false) => first.to_string(),
            ([], _) => return Ok(0),
        };
        output::print(&format!("{last}\n"))
    }
}

/// Whether a name has neither tag nor digest.
pub(super) fn is_bare(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !last.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::is_bare;

    #[test]
    fn a_port_is_no_tag() {
        assert!(is_bare("alpine") && is_bare("localhost:5000/a/b"));
        assert!(!is_bare("alpine:1") && !is_bare("localhost:5000/a:1") && !is_bare("a@sha256:1"));
    }
}
