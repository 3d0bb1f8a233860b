use std::sync::atomic::{AtomicUsize, Ordering};

use minidock_image::registry::{Client, Config, Credentials, ErrorKind, Login, media_type};

use super::server::{Reply, Request, Server};
use super::{client, client_of, me, options, reference};

const IMAGE: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const TYPE: (&str, &str) = ("Content-Type", media_type::OCI_MANIFEST);

/// A service that gives tokens with numbers; they are valid for so many seconds.
fn tokens(life: u64) -> Server {
    let count = AtomicUsize::new(0);
    Server::new(move |request| {
        request.path.starts_with("/token").then(|| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            Reply::new(200, &[], format!(r#"{{"token":"t{number}","expires_in":{life}}}"#))
        })
    })
}

/// A registry that takes these tokens and says where others are.
fn registry(service: &Server, good: &'static [&'static str]) -> Server {
    let challenge = format!(
        r#"Bearer realm="http://{}/token?x=y",service="the service",scope="something:else""#,
        service.name()
    );
    Server::new(move |request| {
        let given = request.header("authorization").unwrap_or_default();
        Some(match given.strip_prefix("Bearer ") {
            Some(token) if good.contains(&token) => Reply::new(200, &[TYPE], IMAGE),
            _ => Reply::new(401, &[("WWW-Authenticate", &challenge)], ""),
        })
    })
}

#[test]
fn a_token_is_asked_for_once_with_the_password() {
    let service = tokens(300);
    let registry = registry(&service, &["t0"]);
    let client = client_of(&registry, me());
    client.manifest(&reference(&registry)).unwrap();
    client.manifest(&reference(&registry)).unwrap();
    let asked = service.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].path,
        "/token?x=y&service=the%20service&client_id=minidock&scope=repository%3Aa%2Fb%3Apull&account=me"
    );
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6c2VjcmV0"));
    let given: Vec<_> = registry.requests();
    assert_eq!(given.len(), 3);
    // The registry itself hears nothing of the password.
    assert!(given.iter().all(|request| {
        !request.header("authorization").is_some_and(|text| text.contains("Basic"))
    }));
}

#[test]
fn nobody_gets_a_token_too() {
    let service = tokens(300);
    let registry = registry(&service, &["t0"]);
    client(options()).manifest(&reference(&registry)).unwrap();
    assert_eq!(service.requests()[0].header("authorization"), None);
}

#[test]
fn a_token_that_has_expired_is_not_sent() {
    let service = tokens(1);
    let registry = registry(&service, &["t0", "t1"]);
    let client = client(options());
    client.manifest(&reference(&registry)).unwrap();
    client.manifest(&reference(&registry)).unwrap();
    assert_eq!(service.requests().len(), 2);
    assert_eq!(
        registry
            .requests()
            .iter()
            .filter(|request| request.header("authorization") == Some("Bearer t0"))
            .count(),
        1
    );
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    let service = tokens(300);
    let first = registry(&service, &["t0"]);
    let client = client(options());
    client.manifest(&reference(&first)).unwrap();
    // Another registry: t0 is not good there, and t1 neither.
    let other = registry(&service, &["t2"]);
    let error = client.manifest(&reference(&other)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unauthorized(_)), "{error}");
    assert_eq!(other.requests().len(), 2);
    client.manifest(&reference(&other)).unwrap();
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn a_wrong_password_is_an_error_without_secret() {
    let service =
        Server::new(|_| Some(Reply::new(401, &[], r#"{"details":"incorrect username"}"#)));
    let registry = registry(&service, &[]);
    let error = client_of(&registry, me()).ping(&registry.name()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unauthorized(_)), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("incorrect username") && text.contains("/token"), "{text}");
    assert!(!text.contains("secret") && !text.contains("service=") && !text.contains("bWU6"));
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn an_identity_token_is_sent_in_a_form() {
    let service = Server::new(|_| Some(Reply::new(200, &[], r#"{"access_token":"t0"}"#)));
    let registry = registry(&service, &["t0"]);
    let client = client_of(&registry, Login::IdentityToken("i d".to_owned()));
    client.manifest(&reference(&registry)).unwrap();
    let asked = &service.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token?x=y"));
    let form = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!(
        form,
        "grant_type=refresh_token&service=the%20service&client_id=minidock&scope=repository%3Aa%2Fb%3Apull&refresh_token=i%20d"
    );
}

#[test]
fn a_password_is_sent_when_the_registry_wants_one_itself() {
    let registry = Server::new(|request: &Request| {
        Some(match request.header("authorization") {
            Some("Basic bWU6c2VjcmV0") => Reply::new(200, &[TYPE], IMAGE),
            _ => Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""),
        })
    });
    client_of(&registry, me()).manifest(&reference(&registry)).unwrap();
    client_of(&registry, me()).ping(&registry.name()).unwrap();
    let wrong = Login::Password { user: "me".to_owned(), password: "other".to_owned() };
    for client in [client_of(&registry, wrong), client(options())] {
        let error = client.ping(&registry.name()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unauthorized(_)), "{error}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for answer in [r#"{"token":"a\r\nX: y"}"#, "{}", "hello", r#"{"token":7}"#] {
        let service = Server::new(move |_| Some(Reply::new(200, &[], answer)));
        let registry = registry(&service, &[]);
        let error = client(options()).manifest(&reference(&registry)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{answer} {error}");
    }
    let service = Server::new(|_| Some(Reply::new(200, &[], vec![b' '; 100_000])));
    let registry = registry(&service, &[]);
    let error = client(options()).manifest(&reference(&registry)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge(_)), "{error}");
}

#[test]
fn a_realm_that_redirects_elsewhere_tells_no_password() {
    let elsewhere = tokens(300);
    let to = format!("http://{}/token", elsewhere.name());
    let service = Server::new(move |_| Some(Reply::new(302, &[("Location", &to)], "")));
    let registry = registry(&service, &["t0"]);
    client_of(&registry, me()).manifest(&reference(&registry)).unwrap();
    assert_eq!(service.requests()[0].header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);
}

#[test]
fn credentials_of_another_registry_stay_at_home() {
    let service = tokens(300);
    let registry = registry(&service, &["t0"]);
    let credentials = Credentials::none().with("other.example", me()).unwrap();
    let client = Client::new(Config::default(), credentials, options());
    client.manifest(&reference(&registry)).unwrap();
    assert_eq!(service.requests()[0].header("authorization"), None);
}

#[test]
fn a_registry_has_a_name() {
    for name in ["", "a b", "a.example/b", "me:pw@a.example", "example"] {
        let error = client(options()).ping(name).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{name} {error}");
    }
}
