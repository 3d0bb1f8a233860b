//! One request and its answer, with the redirects in between. Nothing here knows what a registry is.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, LOCATION, RETRY_AFTER};
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::{Agent, AsSendBody, SendBody};

use super::config::is_loopback;
use super::error::refusal;
use super::wire::{self, Patience};
use super::{Config, Error, ErrorKind, Options, trust};

/// More than any registry needs: itself, its storage, and a mirror of that.
const MAX_REDIRECTS: usize = 5;
/// Of the head of an answer.
const MAX_HEAD: usize = 64 * 1024;

pub(super) type Answered = Response<ureq::Body>;

/// A request, but for its body and who asks.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// What it is for: "get the manifest".
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, String)>,
    /// How long the head of the answer may take.
    pub(super) within: Duration,
    /// Whether a redirect may lead to plain HTTP.
    pub(super) insecure: bool,
}

/// What is sent.
pub(super) enum Sent<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// So many bytes of it, only once.
    Stream(&'a mut dyn Read, u64),
}

impl Call {
    pub(super) fn error(&self, kind: impl Into<ErrorKind>) -> Error {
        Error::new(self.operation, &self.url, kind.into())
    }

    pub(super) fn protocol(&self, text: &str) -> Error {
        self.error(ErrorKind::Protocol(super::error::clean(text, 200)))
    }

    /// What the answer's status means, unless it is one of `good`.
    pub(super) fn expect(&self, answer: Answered, good: &[u16]) -> Result<Answered, Error> {
        match good.contains(&answer.status().as_u16()) {
            true => Ok(answer),
            false => Err(self.refused(answer)),
        }
    }

    pub(super) fn refused(&self, answer: Answered) -> Error {
        // One that names a day is as good as none: clocks differ.
        let seconds = header(&answer, &RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let status = answer.status();
        let retry_after = seconds.map(Duration::from_secs);
        self.error(refusal(status, retry_after, answer.into_body().into_reader()))
    }
}

/// A header's text, when it is text.
pub(super) fn header<'a, B>(answer: &'a Response<B>, name: &HeaderName) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// What sends requests; connections are kept for the next.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) config: Config,
    pub(super) patience: Patience,
    connect: Duration,
    agents: Mutex<HashMap<Manner, Agent>>,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Manner {
    /// Without checking its certificate.
    unchecked: bool,
    /// Not through the proxy.
    direct: bool,
    ca: Vec<PathBuf>,
    /// How long the head of an answer may take. It is not said with each request: ureq makes a new
    /// configuration of TLS, with all authorities, for each connection of a request that has its own.
    within: Duration,
}

impl Http {
    pub(super) fn new(config: Config, options: &Options) -> Self {
        let patience = Patience { cancel: options.cancel.clone(), idle: options.idle };
        Self { config, patience, connect: options.connect, agents: Mutex::default() }
    }

    /// Sends, and follows redirects of what only reads. What came from the last place is given back
    /// whatever its status, but for another host's 401.
    ///
    /// `authorization` is for the place that was asked: it goes along on redirects within the same
    /// scheme, host and port, and never to another one.
    pub(super) fn send(
        &self,
        call: &Call,
        authorization: Option<&str>,
        mut body: Sent<'_>,
    ) -> Result<Answered, Error> {
        let mut authorization = authorization;
        let mut elsewhere = false;
        let mut url = call.url.clone();
        let follows = [Method::GET, Method::HEAD].contains(&call.method);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send_once(call, &url, authorization, &mut body)?;
            if !follows || !is_redirect(answer.status()) {
                // Whoever asks the caller for credentials has to be who was asked by the caller.
                return match elsewhere && answer.status() == 401 {
                    true => Err(call.protocol("a redirect to another host, which wants a log-in")),
                    false => Ok(answer),
                };
            }
            let target = header(&answer, &LOCATION).unwrap_or_default();
            let next = resolve(&url, target).map_err(|why| call.protocol(why))?;
            if !call.insecure && next.scheme_str() != Some("https") {
                return Err(call.protocol("a redirect from https to http"));
            }
            if !same_origin(&url, &next) {
                authorization = None;
                elsewhere = true;
            }
            url = next;
        }
        Err(call.protocol("too many redirects"))
    }

    fn send_once(
        &self,
        call: &Call,
        url: &Uri,
        authorization: Option<&str>,
        body: &mut Sent<'_>,
    ) -> Result<Answered, Error> {
        let agent = self.agent(call, url)?;
        let mut request = Request::builder().method(call.method.clone()).uri(url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match body {
            Sent::Nothing => run(&agent, request.body(())),
            Sent::Bytes(bytes) => run(&agent, request.body(*bytes)),
            Sent::Stream(reader, length) => {
                let request = request.header(CONTENT_LENGTH, *length);
                run(&agent, request.body(SendBody::from_reader(reader)))
            }
        }
        .map_err(|error| Error::new(call.operation, url, error.into()))
    }

    fn agent(&self, call: &Call, url: &Uri) -> Result<Agent, Error> {
        let host = config_name(url);
        let manner = Manner {
            unchecked: self.config.is_insecure(&host),
            direct: is_loopback(&host),
            ca: self.config.registry(&host).ca,
            within: call.within,
        };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&manner) {
            return Ok(agent.clone());
        }
        let agent = self.new_agent(&manner).map_err(|kind| call.error(kind))?;
        agents.insert(manner, agent.clone());
        Ok(agent)
    }

    fn new_agent(&self, manner: &Manner) -> Result<Agent, ErrorKind> {
        let proxy = if manner.direct { None } else { ureq::Proxy::try_from_env() };
        let known = |proxy: &ureq::Proxy| {
            matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https)
        };
        if !proxy.as_ref().is_none_or(known) {
            let text = "the proxy that the environment names is not of the kind http or https";
            return Err(ErrorKind::Configuration(text.to_owned()));
        }
        let tls = match manner.unchecked {
            true => ureq::tls::TlsConfig::builder().disable_verification(true),
            false => ureq::tls::TlsConfig::builder().root_certs(trust::roots(&manner.ca)?),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(self.connect))
            .timeout_connect(Some(self.connect))
            .timeout_recv_response(Some(manner.within))
            .max_response_header_size(MAX_HEAD)
            .user_agent(concat!("minidock/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .proxy(proxy)
            .tls_config(tls.build())
            .build();
        Ok(wire::agent(config, &self.patience))
    }
}

