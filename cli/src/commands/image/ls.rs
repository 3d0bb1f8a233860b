use std::cmp::Reverse;
use std::time::SystemTime;

use anyhow::anyhow;
use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::filters::Shown;
use super::row::{How, created, rows};
use crate::commands::Do;
use crate::format::time::Clock;
use crate::format::{Column, Format, Listing};
use crate::values::filter::{self, Filter};
use crate::{exit, output};

/// Flags of `minidock images`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Images {
    /// Show those too that others were made from; always so
    #[arg(short, long)]
    all: bool,
    /// Show where they come from
    #[arg(long)]
    digests: bool,
    /// Show only those that match, for instance dangling=true or reference=web*
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
    name: Vec<String>,
}

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

const SHOWN: &[&str] = &["Repository", "Tag", "ID", "CreatedSince", "Size"];
const WITH_DIGESTS: &[&str] = &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];

const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\n\
    created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";
const RAW_WITH_DIGESTS: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\n\
    image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

const IMAGES: Listing<'static> = Listing {
    name: "*formatter.imageContext",
    columns: &[
        column("Containers", "CONTAINERS"),
        column("CreatedAt", "CREATED AT"),
        column("CreatedSince", "CREATED"),
        column("Digest", "DIGEST"),
        column("ID", "IMAGE ID"),
        column("Repository", "REPOSITORY"),
        column("SharedSize", "SHARED SIZE"),
        column("Size", "SIZE"),
        column("Tag", "TAG"),
        column("UniqueSize", "UNIQUE SIZE"),
    ],
    shown: SHOWN,
    quiet: "{{.ID}}",
    raw: Some((RAW, "image_id: {{.ID}}")),
};

impl Do for Images {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let listing = match self.digests {
            true => Listing {
                shown: WITH_DIGESTS,
                raw: Some((RAW_WITH_DIGESTS, "image_id: {{.ID}}")),
                ..IMAGES
            },
            false => IMAGES,
        };
        let format = Format::new(self.format.as_deref(), self.quiet, &listing);
        let clock = Clock::system();
        let made = |name: &str| made(engine, name, &clock);
        let name = self.name.first().map(String::as_str);
        let shown = Shown::new(&self.filter, name, &clock, made)?;
        let mut images = engine.images()?;
        images.retain(|image| shown.matches(image, &clock));
        // The youngest first; those of one moment stay in their order.
        images.sort_by_key(|image| Reverse(created(image, &clock)));
        let digests = self.digests || (format != Format::Json && format.shows("Digest", &listing));
        let how = How { digests, whole: self.no_trunc };
        let rows: Vec<_> =
            images.iter().flat_map(|image| rows(image, &shown, how, &clock)).collect();
        let code = output::print(&format.render(&rows, &listing)?)?;
        for image in &images {
            if let Some(reason) = &image.broken {
                exit::warn(&anyhow!("image {} is broken: {reason}", image.id.short()));
            }
        }
        Ok(code)
    }
}

/// When the image was made that a filter names.
fn made(engine: &Engine, name: &str, clock: &Clock) -> anyhow::Result<SystemTime> {
    let image = engine.image(name)?.summary;
    Ok(created(&image, clock).unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::image;
    use super::*;

    fn shown(format: Option<&str>, quiet: bool) -> String {
        let (shown, clock) = (Shown::default(), Clock::system());
        let how = How { digests: false, whole: false };
        let rows = rows(&image("ab", &["me/app:1"]), &shown, how, &clock);
        Format::new(format, quiet, &IMAGES).render(&rows, &IMAGES).unwrap()
    }

    #[test]
    fn images_are_shown_as_docker_does() {
        let text = shown(None, false);
        let (header, row) = text.split_once('\n').unwrap();
        assert!(header.starts_with("REPOSITORY   TAG       IMAGE ID       CREATED"), "{text}");
        assert!(header.ends_with("SIZE"), "{text}");
        assert!(row.starts_with("me/app       1         abababababab   "), "{text}");
        assert!(row.ends_with(" ago   21.5MB\n"), "{text}");
        assert_eq!(shown(None, true), "abababababab\n");
        assert_eq!(shown(Some("{{.Repository}}:{{.Tag}} {{.Size}}"), false), "me/app:1 21.5MB\n");
        let line: serde_json::Value = serde_json::from_str(&shown(Some("json"), false)).unwrap();
        assert_eq!(line.as_object().unwrap().len(), IMAGES.columns.len());
        assert_eq!(shown(Some("raw"), true), "image_id: abababababab\n");
    }
}
