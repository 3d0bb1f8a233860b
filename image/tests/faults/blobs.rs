use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use minidock_image::registry::{Client, Error, ErrorKind, Options, Progress, Verified};
use minidock_image::{Digest, Hasher};

use super::server::{Reply, Request, Server, Step};
use super::{client, client_of, hasty, me, options, reference};

/// Larger than all buffers in between.
fn content() -> Vec<u8> {
    (0..1_500_000_u32).map(|number| number.to_le_bytes()[usize::from(number % 7 == 0)]).collect()
}

fn get(client: &Client, server: &Server, content: &[u8]) -> Result<Vec<u8>, Error> {
    let (digest, size) = (Digest::of(content), content.len() as u64);
    let blob = client.blob(&reference(server), &digest, size, 0)?;
    let mut all = Vec::new();
    match Verified::new(blob, Hasher::default(), digest, size).read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) => {
            Err(error.into_inner().unwrap().downcast::<Error>().map(|error| *error).unwrap())
        }
    }
}

/// A server of the blob: the handler is told the how-manieth request it is.
fn server(handler: impl Fn(usize, &Request, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    let (count, content) = (AtomicUsize::new(0), content());
    Server::new(move |request| {
        let number = || count.fetch_add(1, Ordering::Relaxed);
        request.path.contains("/blobs/").then(|| handler(number(), request, &content))
    })
}

/// The part that was asked for, as it should be.
fn part(request: &Request, content: &[u8]) -> Reply {
    match request.from() {
        None => Reply::new(200, &[], content),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Reply::new(206, &[("Content-Range", &range)], &content[from..])
        }
    }
}

fn cut(content: &[u8], at: usize) -> Reply {
    Reply::head(200, &[], content.len()).then(&content[..at])
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(Digest, u64, u64)>>);

impl Progress for Heard {
    fn bytes(&self, digest: &Digest, done: u64, total: u64) {
        self.0.lock().unwrap().push((*digest, done, total));
    }
}

#[test]
fn a_blob_arrives_and_its_progress_is_told() {
    let heard = Arc::new(Heard::default());
    let server = server(|_, request, content| part(request, content));
    let client = client(Options { progress: Some(heard.clone()), ..options() });
    assert_eq!(get(&client, &server, &content()).unwrap(), content());
    let heard = heard.0.lock().unwrap();
    let digest = Digest::of(&content());
    assert!(heard.is_sorted() && heard.last() == Some(&(digest, 1_500_000, 1_500_000)));
    assert_eq!(server.requests()[0].path, format!("/v2/a/b/blobs/{digest}"));
}

#[test]
fn what_breaks_off_is_resumed_where_it_was() {
    let server = server(|number, request, content| match number {
        0 => cut(content, 765_432),
        _ => part(request, content),
    });
    assert_eq!(get(&client(options()), &server, &content()).unwrap(), content());
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].from(), Some(765_432));
}

#[test]
fn a_server_without_ranges_begins_anew_and_the_result_is_right() {
    let server = server(|number, _, content| match number {
        0 => cut(content, 765_432),
        _ => Reply::new(200, &[], content),
    });
    assert_eq!(get(&client(options()), &server, &content()).unwrap(), content());
}

