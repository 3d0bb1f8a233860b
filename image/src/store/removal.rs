//! Removal of images, by docker's rules.

use std::collections::{BTreeMap, BTreeSet};

use super::images::{Entry, ImageSummary, by_id, reference};
use super::{Removing, StoreError};
use crate::{Digest, Reference};

/// A container that needs an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What it is called.
    pub container: String,
    /// It runs, so that no force removes its image.
    pub running: bool,
}

/// What must not be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// Whose images they are, by their ids.
    pub images: BTreeMap<Digest, Vec<User>>,
    /// The diff ids of layers that containers are made of, also of images that are gone.
    pub layers: BTreeSet<Digest>,
}

/// What a removal has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// An image does not have this name any more.
    Untagged(Reference),
    /// An image with this id, or a layer with this diff id, is gone.
    Deleted(Digest),
}

/// What a removal of all that is not needed has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names, images and layers.
    pub removed: Vec<Removed>,
    /// How many bytes the blobs and the files of the layers had.
    pub reclaimed: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    untagged: Vec<Reference>,
    /// The image itself goes too.
    delete: bool,
}

/// An image as a removal sees it.
#[derive(Debug)]
struct Target<'a> {
    id: Digest,
    tags: BTreeSet<&'a Reference>,
    digests: BTreeSet<&'a Reference>,
    manifests: Vec<Digest>,
}

impl Removing<'_> {
    /// Removes a name of an image, and with the last one the image; or an image by its id, which
    /// needs force when it has names of several repositories, or several tags. One that a container
    /// is made of stays, unless that does not run and `force` is given.
    ///
    /// # Errors
    /// There is no such image, several are meant, or somebody needs it. When the garbage cannot be
    /// collected the image is gone nevertheless.
    pub fn remove(
        &self,
        name: &str,
        force: bool,
        in_use: &InUse,
    ) -> Result<Vec<Removed>, StoreError> {
        let entries = self.store.entries()?;
        let named = |reference: &Reference| {
            entries.iter().find(|entry| entry.named.references().any(|name| name == reference))
        };
        let by_name = reference(name).and_then(|name| named(&name).map(|entry| (entry.id, name)));
        let id = match &by_name {
            Some((id, _)) => *id,
            None => entries.get(by_id(&entries, name)?).ok_or_else(|| no_such(name))?.id,
        };
        let target = Target::of(id, &entries);
        let users = in_use.images.get(&id).map_or(&[][..], Vec::as_slice);
        let plan = match &by_name {
            Some((_, reference)) => target.by_name(reference, force, users)?,
            None => target.by_id(name, force, users)?,
        };
        self.apply(&[(target, plan)], &in_use.layers).map(|pruned| pruned.removed)
    }

    /// Removes all images that have no name, or with `all` those too that no container is made of,
    /// of those that `choose` takes.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn prune(
        &self,
        all: bool,
        choose: &dyn Fn(&ImageSummary) -> bool,
        in_use: &InUse,
    ) -> Result<Pruned, StoreError> {
        let entries = self.store.entries()?;
        let mut chosen = self.store.list()?;
        chosen.retain(|image| {
            (all || image.dangling)
                && in_use.images.get(&image.id).is_none_or(Vec::is_empty)
                && choose(image)
        });
        let targets = chosen.iter().map(|image| {
            let target = Target::of(image.id, &entries);
            let plan = Plan { untagged: target.names(), delete: true };
            (target, plan)
        });
        self.apply(&targets.collect::<Vec<_>>(), &in_use.layers)
    }

    /// The names go first and at once, then what nobody needs without them.
    fn apply(
        &self,
        plans: &[(Target<'_>, Plan)],
        layers: &BTreeSet<Digest>,
    ) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        self.store.change_names(|names| {
            for (target, plan) in plans {
                for reference in &plan.untagged {
                    names.untag(reference);
                    pruned.removed.push(Removed::Untagged(reference.clone()));
                }
                if plan.delete {
                    names.images.retain(|digest, _| !target.manifests.contains(digest));
                    pruned.removed.push(Removed::Deleted(target.id));
                }
            }
            Ok(())
        })?;
        if plans.iter().any(|(_, plan)| plan.delete) {
            let garbage = self.collect_garbage(layers)?;
            pruned.removed.extend(garbage.layers.into_iter().map(Removed::Deleted));
            pruned.reclaimed = garbage.bytes;
        }
        Ok(pruned)
    }
}

impl<'a> Target<'a> {
    fn of(id: Digest, entries: &'a [Entry]) -> Self {
        let entries = || entries.iter().filter(|entry| entry.id == id).map(|entry| &entry.named);
        Self {
            id,
            tags: entries().flat_map(|named| &named.tags).collect(),
            digests: entries().flat_map(|named| &named.digests).collect(),
            manifests: entries().map(|named| named.descriptor.digest).collect(),
        }
    }

    fn names(&self) -> Vec<Reference> {
        self.tags.iter().chain(&self.digests).map(|name| (*name).clone()).collect()
    }

    /// All of its names are of one repository, with one tag at most.
    fn has_one_name(&self) -> bool {
        let repositories: BTreeSet<String> =
            self.tags.iter().chain(&self.digests).map(|name| name.name()).collect();
        repositories.len() == 1 && self.tags.len() <= 1
    }

    fn by_name(&self, name: &Reference, force: bool, users: &[User]) -> Result<Plan, StoreError> {
        if self.has_one_name() {
            check_unused(&name.familiar(), force, users)?;
        }
        let mut untagged = vec![name.clone()];
        let has_other_tag = self.tags.iter().any(|tag| *tag != name && tag.name() == name.name());
        if name.digest().is_none() && !has_other_tag {
            // Where it came from under a name that it does not have any more.
            let same = self.digests.iter().filter(|digest| digest.name() == name.name());
            untagged.extend(same.map(|digest| (*digest).clone()));
        }
        let left = self.tags.len() + self.digests.len() - untagged.len();
        Ok(Plan { untagged, delete: left == 0 })
    }

    fn by_id(&self, id: &str, force: bool, users: &[User]) -> Result<Plan, StoreError> {
        let untagged = self.names();
        if !force && !untagged.is_empty() && !self.has_one_name() {
            let running = users.iter().filter(|user| user.running).cloned().collect::<Vec<_>>();
            check_unused(id, true, &running)?;
            return Err(StoreError::Conflict {
                image: id.to_owned(),
                reason: "image is referenced in multiple repositories".to_owned(),
                forcible: true,
            });
        }
        check_unused(id, force, users)?;
        Ok(Plan { untagged, delete: true })
    }
}

fn check_unused(image: &str, force: bool, users: &[User]) -> Result<(), StoreError> {
    let user = users.iter().find(|user| user.running).or(users.first().filter(|_| !force));
    let Some(user) = user else { return Ok(()) };
    let kind = if user.running { "running" } else { "stopped" };
    Err(StoreError::Conflict {
        image: image.to_owned(),
        reason: format!("image is being used by {kind} container {}", user.container),
        forcible: !user.running,
    })
}

fn no_such(name: &str) -> StoreError {
    StoreError::NoSuchImage(name.chars().take(300).collect())
}
