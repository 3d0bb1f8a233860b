use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::header::HeaderName;
use ureq::http::{Method, Uri};

use super::auth::{Authorization, authorize};
use super::config::is_host;
use super::http::{Answered, Call, Http, Sent, absolute, same_origin};
use super::{Config, Credentials, Error, ErrorKind};
use crate::{Digest, Reference};

/// How long a client waits, how often it tries, and who hears of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a connection may take, and as long the name server: 15 s.
    pub connect: Duration,
    /// How long there may be no byte, and how long an answer may take to begin: 45 s.
    pub idle: Duration,
    /// How long the registry may take to accept a blob or manifest that it has: 300 s, since some
    /// copy it once more then.
    pub commit: Duration,
    /// How often what may pass is tried again: 5 times, and once where there is no connection at
    /// all. A blob that makes progress (1 MiB) has as many from there on.
    pub retries: u32,
    /// The time before the first of these, doubled each time: 0.25 s.
    pub first_delay: Duration,
    /// The longest wait that a registry may demand (`Retry-After`): 60 s. If it wants more, that is
    /// an error at once.
    pub longest_delay: Duration,
    /// Set it, and everything ends within a fraction of a second, with [`ErrorKind::Cancelled`].
    pub cancel: Arc<AtomicBool>,
    /// Who hears how far blobs are.
    pub progress: Option<Arc<dyn Progress>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(45),
            commit: Duration::from_secs(300),
            retries: 5,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(60),
            cancel: Arc::default(),
            progress: None,
        }
    }
}

/// Hears how far the blobs are, from all threads that transfer some.
pub trait Progress: fmt::Debug + Send + Sync {
    /// So many bytes of the blob's `total` have been transferred. It is less than before when an
    /// upload begins anew.
    fn bytes(&self, digest: &Digest, done: u64, total: u64);
}

/// A client of all registries. A clone is the same client: connections, tokens and what is known of
/// registries are shared.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) http: Http,
    credentials: Credentials,
    pub(super) options: Options,
    /// By the URL of the endpoint and the scopes.
    tokens: Mutex<HashMap<(String, Vec<String>), Authorization>>,
    /// `https` or `http` of those that are insecure.
    schemes: Mutex<HashMap<String, &'static str>>,
    /// Mirrors to which there was no connection.
    pub(super) dead: Mutex<HashSet<String>>,
}

/// A registry or mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port, as in the configuration.
    pub(super) name: String,
    /// What comes before the repository's name there, with a slash at its end, or nothing.
    prefix: String,
}

/// A request to an endpoint.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) target: Target<'a>,
    pub(super) headers: Vec<(HeaderName, String)>,
    /// What a token has to permit.
    pub(super) scopes: Vec<String>,
    pub(super) within: Duration,
}

#[derive(Debug)]
pub(super) enum Target<'a> {
    /// `/v2/` and this.
    Path(String),
    /// What the registry has named itself.
    Url(&'a Uri),
}

impl Endpoint {
    pub(super) fn new(text: &str) -> Self {
        let (name, prefix) = match text.split_once('/') {
            Some((name, prefix)) => (name, format!("{prefix}/")),
            None => (text, String::new()),
        };
        // Names of hosts are the same in upper case.
        Self { name: name.to_ascii_lowercase(), prefix }
    }

    /// The repository's name there.
    pub(super) fn repository(&self, reference: &Reference) -> String {
        format!("{}{}", self.prefix, reference.repository())
    }

    pub(super) fn scope(&self, reference: &Reference, actions: &str) -> String {
        format!("repository:{}:{actions}", self.repository(reference))
    }
}

/// What is remembered is right whatever happened to another thread.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// A client with these. Nothing is asked, and no file is read, before it is needed.
    #[must_use]
    pub fn new(config: Config, credentials: Credentials, options: Options) -> Self {
        Self(Arc::new(Inner {
            http: Http::new(config, &options),
            credentials,
            options,
            tokens: Mutex::default(),
            schemes: Mutex::default(),
            dead: Mutex::default(),
        }))
    }

    /// Asks whether the registry (`docker.io`, `localhost:5000`) is there and takes the
    /// credentials: what a log-in does before they are kept.
    ///
    /// # Errors
    /// It is no registry, there is none, or it does not take them.
    pub fn ping(&self, registry: &str) -> Result<(), Error> {
        let operation = "log in at";
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        if !is_host(registry) {
            let kind = ErrorKind::Configuration("not the name of a registry".to_owned());
            return Err(Error::at(operation, registry, kind));
        }
        let endpoint = Endpoint::new(registry);
        let ask = Ask {
            operation,
            method: Method::GET,
            target: Target::Path(String::new()),
            headers: Vec::new(),
            scopes: Vec::new(),
            within: self.0.options.idle,
        };
        self.0.patiently(|| self.0.ask(&endpoint, &ask, Sent::Nothing, &[200])).map(drop)
    }
}

impl Inner {
    /// The registry itself.
    pub(super) fn registry(reference: &Reference) -> Endpoint {
        Endpoint::new(reference.registry())
    }

