use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use ureq::Timeout;
use ureq::http::{StatusCode, Uri};

use super::credentials::CredentialsError;
use super::wire::Cancelled;
use crate::Digest;

/// What could not be done at a registry, where, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {place}: {kind}")]
pub struct Error {
    operation: &'static str,
    place: String,
    #[source]
    kind: Box<ErrorKind>,
}

/// Why something could not be done at a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The registry does not have it. Many also say so of what one may not see.
    #[error("not found{0}")]
    NotFound(Answer),
    /// Credentials are missing, or are wrong.
    #[error("authentication required or refused{0}")]
    Unauthorized(Answer),
    /// The credentials do not permit it.
    #[error("access denied{0}")]
    Denied(Answer),
    /// The registry wants fewer requests.
    #[error("too many requests{answer}{}", after(*retry_after))]
    RateLimited {
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
        /// Its words.
        answer: Answer,
    },
    /// The registry refused in another way, or has failed itself.
    #[error("unexpected answer{0}")]
    Status(Answer),
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// TLS failed, such as a certificate that nobody trusts.
    #[error("TLS: {0}")]
    Tls(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came, or could be sent, for too long.
    #[error("nothing came for too long (waiting to {0})")]
    Stalled(String),
    /// More than this many bytes, which is the limit or what was announced.
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// The content is not the one that was asked for.
    #[error("the content has the digest {found}, not {expected}")]
    WrongDigest {
        /// That which was asked for.
        expected: Digest,
        /// That of what came.
        found: Digest,
    },
    /// The content has another size than was announced.
    #[error("the content has {found} bytes, not {expected}")]
    WrongSize {
        /// What was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A manifest of a kind that is not supported.
    #[error("manifests of the type {0:?} are not supported")]
    Unsupported(String),
    /// An image of docker's first format.
    #[error(
        "the image has docker's old format (manifest version 2, schema 1): push it again with \
             a current docker"
    )]
    SchemaOne,
    /// What the registry said makes no sense, or is not permitted.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The credentials could not be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The caller's own data, or its place, could not be read.
    #[error("cannot read what is to be sent: {0}")]
    Source(io::Error),
    /// The configuration does not permit it, or is wrong.
    #[error("{0}")]
    Configuration(String),
    /// The caller wanted an end.
    #[error("cancelled")]
    Cancelled,
}

/// A status that says no, with the registry's own words, shortened and without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// `errors[0].code`, such as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// `errors[0].message`.
    pub message: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [self.code.as_deref(), self.message.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        write!(f, " (HTTP {})", self.status)?;
        if words.is_empty() { Ok(()) } else { write!(f, ": {}", words.join(": ")) }
    }
}

fn after(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| format!(": try again in {} s", time.as_secs()))
}

impl Error {
    /// At this URL, of which host and path are told: the rest may be secret.
    pub(super) fn new(operation: &'static str, place: &Uri, kind: ErrorKind) -> Self {
        let host = place.host().unwrap_or_default();
        let port = place.port().map_or_else(String::new, |port| format!(":{port}"));
        Self::at(operation, &format!("{host}{port}{}", place.path()), kind)
    }

    pub(super) fn at(operation: &'static str, place: &str, kind: ErrorKind) -> Self {
        Self { operation, place: clean(place, 300), kind: Box::new(kind) }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What was to be done, such as `get the manifest`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The host and the path, without query.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The error that a reader of this module has given: [`io::Read`] knows none but its own.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl ErrorKind {
    /// Whether the same may go well a moment later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Stalled(_) | Self::RateLimited { .. } => {
                true
            }
            Self::Status(answer) => answer.status >= 500,
            _ => false,
        }
    }
}

/// What ureq's errors are here.
impl From<ureq::Error> for ErrorKind {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => error.into(),
            ureq::Error::Timeout(Timeout::Resolve) => {
                Self::Connect("the name server does not answer".to_owned())
            }
            ureq::Error::Timeout(Timeout::Connect) => Self::Connect("no answer".to_owned()),
            ureq::Error::Timeout(what) => Self::Stalled(match what {
                Timeout::PerRead | Timeout::RecvBody => "receive the content".to_owned(),
                Timeout::RecvResponse => "receive an answer".to_owned(),
                other => other.to_string(),
            }),
            ureq::Error::HostNotFound => Self::Connect("no such host".to_owned()),
            ureq::Error::ConnectionFailed => Self::Connect("no connection".to_owned()),
            ureq::Error::ConnectProxyFailed(why) => Self::Connect(clean(&why, 200)),
            ureq::Error::Tls(why) => Self::Tls(why.to_owned()),
            ureq::Error::Rustls(why) => Self::Tls(why.to_string()),
            ureq::Error::LargeResponseHeader(_, limit) => Self::TooLarge(limit as u64),
            other => Self::Protocol(clean(&other.to_string(), 200)),
        }
    }
}

