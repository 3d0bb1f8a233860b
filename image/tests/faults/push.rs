use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use minidock_image::registry::{Client, Error, ErrorKind, Options, media_type};
use minidock_image::{Digest, Reference};

use super::server::{Reply, Request, Server, Step};
use super::{client, client_of, hasty, me, options, reference};

const CONTENT: &[u8] = b"some layer";

fn push(client: &Client, server: &Server) -> Result<(), Error> {
    let open = || Ok(Box::new(Cursor::new(CONTENT)) as Box<dyn Read>);
    client.push_blob(&reference(server), &Digest::of(CONTENT), CONTENT.len() as u64, &open)
}

/// Where uploads are, as `Location` says it; the handler answers the rest.
fn server(
    location: &str,
    handler: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
) -> Server {
    let (count, location) = (AtomicUsize::new(0), location.to_owned());
    Server::new(move |request| match request.method.as_str() {
        "POST" => Some(Reply::new(202, &[("Location", &location)], "")),
        "GET" => None,
        _ => Some(handler(count.fetch_add(1, Ordering::Relaxed), request)),
    })
}

#[test]
fn a_blob_is_sent_to_where_the_registry_wants_it() {
    let digest = Digest::of(CONTENT);
    for (location, path) in [
        ("/v2/a/b/blobs/uploads/1?state=x", "/v2/a/b/blobs/uploads/1?state=x&digest="),
        ("1", "/v2/a/b/blobs/uploads/1?digest="),
    ] {
        let server = server(location, |_, _| Reply::new(201, &[], ""));
        push(&client(options()), &server).unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].path, "/v2/a/b/blobs/uploads/");
        assert_eq!(requests[0].header("content-length"), Some("0"));
        assert_eq!(requests[1].method, "PUT");
        assert_eq!(requests[1].path, format!("{path}{}", digest.to_string().replace(':', "%3A")));
        assert_eq!(requests[1].body, CONTENT);
    }
}

#[test]
fn an_upload_to_another_host_hears_no_credentials() {
    let storage = Server::new(|_| Some(Reply::new(201, &[], "")));
    let location = format!("http://{}/store/1", storage.name());
    let registry = Server::new(move |request| {
        Some(match (request.header("authorization"), request.method.as_str()) {
            (Some(_), "POST") => Reply::new(202, &[("Location", &location)], ""),
            _ => Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""),
        })
    });
    push(&client_of(&registry, me()), &registry).unwrap();
    let stored = storage.requests();
    assert_eq!((stored.len(), stored[0].body.as_slice()), (1, CONTENT));
    assert_eq!(stored[0].header("authorization"), None);
}

#[test]
fn an_upload_that_fails_begins_anew() {
    let server = server("/up", |number, _| match number {
        0 => Reply::new(503, &[], ""),
        1 => Reply(Vec::new()),
        _ => Reply::new(201, &[], ""),
    });
    push(&client(options()), &server).unwrap();
    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "PUT", "POST", "PUT", "POST", "PUT"]);
}

