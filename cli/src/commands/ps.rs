use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Info};
use serde_json::Value;

use super::Do;
use crate::exit;
use crate::format::time::Clock;
use crate::format::{Column, Format, Listing};
use crate::output;
use crate::values::filter::{self, Filter};

mod filters;
mod row;

use filters::Filters;
pub(crate) use row::{networks, row};

/// Flags of `minidock ps`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Ps {
    /// Show those that do not run as well
    #[arg(short, long)]
    all: bool,
    /// Show only those that match, for instance name=web
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = filter::filter)]
    filter: Vec<Filter>,
    /// Show this of each: table, json, a template, or a template behind the word table
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the so many youngest, of all
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    last: Option<i64>,
    /// Show the youngest, of all
    #[arg(short, long)]
    latest: bool,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
    /// Show ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Show how much their layers hold
    #[arg(short, long)]
    size: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

const SHOWN: &[&str] =
    &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"];

const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
    created_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\n\
    names: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

pub(super) const CONTAINERS: Listing<'static> = Listing {
    name: "*formatter.ContainerContext",
    columns: &[
        column("Command", "COMMAND"),
        column("CreatedAt", "CREATED AT"),
        column("HealthStatus", "HEALTH STATUS"),
        column("ID", "CONTAINER ID"),
        column("Image", "IMAGE"),
        column("Labels", "LABELS"),
        column("LocalVolumes", "LOCAL VOLUMES"),
        column("Mounts", "MOUNTS"),
        column("Names", "NAMES"),
        column("Networks", "NETWORKS"),
        column("Platform", "PLATFORM"),
        column("Ports", "PORTS"),
        column("RunningFor", "CREATED"),
        column("Size", "SIZE"),
        column("State", "STATE"),
        column("Status", "STATUS"),
    ],
    shown: SHOWN,
    quiet: "{{.ID}}",
    raw: Some((RAW, "container_id: {{.ID}}")),
};

impl Do for Ps {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let listing = Listing { shown: self.shown(), ..CONTAINERS };
        let format = self.format(&listing);
        let filters = Filters::new(&self.filter, |name| engine.find(name))?;
        let sized = self.size || (format != Format::Json && format.shows("Size", &listing));
        let all = self.all || self.last() > 0 || filters.want_all();
        let (infos, errors) = engine.list(all || filters.has_place())?;
        for error in errors {
            exit::warn(&error.into());
        }
        let mut infos = filters.placed(infos);
        infos.retain(|info| (all || info.state.status.is_active()) && filters.match_all(info));
        if let Ok(most @ 1..) = usize::try_from(self.last()) {
            infos.truncate(most);
        }
        infos.iter().for_each(exit::warn_of);
        let clock = Clock::system();
        let rows: Vec<Value> = infos
            .iter()
            .map(|info| row(info, size(engine, info, sized), &clock, self.no_trunc))
            .collect();
        output::print(&format.render(&rows, &listing)?)
    }
}

impl Ps {
    fn shown(&self) -> &'static [&'static str] {
        let without = SHOWN.len() - usize::from(!self.size);
        SHOWN.get(..without).unwrap_or(SHOWN)
    }

    fn last(&self) -> i64 {
        self.last.unwrap_or(if self.latest { 1 } else { -1 })
    }

    /// Here alone `-q` goes before a template.
    fn format(&self, listing: &Listing<'_>) -> Format {
        let mut flag = self.format.as_deref().filter(|format| !format.is_empty());
        if flag.is_some() && self.quiet {
            output::complain(
                "WARNING: Ignoring custom format, because both --format and --quiet are set.\n",
            );
            flag = flag.filter(|flag| *flag == "raw");
        }
        match Format::new(flag, self.quiet, listing) {
            Format::Rows(raw) if flag == Some("raw") && self.size && !self.quiet => {
                Format::Rows(format!("{raw}size: {{{{.Size}}}}\n"))
            }
            format => format,
        }
    }
}

/// Bytes of the layer, and of all; nothing, and a warning, when they cannot be counted.
fn size(engine: &Engine, info: &Info, wanted: bool) -> Option<(u64, u64)> {
    if !wanted {
        return Some((0, 0));
    }
    let size = engine.size(info);
    size.map_err(|error| exit::warn(&error.into())).ok()
}
