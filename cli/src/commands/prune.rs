use std::io::{self, BufRead};

use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Error, Owner, Pruned, PrunedImages, PrunedNetworks};

use super::network::prune::deleted;
use super::{Do, image};
use crate::format::human;
use crate::format::time::Clock;
use crate::values::filter::{self, Filter, Removed};
use crate::{exit, output};

/// Flags of `minidock container prune`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct ContainerPrune {
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

/// Flags of `minidock system prune`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct SystemPrune {
    /// Remove all images that no container is made of, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes too; always so
    #[arg(long)]
    volumes: bool,
    /// Remove nothing: list all objects on this host with their owners; fails when one has none
    #[arg(long)]
    verify: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    _arguments: Vec<String>,
}

const CONTAINERS: &str = "WARNING! This will remove all stopped containers.\n";

impl Do for ContainerPrune {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let removed = Removed::new(&self.filter, &Clock::system())?;
        if !self.force && !confirmed(CONTAINERS)? {
            return Ok(0);
        }
        let pruned = match self.filter.is_empty() {
            true => engine.prune_containers(|_| true),
            false => engine.prune_containers(|info| {
                info.is_some_and(|info| removed.matches(info.created, &info.described.labels))
            }),
        };
        report(pruned?, PrunedNetworks::default(), Ok(PrunedImages::default()))
    }
}

impl Do for SystemPrune {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        if self.verify {
            return verify(engine);
        }
        let mut warning = "WARNING! This will remove:\n  - all stopped containers\n  \
             - all networks not used by at least one container\n"
            .to_owned();
        if self.volumes {
            warning += "  - all anonymous volumes not used by at least one container\n";
        }
        warning += match self.all {
            true => "  - all images without at least one container associated to them\n",
            false => "  - all dangling images\n",
        };
        if !self.force && !confirmed(&format!("{warning}\n"))? {
            return Ok(0);
        }
        let containers = engine.prune_containers(|_| true)?;
        // What cannot be looked at does not hide what was removed.
        let networks = engine.prune_networks(|_| true).unwrap_or_else(PrunedNetworks::failed);
        let images = engine.prune_images(self.all, |_| true);
        report(containers, networks, images)
    }
}

fn report(
    pruned: Pruned,
    networks: PrunedNetworks,
    images: Result<PrunedImages, Error>,
) -> anyhow::Result<u8> {
    let (images, failed) = match images {
        Ok(images) => (images, None),
        Err(error) => (PrunedImages::default(), Some(error)),
    };

    let mut text = String::new();
    if !pruned.containers.is_empty() {
        text += "Deleted Containers:\n";
        pruned.containers.iter().for_each(|id| text += &format!("{id}\n"));
        text += "\n";
    }
    text += &deleted(&networks);
    text += &image::prune::deleted(&images);
    let bytes = pruned.bytes.saturating_add(images.reclaimed);
    text += &format!("Total reclaimed space: {}\n", human::size(bytes));
    let printed = output::print(&text)?;
    let errors = pruned.errors.into_iter().chain(networks.errors).chain(failed);
    Ok(errors.fold(printed, |_, error| exit::complain(&error.into())))
}

/// Asks as docker does.
pub(super) fn confirmed(warning: &str) -> anyhow::Result<bool> {
    output::print(&format!("{warning}Are you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    answer.trim().eq_ignore_ascii_case("y")
}

fn verify(engine: &Engine) -> anyhow::Result<u8> {
    let items = engine.inventory()?;
    let lines = items.iter().map(|item| {
        let what = output::one_line(&item.what);
        format!("{:<10} {what} {}\n", item.kind, item.owner)
    });
    output::print(&lines.collect::<String>())?;
    Ok(u8::from(items.iter().any(|item| item.owner == Owner::Orphan)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_is_yes() {
        assert!(is_yes("y\n") && is_yes(" Y \n"));
        for other in ["", "\n", "n\n", "yes\n", "yy\n"] {
            assert!(!is_yes(other), "{other:?}");
        }
    }
}
