//! A registry that does what a test tells it: one request per connection, on the loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Where a range begins.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Says nothing more until the test is over.
    Stall,
}

pub(crate) struct Reply(pub(crate) Vec<Step>);

impl Reply {
    /// A whole answer.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        Self::head(status, headers, body.len()).then(body)
    }

    /// Only its head, with this Content-Length.
    pub(crate) fn head(status: u16, headers: &[(&str, &str)], length: usize) -> Self {
        let length = length.to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        Self::bare(status, &headers)
    }

    /// Only its head.
    pub(crate) fn bare(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut text = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        Self(vec![Step::Send(format!("{text}\r\n").into_bytes())])
    }

    pub(crate) fn then(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push(Step::Send(bytes.as_ref().to_owned()));
        self
    }

    pub(crate) fn and(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

/// A connection, with or without TLS.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Handler = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    tls: Option<Arc<ServerConfig>>,
    requests: Mutex<Vec<Request>>,
    stop: AtomicBool,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    fn wait_for_the_end(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// What the handler has no answer for is 404, and 200 for `/v2/`.
    pub(crate) fn new(handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::start(None, handler)
    }

    /// The same with TLS, and the certificate that says so.
    pub(crate) fn with_tls(
        handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Self::start(Some(Arc::new(tls)), handler), made.cert.pem())
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            tls,
            requests: Mutex::default(),
            stop: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = {
            let shared = shared.clone();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (stream, of) = (stream.unwrap(), shared.clone());
                    let thread = thread::spawn(move || serve(stream, &of));
                    shared.connections.lock().unwrap().push(thread);
                }
            })
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Host and port.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    /// All requests so far but those that only look whether there is a registry.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|request| request.path != "/v2/").cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            connection.join().unwrap();
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut first = [0];
    // 22 begins TLS.
    if stream.peek(&mut first).unwrap_or(0) == 0 || (first == [22]) != shared.tls.is_some() {
        return;
    }
    match &shared.tls {
        None => talk(stream, shared),
        Some(tls) => {
            let connection = ServerConnection::new(tls.clone()).unwrap();
            talk(StreamOwned::new(connection, stream), shared);
        }
    }
}

fn talk<S: Stream>(mut stream: S, shared: &Shared) {
    let Some(request) = read_request(&mut stream) else { return };
    shared.requests.lock().unwrap().push(request.clone());
    if request.method == "CONNECT" {
        // As a proxy: whoever is wanted is this server.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        return talk(stream, shared);
    }
    let reply = (shared.handler)(&request).unwrap_or_else(|| {
        let status = if request.path == "/v2/" { 200 } else { 404 };
        Reply::new(status, &[], "")
    });
    for step in reply.0 {
        match step {
            // A client that has heard enough may go.
            Step::Send(bytes) if stream.write_all(&bytes).is_err() => return,
            Step::Send(_) => {}
            Step::Wait(time) => thread::sleep(time),
            Step::Stall => shared.wait_for_the_end(),
        }
    }
}

/// The body of a request for `/stall` is not read.
fn read_request(stream: impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    if request.path.starts_with("/stall") {
        return Some(request);
    }
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
