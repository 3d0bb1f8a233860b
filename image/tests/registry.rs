//! The client of registries against docker's registry (Debian's package docker-registry).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Cursor, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use minidock_image::config::ImageConfig;
use minidock_image::layer;
use minidock_image::pull::{Pull, Status};
use minidock_image::push::push;
use minidock_image::registry::{
    Client, Config, Credentials, ErrorKind, Login, Options, RegistryConfig, Verified, media_type,
};
use minidock_image::store::Store;
use minidock_image::{Digest, Hasher, Nobody, Observer, Reference, Step, add_image, add_layer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The password of `me`, as htpasswd keeps it: `right horse`.
const HTPASSWD: &str = "me:$2y$04$abcdefghijklmnopqrstuuLK4yYxcGJwQr33yKnQTmKjI1WQSUD2K\n";

struct Registry {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Registry {
    /// One with this in its configuration, in which DIR is its directory; the files are made there.
    fn start(http: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        // Somebody else may have the port by the time that the registry wants it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: DIR/data\n\
                 http:\n  addr: 127.0.0.1:{port}\n{http}\n{more}\n"
            );
            let file = dir.path().join("config.yml");
            fs::write(&file, config.replace("DIR", &path)).unwrap();
            let mut child = Command::new("docker-registry")
                .arg("serve")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if listens(&mut child, port) {
                return Self { dir, port, child };
            }
        }
        panic!("docker-registry does not start");
    }

    fn plain() -> Self {
        Self::start("", "", &[])
    }

    fn name(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.name()).parse().unwrap()
    }

    fn config(&self, registry: RegistryConfig) -> Config {
        Config { registries: [(self.name(), registry)].into() }
    }
}

/// Whether it takes connections; if not, it has ended.
fn listens(child: &mut Child, port: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && child.try_wait().unwrap().is_none() {
            return true;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn client(config: Config) -> Client {
    Client::new(config, Credentials::none(), Options::default())
}

fn client_of(registry: &Registry, user: &str, password: &str) -> Client {
    let login = Login::Password { user: user.to_owned(), password: password.to_owned() };
    let credentials = Credentials::none().with(&registry.name(), login).unwrap();
    Client::new(Config::default(), credentials, Options::default())
}

fn push_bytes(client: &Client, reference: &Reference, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let (content, size) = (content.to_owned(), content.len() as u64);
    let open = || Ok(Box::new(Cursor::new(content.clone())) as Box<dyn Read>);
    client.push_blob(reference, &digest, size, &open).unwrap();
    digest
}

fn pull(client: &Client, reference: &Reference, digest: Digest, size: usize) -> Vec<u8> {
    let size = size as u64;
    let blob = client.blob(reference, &digest, size, 0).unwrap();
    let mut all = Vec::new();
    Verified::new(blob, Hasher::default(), digest, size).read_to_end(&mut all).unwrap();
    all
}

fn manifest(config: (Digest, usize), layer: (Digest, usize)) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}",
        "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},
        "layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
        media_type::OCI_MANIFEST,
        config.0,
        config.1,
        layer.0,
        layer.1
    )
}

/// Pushes an image and pulls it back.
fn round_trip(client: &Client, reference: &Reference) {
    let layer: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let config = b"{}";
    assert!(!client.has_blob(reference, &Digest::of(&layer)).unwrap());
    let layer_digest = push_bytes(client, reference, &layer);
    let config_digest = push_bytes(client, reference, config);
    assert!(client.has_blob(reference, &layer_digest).unwrap());
    let text = manifest((config_digest, config.len()), (layer_digest, layer.len()));
    let pushed =
        client.push_manifest(reference, media_type::OCI_MANIFEST, text.as_bytes()).unwrap();
    let pulled = client.manifest(reference).unwrap();
    assert_eq!((pulled.bytes.as_slice(), pulled.digest), (text.as_bytes(), pushed));
    assert_eq!(pulled.media_type, media_type::OCI_MANIFEST);
    assert_eq!(client.manifest(&reference.with_digest(pushed)).unwrap(), pulled);
    assert_eq!(client.manifest_unless(reference, &pushed).unwrap(), None);
    let head = client.head(reference).unwrap().unwrap();
    assert_eq!((head.digest, head.size), (pushed, text.len() as u64));
    assert!(pull(client, reference, layer_digest, layer.len()) == layer);
    let mut rest = Vec::new();
    let size = layer.len() as u64;
    let mut from = client.blob(reference, &layer_digest, size, size - 10).unwrap();
    from.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, layer[layer.len() - 10..]);
    assert_eq!(client.tags(reference).unwrap(), [reference.tag().unwrap()]);
}

