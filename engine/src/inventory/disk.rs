//! What the directories hold: records, networks, leases, ranges of ids, containers, names, volumes,
//! and what was left half written.

use std::fs;

use minidock_net::LinkName;

use super::{Item, Known, Owner, item};
use crate::containers::{entries, is_any_draft};
use crate::locks::lock_if_free;
use crate::monitor::channel;
use crate::networks::Networks;
use crate::{ContainerId, Engine, Error, repair};

pub(super) fn items(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let mut items = records(engine, known)?;
    items.extend(leases(engine, known)?);
    items.extend(ranges(engine, known)?);
    items.extend(containers(engine, known)?);
    items.extend(names(engine, known)?);
    items.extend(renames(engine)?);
    items.extend(restarts(engine)?);
    items.extend(networks(engine)?);
    let volumes = engine.root.join("volumes");
    for name in entries(&volumes)? {
        items.push(item("volume", volumes.join(name).display(), Owner::Kept));
    }
    Ok(items)
}

fn records(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let directory = engine.state.containers();
    let mut items = Vec::new();
    for name in entries(&directory)? {
        let path = directory.join(&name);
        let owner = name.parse().map_or(Owner::Orphan, |id| known.in_charge(&id));
        if channel::is_served(&path) {
            items.push(item("socket", path.join("attach").display(), owner.clone()));
        }
        items.push(item("record", path.display(), owner));
    }
    Ok(items)
}

/// Descriptions, and the files of leases, which go before them.
fn networks(engine: &Engine) -> Result<Vec<Item>, Error> {
    let networks = Networks::of(engine);
    let all = networks.all()?;
    let mut items = Vec::new();
    for network in all.iter().filter(|network| !network.is_default()) {
        items.push(item("network", networks.file(&network.name).display(), Owner::Kept));
    }
    let damaged = networks.damaged()?;
    for (name, _) in &damaged {
        items.push(item("network", networks.file(name).display(), Owner::Kept));
    }
    for draft in networks.drafts()? {
        items.push(item("file", draft.display(), Owner::Orphan));
    }
    for (file, _) in repair::leases(engine)? {
        let of = |bridge: &LinkName| engine.state.leases(bridge.as_str()) == file;
        // The second was the default network's of every state directory once.
        let kept = all.iter().any(|one| of(&one.bridge)) || of(&LinkName::default_bridge());
        // A damaged network may have it.
        let kept = kept || !damaged.is_empty();
        let owner = if kept { Owner::Kept } else { Owner::Orphan };
        items.push(item("leases", file.display(), owner));
    }
    Ok(items)
}

fn leases(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for (file, leases) in repair::leases(engine)? {
        for lease in leases.list()? {
            let owner = lease.owner.parse().map_or(Owner::Orphan, |id| known.in_charge(&id));
            items.push(item("lease", format!("{} in {}", lease.address, file.display()), owner));
        }
    }
    Ok(items)
}

fn ranges(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let directory = engine.state.ids();
    let range = |name: String| {
        let link = directory.join(name);
        let owner = fs::read_link(&link).ok().and_then(|to| to.to_str()?.parse().ok());
        let owner = owner.map_or(Owner::Orphan, |id: ContainerId| known.in_charge(&id));
        item("ids", link.display(), owner)
    };
    Ok(entries(&directory)?.into_iter().map(range).collect())
}

fn containers(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let all = engine.containers.all();
    let mut items = Vec::new();
    for name in entries(&all)? {
        let path = all.join(&name);
        let id = name.parse().ok();
        let owner = id.as_ref().map_or(Owner::Orphan, |id| known.existing(id));
        items.push(item("container", path.display(), owner));
        // While one is written nobody can tell it from one that was left.
        let Some(id) = id.filter(|id| known.in_charge(id) == Owner::Orphan) else { continue };
        let Some(_nobody_writes) = lock_if_free(&engine.containers.directory(&id))? else {
            continue;
        };
        for draft in entries(&path)?.iter().filter(|name| is_any_draft(name)) {
            items.push(item("file", path.join(draft).display(), Owner::Orphan));
        }
    }
    Ok(items)
}

fn names(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let names = engine.containers.all_names()?.into_iter();
    Ok(names
        .map(|(name, owner)| {
            let path = engine.containers.names().join(&name);
            let owner = match owner.map(|id| (known.existing(&id), id)) {
                // One that is being made has no description yet, one that is damaged none that says
                // its name, and one that is being renamed has two.
                Some((Owner::Container(id, says), _))
                    if says == name || says.is_empty() || is_renamed(engine, &id) =>
                {
                    Owner::Container(id, says)
                }
                _ => Owner::Orphan,
            };
            item("name", path.display(), owner)
        })
        .collect())
}

fn is_renamed(engine: &Engine, id: &ContainerId) -> bool {
    engine.state.renames().join(id.as_str()).exists()
}

fn renames(engine: &Engine) -> Result<Vec<Item>, Error> {
    let directory = engine.state.renames();
    let mut items = Vec::new();
    for name in entries(&directory)? {
        let owner = match name.parse::<ContainerId>() {
            Ok(id) if is_changing(engine, &id)? => Owner::Container(id, String::new()),
            _ => Owner::Orphan,
        };
        items.push(item("rename", directory.join(name).display(), owner));
    }
    Ok(items)
}

fn restarts(engine: &Engine) -> Result<Vec<Item>, Error> {
    let directory = engine.state.restarts();
    let mut items = Vec::new();
    for name in entries(&directory)? {
        let path = directory.join(&name);
        let owner = match name.parse::<ContainerId>() {
            // Somebody restarts it, or is in charge of it and may leave it to whoever did.
            Ok(id) if engine.state.container(&id).exists() || lock_if_free(&path)?.is_none() => {
                Owner::Container(id, String::new())
            }
            _ => Owner::Orphan,
        };
        items.push(item("restart", path.display(), owner));
    }
    Ok(items)
}

/// Somebody has the lock for changing the container's description.
fn is_changing(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    let directory = engine.containers.directory(id);
    Ok(lock_if_free(&directory)?.is_none() && directory.exists())
}
