use std::time::{Duration, SystemTime};

use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Family};
use serde_json::{Map, Value, json};

use super::Entry;
use super::filters::Shown;
use crate::commands::Do;
use crate::format::time::Clock;
use crate::format::{Column, Format, Listing, human};
use crate::values::filter::{self, Filter};
use crate::{exit, output};

/// Flags of `minidock network ls`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkLs {
    /// Show only those that match, for instance name=web
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = filter::filter)]
    filter: Vec<Filter>,
    /// Show this of each: table, json, a template, or a template behind the word table
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
    /// Show ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

const NETWORKS: Listing<'static> = Listing {
    name: "*network.networkContext",
    columns: &[
        column("CreatedAt", "CREATED AT"),
        column("Driver", "DRIVER"),
        column("ID", "NETWORK ID"),
        column("IPv4", "IPV4"),
        column("IPv6", "IPV6"),
        column("Internal", "INTERNAL"),
        column("Labels", "LABELS"),
        column("Name", "NAME"),
        column("Scope", "SCOPE"),
    ],
    shown: &["ID", "Name", "Driver", "Scope"],
    quiet: "{{.ID}}",
    raw: Some((RAW, "network_id: {{.ID}}")),
};

/// What Go writes for a moment that never was.
const NEVER: &str = "0001-01-01 00:00:00 +0000 UTC";

impl Do for NetworkLs {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let format = Format::new(self.format.as_deref(), self.quiet, &NETWORKS);
        let shown = Shown::new(&self.filter)?;
        let clock = Clock::system();
        let mut rows = Vec::new();
        for entry in Entry::all(engine)?.iter().filter(|entry| shown.matches(entry)) {
            if let (Some(wanted), Some(network)) = (shown.dangling, &entry.network)
                && engine.network_members(network)?.is_empty() != wanted
            {
                continue;
            }
            rows.push(row(entry, &clock, self.no_trunc));
        }
        let code = output::print(&format.render(&rows, &NETWORKS)?)?;
        for (name, error) in engine.damaged_networks()? {
            exit::warn(&anyhow::Error::from(error).context(format!(
                "network {name} is damaged (minidock network rm {name} removes it)"
            )));
        }
        Ok(code)
    }
}

fn row(entry: &Entry, clock: &Clock, whole: bool) -> Value {
    let labels = entry.labels();
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let map: Map<String, Value> =
        labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let created = entry
        .created()
        .map(|created| clock.local(SystemTime::UNIX_EPOCH + Duration::from_nanos(created)));
    let internal = entry.network.as_ref().is_some_and(|network| network.internal);
    json!({
        "CreatedAt": created.unwrap_or_else(|| NEVER.to_owned()),
        "Driver": entry.driver,
        "ID": if whole { &entry.id } else { human::short_id(&entry.id) },
        "IPv4": entry.has(Family::V4).to_string(),
        "IPv6": entry.has(Family::V6).to_string(),
        "Internal": internal.to_string(),
        "Labels": pairs.join(","),
        "Label()": map,
        "Name": entry.name,
        "Scope": "local",
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn networks_are_shown_as_docker_does() {
        let shown = |format: Option<&str>, quiet, whole| {
            let rows = [row(&entry("web"), &Clock::system(), whole)];
            Format::new(format, quiet, &NETWORKS).render(&rows, &NETWORKS).unwrap()
        };
        assert_eq!(
            shown(None, false, false),
            "NETWORK ID     NAME      DRIVER    SCOPE\n0123456789ab   web       bridge    local\n"
        );
        assert_eq!(shown(None, true, true), format!("{}\n", "0123456789abcdef".repeat(4)));
        let template =
            "{{.Name}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.Label \"tier\"}}";
        assert_eq!(shown(Some(template), false, false), "web true true true tier=front front\n");
        let line = shown(Some("json"), false, false);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["Name"], &value["Scope"]), (&json!("web"), &json!("local")));
        assert_eq!(value.as_object().unwrap().len(), NETWORKS.columns.len());
        let raw = "network_id: 0123456789ab\nname: web\ndriver: bridge\nscope: local\n\n";
        assert_eq!(shown(Some("raw"), false, false), raw);
    }
}
