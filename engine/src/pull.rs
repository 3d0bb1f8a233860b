//! Images that are pulled: because somebody wants so, or since a container needs one.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use minidock_image::layer::Options;
use minidock_image::manifest::Platform;
use minidock_image::pull::{LayerError, Pull, PullError, Status, pull};
use minidock_image::registry::{self, Client, ErrorKind};
use minidock_image::{Digest, Observer, Reference, Step};

use crate::transfer::{Told, Transfer, client, credentials, interruptible, preparation, refusal};
use crate::{Engine, Error, store, unpacking};

/// What is pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullOptions {
    /// The name.
    pub image: String,
    /// All tags of the repository; the name has none then.
    pub all_tags: bool,
    /// For another platform than this machine's, such as `linux/arm64`.
    pub platform: Option<String>,
}

impl Engine {
    /// Pulls an image from the registry of its name, and tells [`Engine::observed`] of it. A signal
    /// that asks for an end ends it, with nothing of the image to be seen; what has come stays for
    /// the next attempt. Gives the names, as docker shows them.
    ///
    /// # Errors
    /// That is no name; the registry does not have or give it, or cannot be reached; something of it
    /// is not what it should be; the store cannot be written.
    /// [`Kind::Interrupted`](crate::Kind::Interrupted) after a signal.
    pub fn pull(&self, options: &PullOptions) -> Result<Vec<Reference>, Error> {
        let name: Reference = options.image.parse()?;
        let platform = options.platform.as_deref().map(str::parse).transpose()?;
        interruptible(|cancel| {
            let puller = Puller::new(self, platform, cancel)?;
            if !options.all_tags {
                puller.pull(&name)?;
                return Ok(vec![name.clone()]);
            }
            let tags = puller.client.tags(&name);
            let tags = tags.map_err(|error| refusal("list the tags of", &name, &error))?;
            let names = tags.iter().map(|tag| Ok(name.with_tag(tag)?));
            let names = names.collect::<Result<Vec<Reference>, Error>>()?;
            names.iter().try_for_each(|name| puller.pull(name).map(drop))?;
            Ok(names)
        })
    }
}

/// Pulls what a container is to be made from.
pub(crate) fn for_container(
    engine: &Engine,
    name: &Reference,
    platform: Option<&str>,
) -> Result<(), Error> {
    let platform = platform.map(str::parse).transpose()?;
    preparation(|cancel| Puller::new(engine, platform, cancel)?.pull(name).map(drop))
}

struct Puller<'a> {
    engine: &'a Engine,
    platform: Option<Platform>,
    cancel: &'a AtomicBool,
    told: Told,
    client: Client,
}

impl<'a> Puller<'a> {
    fn new(
        engine: &'a Engine,
        platform: Option<Platform>,
        cancel: &'a Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let told = Told(Arc::clone(&engine.transfers));
        let client = client(credentials(), Some(&told), cancel)?;
        Ok(Self { engine, platform, cancel, told, client })
    }

    fn pull(&self, reference: &Reference) -> Result<Digest, Error> {
        let options = Options { cancelled: Some(self.cancel), ..unpacking::options() };
        let request = Pull { reference, platform: self.platform.as_ref(), options: &options };
        self.engine.prepare()?;
        let store = store::open(&self.engine.root);
        let announced = Announced { told: &self.told, reference, once: Once::new() };
        let pulled = pull(&store, &self.client, &request, &announced)
            .map_err(|error| explained(reference, &error))?;
        announced.announce();
        self.told.0.tell(Transfer::Pulled {
            reference: reference.clone(),
            digest: pulled.digest,
            is_new: pulled.status == Status::Downloaded,
        });
        Ok(pulled.digest)
    }
}

/// Says that an image is pulled when it is known that there is one.
struct Announced<'a> {
    told: &'a Told,
    reference: &'a Reference,
    once: Once,
}

impl Announced<'_> {
    fn announce(&self) {
        self.once.call_once(|| self.told.0.tell(Transfer::Pulling(self.reference.clone())));
    }
}

impl Observer for Announced<'_> {
    fn layer(&self, archive: &Digest, step: Step) {
        self.announce();
        self.told.layer(archive, step);
    }
}

fn explained(reference: &Reference, error: &PullError) -> Error {
    let of_registry = |error: &registry::Error| {
        let told = refusal("pull", reference, error);
        match error.kind() {
            ErrorKind::Connect(_) => told.hint(store::OTHERWISE),
            _ => told,
        }
    };
    match error {
        PullError::Registry(error) => of_registry(error),
        PullError::Layer { source: LayerError::Unpack(unpacking), .. } => {
            let source = Error::from_crate(unpacking);
            let told = Error::new(format!("cannot pull {}: {error}", reference.familiar()));
            match source.advice() {
                Some(hint) => told.hint(hint),
                None => told,
            }
        }
        other => Error::new(format!("cannot pull {}: {other}", reference.familiar())),
    }
}
