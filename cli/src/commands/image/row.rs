//! Images as rows of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use minidock_engine::{Digest, ImageSummary};
use serde_json::{Value, json};

use super::NONE;
use super::filters::Shown;
use crate::format::human;
use crate::format::time::Clock;

/// How rows are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Where images come from is shown too.
    pub(super) digests: bool,
    /// Ids are not cut off.
    pub(super) whole: bool,
}

/// The rows of an image: one for each of its names that is wanted.
pub(super) fn rows(image: &ImageSummary, shown: &Shown<'_>, how: How, clock: &Clock) -> Vec<Value> {
    let names = match image.references.is_empty() && image.digests.is_empty() {
        true => vec![(NONE.to_owned(), NONE.to_owned(), NONE.to_owned())],
        false => names(image, shown, how.digests),
    };
    let row = |(repository, tag, digest)| row(image, [repository, tag, digest], how.whole, clock);
    names.into_iter().map(row).collect()
}

/// Repository, tag and digest.
fn names(image: &ImageSummary, shown: &Shown<'_>, digests: bool) -> Vec<(String, String, String)> {
    let mut repositories: BTreeMap<String, (Vec<&str>, BTreeSet<Digest>)> = BTreeMap::new();
    for name in image.references.iter().chain(&image.digests).filter(|name| shown.names(name)) {
        let (tags, known) = repositories.entry(name.familiar_name()).or_default();
        match name.digest() {
            Some(digest) => drop(known.insert(*digest)),
            None => tags.extend(name.tag()),
        }
    }
    let none = || vec![NONE.to_owned()];
    let mut names = Vec::new();
    for (repository, (tags, known)) in repositories {
        let tags = match tags.is_empty() {
            true => none(),
            false => tags.into_iter().map(str::to_owned).collect(),
        };
        let known = match digests && !known.is_empty() {
            true => known.iter().map(ToString::to_string).collect(),
            false => none(),
        };
        for tag in &tags {
            names.extend(
                known.iter().map(|digest| (repository.clone(), tag.clone(), digest.clone())),
            );
        }
    }
    names
}

fn row(
    image: &ImageSummary,
    [repository, tag, digest]: [String; 3],
    whole: bool,
    clock: &Clock,
) -> Value {
    let created = created(image, clock);
    let id = image.id.to_string();
    json!({
        "Containers": "N/A",
        "CreatedAt": created.map_or_else(|| "N/A".to_owned(), |time| clock.local(time)),
        "CreatedSince": created.map_or_else(|| "N/A".to_owned(), |time| clock.ago(time)),
        "Digest": digest,
        "ID": if whole { &id } else { human::short_id(&id) },
        "Repository": repository,
        "SharedSize": "N/A",
        "Size": human::short_size(image.size),
        "Tag": tag,
        "UniqueSize": "N/A",
    })
}

/// When it was made, if it says so.
pub(super) fn created(image: &ImageSummary, clock: &Clock) -> Option<SystemTime> {
    image.created.as_deref().and_then(|text| clock.moment(text).ok())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An image of these names, of which those with an `@` say where it comes from.
    pub(in crate::commands::image) fn image(id: &str, names: &[&str]) -> ImageSummary {
        let digest = Digest::of(b"manifest");
        let name = |name: &&str| match name.strip_suffix('@') {
            Some(name) => name.parse::<minidock_engine::Reference>().unwrap().with_digest(digest),
            None => name.parse().unwrap(),
        };
        let names: Vec<_> = names.iter().map(name).collect();
        let (digests, references) = names.into_iter().partition(|name| name.digest().is_some());
        let mut image = ImageSummary {
            id: format!("sha256:{}", id.repeat(64 / id.len())).parse().unwrap(),
            references,
            digests,
            manifests: vec![digest],
            created: Some("2023-11-14T22:13:20Z".to_owned()),
            platform: None,
            size: 21_512_345,
            diff_ids: Vec::new(),
            labels: [("tier".to_owned(), "front".to_owned())].into(),
            dangling: false,
            broken: None,
        };
        image.dangling = image.references.is_empty() && image.digests.is_empty();
        image
    }

    fn cells(image: &ImageSummary, digests: bool) -> Vec<String> {
        let shown = Shown::default();
        let rows = rows(image, &shown, How { digests, whole: false }, &Clock::system());
        let cell = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let line = |row: &Value| {
            format!("{} {} {}", cell(row, "Repository"), cell(row, "Tag"), cell(row, "Digest"))
        };
        rows.iter().map(line).collect()
    }

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let many = image("ab", &["alpine:3", "alpine", "alpine@", "me/app@"]);
        let digest = Digest::of(b"manifest");
        assert_eq!(
            cells(&many, false),
            ["alpine 3 <none>", "alpine latest <none>", "me/app <none> <none>"]
        );
        assert_eq!(
            cells(&many, true),
            [
                format!("alpine 3 {digest}"),
                format!("alpine latest {digest}"),
                format!("me/app <none> {digest}")
            ]
        );
        assert_eq!(cells(&image("ab", &[]), true), ["<none> <none> <none>"]);
    }
}
