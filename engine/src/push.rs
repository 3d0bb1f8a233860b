//! Images that are pushed.

use std::sync::Arc;

use minidock_image::Reference;
use minidock_image::push::{PushError, push};

use crate::transfer::{Told, Transfer, client, credentials, interruptible, refusal};
use crate::{Engine, Error, Kind, store};

impl Engine {
    /// Pushes an image to the registry of its name, or all tags that the store has of that, and
    /// tells [`Engine::observed`] of it. A signal that asks for an end ends it; layers that the
    /// registry has by then stay there.
    ///
    /// # Errors
    /// That is no name; there is no such image, or it is not whole; the registry does not want it, or
    /// cannot be reached. [`Kind::Interrupted`] after a signal.
    pub fn push(&self, image: &str, all_tags: bool) -> Result<(), Error> {
        let name: Reference = image.parse()?;
        let names = match all_tags {
            true => self.tags_of(&name)?,
            false => vec![name.clone()],
        };
        let told = Told(Arc::clone(&self.transfers));
        told.0.tell(Transfer::Pushing(name));
        interruptible(|cancel| {
            let client = client(credentials(), Some(&told), cancel)?;
            let store = store::open(&self.root);
            for reference in names {
                let pushed = push(&store, &client, &reference, Some(cancel), &told)
                    .map_err(|error| explained(&reference, &error))?;
                let (digest, size) = (pushed.digest, pushed.size);
                told.0.tell(Transfer::Pushed { reference, digest, size });
            }
            Ok(())
        })
    }

    fn tags_of(&self, name: &Reference) -> Result<Vec<Reference>, Error> {
        let images = store::open(&self.root).list()?;
        let all = images.into_iter().flat_map(|image| image.references);
        let mut names: Vec<_> = all.filter(|found| found.name() == name.name()).collect();
        names.sort();
        match names.is_empty() {
            true => Err(missing(&name.familiar_name())),
            false => Ok(names),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::new(format!("An image does not exist locally with the tag: {name}"))
        .kind(Kind::NoSuchImage)
}

fn explained(reference: &Reference, error: &PushError) -> Error {
    match error {
        PushError::Registry(error) => refusal("push", reference, error),
        PushError::NoSuchImage(name) => missing(name),
        PushError::Digest(_) => Error::new(error.to_string()),
        other => Error::new(format!("cannot push {}: {other}", reference.familiar())),
    }
}