#[test]
#[ignore = "needs the program docker-registry"]
fn an_image_goes_there_and_back() {
    let registry = Registry::plain();
    let client = client(Config::default());
    client.ping(&registry.name()).unwrap();
    round_trip(&client, &registry.reference("a/b:one"));
}

#[test]
#[ignore = "needs the program docker-registry"]
fn what_is_not_there_is_not_found() {
    let registry = Registry::plain();
    let client = client(Config::default());
    let reference = registry.reference("a/b:one");
    assert_eq!(client.head(&reference).unwrap(), None);
    let error = client.manifest(&reference).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound(answer)
        if answer.code.as_deref() == Some("MANIFEST_UNKNOWN")),
        "{error}"
    );
    let error = client.tags(&reference).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound(_)), "{error}");
    let error = client.blob(&reference, &Digest::of(b"x"), 1, 0).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound(_)), "{error}");
    let text = manifest((Digest::of(b"x"), 1), (Digest::of(b"y"), 1));
    let pushed = client.push_manifest(&reference, media_type::OCI_MANIFEST, text.as_bytes());
    let error = pushed.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Status(answer) if answer.status == 400), "{error}");
}

#[test]
#[ignore = "needs the program docker-registry"]
fn a_blob_of_another_repository_is_mounted() {
    let registry = Registry::plain();
    let client = client(Config::default());
    let (from, to) = (registry.reference("from"), registry.reference("to/here"));
    let digest = push_bytes(&client, &from, b"content");
    assert!(!client.has_blob(&to, &digest).unwrap());
    assert!(client.mount_blob(&to, &digest, &from).unwrap());
    assert_eq!(pull(&client, &to, digest, 7), b"content");
    assert!(!client.mount_blob(&to, &Digest::of(b"other"), &from).unwrap());
}

#[test]
#[ignore = "needs the program docker-registry"]
fn all_tags_come() {
    let registry = Registry::plain();
    let client = client(Config::default());
    let reference = registry.reference("a:one");
    let config = push_bytes(&client, &reference, b"{}");
    let text = manifest((config, 2), (config, 2));
    let tags: Vec<String> = (1000..1005).map(|number| format!("t{number}")).collect();
    for tag in &tags {
        let reference = reference.with_tag(tag).unwrap();
        client.push_manifest(&reference, media_type::OCI_MANIFEST, text.as_bytes()).unwrap();
    }
    let mut listed = client.tags(&reference).unwrap();
    listed.sort();
    assert_eq!(listed, tags);
}

#[test]
#[ignore = "needs the program docker-registry"]
fn a_password_is_asked_for() {
    let auth = "auth:\n  htpasswd:\n    realm: here\n    path: DIR/htpasswd";
    let registry = Registry::start("", auth, &[("htpasswd", HTPASSWD)]);
    let reference = registry.reference("a/b:one");
    let right = client_of(&registry, "me", "right horse");
    right.ping(&registry.name()).unwrap();
    round_trip(&right, &reference);
    for other in [client_of(&registry, "me", "wrong"), client(Config::default())] {
        let error = other.ping(&registry.name()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unauthorized(_)), "{error}");
        let error = other.manifest(&reference).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unauthorized(_)), "{error}");
    }
}

/// A CA, and a certificate for localhost with its key, as PEM.
fn certificates() -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    (ca, certificate, key.serialize_pem())
}

