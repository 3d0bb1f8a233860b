use std::path::Path;

use minidock_cgroup::Hierarchies;
use minidock_image::Digest;
use minidock_image::store::{InUse, User};

use crate::{ContainerId, Engine, Error, Info, known};

/// What containers are made of, whether they run or not. The caller holds the store's lock for
/// removing: whoever makes a container has it shared until the container says what it needs.
pub(super) fn in_use(engine: &Engine) -> Result<InUse, Error> {
    let hierarchies = Hierarchies::detect()?;
    let mut in_use = InUse::default();
    for id in engine.containers.ids()? {
        match known::info(engine, &hierarchies, &id) {
            Ok(Some(info)) => add(&mut in_use, &info),
            // It has gone, or says nothing yet.
            Ok(None) => {}
            Err(error) => check_dead(engine, &id, &error)?,
        }
    }
    Ok(in_use)
}

fn add(in_use: &mut InUse, info: &Info) {
    in_use.layers.extend(info.described.root.iter().filter_map(|path| layer(path)));
    if let Some(image) = info.image_id {
        let container = info.id.short().to_owned();
        let user = User { container, running: info.state.status.is_active() };
        in_use.images.entry(image).or_default().push(user);
    }
}

/// One that is damaged says nothing of its image. When it does not run, all that can be done with it
/// is to remove it.
fn check_dead(engine: &Engine, id: &ContainerId, error: &Error) -> Result<(), Error> {
    if !engine.state.is_held(id)? && engine.containers.config(id).is_err() {
        return Ok(());
    }
    let message = format!("cannot tell which image container {} is made of: {error}", id.short());
    Err(Error::new(message).hint("`minidock rm -f` removes the container"))
}

/// The layer whose files a directory `ROOT/layers/<hex>/diff` has. Any other directory of such a
/// name is no harm: what is not removed can be removed later.
fn layer(path: &Path) -> Option<Digest> {
    let hex = path.parent().filter(|_| path.ends_with("diff"))?.file_name()?.to_str()?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RootSource, RunOptions};

    #[test]
    fn a_container_needs_its_image_and_the_layers_that_it_was_made_of() {
        let [image, low] = [Digest::of(b"image"), Digest::of(b"low")];
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let mut info = Info::new(id, "x", RunOptions::new(RootSource::Image("x".to_owned())));
        info.image_id = Some(image);
        info.described.root =
            vec![format!("/root/layers/{}/diff", low.hex()).into(), "/any/rootfs".into()];
        let mut in_use = InUse::default();
        add(&mut in_use, &info);
        assert_eq!(in_use.layers.into_iter().collect::<Vec<_>>(), [low]);
        let users = in_use.images.remove(&image).unwrap();
        assert_eq!(users, [User { container: "abababababab".to_owned(), running: false }]);
    }
}
