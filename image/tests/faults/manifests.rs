use minidock_image::registry::{Client, Config, Credentials, Error, ErrorKind, media_type};
use minidock_image::{Digest, Reference};

use super::server::{Reply, Request, Server, Step};
use super::{client, hasty, options, reference};

const IMAGE: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const TYPE: (&str, &str) = ("Content-Type", media_type::OCI_MANIFEST);

fn server(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |request| (request.path != "/v2/").then(|| handler(request)))
}

fn failure(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Error {
    let server = server(handler);
    client(options()).manifest(&reference(&server)).unwrap_err()
}

#[test]
fn a_manifest_comes_with_its_type_and_digest() {
    let digest = Digest::of(IMAGE.as_bytes());
    let server = server(move |_| {
        Reply::new(200, &[TYPE, ("Docker-Content-Digest", &digest.to_string())], IMAGE)
    });
    let client = client(options());
    let manifest = client.manifest(&reference(&server)).unwrap();
    assert_eq!((manifest.bytes.as_slice(), manifest.digest), (IMAGE.as_bytes(), digest));
    assert_eq!(manifest.media_type, media_type::OCI_MANIFEST);
    let by_digest = reference(&server).with_digest(digest);
    assert_eq!(client.manifest(&by_digest).unwrap(), manifest);
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v2/a/b/manifests/c");
    assert_eq!(requests[1].path, format!("/v2/a/b/manifests/{digest}"));
    let accept = requests[0].header("accept").unwrap();
    assert!(accept.contains(media_type::DOCKER_LIST) && accept.contains(media_type::OCI_INDEX));
}

#[test]
fn another_digest_is_refused() {
    let other = Digest::of(b"other");
    let error = failure(move |_| {
        Reply::new(200, &[TYPE, ("Docker-Content-Digest", &other.to_string())], IMAGE)
    });
    assert!(matches!(error.kind(), ErrorKind::WrongDigest { .. }), "{error}");
    let server = server(|_| Reply::new(200, &[TYPE], IMAGE));
    let by_digest = reference(&server).with_digest(other);
    let error = client(options()).manifest(&by_digest).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WrongDigest { expected, .. } if *expected == other),
        "{error}"
    );
    let error = failure(|_| Reply::new(200, &[TYPE, ("Docker-Content-Digest", "md5:x")], IMAGE));
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
}

#[test]
fn what_is_too_large_is_not_read() {
    let huge = || Reply::bare(200, &[TYPE]).then(vec![b' '; 5 * 1024 * 1024]).and(Step::Stall);
    let error = failure(move |_| huge());
    assert!(matches!(error.kind(), ErrorKind::TooLarge(4_194_304)), "{error}");
    let error =
        failure(|_| Reply::bare(404, &[]).then(vec![b'x'; 5 * 1024 * 1024]).and(Step::Stall));
    assert!(matches!(error.kind(), ErrorKind::NotFound(_)), "{error}");
    assert!(error.to_string().len() < 500);
    let long = "x".repeat(100_000);
    let error = failure(move |_| Reply::new(200, &[TYPE, ("X-Bomb", &long)], IMAGE));
    assert!(matches!(error.kind(), ErrorKind::TooLarge(_) | ErrorKind::Protocol(_)), "{error}");
    let error = failure(move |_| Reply::new(200, &[("X-Bomb", "x"); 2000], IMAGE));
    assert!(matches!(error.kind(), ErrorKind::TooLarge(_) | ErrorKind::Protocol(_)), "{error}");
}

#[test]
fn a_head_that_never_ends_is_given_up() {
    let server = server(|_| {
        let drop = || Step::Wait(std::time::Duration::from_millis(100));
        let line = |reply: Reply| reply.then("X-Drop: x\r\n").and(drop());
        let begun = Reply(vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec())]);
        (0..40).fold(begun, |reply, _| line(reply))
    });
    let client = client(minidock_image::registry::Options { retries: 0, ..hasty() });
    let error = client.manifest(&reference(&server)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stalled(_)), "{error}");
}

#[test]
fn what_the_registry_says_is_told() {
    let words = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let error = failure(move |_| Reply::new(404, &[], words));
    assert!(matches!(error.kind(), ErrorKind::NotFound(answer)
        if answer.code.as_deref() == Some("MANIFEST_UNKNOWN")));
    let text = error.to_string();
    assert!(text.starts_with("cannot get the manifest 127.0.0.1:"), "{text}");
    assert!(
        text.ends_with(
            "/v2/a/b/manifests/c: not found (HTTP 404): MANIFEST_UNKNOWN: manifest unknown"
        ),
        "{text}"
    );
    let words = r#"{"errors":[{"code":"DENIED","message":"requested access"}]}"#;
    let error = failure(move |_| Reply::new(403, &[], words));
    assert!(matches!(error.kind(), ErrorKind::Denied(_)), "{error}");
}

#[test]
fn an_image_of_the_first_format_is_named() {
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let error = failure(move |_| Reply::new(200, &[("Content-Type", old)], "{}"));
    assert!(matches!(error.kind(), ErrorKind::SchemaOne), "{error}");
    assert!(error.to_string().contains("schema 1"));
}