#[test]
fn a_stall_in_the_middle_is_resumed() {
    let server = server(|number, request, content| match number {
        0 => cut(content, 765_432).and(Step::Stall),
        _ => part(request, content),
    });
    assert_eq!(get(&client(hasty()), &server, &content()).unwrap(), content());
    assert!(server.requests().len() >= 2);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    for stalled in [
        |content: &[u8]| Reply::head(200, &[], content.len()).and(Step::Stall),
        |_: &[u8]| Reply(vec![Step::Stall]),
    ] {
        let server = server(move |_, _, content| stalled(content));
        let client = client(Options { retries: 1, ..hasty() });
        let error = get(&client, &server, &content()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Stalled(_)), "{error}");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn slowness_is_no_stall() {
    let small: Vec<u8> = content()[..8].to_vec();
    let server = server(|_, _, content| {
        content[..8].iter().fold(Reply::head(200, &[], 8), |reply, byte| {
            reply.then([*byte]).and(Step::Wait(Duration::from_millis(300)))
        })
    });
    let client = client(Options { idle: Duration::from_secs(2), ..options() });
    assert_eq!(get(&client, &server, &small).unwrap(), small);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_byte_per_connection_is_no_progress() {
    let server = server(|_, request, content| {
        let from = request.from().unwrap_or(0);
        let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
        let status = if from == 0 { 200 } else { 206 };
        Reply::head(status, &[("Content-Range", &range)], content.len() - from)
            .then(&content[from..=from])
    });
    let error = get(&client(options()), &server, &content()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Broken(_)), "{error}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_passes_is_tried_again() {
    for (status, headers) in [(500, vec![]), (503, vec![]), (429, vec![("Retry-After", "0")])] {
        let server = server(move |number, request, content| match number {
            0 | 1 => Reply::new(status, &headers, ""),
            _ => part(request, content),
        });
        assert_eq!(get(&client(options()), &server, &content()).unwrap(), content());
        assert_eq!(server.requests().len(), 3, "{status}");
    }
}

#[test]
fn a_long_wait_that_is_demanded_is_an_error_at_once() {
    let server = server(|_, _, _| Reply::new(429, &[("Retry-After", "3600")], ""));
    let error = get(&client(options()), &server, &content()).unwrap_err();
    let an_hour = Some(Duration::from_secs(3600));
    assert!(
        matches!(error.kind(), ErrorKind::RateLimited { retry_after, .. } if *retry_after == an_hour),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_content_of_another_size_is_refused() {
    for length in [1_499_999, 1_500_001] {
        let server = server(move |_, _, _| Reply::head(200, &[], length).and(Step::Stall));
        let error = get(&client(options()), &server, &content()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WrongSize { found, .. } if *found == length as u64),
            "{error}"
        );
    }
}

#[test]
fn a_body_without_length_may_not_be_too_long() {
    let server = server(|_, _, content| Reply::bare(200, &[]).then(content).then("more"));
    let error = get(&client(options()), &server, &content()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge(1_500_000)), "{error}");
}

#[test]
fn another_content_is_an_error_at_its_end() {
    let server = server(|_, _, content| {
        let mut other = content.to_owned();
        other[750_000] ^= 1;
        Reply::new(200, &[], other)
    });
    let error = get(&client(options()), &server, &content()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongDigest { .. }), "{error}");
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let server = server(|number, _, content| match number {
        0 => cut(content, 1000),
        _ => Reply::new(206, &[("Content-Range", "bytes 0-1499999/1500000")], content),
    });
    let error = get(&client(options()), &server, &content()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
}

#[test]
fn a_blob_is_read_from_the_middle() {
    let server = server(|_, request, content| part(request, content));
    let (content, client) = (content(), client(options()));
    let digest = Digest::of(&content);
    let mut before = Hasher::default();
    before.update(&content[..1_000_000]);
    let blob = client.blob(&reference(&server), &digest, 1_500_000, 1_000_000).unwrap();
    let mut rest = Vec::new();
    Verified::new(blob, before, digest, 1_500_000).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, content[1_000_000..]);
    let mut at_end = client.blob(&reference(&server), &digest, 1_500_000, 1_500_000).unwrap();
    assert_eq!(at_end.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_wait_can_be_cancelled() {
    let options = Options { idle: Duration::from_secs(100), ..options() };
    let cancel = options.cancel.clone();
    let server = server(|_, _, content| cut(content, 1000).and(Step::Stall));
    let client = client(options);
    let read = thread::scope(|scope| {
        let reader = scope.spawn(|| get(&client, &server, &content()));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        cancel.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    let error = read.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
}

/// The answer 401 of one that wants a password.
fn basic() -> Reply {
    Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], "")
}

#[test]
fn a_redirect_to_another_host_hears_no_credentials() {
    let storage = server(|_, request, content| part(request, content));
    let to = format!("http://{}/blobs/there?signature=x", storage.name());
    let registry = server(move |_, request, _| match request.header("authorization") {
        None => basic(),
        Some(_) if request.path.ends_with("/second") => Reply::new(307, &[("Location", &to)], ""),
        Some(_) => Reply::new(302, &[("Location", "/blobs/second")], ""),
    });
    let client = client_of(&registry, me());
    assert_eq!(get(&client, &registry, &content()).unwrap(), content());
    let asked = registry.requests();
    assert_eq!(asked.last().unwrap().path, "/blobs/second");
    assert_eq!(asked.last().unwrap().header("authorization"), Some("Basic bWU6c2VjcmV0"));
    let stored = storage.requests();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].path, "/blobs/there?signature=x");
    assert_eq!(stored[0].header("authorization"), None);
}

#[test]
fn who_was_redirected_to_cannot_ask_for_credentials() {
    let thief = server(|_, _, _| Reply::new(200, &[], r#"{"token":"x"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", thief.name());
    for challenge in [realm, "Basic realm=\"x\"".to_owned()] {
        let storage =
            server(move |_, _, _| Reply::new(401, &[("WWW-Authenticate", &challenge)], ""));
        let to = format!("http://{}/blobs/there", storage.name());
        let registry = server(move |_, request, _| match request.header("authorization") {
            None => basic(),
            Some(_) => Reply::new(307, &[("Location", &to)], ""),
        });
        let error = get(&client_of(&registry, me()), &registry, &content()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
        assert!(storage.requests().iter().all(|asked| asked.header("authorization").is_none()));
    }
    assert_eq!(thief.requests().len(), 0);
}

#[test]
fn redirects_have_an_end() {
    let server = server(|_, request, _| Reply::new(302, &[("Location", &request.path)], ""));
    let error = get(&client(options()), &server, &content()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_redirect_leads_to_http_and_nowhere_else() {
    for to in ["", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://me:pw@127.0.0.1/x"] {
        let server = server(move |_, _, _| Reply::new(302, &[("Location", to)], ""));
        let error = get(&client(options()), &server, &content()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
        assert_eq!(server.requests().len(), 1, "{to}");
    }
}

#[test]
fn a_blob_is_there_or_not() {
    let server = server(|number, request, _| {
        assert_eq!(request.method, "HEAD");
        Reply::head([200, 404, 403][number], &[], 1_500_000)
    });
    let client = client(options());
    let has = || client.has_blob(&reference(&server), &Digest::of(b""));
    assert!(has().unwrap());
    assert!(!has().unwrap());
    assert!(matches!(has().unwrap_err().kind(), ErrorKind::Denied(_)));
}