    /// Asks, with the credentials that are wanted. An answer of another status than those in `good`
    /// is an error.
    ///
    /// A stream can be sent only once: when the token for it is no longer good, a new one is
    /// there for the next try, and [`ErrorKind::Unauthorized`] is the result of this one.
    pub(super) fn ask(
        &self,
        endpoint: &Endpoint,
        ask: &Ask<'_>,
        body: Sent<'_>,
        good: &[u16],
    ) -> Result<(Call, Answered), Error> {
        let (call, base) = self.call(endpoint, ask)?;
        let answer = self.authorized(endpoint, &call, (base, ask.scopes.clone()), body)?;
        let answer = call.expect(answer, good)?;
        Ok((call, answer))
    }

    /// The request, and the URL of the endpoint.
    fn call(&self, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<(Call, String), Error> {
        let insecure = self.http.config.is_insecure(&endpoint.name);
        let base = self.base(endpoint, ask.operation)?;
        let url = match &ask.target {
            Target::Path(path) => {
                self.url(endpoint, ask.operation, &format!("{base}/v2/{path}"))?
            }
            Target::Url(url) => (*url).clone(),
        };
        if !insecure && url.scheme_str() != Some("https") {
            let kind = ErrorKind::Protocol("it goes on by http, not by https".to_owned());
            return Err(Error::new(ask.operation, &url, kind));
        }
        let call = Call {
            operation: ask.operation,
            method: ask.method.clone(),
            url,
            headers: ask.headers.clone(),
            within: ask.within,
            insecure,
        };
        Ok((call, base))
    }

    /// Sends it with what is known, and if that does not do, once more with what is wanted.
    fn authorized(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        key: (String, Vec<String>),
        body: Sent<'_>,
    ) -> Result<Answered, Error> {
        // What the registry has named may be a third party's.
        let own = self.url(endpoint, call.operation, &key.0)?;
        if !same_origin(&call.url, &own) {
            return self.http.send(call, None, body);
        }
        let known = lock(&self.tokens).get(&key).cloned();
        let known = known.filter(|known| known.until.is_none_or(|until| Instant::now() < until));
        let again = match &body {
            Sent::Nothing => Some(Sent::Nothing),
            Sent::Bytes(bytes) => Some(Sent::Bytes(bytes)),
            Sent::Stream(..) => None,
        };
        let answer = self.http.send(call, known.as_ref().map(|known| &*known.header), body)?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        lock(&self.tokens).remove(&key);
        let (name, scopes) = (&endpoint.name, key.1.as_slice());
        let login = self.credentials.find(name, repository_of(scopes));
        let login = login.map_err(|error| call.error(error))?;
        let found = authorize(&self.http, call, answer.headers(), scopes, login.as_ref())?;
        let Some(found) = found else { return Ok(answer) };
        lock(&self.tokens).insert(key.clone(), found.clone());
        let Some(body) = again else { return Ok(answer) };
        let answer = self.http.send(call, Some(&found.header), body)?;
        if answer.status() == 401 {
            lock(&self.tokens).remove(&key);
        }
        Ok(answer)
    }

    /// `https://host:port` of it.
    fn base(&self, endpoint: &Endpoint, operation: &'static str) -> Result<String, Error> {
        let host = match endpoint.name.as_str() {
            "docker.io" => "registry-1.docker.io",
            name => name,
        };
        Ok(format!("{}://{host}", self.scheme(endpoint, host, operation)?))
    }

    fn url(&self, endpoint: &Endpoint, operation: &'static str, text: &str) -> Result<Uri, Error> {
        let wrong = |why: &str| {
            Error::at(operation, &endpoint.name, ErrorKind::Configuration(why.to_owned()))
        };
        absolute(text).map_err(wrong)
    }

    /// Whether an insecure registry speaks TLS nevertheless, which is asked once.
    fn scheme(
        &self,
        endpoint: &Endpoint,
        host: &str,
        operation: &'static str,
    ) -> Result<&'static str, Error> {
        if !self.http.config.is_insecure(&endpoint.name) {
            return Ok("https");
        }
        if let Some(scheme) = lock(&self.schemes).get(host) {
            return Ok(scheme);
        }
        let scheme = match self.probe("https", endpoint, host, operation) {
            Ok(()) => "https",
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            // Whatever it was: what is wrong with plain HTTP is told, if something is.
            Err(_) => self.probe("http", endpoint, host, operation).map(|()| "http")?,
        };
        lock(&self.schemes).insert(host.to_owned(), scheme);
        Ok(scheme)
    }

    /// Whether there is an answer, of any kind.
    fn probe(
        &self,
        scheme: &str,
        endpoint: &Endpoint,
        host: &str,
        operation: &'static str,
    ) -> Result<(), Error> {
        let call = Call {
            operation,
            method: Method::GET,
            url: self.url(endpoint, operation, &format!("{scheme}://{host}/v2/"))?,
            headers: Vec::new(),
            within: self.options.idle,
            insecure: true,
        };
        self.http.send(&call, None, Sent::Nothing).map(drop)
    }
}

impl fmt::Debug for Client {
    /// Without anything that could be secret, such as the password of a proxy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// The repository of the first scope, without the prefix of its kind.
fn repository_of(scopes: &[String]) -> &str {
    scopes.first().and_then(|scope| scope.split(':').nth(1)).unwrap_or_default()
}

/// The body of an answer, which may have `most` bytes.
pub(super) fn read_body(call: &Call, answer: Answered, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut body = answer.into_body().into_reader().take(most.saturating_add(1));
    body.read_to_end(&mut bytes).map_err(|error| call.error(error))?;
    match bytes.len() as u64 > most {
        true => Err(call.error(ErrorKind::TooLarge(most))),
        false => Ok(bytes),
    }
}
