//! Who the caller is at registries.

use minidock_image::registry::{Error as RegistryError, Login};

use crate::transfer::{client, credentials, interruptible};
use crate::{Engine, Error};

/// The registry that is meant when none is named.
pub const DEFAULT_REGISTRY: &str = "docker.io";

impl Engine {
    /// Asks a registry (`host[:port]`) whether it takes these, and keeps them where docker would.
    ///
    /// # Errors
    /// It does not, or cannot be reached; the credentials cannot be kept.
    /// [`Kind::Interrupted`](crate::Kind::Interrupted) after a signal.
    pub fn login(&self, registry: &str, user: &str, password: &str) -> Result<(), Error> {
        let login = Login::Password { user: user.to_owned(), password: password.to_owned() };
        interruptible(|cancel| {
            let kept = credentials();
            let tried = kept.clone().with(registry, login).map_err(told)?;
            client(tried, None, cancel)?
                .ping(registry)
                .map_err(|error: RegistryError| Error::new(error.to_string()))?;
            kept.login(registry, user, password).map_err(told)
        })
    }

    /// Forgets the caller's credentials of a registry. False when there were none.
    ///
    /// # Errors
    /// They cannot be read or removed.
    pub fn logout(&self, registry: &str) -> Result<bool, Error> {
        credentials().logout(registry).map_err(told)
    }
}

fn told(error: minidock_image::registry::CredentialsError) -> Error {
    Error::new(error.to_string())
}