impl From<io::Error> for ErrorKind {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Io;
        if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) {
            return Self::Cancelled;
        }
        match error.kind() {
            Io::ConnectionRefused
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::TimedOut
            | Io::AddrNotAvailable => Self::Connect(error.to_string()),
            // rustls's way to say so, and nobody else's below HTTP.
            Io::InvalidData => Self::Tls(error.to_string()),
            Io::Other if error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) => {
                ureq::Error::from(error).into()
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// How much of an answer that says no is read.
const MAX_ANSWER: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// The token services' form, which is OAuth's or docker's own.
#[derive(Deserialize)]
struct TokenError {
    #[serde(alias = "error")]
    code: Option<String>,
    #[serde(alias = "details", alias = "error_description")]
    message: Option<String>,
}

/// What a status that says no means.
pub(super) fn refusal(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: impl Read,
) -> ErrorKind {
    let mut text = Vec::new();
    // The words help; the status decides, also when there are none.
    let whole = body.take(MAX_ANSWER).read_to_end(&mut text).is_ok();
    let (code, message) = if whole { words(&text) } else { (None, None) };
    let answer = Answer {
        status: status.as_u16(),
        code: code.map(|code| clean(&code, 64)),
        message: message.map(|message| clean(&message, 400)),
    };
    match (status, answer.code.as_deref()) {
        (StatusCode::TOO_MANY_REQUESTS, _) | (_, Some("TOOMANYREQUESTS")) => {
            ErrorKind::RateLimited { retry_after, answer }
        }
        (StatusCode::FORBIDDEN, _) | (StatusCode::UNAUTHORIZED, Some("DENIED")) => {
            ErrorKind::Denied(answer)
        }
        (StatusCode::UNAUTHORIZED, _) => ErrorKind::Unauthorized(answer),
        (StatusCode::NOT_FOUND, _) => ErrorKind::NotFound(answer),
        _ => ErrorKind::Status(answer),
    }
}

fn words(text: &[u8]) -> (Option<String>, Option<String>) {
    if let Ok(errors) = serde_json::from_slice::<Errors>(text)
        && let Some(first) = errors.errors.into_iter().next()
    {
        return (first.code, first.message);
    }
    match serde_json::from_slice::<TokenError>(text) {
        Ok(error) => (error.code, error.message),
        Err(_) => (None, None),
    }
}

/// Somebody else's text, fit for a terminal: so many characters at the most, none of control.
pub(super) fn clean(text: &str, most: usize) -> String {
    // Those that turn the direction of writing are not of control, and do the same harm.
    let harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(harmless).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_the_registry_s_words_make_the_error() {
        let say = |status: u16, body: &str| {
            refusal(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
        };
        let words =
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"un\u001b[31mknown","detail":{}}]}"#;
        let kind = say(404, words);
        assert!(matches!(&kind, ErrorKind::NotFound(answer)
            if answer.code.as_deref() == Some("MANIFEST_UNKNOWN")
            && answer.message.as_deref() == Some("un[31mknown")));
        assert_eq!(kind.to_string(), "not found (HTTP 404): MANIFEST_UNKNOWN: un[31mknown");
        let denied = r#"{"errors":[{"code":"DENIED"}]}"#;
        assert!(matches!(say(401, denied), ErrorKind::Denied(_)));
        assert!(matches!(say(403, "<html>"), ErrorKind::Denied(_)));
        assert!(matches!(say(401, ""), ErrorKind::Unauthorized(_)));
        assert!(say(429, "").may_pass() && say(503, "").may_pass() && !say(400, "").may_pass());
        let token = say(401, r#"{"details":"incorrect username or password"}"#);
        assert!(token.to_string().ends_with(": incorrect username or password"));
    }

    #[test]
    fn a_place_has_no_query_and_no_user() {
        let uri: Uri = "https://me:secret@host:5000/v2/a?token=secret".parse().unwrap();
        let error = Error::new("get", &uri, ErrorKind::Cancelled);
        assert_eq!(error.to_string(), "cannot get host:5000/v2/a: cancelled");
    }

    #[test]
    fn text_is_shortened_and_cleaned() {
        assert_eq!(clean("a\r\n\u{202e}bcd", 3), "abc");
    }
}
