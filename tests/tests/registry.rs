//! Images from a registry and back: docker's own (Debian's package docker-registry), which listens in
//! the sandbox's network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Running, Sandbox};
use nix::sys::signal::Signal;

/// Nobody else is in the sandbox's network.
const ADDRESS: &str = "127.0.0.1:5000";
const IMAGE: &str = "127.0.0.1:5000/a/alpine:one";
/// The password of `me`, as htpasswd keeps it: `right horse`.
const HTPASSWD: &str = "me:$2y$04$abcdefghijklmnopqrstuuLK4yYxcGJwQr33yKnQTmKjI1WQSUD2K\n";

/// A registry in a sandbox's network, with its files in a directory that may be another one's too.
struct Registry {
    running: Option<Running>,
    log: PathBuf,
}

impl Registry {
    fn start(sandbox: &Sandbox, data: &Path, more: &str) -> Self {
        let (config, log) = (sandbox.path().join("registry.yml"), sandbox.path().join("log"));
        let text = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: false\n  level: error\n\
             storage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {ADDRESS}\n{more}\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        let output = fs::File::create(&log).unwrap();
        let running =
            sandbox.as_root(command).stdout_to(output).timeout(Duration::from_secs(600)).spawn();
        let up = || sandbox.netns().run(|| TcpStream::connect(ADDRESS).is_ok());
        until("the registry does not listen", up);
        Self { running: Some(running), log }
    }

    /// The requests to repositories so far, by its own log.
    fn requests(&self) -> usize {
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(" /v2/a/")).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }
}

#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

/// The image `alpine` in a registry's files, with its tag there.
fn pushed(data: &Path) {
    let sandbox = Sandbox::with_own_images();
    let registry = Registry::start(&sandbox, data, "");
    name(&sandbox, IMAGE);
    let push = ok(&sandbox, &["push", IMAGE]);
    let lines: Vec<&str> = push.stdout.lines().collect();
    assert_eq!(lines[0], "The push refers to repository [127.0.0.1:5000/a/alpine]");
    assert!(lines.iter().any(|line| line.ends_with(": Pushed")), "{push}");
    assert!(lines.last().unwrap().starts_with("one: digest: sha256:"), "{push}");
    let again = ok(&sandbox, &["push", IMAGE]);
    assert!(again.stdout.contains(": Layer already exists\n"), "{again}");
    assert_eq!(ok(&sandbox, &["push", "-q", IMAGE]).text(), IMAGE);
    let missing = sandbox.minidock(["push", "127.0.0.1:5000/a/nosuch"]).output().expect_code(1);
    assert!(missing.stderr.contains("An image does not exist locally with the tag"), "{missing}");
    drop(registry);
}

/// Gives `alpine` another name.
fn name(sandbox: &Sandbox, name: &str) {
    let store = sandbox.images();
    let image = store.resolve("alpine").unwrap().image;
    store.tag(&[name.parse().unwrap()], &image.descriptor).unwrap();
}

