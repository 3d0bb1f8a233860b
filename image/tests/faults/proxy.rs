use std::env;
use std::process::Command;

use minidock_image::registry::{Client, Config, Credentials, ErrorKind, RegistryConfig};

use super::options;
use super::server::Server;

const NAME: &str = "registry.invalid:5000";

/// Runs the test [`asks`] in an environment with this proxy.
fn ask(proxy: &str, expected: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "proxy::asks", "--ignored"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env("ALL_PROXY", proxy)
        .env("EXPECTED", expected)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "for the other tests here, which give it an environment"]
fn asks() {
    let Ok(expected) = env::var("EXPECTED") else { return };
    let insecure = RegistryConfig { insecure: Some(true), ..RegistryConfig::default() };
    let config = Config { registries: [(NAME.to_owned(), insecure)].into() };
    let result = Client::new(config, Credentials::none(), options()).ping(NAME);
    match expected.as_str() {
        "refused" => {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error}");
        }
        _ => result.unwrap(),
    }
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let proxy = Server::new(|_| None);
    ask(&format!("http://{}", proxy.name()), "through");
    let asked = proxy.requests();
    assert!(asked.iter().any(|request| request.method == "CONNECT" && request.path == NAME));
}

#[test]
fn a_proxy_that_is_not_known_is_not_gone_around() {
    ask("socks5://127.0.0.1:1", "refused");
}
