use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How registries are reached: `registries.json`.
///
/// ```json
/// { "registries": {
///     "docker.io":           { "mirrors": ["mirror.example:5000/hub"] },
///     "mirror.example:5000": { "ca": ["/etc/ssl/own-ca.pem"] },
///     "lab.example":         { "insecure": true } } }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By host and port, as in the name of an image.
    #[serde(default)]
    pub registries: BTreeMap<String, RegistryConfig>,
}

/// How one registry, or mirror, is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// `host[:port][/prefix]` of other registries that are asked before this one, in this order,
    /// for what is pulled. The repository there has the prefix before its name.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// Whether certificates are not checked, and plain HTTP will do when TLS fails. Without a word
    /// it is so for the own machine (`localhost`, 127.0.0.0/8, `[::1]`) as with docker, unless
    /// there is a CA.
    #[serde(default)]
    pub insecure: Option<bool>,
    /// PEM files of the authorities that may have signed the registry's certificate; no others
    /// may then.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct ConfigError {
    file: PathBuf,
    cause: ConfigErrorCause,
}

#[derive(Debug, thiserror::Error)]
enum ConfigErrorCause {
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{field}: {reason}")]
    Field { field: String, reason: &'static str },
}

/// Nobody writes a larger one.
const MAX_FILE: u64 = 1024 * 1024;

impl Config {
    /// The file of this user: `/etc/minidock/registries.json`, without root
    /// `$XDG_CONFIG_HOME/minidock/registries.json` (`~/.config`). Nothing when it is unknown where
    /// the user is at home.
    #[must_use]
    pub fn default_file(root: bool) -> Option<PathBuf> {
        let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let dir = match root {
            true => PathBuf::from("/etc"),
            false => set("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")))?,
        };
        Some(dir.join("minidock/registries.json"))
    }

    /// Reads a file; one that does not exist says nothing.
    ///
    /// # Errors
    /// It cannot be read, is larger than 1 MiB, or says something that is not understood: the error
    /// names the file and the field.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let error = |cause| ConfigError { file: file.to_owned(), cause };
        match read(file, MAX_FILE) {
            Ok(text) => Self::parse(&text).map_err(error),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(other) => Err(error(other.into())),
        }
    }

    fn parse(text: &[u8]) -> Result<Self, ConfigErrorCause> {
        let config: Self = serde_json::from_slice(text)?;
        for (name, registry) in &config.registries {
            let wrong = |field: &str, reason| ConfigErrorCause::Field {
                field: format!("registries.{name:?}{field}"),
                reason,
            };
            if !is_host(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(wrong("", "not host[:port] in lower case"));
            }
            for (number, mirror) in registry.mirrors.iter().enumerate() {
                let host = mirror.split('/').next().unwrap_or_default();
                if !is_host(host) || format!("{mirror}/a").parse::<crate::Reference>().is_err() {
                    let field = format!(".mirrors[{number}]");
                    return Err(wrong(&field, "not host[:port][/prefix], without https://"));
                }
            }
            if registry.insecure == Some(true) && !registry.ca.is_empty() {
                return Err(wrong("", "insecure, so the CA would not be looked at"));
            }
        }
        Ok(config)
    }

    /// What is said of this host and port.
    pub(super) fn registry(&self, host: &str) -> RegistryConfig {
        self.registries.get(host).cloned().unwrap_or_default()
    }

    /// Whether TLS is not checked there, and not necessary.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        let registry = self.registry(host);
        registry.insecure.unwrap_or_else(|| registry.ca.is_empty() && is_loopback(host))
    }
}

/// The bytes of a file that may have so many at the most.
pub(super) fn read(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!("it is larger than {most} bytes"))),
        false => Ok(bytes),
    }
}

/// Whether it could be the registry of an image's name.
pub(super) fn is_host(text: &str) -> bool {
    let is_name = text == "localhost" || text.contains(['.', ':']);
    let name = format!("{text}/a/b").parse::<crate::Reference>();
    !text.contains(['/', '@'])
        && name.is_ok_and(|name| name.registry() == text || text == "index.docker.io")
        && is_name
}

/// Whether it is the own machine, by its name alone: what a name server says decides nothing.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_how_registries_are_reached() {
        let text = br#"{"registries": {
            "docker.io": {"mirrors": ["mirror.example:5000/hub", "localhost:5000"]},
            "localhost:5000": {"insecure": false},
            "127.0.0.1:5001": {"ca": ["/ca.pem"]},
            "lab.example": {"insecure": true}}}"#;
        let config = Config::parse(text).unwrap();
        assert_eq!(config.registry("docker.io").mirrors.len(), 2);
        assert_eq!(config.registry("other"), RegistryConfig::default());
        let insecure = |host| config.is_insecure(host);
        assert!(insecure("lab.example") && insecure("localhost") && insecure("[::1]:5000"));
        assert!(insecure("127.3.2.1:80") && !insecure("localhost:5000"));
        assert!(!insecure("127.0.0.1:5001") && !insecure("docker.io") && !insecure("128.0.0.1"));
        assert!(!insecure("localhost.example") && !insecure("127.0.0.1.example:5000"));
    }

    #[test]
    fn an_error_names_the_file_and_the_field() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("registries.json");
        assert_eq!(Config::load(&file).unwrap(), Config::default());
        for (text, field) in [
            (r#"{"registries": {"a.b": {"mirror": []}}}"#, "mirror"),
            (r#"{"registries": {"a.b": {"mirrors": ["https://c.d"]}}}"#, r#""a.b".mirrors[0]"#),
            (r#"{"registries": {"a.b": {"mirrors": ["c.d/UPPER"]}}}"#, r#""a.b".mirrors[0]"#),
            (r#"{"registries": {"a.b/c": {}}}"#, r#""a.b/c""#),
            (r#"{"registries": {"A.b": {}}}"#, r#""A.b""#),
            (r#"{"registries": {"a.b": {"insecure": true, "ca": ["/x"]}}}"#, r#""a.b""#),
            ("{", "line 1"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Config::load(&file).unwrap_err().to_string();
            assert!(error.contains("registries.json: ") && error.contains(field), "{error}");
        }
        std::fs::write(&file, vec![b' '; 1024 * 1024 + 1]).unwrap();
        assert!(Config::load(&file).unwrap_err().to_string().contains("larger"));
    }
}