#[test]
fn a_manifest_that_is_still_the_same_does_not_come() {
    let digest = Digest::of(IMAGE.as_bytes());
    let conditional = server(move |request| {
        match request.header("if-none-match") == Some(&format!("\"{digest}\"")) {
            true => Reply::bare(304, &[]),
            false => Reply::new(200, &[TYPE], IMAGE),
        }
    });
    let plain = server(|_| Reply::new(200, &[TYPE], IMAGE));
    let client = client(options());
    for server in [&conditional, &plain] {
        let unless = |known| client.manifest_unless(&reference(server), &known).unwrap();
        assert_eq!(unless(digest), None);
        assert_eq!(unless(Digest::of(b"old")).unwrap().digest, digest);
    }
}

#[test]
fn a_look_says_digest_type_and_size() {
    let digest = Digest::of(IMAGE.as_bytes());
    let said = server(move |request| {
        assert_eq!(request.method, "HEAD");
        Reply::head(200, &[TYPE, ("Docker-Content-Digest", &digest.to_string())], IMAGE.len())
    });
    // Some say no digest.
    let silent = server(move |request| match request.method.as_str() {
        "HEAD" => Reply::head(200, &[TYPE], IMAGE.len()),
        _ => Reply::new(200, &[TYPE], IMAGE),
    });
    let client = client(options());
    for server in [&said, &silent] {
        let found = client.head(&reference(server)).unwrap().unwrap();
        assert_eq!((found.digest, found.size), (digest, IMAGE.len() as u64));
        assert_eq!(found.media_type, media_type::OCI_MANIFEST);
    }
    let none = server(|_| Reply::head(404, &[], 10));
    assert_eq!(client.head(&reference(&none)).unwrap(), None);
}

#[test]
fn all_pages_of_tags_come() {
    let server = server(|request| {
        let page = |tags: &str| format!(r#"{{"name":"a/b","tags":{tags}}}"#);
        match request.path.as_str() {
            "/v2/a/b/tags/list?n=1000" => {
                let next = r#"</v2/a/b/tags/list?last=two&n=1000>; rel="next""#;
                Reply::new(200, &[("Link", next)], page(r#"["one","two"]"#))
            }
            "/v2/a/b/tags/list?last=two&n=1000" => Reply::new(200, &[], page(r#"["three"]"#)),
            _ => Reply::new(200, &[], page("null")),
        }
    });
    let client = client(options());
    assert_eq!(client.tags(&reference(&server)).unwrap(), ["one", "two", "three"]);
    let empty: Reference = format!("{}/none", server.name()).parse().unwrap();
    assert!(client.tags(&empty).unwrap().is_empty());
}

#[test]
fn tags_are_tags_and_have_an_end() {
    let error = |link: &'static str, body: &'static str| {
        let server = server(move |_| Reply::new(200, &[("Link", link)], body));
        client(options()).tags(&reference(&server)).unwrap_err()
    };
    for (link, body) in [
        ("<http://127.0.0.1:1/v2/>; rel=\"next\"", r#"{"name":"x","tags":["a"]}"#),
        ("", r#"{"name":"x","tags":["../a"]}"#),
        ("", r#"{"name":"x","tags":"a"}"#),
        ("", r#"{"tags":["a"]}"#),
        ("", "hello"),
    ] {
        let error = error(link, body);
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    }
    let many = format!(r#"{{"name":"x","tags":[{}"x"]}}"#, "\"t\",".repeat(60_000));
    let server = server(move |request| {
        Reply::new(200, &[("Link", &format!("<{}>; rel=\"next\"", request.path))], &many)
    });
    let error = client(options()).tags(&reference(&server)).unwrap_err();
    assert!(error.to_string().contains("too many tags"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn mirrors_are_asked_in_order_and_then_the_registry() {
    let broken = server(|_| Reply::new(500, &[], ""));
    let empty = server(|_| Reply::new(404, &[], ""));
    let lying = server(|_| {
        Reply::new(200, &[TYPE, ("Docker-Content-Digest", &Digest::of(b"").to_string())], IMAGE)
    });
    let registry = server(|_| Reply::new(200, &[TYPE], IMAGE));
    let gone = {
        let server = server(|_| Reply::new(404, &[], ""));
        server.name()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registries.json");
    let text = format!(
        r#"{{"registries": {{"{}": {{"mirrors": ["{gone}", "{}", "{}/hub/x", "{}"]}}}}}}"#,
        registry.name(),
        broken.name(),
        empty.name(),
        lying.name(),
    );
    std::fs::write(&file, text).unwrap();
    let client = Client::new(Config::load(&file).unwrap(), Credentials::none(), options());
    client.manifest(&reference(&registry)).unwrap();
    assert_eq!(broken.requests().len(), 1);
    assert_eq!(empty.requests()[0].path, "/v2/hub/x/a/b/manifests/c");
    assert_eq!((lying.requests().len(), registry.requests().len()), (1, 1));
    // Tags are the registry's own.
    assert!(client.tags(&reference(&registry)).is_err());
    assert_eq!((empty.requests().len(), registry.requests().len()), (1, 2));
}
