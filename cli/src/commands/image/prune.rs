use clap::{ArgAction, Parser};
use minidock_engine::{Engine, ImageSummary, PrunedImages};

use super::rm::lines;
use super::row::created;
use crate::commands::Do;
use crate::commands::prune::confirmed;
use crate::format::human;
use crate::format::time::Clock;
use crate::output;
use crate::values::filter::{self, Filter, Removed};

/// Flags of `minidock image prune`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct ImagePrune {
    /// Remove those too that have a name, if no container is made of them
    #[arg(short, long)]
    all: bool,
    /// Remove only those that match: until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]
    #[arg(long, value_name = "NAME=VALUE", value_parser = filter::filter)]
    filter: Vec<Filter>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    _arguments: Vec<String>,
}

const DANGLING: &str = "WARNING! This will remove all dangling images.\n";
const UNUSED: &str =
    "WARNING! This will remove all images without at least one container associated to them.\n";

impl Do for ImagePrune {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let clock = Clock::system();
        let removed = Removed::new(&self.filter, &clock)?;
        if !self.force && !confirmed(if self.all { UNUSED } else { DANGLING })? {
            return Ok(0);
        }
        let pruned = engine.prune_images(self.all, |image| matches(&removed, image, &clock))?;
        let reclaimed = human::size(pruned.reclaimed);
        output::print(&format!("{}Total reclaimed space: {reclaimed}\n", deleted(&pruned)))
    }
}

fn matches(removed: &Removed<'_>, image: &ImageSummary, clock: &Clock) -> bool {
    let since =
        created(image, clock).and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    // One that does not say when it was made is older than any.
    let nanoseconds = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    let labels: Vec<_> =
        image.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    removed.matches(nanoseconds, &labels)
}

/// What docker prints of them.
pub(crate) fn deleted(pruned: &PrunedImages) -> String {
    match pruned.removed.is_empty() {
        true => String::new(),
        false => format!("Deleted Images:\n{}\n", lines(&pruned.removed, ["untagged", "deleted"])),
    }
}
