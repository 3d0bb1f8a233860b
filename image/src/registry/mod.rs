//! What speaks with registries: the OCI distribution specification 1.1, and docker's schema 2.

#[allow(dead_code, reason = "the client follows")]
mod config;
mod credentials;
#[allow(dead_code, reason = "the client follows")]
mod error;
mod helper;
#[allow(dead_code, reason = "the client follows")]
mod wire;

pub use config::{Config, ConfigError, RegistryConfig};
pub use credentials::{Credentials, CredentialsError, Login};
pub use error::{Answer, Error, ErrorKind};
pub use helper::HelperError;