/// Nothing of an image can be seen.
#[track_caller]
fn assert_no_image(sandbox: &Sandbox) {
    assert!(sandbox.images().list().unwrap().is_empty());
    let output = sandbox.prepare_run(["--pull", "never", IMAGE, "true"]).output().expect_code(125);
    assert!(output.stderr.contains("Unable to find image"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn an_image_is_pushed_pulled_and_run() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    let sandbox = Sandbox::without_images();
    let registry = Registry::start(&sandbox, data.path(), "");
    let pull = ok(&sandbox, &["pull", IMAGE]);
    let lines: Vec<&str> = pull.stdout.lines().collect();
    assert_eq!(lines[0], "one: Pulling from a/alpine");
    for line in [": Pulling fs layer", ": Download complete", ": Pull complete"] {
        assert!(lines.iter().any(|found| found.ends_with(line)), "{line}: {pull}");
    }
    let [digest, status, last] = lines[lines.len() - 3..] else { panic!("{pull}") };
    assert!(digest.starts_with("Digest: sha256:"), "{pull}");
    assert_eq!(status, format!("Status: Downloaded newer image for {IMAGE}"));
    assert_eq!(last, IMAGE);
    let run = sandbox.run(["--network", "none", IMAGE, "cat", "/etc/os-release"]);
    assert!(run.expect_code(0).stdout.contains("Alpine"));

    // One request says that nothing has changed.
    let before = registry.requests();
    let again = ok(&sandbox, &["pull", IMAGE]);
    assert!(again.stdout.contains(&format!("Status: Image is up to date for {IMAGE}\n")));
    assert_eq!(registry.requests() - before, 1);
    // What is here costs none, also by its digest.
    let by_digest = format!("127.0.0.1:5000/a/alpine@{}", &digest["Digest: ".len()..]);
    for image in [IMAGE, &by_digest] {
        sandbox.run(["--network", "none", image, "true"]).expect_code(0);
    }
    assert_eq!(registry.requests() - before, 1);
    assert_eq!(ok(&sandbox, &["pull", "-q", IMAGE]).text(), IMAGE);
    let all = ok(&sandbox, &["pull", "-a", "127.0.0.1:5000/a/alpine"]);
    assert!(all.stdout.ends_with("\n127.0.0.1:5000/a/alpine\n"), "{all}");
    assert!(sandbox.images().verify().unwrap().is_empty());
    drop(registry);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn a_container_pulls_its_image() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    let sandbox = Sandbox::without_images();
    let registry = Registry::start(&sandbox, data.path(), "");
    assert_no_image(&sandbox);
    let dry = sandbox.prepare_run(["--dry-run", IMAGE, "true"]).output().expect_code(125);
    assert!(dry.stderr.contains("Unable to find image"), "{dry}");
    assert_eq!(registry.requests(), 0);
    let run = ["--network", "none", IMAGE, "echo", "hi"];
    let first = sandbox.run(run).expect_code(0);
    assert_eq!(first.stdout, "hi\n");
    let told = format!("Unable to find image '{IMAGE}' locally\none: Pulling from a/alpine\n");
    assert!(first.stderr.starts_with(&told), "{first}");
    assert!(first.stderr.contains("Status: Downloaded newer image"), "{first}");
    let before = registry.requests();
    assert_eq!(sandbox.run(run).expect_code(0).stderr, "");
    assert_eq!(registry.requests(), before);
    let always = sandbox.run(["--pull", "always"].iter().chain(&run)).expect_code(0);
    assert!(always.stderr.contains("Status: Image is up to date"), "{always}");
    let quiet = sandbox.run(["--pull", "always", "-q"].iter().chain(&run)).expect_code(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("hi\n", ""));
    let unknown = sandbox.run(["127.0.0.1:5000/a/nosuch", "true"]).expect_code(125);
    let told = "Unable to find image '127.0.0.1:5000/a/nosuch:latest' locally\n";
    assert!(unknown.stderr.starts_with(told), "{unknown}");
    assert!(unknown.stderr.contains("not found"), "{unknown}");
    let created = ok(&sandbox, &["create", "--pull", "always", "-q", IMAGE]);
    ok(&sandbox, &["rm", created.text()]);
    drop(registry);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_cannot_be_pulled_is_told_soon() {
    let sandbox = Sandbox::without_images();
    let output = sandbox.run(["nosuch", "true"]).expect_code(125);
    let told = "Unable to find image 'nosuch:latest' locally\n";
    assert!(output.stderr.starts_with(told), "{output}");
    assert!(output.stderr.contains("cannot connect"), "{output}");
    assert!(output.stderr.contains("xtask rootfs"), "{output}");
    assert!(!sandbox.root().join("images/index.json").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn who_may_not_see_an_image_logs_in() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    let sandbox = Sandbox::without_images();
    let file = sandbox.path().join("htpasswd");
    fs::write(&file, HTPASSWD).unwrap();
    let auth = format!("auth:\n  htpasswd:\n    realm: here\n    path: {}\n", file.display());
    let _registry = Registry::start(&sandbox, data.path(), &auth);
    let kept = sandbox.path().join("docker");
    let minidock = |args: &[&str], input: &str| {
        let invocation = sandbox.minidock(args).env("DOCKER_CONFIG", &kept);
        invocation.stdin(input).output()
    };
    let refused = minidock(&["pull", IMAGE], "").expect_code(1);
    assert!(refused.stderr.contains("`minidock login 127.0.0.1:5000`"), "{refused}");
    let login = |password: &str| {
        minidock(&["login", "-u", "me", "--password-stdin", ADDRESS], &format!("{password}\n"))
    };
    let wrong = login("wrong").expect_code(1);
    assert!(wrong.stderr.contains("refused"), "{wrong}");
    assert!(!kept.join("config.json").exists());
    assert_eq!(login("right horse").expect_code(0).stdout, "Login Succeeded\n");
    assert!(!fs::read_to_string(kept.join("config.json")).unwrap().contains("right"));
    assert_eq!(minidock(&["pull", "-q", IMAGE], "").expect_code(0).text(), IMAGE);
    let out = minidock(&["logout", ADDRESS], "").expect_code(0);
    assert_eq!(out.stdout, format!("Removing login credentials for {ADDRESS}\n"));
    minidock(&["pull", IMAGE], "").expect_code(1);
    let out = minidock(&["logout", ADDRESS], "").expect_code(0);
    assert_eq!(out.stdout, format!("Not logged in to {ADDRESS}\n"));

    // On a terminal, unseen.
    let invocation = sandbox.minidock(["login", ADDRESS]).env("DOCKER_CONFIG", &kept);
    let mut pty = invocation.pty(24, 80);
    pty.read_until("Username: ");
    pty.send("me\n");
    pty.read_until("Password: ");
    pty.send("right horse\n");
    let seen = pty.read_until("Login Succeeded");
    assert!(!seen.contains("horse"), "{seen}");
    assert_eq!(pty.wait(), 0);
    assert!(pty.is_restored());
}

/// Passes on what the registry says, but of each connection only so much, and then nothing more: a
/// line that hangs in the middle of a layer.
fn hanging(sandbox: &Sandbox, port: u16, most: usize) {
    sandbox.netns().run(move || {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let pass = move |mut from: TcpStream, mut to: TcpStream, mut most: usize| {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if count > most {
                    // Held open until the test is over.
                    thread::sleep(Duration::from_secs(600));
                }
                most -= count;
                if to.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        };
        // The threads are of the namespace of the one that makes them.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, registry) = (client.unwrap(), TcpStream::connect(ADDRESS).unwrap());
                let (back, forth) = (client.try_clone().unwrap(), registry.try_clone().unwrap());
                thread::spawn(move || pass(client, forth, usize::MAX));
                thread::spawn(move || pass(registry, back, most));
            }
        });
    });
}

/// The bytes of the largest file that is not whole.
fn partial(sandbox: &Sandbox) -> u64 {
    let files = fs::read_dir(sandbox.root().join("images/ingest")).into_iter().flatten();
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).max().unwrap_or(0)
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn an_interrupted_pull_leaves_nothing_to_be_seen_and_goes_on() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    for (signal, code) in
        [(Signal::SIGINT, Some(130)), (Signal::SIGTERM, Some(143)), (Signal::SIGKILL, None)]
    {
        let sandbox = Sandbox::without_images();
        let _registry = Registry::start(&sandbox, data.path(), "");
        hanging(&sandbox, 5001, 1 << 20);
        let slow = IMAGE.replace("5000", "5001");
        for args in [&["pull", slow.as_str()][..], &["run", "--rm", &slow, "true"]] {
            let mut running = sandbox.minidock(args).spawn();
            match args[0] {
                "pull" => drop(running.wait_for_output("Pulling fs layer")),
                _ => running.wait_for_error("Pulling fs layer"),
            }
            until("nothing comes", || partial(&sandbox) > 500_000);
            running.signal(signal);
            match code {
                Some(code) => drop(running.wait().expect_code(code)),
                None => running.wait_for_end(),
            }
        }
        assert_no_image(&sandbox);
        let here = partial(&sandbox);
        ok(&sandbox, &["pull", IMAGE]);
        assert!(here > 500_000);
        sandbox.run(["--network", "none", IMAGE, "true"]).expect_code(0);
        let mut problems = sandbox.images().verify().unwrap();
        // What a killed one was unpacking is garbage.
        problems.retain(|found| {
            signal != Signal::SIGKILL || !found.to_string().contains("/layers/.new-")
        });
        assert_eq!(problems, []);
        assert_eq!(partial(&sandbox), 0);
    }
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn who_is_not_root_pulls_too() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    let mut sandbox = Sandbox::rootless();
    sandbox.work_inside();
    for part in ["images", "layers"] {
        fs::remove_dir_all(sandbox.root().join(part)).unwrap();
    }
    let registry = Registry::start(&sandbox, data.path(), "");
    let pull = sandbox.minidock(["pull", "-q", IMAGE]).env("HOME", sandbox.path());
    assert_eq!(pull.output().expect_code(0).text(), IMAGE);
    let run = sandbox.run(["--network", "none", IMAGE, "cat", "/etc/os-release"]);
    assert!(run.expect_code(0).stdout.contains("Alpine"));
    drop(registry);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers, and docker-registry"]
fn a_terminal_shows_how_far_it_is_and_a_key_ends_it() {
    let data = tempfile::tempdir().unwrap();
    pushed(data.path());
    let sandbox = Sandbox::without_images();
    let _registry = Registry::start(&sandbox, data.path(), "");
    hanging(&sandbox, 5001, 1 << 20);
    let mut pty = sandbox.minidock(["pull", &IMAGE.replace("5000", "5001")]).pty(24, 80);
    pty.read_until(": Downloading [");
    pty.send("\x03");
    assert_eq!(pty.wait(), 130);
    assert_no_image(&sandbox);
}
