//! Images on their way from registries and there: who hears of it, and what ends it.

use std::env;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use minidock_image::registry::{self, Client, Config, Credentials, ErrorKind};
use minidock_image::{Digest, Reference, Step};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::signals::{Signals, request};
use crate::{Engine, Error, Kind};

/// What is told of an image that is pulled or pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer {
    /// A container is to be made from an image that is not here: it is pulled.
    Missing(Reference),
    /// An image is being pulled.
    Pulling(Reference),
    /// An image is being pushed.
    Pushing(Reference),
    /// A layer, by the digest of its archive, has come so far.
    Layer(Digest, Step),
    /// Of a layer or a configuration so many bytes have been transferred.
    Bytes {
        /// Its digest.
        digest: Digest,
        /// From its beginning on; less than before when it begins anew.
        done: u64,
        /// All of it.
        total: u64,
    },
    /// An image was pulled.
    Pulled {
        /// The name.
        reference: Reference,
        /// Under which the registry has it.
        digest: Digest,
        /// It was not here before.
        is_new: bool,
    },
    /// An image was pushed.
    Pushed {
        /// The name.
        reference: Reference,
        /// Its manifest's.
        digest: Digest,
        /// Bytes of the manifest.
        size: u64,
    },
}

/// Hears how far transfers are, from several threads.
pub trait Transfers: fmt::Debug + Send + Sync {
    /// One thing has happened.
    fn tell(&self, event: Transfer);
}

/// Who does not want to know.
#[derive(Debug)]
pub(crate) struct Silent;

impl Transfers for Silent {
    fn tell(&self, _: Transfer) {}
}

/// Passes on what the client and the store tell.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) Arc<dyn Transfers>);

impl registry::Progress for Told {
    fn bytes(&self, digest: &Digest, done: u64, total: u64) {
        self.0.tell(Transfer::Bytes { digest: *digest, done, total });
    }
}

impl minidock_image::Observer for Told {
    fn layer(&self, archive: &Digest, step: Step) {
        self.0.tell(Transfer::Layer(*archive, step));
    }
}

impl Engine {
    /// The same engine, which tells of images that it pulls and pushes.
    #[must_use]
    pub fn observed(self, transfers: Arc<dyn Transfers>) -> Self {
        Self { transfers, ..self }
    }
}

/// The credentials of the caller.
pub(crate) fn credentials() -> Credentials {
    Credentials::of_environment(&|name| env::var_os(name))
}

/// A client with the caller's configuration.
pub(crate) fn client(
    credentials: Credentials,
    told: Option<&Told>,
    cancel: &Arc<AtomicBool>,
) -> Result<Client, Error> {
    let file = Config::default_file(nix::unistd::geteuid().is_root());
    let config = match file {
        Some(file) => Config::load(&file).map_err(|error| Error::from_crate(&error))?,
        None => Config::default(),
    };
    let options = registry::Options {
        cancel: Arc::clone(cancel),
        progress: told.map(|told| Arc::new(told.clone()) as Arc<dyn registry::Progress>),
        ..registry::Options::default()
    };
    Ok(Client::new(config, credentials, options))
}

/// Does something that a request to end ends within a moment, and tidily. A second one ends this
/// process at once, as if there were nothing to tidy up: what stays is garbage then.
pub(crate) fn interruptible<T: Send>(
    work: impl FnOnce(&Arc<AtomicBool>) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    match watched(work)? {
        // What has come about nevertheless stays.
        (Ok(done), _) => Ok(done),
        (Err(_), Some(signal)) => Err(Error::left(signal)),
        (Err(error), None) => Err(error),
    }
}

/// The same for the beginning of something that is not to go on after a request to end.
pub(crate) fn preparation<T: Send>(
    work: impl FnOnce(&Arc<AtomicBool>) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    match watched(work)? {
        (_, Some(signal)) => Err(Error::left(signal)),
        (done, None) => done,
    }
}

/// What has become of the work, and the request to end that has come meanwhile.
fn watched<T: Send>(
    work: impl FnOnce(&Arc<AtomicBool>) -> Result<T, Error> + Send,
) -> Result<(Result<T, Error>, Option<Signal>), Error> {
    let cancel = Arc::new(AtomicBool::new(false));
    let signals = Signals::collect()?;
    let (ended, end) = io::pipe().map_err(|error| Error::io("make", "a pipe", &error))?;
    thread::scope(|scope| -> Result<_, Error> {
        let cancel = &cancel;
        let work = thread::Builder::new().name("transfer".to_owned()).spawn_scoped(scope, || {
            let done = work(cancel);
            drop(end);
            done
        });
        let work = work.map_err(|error| Error::io("start", "a thread", &error))?;
        let signal = wait(signals, &ended);
        if !matches!(signal, Ok(None)) {
            cancel.store(true, Ordering::Relaxed);
        }
        let done = work.join().map_err(|_| Error::new("a thread has died"))?;
        Ok((done, signal?))
    })
}

/// The first request to end, or nothing at the end of the work. From then on signals do what they do
/// otherwise.
fn wait(mut signals: Signals, ended: &io::PipeReader) -> Result<Option<Signal>, Error> {
    loop {
        let mut watched = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            polled => polled.map_err(|errno| Error::io("wait for", "a signal", &errno.into()))?,
        };
        let is_over = watched[1].revents().is_some_and(|events| !events.is_empty());
        while let Some(signal) = signals.next() {
            if let Some(signal) = request(signal) {
                return Ok(Some(signal));
            }
        }
        if is_over {
            return Ok(None);
        }
    }
}

/// What a registry said no to, and what to do about it.
pub(crate) fn refusal(what: &str, reference: &Reference, error: &registry::Error) -> Error {
    let told = Error::new(format!("cannot {what} {}: {error}", reference.familiar()));
    match error.kind() {
        ErrorKind::NotFound(_) => told.kind(Kind::NoSuchImage),
        ErrorKind::Unauthorized(_) | ErrorKind::Denied(_) => {
            let hint = match reference.registry() {
                "docker.io" => {
                    "perhaps there is none of that name, or `minidock login` is missing".to_owned()
                }
                other => format!("perhaps `minidock login {other}` is missing"),
            };
            told.hint(hint)
        }
        _ => told,
    }
}