fn run<S: AsSendBody>(
    agent: &Agent,
    request: Result<Request<S>, ureq::http::Error>,
) -> Result<Answered, ureq::Error> {
    agent.run(request?)
}

/// A URL's host and port as configurations and images name it.
fn config_name(url: &Uri) -> String {
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    match (host.as_str(), url.port_u16(), url.scheme_str()) {
        ("registry-1.docker.io", ..) => "docker.io".to_owned(),
        (_, None, _) | (_, Some(443), Some("https")) | (_, Some(80), Some("http")) => host,
        (_, Some(port), _) => format!("{host}:{port}"),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether what may be told the one may be told the other.
pub(super) fn same_origin(one: &Uri, other: &Uri) -> bool {
    let port = |url: &Uri| {
        let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
        url.port_u16().unwrap_or(default)
    };
    let host = |url: &Uri| url.host().map(str::to_ascii_lowercase);
    one.scheme_str() == other.scheme_str() && host(one) == host(other) && port(one) == port(other)
}

/// A URL with host, of HTTP, that names no user.
pub(super) fn absolute(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.parse().map_err(|_| "an invalid URL")?;
    let authority = url.authority().ok_or("a URL without host")?;
    match (url.scheme_str(), authority.as_str().contains('@')) {
        (_, true) => Err("a URL that names a user"),
        (Some("http" | "https"), _) => Ok(url),
        _ => Err("a URL that is neither of http nor of https"),
    }
}

/// What a `Location` means (RFC 3986, section 5.2, without `.` and `..`, which stay for the server).
pub(super) fn resolve(base: &Uri, location: &str) -> Result<Uri, &'static str> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let has_scheme = location
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let text = if location.is_empty() {
        return Err("a redirect without Location");
    } else if has_scheme {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let dir = base.path().rsplit_once('/').map_or("", |(dir, _)| dir);
        format!("{scheme}://{authority}{dir}/{location}")
    };
    absolute(&text)
}

/// The URL with more in its query; names and values are encoded.
pub(super) fn with_query(url: &Uri, more: &[(&str, &str)]) -> Result<Uri, &'static str> {
    let mut text = url.to_string();
    let pairs = more.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    for pair in pairs {
        let separator = match (text.contains('?'), text.ends_with(['?', '&'])) {
            (false, _) => "?",
            (true, false) => "&",
            (true, true) => "",
        };
        text.push_str(separator);
        text.push_str(&pair);
    }
    absolute(&text)
}

/// For queries and forms: all but what RFC 3986 calls unreserved.
pub(super) fn encoded(text: &str) -> String {
    const RESERVED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_location_is_absolute_or_relative() {
        let base = url("https://host:5000/v2/a/blobs/uploads/1?x=1");
        for (location, meant) in [
            ("https://other/b?c=d#e", "https://other/b?c=d"),
            ("//other/b", "https://other/b"),
            ("/v2/b", "https://host:5000/v2/b"),
            ("/v2/b?u=http://x/y", "https://host:5000/v2/b?u=http://x/y"),
            ("?y=2", "https://host:5000/v2/a/blobs/uploads/1?y=2"),
            ("2?y=2", "https://host:5000/v2/a/blobs/uploads/2?y=2"),
        ] {
            assert_eq!(resolve(&base, location).unwrap(), url(meant), "{location}");
        }
        for bad in ["", "ftp://other/b", "https://me:pw@other/b", "https:///b", "/a b", "//"] {
            assert!(resolve(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one, other| same_origin(&url(one), &url(other));
        assert!(same("https://Host/a", "https://host:443/b"));
        assert!(!same("https://host/a", "http://host/a"));
        assert!(!same("https://host/a", "https://host:444/a"));
        assert!(!same("https://host/a", "https://host.evil/a"));
    }

    #[test]
    fn a_query_is_added_encoded() {
        let add = |text| with_query(&url(text), &[("a", "b:c/d e&f"), ("g", "h")]).unwrap();
        assert_eq!(add("http://h/p"), url("http://h/p?a=b%3Ac%2Fd%20e%26f&g=h"));
        assert_eq!(add("http://h/p?x=y"), url("http://h/p?x=y&a=b%3Ac%2Fd%20e%26f&g=h"));
        assert_eq!(add("http://h/p?"), url("http://h/p?a=b%3Ac%2Fd%20e%26f&g=h"));
    }

    #[test]
    fn a_host_has_one_name_in_the_configuration() {
        assert_eq!(config_name(&url("https://registry-1.docker.io/v2/")), "docker.io");
        assert_eq!(config_name(&url("https://HOST:443/")), "host");
        assert_eq!(config_name(&url("http://host:443/")), "host:443");
        assert_eq!(config_name(&url("http://[::1]:5000/")), "[::1]:5000");
    }
}