#[test]
fn a_token_that_expires_during_an_upload_is_replaced() {
    let (tokens, puts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let service = Server::new(move |_| {
        let number = tokens.fetch_add(1, Ordering::Relaxed);
        Some(Reply::new(200, &[], format!(r#"{{"token":"t{number}"}}"#)))
    });
    let challenge = format!(r#"Bearer realm="http://{}/token""#, service.name());
    let registry = Server::new(move |request| {
        let refused = || Reply::new(401, &[("WWW-Authenticate", &challenge)], "");
        let given = request.header("authorization");
        Some(match request.method.as_str() {
            _ if given.is_none() => refused(),
            "POST" => Reply::new(202, &[("Location", "/up")], ""),
            _ if puts.fetch_add(1, Ordering::Relaxed) == 0 => refused(),
            _ => Reply::new(201, &[], ""),
        })
    });
    push(&client(options()), &registry).unwrap();
    let last = registry.requests().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer t1"));
    assert_eq!(last.body, CONTENT);
    let scope = "scope=repository%3Aa%2Fb%3Apull%2Cpush";
    assert!(service.requests().iter().all(|request| request.path.contains(scope)));
}

#[test]
fn a_refusal_is_not_tried_again() {
    let server = server("/up", |_, _| Reply::new(403, &[], ""));
    let error = push(&client(options()), &server).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_source_that_fails_is_the_cause() {
    let server = server("/up", |_, _| Reply::new(201, &[], ""));
    let sent = |size, open: &dyn Fn() -> io::Result<Box<dyn Read>>| {
        let client = client(options());
        client.push_blob(&reference(&server), &Digest::of(CONTENT), size, open).unwrap_err()
    };
    let error = sent(11, &|| Ok(Box::new(Cursor::new(CONTENT))));
    assert!(error.to_string().ends_with("it has 10 bytes, not 11"), "{error}");
    let error = sent(10, &|| Err(io::Error::other("gone")));
    assert!(matches!(error.kind(), ErrorKind::Source(_)), "{error}");
}

#[test]
fn what_the_registry_has_stored_is_compared() {
    let other = Digest::of(b"other").to_string();
    let wrong = move || Reply::new(201, &[("Docker-Content-Digest", &other)], "");
    let server = server("/up", move |_, _| wrong());
    let client = client(options());
    let error = push(&client, &server).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongDigest { .. }), "{error}");
    let pushed = client.push_manifest(&reference(&server), media_type::OCI_MANIFEST, b"{}");
    assert!(matches!(pushed.unwrap_err().kind(), ErrorKind::WrongDigest { .. }));
}

#[test]
fn a_manifest_is_sent_under_its_tag_or_digest() {
    let server = server("/up", |_, _| Reply::new(201, &[], ""));
    let client = client(options());
    let digest = Digest::of(b"{}");
    let by_tag = reference(&server);
    let by_digest = by_tag.with_digest(digest);
    for reference in [&by_tag, &by_digest] {
        let pushed = client.push_manifest(reference, media_type::OCI_INDEX, b"{}").unwrap();
        assert_eq!(pushed, digest);
    }
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v2/a/b/manifests/c");
    assert_eq!(requests[1].path, format!("/v2/a/b/manifests/{digest}"));
    assert_eq!(requests[1].header("content-type"), Some(media_type::OCI_INDEX));
    assert_eq!(requests[1].body, b"{}");
    let other = by_tag.with_digest(Digest::of(b"other"));
    assert!(client.push_manifest(&other, media_type::OCI_INDEX, b"{}").is_err());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_blob_is_mounted_or_not() {
    let server = Server::new(|request| {
        (request.method == "POST").then(|| match request.path.contains("from=x%2Fy") {
            true => Reply::new(201, &[("Location", "/blob")], ""),
            false => Reply::new(202, &[("Location", "/up")], ""),
        })
    });
    let client = client(options());
    let mount = |from: &str| {
        let from: Reference = from.parse().unwrap();
        client.mount_blob(&reference(&server), &Digest::of(CONTENT), &from).unwrap()
    };
    assert!(mount(&format!("{}/x/y", server.name())));
    assert!(!mount(&format!("{}/z", server.name())));
    assert!(!mount("other.example/x/y"));
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    let digest = Digest::of(CONTENT).to_string().replace(':', "%3A");
    assert_eq!(paths[0], format!("/v2/a/b/blobs/uploads/?mount={digest}&from=x%2Fy"));
    assert_eq!(paths.len(), 2);
}

#[test]
fn an_upload_that_nobody_reads_is_given_up_or_cancelled() {
    let server = server("/stall", |_, _| Reply(vec![Step::Stall]));
    let open = || Ok(Box::new(io::repeat(0)) as Box<dyn Read>);
    let stuck = |client: Client| {
        let size = 1024 * 1024 * 1024;
        client.push_blob(&reference(&server), &Digest::of(b""), size, &open).unwrap_err()
    };
    let error = stuck(client(Options { retries: 0, ..hasty() }));
    assert!(matches!(error.kind(), ErrorKind::Stalled(_)), "{error}");
    let options = Options { idle: Duration::from_secs(100), ..options() };
    let cancel = options.cancel.clone();
    let asked = server.requests().len();
    let error = thread::scope(|scope| {
        let pushing = scope.spawn(|| stuck(client(options)));
        while server.requests().len() < asked + 2 {
            thread::sleep(Duration::from_millis(1));
        }
        cancel.store(true, Ordering::Relaxed);
        pushing.join().unwrap()
    });
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
}
