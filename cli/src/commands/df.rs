use std::collections::BTreeSet;
use std::time::SystemTime;

use clap::{ArgAction, Parser};
use minidock_engine::{DiskUsage, Engine};
use serde_json::{Value, json};

use super::{Do, ps};
use crate::exit::UsageError;
use crate::format::time::Clock;
use crate::format::{Column, Format, Listing, human};
use crate::{exit, output};

/// Flags of `minidock system df`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct SystemDf {
    /// Show this of each kind: table, json, a template, or a template behind the word table
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    _arguments: Vec<String>,
}

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

/// Its columns, in order, and its rows.
const fn listing(
    columns: &'static [Column<'static>],
    shown: &'static [&'static str],
) -> Listing<'static> {
    Listing { name: "*formatter.diskUsageImagesContext", columns, shown, quiet: "", raw: None }
}

const KINDS: Listing<'static> = listing(
    &[
        column("Type", "TYPE"),
        column("TotalCount", "TOTAL"),
        column("Active", "ACTIVE"),
        column("Size", "SIZE"),
        column("Reclaimable", "RECLAIMABLE"),
    ],
    &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
);

const IMAGES: Listing<'static> = listing(
    &[
        column("Repository", "REPOSITORY"),
        column("Tag", "TAG"),
        column("CreatedSince", "CREATED"),
        column("Size", "SIZE"),
        column("SharedSize", "SHARED SIZE"),
        column("UniqueSize", "UNIQUE SIZE"),
        column("Containers", "CONTAINERS"),
    ],
    &["Repository", "Tag", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
);

const CONTAINERS: Listing<'static> = Listing {
    shown: &["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
    ..ps::CONTAINERS
};

const VOLUMES: Listing<'static> = listing(
    &[column("Name", "VOLUME NAME"), column("Links", "LINKS"), column("Size", "SIZE")],
    &["Name", "Links", "Size"],
);

const BUILD_CACHE: &str = "\nBuild cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n";

impl Do for SystemDf {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let format = self.format.as_deref().filter(|format| !format.is_empty());
        if self.verbose && format.is_some() {
            let message = "the verbose and the format options conflict";
            return Err(UsageError::failed(message).into());
        }
        let mut usage = engine.disk_usage()?;
        let errors = std::mem::take(&mut usage.errors);
        let text = match self.verbose {
            true => verbose(&usage, &Clock::system())?,
            false => Format::new(format, false, &KINDS).render(&kinds(&usage), &KINDS)?,
        };
        let printed = output::print(&text)?;
        Ok(errors.into_iter().fold(printed, |_, error| exit::complain(&error.into())))
    }
}

/// A row for each kind of thing.
fn kinds(usage: &DiskUsage) -> Vec<Value> {
    let kind = |name: &str, (total, active): (usize, usize), size: u64, used: u64| {
        let free = size.saturating_sub(used);
        let percent = if size > 0 { format!(" ({}%)", share(free, size)) } else { String::new() };
        json!({
            "Type": name,
            "TotalCount": total.to_string(),
            "Active": active.to_string(),
            "Size": human::size(size),
            "Reclaimable": format!("{}{percent}", human::size(free)),
        })
    };
    let DiskUsage { images, containers, volumes, .. } = usage;
    let of_containers = |active: Option<bool>| {
        let is = |info: &minidock_engine::Info| info.state.status.is_active();
        let chosen =
            containers.iter().filter(|one| active.is_none_or(|is_it| is(&one.info) == is_it));
        chosen.map(|one| one.bytes).fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    };
    let of_volumes = |least: usize| {
        let chosen = volumes.iter().filter(|one| one.containers >= least);
        chosen.map(|one| one.bytes).fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    };
    // One of several names is one image.
    let ids = |least: usize| {
        let chosen = images.iter().filter(|image| image.containers >= least);
        chosen.map(|image| image.id).collect::<BTreeSet<_>>().len()
    };
    let (all, active) = (of_containers(None), of_containers(Some(true)));
    let (every, linked) = (of_volumes(0), of_volumes(1));
    vec![
        kind("Images", (ids(0), ids(1)), usage.image_bytes, usage.used_image_bytes),
        kind("Containers", (all.0, active.0), all.1, active.1),
        kind("Local Volumes", (every.0, linked.0), every.1, linked.1),
        // Nothing is built, so nothing of it is kept.
        kind("Build Cache", (0, 0), 0, 0),
    ]
}

/// Hundredths, cut off.
fn share(part: u64, whole: u64) -> u128 {
    u128::from(part) * 100 / u128::from(whole.max(1))
}

fn verbose(usage: &DiskUsage, clock: &Clock) -> anyhow::Result<String> {
    let images = usage.images.iter().map(|image| {
        let created = image.created.as_deref().and_then(|text| clock.moment(text).ok());
        json!({
            "Repository": image.name,
            "Tag": image.tag,
            "CreatedSince": created.map_or_else(|| "N/A".to_owned(), |time: SystemTime| clock.ago(time)),
            "Size": human::size(image.bytes),
            "SharedSize": human::size(image.shared_bytes),
            "UniqueSize": human::size(image.bytes.saturating_sub(image.shared_bytes)),
            "Containers": image.containers.to_string(),
        })
    });
    let containers = usage.containers.iter().map(|container| {
        let mut row = ps::row(&container.info, None, clock, false);
        row["Size"] = human::size(container.bytes).into();
        row
    });
    let volumes = usage.volumes.iter().map(|volume| {
        json!({
            "Name": volume.name,
            "Links": volume.containers.to_string(),
            "Size": human::size(volume.bytes),
        })
    });
    let table = |rows: Vec<Value>, listing: &Listing<'_>| Format::Table.render(&rows, listing);
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}{BUILD_CACHE}",
        table(images.collect(), &IMAGES)?,
        table(containers.collect(), &CONTAINERS)?,
        table(volumes.collect(), &VOLUMES)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dockers() {
        let mut usage = DiskUsage::default();
        (usage.image_bytes, usage.used_image_bytes) = (11_630_000, 3_489_000);
        let table = |format: Option<&str>| {
            Format::new(format, false, &KINDS).render(&kinds(&usage), &KINDS).unwrap()
        };
        let expected = "\
TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
Images          0         0         11.63MB   8.141MB (70%)
Containers      0         0         0B        0B
Local Volumes   0         0         0B        0B
Build Cache     0         0         0B        0B
";
        assert_eq!(table(None), expected);
        assert!(table(Some("json")).starts_with(
            "{\"Active\":\"0\",\"Reclaimable\":\"8.141MB (70%)\",\"Size\":\"11.63MB\",\
             \"TotalCount\":\"0\",\"Type\":\"Images\"}\n"
        ));
        assert_eq!(table(Some("{{.Type}}:{{.Size}}")).lines().last(), Some("Build Cache:0B"));
    }

    #[test]
    fn the_verbose_table_has_a_part_for_each_kind() {
        let text = verbose(&DiskUsage::default(), &Clock::system()).unwrap();
        assert_eq!(text, include_str!("../../tests/snapshots/df-verbose.txt"));
    }
}
