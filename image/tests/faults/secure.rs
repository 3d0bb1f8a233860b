//! What a registry that speaks TLS may not lead to.

use std::io::{Cursor, Read};

use minidock_image::Digest;
use minidock_image::registry::{Client, Config, Credentials, ErrorKind, RegistryConfig};

use super::server::{Reply, Request, Server};
use super::{me, options, reference};

/// A registry with TLS, and a client that has a login and believes its certificate alone.
fn secure(
    handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> (Server, Client, tempfile::TempDir) {
    let (server, certificate) = Server::with_tls(handler);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let registry = RegistryConfig { ca: vec![file], ..RegistryConfig::default() };
    let config = Config { registries: [(server.name(), registry)].into() };
    let credentials = Credentials::none().with(&server.name(), me()).unwrap();
    (server, Client::new(config, credentials, options()), dir)
}

#[test]
fn a_redirect_to_plain_http_is_refused() {
    let plain = Server::new(|_| Some(Reply::new(200, &[], "x")));
    let to = format!("http://{}/blob", plain.name());
    let (registry, client, _dir) = secure(move |_| Some(Reply::new(302, &[("Location", &to)], "")));
    let error = client.blob(&reference(&registry), &Digest::of(b"x"), 1, 0).unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert!(registry.requests().len() == 1 && plain.requests().is_empty());
}

#[test]
fn a_realm_of_plain_http_hears_no_password() {
    let plain = Server::new(|_| Some(Reply::new(200, &[], r#"{"token":"t"}"#)));
    let challenge = format!(r#"Bearer realm="http://{}/token""#, plain.name());
    let (registry, client, _dir) =
        secure(move |_| Some(Reply::new(401, &[("WWW-Authenticate", &challenge)], "")));
    let error = client.ping(&registry.name()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn an_upload_goes_on_by_https_or_not_at_all() {
    let plain = Server::new(|_| Some(Reply::new(201, &[], "")));
    let to = format!("http://{}/up", plain.name());
    let (registry, client, _dir) = secure(move |_| Some(Reply::new(202, &[("Location", &to)], "")));
    let open = || Ok(Box::new(Cursor::new("x")) as Box<dyn Read>);
    let pushed = client.push_blob(&reference(&registry), &Digest::of(b"x"), 1, &open);
    let error = pushed.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn another_certificate_hears_nothing() {
    let (registry, _) = Server::with_tls(|_| None);
    let (_other, _, dir) = secure(|_| None);
    let registry_config =
        RegistryConfig { ca: vec![dir.path().join("ca.pem")], ..RegistryConfig::default() };
    let config = Config { registries: [(registry.name(), registry_config)].into() };
    let client = Client::new(config, Credentials::none(), options());
    let error = client.ping(&registry.name()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
}

#[test]
fn an_insecure_registry_may_speak_tls_with_any_certificate() {
    let (registry, _) = Server::with_tls(|_| None);
    let client = Client::new(Config::default(), Credentials::none(), options());
    client.ping(&registry.name()).unwrap();
}

#[test]
fn a_blob_that_breaks_off_under_tls_is_resumed() {
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let sent = content.clone();
    let (registry, client, _dir) = secure(move |request| {
        Some(match request.from() {
            None => Reply::head(200, &[], sent.len()).then(&sent[..500_000]),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", sent.len() - 1, sent.len());
                Reply::new(206, &[("Content-Range", &range)], &sent[from..])
            }
        })
    });
    let (digest, size) = (Digest::of(&content), content.len() as u64);
    let mut all = Vec::new();
    client.blob(&reference(&registry), &digest, size, 0).unwrap().read_to_end(&mut all).unwrap();
    assert!(all == content);
    assert!(registry.requests().len() == 2);
}
