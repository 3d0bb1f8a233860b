use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Network, PrunedNetworks};

use crate::commands::Do;
use crate::commands::prune::confirmed;
use crate::format::time::Clock;
use crate::values::filter::{self, Filter, Removed};
use crate::{exit, output};

/// Flags of `minidock network prune`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkPrune {
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

const NETWORKS: &str =
    "WARNING! This will remove all custom networks not used by at least one container.\n";

impl Do for NetworkPrune {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let removed = Removed::new(&self.filter, &Clock::system())?;
        if !self.force && !confirmed(NETWORKS)? {
            return Ok(0);
        }
        let matches = |network: &Network| removed.matches(network.created, &network.labels);
        let pruned = engine.prune_networks(matches)?;
        let printed = output::print(&deleted(&pruned))?;
        Ok(pruned.errors.into_iter().fold(printed, |_, error| exit::complain(&error.into())))
    }
}

/// What docker prints of them.
pub(crate) fn deleted(pruned: &PrunedNetworks) -> String {
    if pruned.networks.is_empty() {
        return String::new();
    }
    let names = pruned.networks.iter().map(|name| format!("{name}\n"));
    format!("Deleted Networks:\n{}\n", names.collect::<String>())
}
