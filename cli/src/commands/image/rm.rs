use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Kind, RemovedImage};

use crate::commands::Do;
use crate::{exit, output};

/// Flags of `minidock rmi`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Rmi {
    /// Remove those too that containers are made of that do not run, and all names of an id; be
    /// content when there is none
    #[arg(short, long)]
    force: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    images: Vec<String>,
}

impl Do for Rmi {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let mut code = 0;
        for name in &self.images {
            match engine.remove_image(name, self.force) {
                Ok(removed) => drop(output::print(&lines(&removed, ["Untagged", "Deleted"]))?),
                Err(error) => {
                    let is_content = self.force && error.what() == Kind::NoSuchImage;
                    let complaint = exit::complain(&error.into());
                    code = if is_content { code } else { complaint };
                }
            }
        }
        Ok(code)
    }
}

/// What docker prints of them, in these words for a name that is gone and for what is gone itself.
pub(super) fn lines(removed: &[RemovedImage], [untagged, deleted]: [&str; 2]) -> String {
    let line = |one: &RemovedImage| match one {
        RemovedImage::Untagged(name) => format!("{untagged}: {}\n", name.familiar()),
        RemovedImage::Deleted(digest) => format!("{deleted}: {digest}\n"),
    };
    removed.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use minidock_engine::Digest;

    use super::*;

    #[test]
    fn what_is_removed_is_told_as_docker_does() {
        let id = Digest::of(b"");
        let removed =
            [RemovedImage::Untagged("alpine".parse().unwrap()), RemovedImage::Deleted(id)];
        let text = lines(&removed, ["Untagged", "Deleted"]);
        assert_eq!(text, format!("Untagged: alpine:latest\nDeleted: {id}\n"));
    }
}
