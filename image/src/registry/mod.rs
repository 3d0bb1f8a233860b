//! What speaks with registries: the OCI distribution specification 1.1, and docker's schema 2.
//!
//! | word | meaning |
//! |---|---|
//! | [`Config`] | how registries are reached: mirrors, certificates, plain HTTP |
//! | [`Credentials`] | who the user is there, in docker's and podman's files |
//! | [`Client`] | asks, gets and sends; may be used by several threads at once |
//! | [`Blob`], [`Verified`] | a content while it arrives, and the check at its end |
//!
//! A registry is not believed: what it sends has a limit in size and in time, contents are compared
//! with their digests, and where it redirects to hears nothing of the user's credentials.

mod auth;
mod blob;
mod client;
mod config;
mod credentials;
mod error;
mod helper;
mod http;
mod manifest;
mod push;
mod retry;
mod trust;
mod wire;

pub use blob::{Blob, Verified};
pub use client::{Client, Options, Progress};
pub use config::{Config, ConfigError, RegistryConfig};
pub use credentials::{Credentials, CredentialsError, Login};
pub use error::{Answer, Error, ErrorKind};
pub use helper::HelperError;
pub use manifest::{Descriptor, Manifest, media_type};

use client::read_body;