#[test]
#[ignore = "needs the program docker-registry"]
fn a_certificate_is_checked() {
    let (ca, certificate, key) = certificates();
    let (other, ..) = certificates();
    let files =
        [("ca.pem", &*ca), ("other.pem", &*other), ("cert.pem", &*certificate), ("key.pem", &*key)];
    let tls = "  tls:\n    certificate: DIR/cert.pem\n    key: DIR/key.pem";
    let registry = Registry::start(tls, "", &files);
    let trusting = |file: &str| {
        let ca = vec![registry.dir.path().join(file)];
        client(registry.config(RegistryConfig { ca, ..RegistryConfig::default() }))
    };
    round_trip(&trusting("ca.pem"), &registry.reference("a/b:one"));
    let checking =
        registry.config(RegistryConfig { insecure: Some(false), ..RegistryConfig::default() });
    for refusing in [trusting("other.pem"), client(checking)] {
        let error = refusing.ping(&registry.name()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
    }
    // The name in the certificate is another one.
    let config = RegistryConfig {
        ca: vec![registry.dir.path().join("ca.pem")],
        ..RegistryConfig::default()
    };
    let address = format!("127.0.0.1:{}", registry.port);
    let error = client(Config { registries: [(address.clone(), config)].into() })
        .ping(&address)
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
    // The own machine's is not checked unless somebody says so.
    client(Config::default()).ping(&registry.name()).unwrap();
}

#[test]
#[ignore = "needs the program docker-registry"]
fn plain_http_is_not_enough_where_tls_is_wanted() {
    let registry = Registry::plain();
    let config = RegistryConfig { insecure: Some(false), ..RegistryConfig::default() };
    let error = client(registry.config(config)).ping(&registry.name()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
}

/// A store with an image `NAME/a:one` of two layers, one of them compressed.
fn stored(root: &std::path::Path, name: &Reference) -> Store {
    let store = Store::open(root);
    let options = layer::Options { owner: layer::Owner::Mine, ..layer::Options::default() };
    let mut config = ImageConfig {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..ImageConfig::default()
    };
    let mut archives = Vec::new();
    for file in ["low", "high"] {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        header.set_mode(0o644);
        builder.append_data(&mut header, file, &b"hi"[..]).unwrap();
        let plain = builder.into_inner().unwrap();
        let added = add_layer(&store, Cursor::new(plain), &options).unwrap();
        config.rootfs.diff_ids.push(added.record.diff_id);
        archives.push(added.archive);
    }
    add_image(&store, &archives, &config, std::slice::from_ref(name)).unwrap();
    store
}

#[derive(Default)]
struct Steps(std::sync::Mutex<Vec<Step>>);

impl Observer for Steps {
    fn layer(&self, _: &Digest, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

#[test]
#[ignore = "needs the program docker-registry"]
fn an_image_of_the_store_is_pushed_and_pulled() {
    let registry = Registry::plain();
    let client = client(Config::default());
    let (one, two) = (registry.reference("a/one:1"), registry.reference("b/two:1"));
    let from = tempfile::tempdir().unwrap();
    let store = stored(from.path(), &one);
    let told = |store: &Store, name: &Reference| {
        let steps = Steps::default();
        push(store, &client, name, None, &steps).unwrap();
        let mut steps = steps.0.into_inner().unwrap();
        steps.retain(|step| *step != Step::Waiting);
        steps
    };
    assert_eq!(told(&store, &one), [Step::Complete, Step::Complete]);
    assert_eq!(told(&store, &one), [Step::Exists, Step::Exists]);
    let image = store.resolve(&one.to_string()).unwrap().image;
    store.tag(std::slice::from_ref(&two), &image.descriptor).unwrap();
    let origin = one.with_digest(image.descriptor.digest);
    let mounted = || Step::Mounted(origin.clone());
    assert_eq!(told(&store, &two), [mounted(), mounted()]);

    let to = tempfile::tempdir().unwrap();
    let other = Store::open(to.path());
    let options = layer::Options { owner: layer::Owner::Mine, ..layer::Options::default() };
    let request = Pull { reference: &two, platform: None, options: &options };
    let pulled = minidock_image::pull::pull(&other, &client, &request, &Nobody).unwrap();
    assert_eq!((pulled.id, pulled.digest), (image.id, image.descriptor.digest));
    assert!(other.verify().unwrap().is_empty());
    let again = minidock_image::pull::pull(&other, &client, &request, &Nobody).unwrap();
    assert_eq!(again.status, Status::UpToDate);
    let error = push(&other, &client, &one, None, &Nobody).unwrap_err().to_string();
    assert!(error.starts_with("An image does not exist locally"), "{error}");
}
