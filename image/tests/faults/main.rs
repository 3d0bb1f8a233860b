//! The client of registries against one that misbehaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auth;
mod blobs;
mod images;
mod manifests;
mod proxy;
mod pull;
mod push;
mod secure;
mod server;

use std::time::Duration;

use minidock_image::Reference;
use minidock_image::registry::{Client, Config, Credentials, Login, Options};

use server::Server;

/// Patient enough for a machine that does something else too.
fn options() -> Options {
    Options {
        connect: Duration::from_secs(10),
        idle: Duration::from_secs(10),
        commit: Duration::from_secs(10),
        retries: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_secs(5),
        ..Options::default()
    }
}

/// One that waits only for a moment.
fn hasty() -> Options {
    Options { idle: Duration::from_secs(2), ..options() }
}

fn client(options: Options) -> Client {
    Client::new(Config::default(), Credentials::none(), options)
}

fn client_of(server: &Server, login: Login) -> Client {
    let credentials = Credentials::none().with(&server.name(), login).unwrap();
    Client::new(Config::default(), credentials, options())
}

fn me() -> Login {
    Login::Password { user: "me".to_owned(), password: "secret".to_owned() }
}

fn reference(server: &Server) -> Reference {
    format!("{}/a/b:c", server.name()).parse().unwrap()
}
