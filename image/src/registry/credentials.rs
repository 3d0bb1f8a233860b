use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{is_host, read};
use super::helper::{Helper, HelperError, Kept};

/// Who somebody is at a registry. Its [`fmt::Debug`] shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user and the password, or a token that is used in its place.
    Password {
        /// The user.
        user: String,
        /// The secret.
        password: String,
    },
    /// A token that the registry's token service takes for others (OAuth 2's refresh token).
    IdentityToken(String),
}

/// The credentials of a user, in the files of docker and podman and where these say that others are
/// kept. Its [`fmt::Debug`] shows no secret.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The first is written by `login`; all are looked into, in this order.
    files: Vec<PathBuf>,
    /// These come before all files.
    given: BTreeMap<String, Login>,
    /// Where helpers are, if not in PATH.
    helpers: Option<PathBuf>,
}

/// Credentials that cannot be read, kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file is not understood. What it says is not told, since it is secret.
    #[error("{}: {what}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A program that keeps credentials failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// There is no file to write to: it is unknown where the user is at home.
    #[error("it is not known where to keep credentials: HOME is not set")]
    Nowhere,
    /// Not the name of a registry.
    #[error("{0:?} is not the name of a registry: host[:port]")]
    Name(String),
    /// Neither may be empty; a user's name cannot have a colon.
    #[error("not a user and a password")]
    Empty,
}

/// Docker's name for its registry.
const DOCKER: &str = "https://index.docker.io/v1/";
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The user of a helper's answer whose secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// What is read of docker's file.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Known {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: String,
}

impl Credentials {
    /// Nobody's.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those in the files that docker and podman would use with this environment, such as
    /// `|name| std::env::var_os(name)`: `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`
    /// (`~/.docker/config.json`), `$XDG_RUNTIME_DIR/containers/auth.json`.
    #[must_use]
    pub fn of_environment(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")));
        let podman = set("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
        let docker = docker.map(|dir| dir.join("config.json"));
        Self::in_files([set("REGISTRY_AUTH_FILE"), docker, podman].into_iter().flatten().collect())
    }

    /// Those in these files, which need not exist; the first is written by [`Self::login`].
    #[must_use]
    pub fn in_files(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// The same, and this login, which is written nowhere: to try it before it is kept.
    ///
    /// # Errors
    /// That is no registry.
    pub fn with(mut self, registry: &str, login: Login) -> Result<Self, CredentialsError> {
        self.given.insert(checked(registry)?, login);
        Ok(self)
    }

    /// The login for a repository of a registry. Podman's files may have one for a part of the
    /// registry; the longest name is taken.
    ///
    /// # Errors
    /// A file cannot be read or is not understood, or a helper failed.
    pub fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Login>, CredentialsError> {
        let registry = &registry.to_ascii_lowercase();
        if let Some(login) = self.given.get(registry) {
            return Ok(Some(login.clone()));
        }
        for file in &self.files {
            if let Some(found) = self.find_in(file, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in(
        &self,
        file: &Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Login>, CredentialsError> {
        let Some((known, _)) = load(file)? else { return Ok(None) };
        if let Some(name) = known.helper(registry)
            && let Some(kept) = self.helper(name).get(server(registry))?
        {
            return Ok(Some(match kept.username == TOKEN_USER {
                true => Login::IdentityToken(kept.secret),
                false => Login::Password { user: kept.username, password: kept.secret },
            }));
        }
        let whole = format!("{registry}/{repository}");
        let mut names: Vec<&str> = whole.match_indices('/').map(|(at, _)| &whole[..at]).collect();
        names.push(&whole);
        for name in names.into_iter().rev() {
            let found = known.auths.iter().find(|(key, _)| normal(key) == name);
            if let Some((key, auth)) = found
                && let Some(login) = auth.login(file, key)?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    /// Keeps a login, as docker does: with the helper that the first file names, else in that file.
    /// Whether it is right is not asked here.
    ///
    /// # Errors
    /// That is no registry, no user or no password; the file cannot be read, understood or written;
    /// the helper failed.
    pub fn login(
        &self,
        registry: &str,
        user: &str,
        password: &str,
    ) -> Result<(), CredentialsError> {
        let file = self.files.first().ok_or(CredentialsError::Nowhere)?;
        let registry = &*checked(registry)?;
        if user.is_empty() || user.contains(':') || password.is_empty() {
            return Err(CredentialsError::Empty);
        }
        let (known, mut content) = load(file)?.unwrap_or_default();
        let entry = match known.helper(registry) {
            Some(name) => {
                self.helper(name).store(&Kept {
                    server_url: server(registry).to_owned(),
                    username: user.to_owned(),
                    secret: password.to_owned(),
                })?;
                // So docker remembers that there is one.
                json!({})
            }
            None => json!({ "auth": BASE64_STANDARD.encode(format!("{user}:{password}")) }),
        };
        let mut auths = take_auths(&mut content);
        auths.retain(|key, _| normal(key) != registry);
        auths.insert(server(registry).to_owned(), entry);
        content.insert("auths".to_owned(), auths.into());
        store(file, &content)
    }

    /// Forgets a registry's login, in all files and in the helpers that they name. Whether there
    /// was one in a file.
    ///
    /// # Errors
    /// As for [`Self::login`].
    pub fn logout(&self, registry: &str) -> Result<bool, CredentialsError> {
        let registry = &*checked(registry)?;
        let mut was = false;
        for file in &self.files {
            let Some((known, mut content)) = load(file)? else { continue };
            if let Some(name) = known.helper(registry) {
                self.helper(name).erase(server(registry))?;
            }
            let mut auths = take_auths(&mut content);
            let before = auths.len();
            auths.retain(|key, _| normal(key) != registry);
            if auths.len() != before {
                content.insert("auths".to_owned(), auths.into());
                store(file, &content)?;
                was = true;
            }
        }
        Ok(was)
    }

    fn helper<'a>(&'a self, name: &'a str) -> Helper<'a> {
        Helper::new(name, self.helpers.as_deref())
    }
}

impl Known {
    /// The helper that keeps this registry's.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(key, _)| normal(key) == registry);
        let name = own.map_or(self.creds_store.as_str(), |(_, name)| name.as_str());
        Some(name).filter(|name| !name.is_empty())
    }
}

impl Auth {
    fn login(&self, file: &Path, key: &str) -> Result<Option<Login>, CredentialsError> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Login::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let decoded = BASE64_STANDARD.decode(&self.auth).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let parts = text.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = parts.ok_or_else(|| CredentialsError::Content {
            file: file.to_owned(),
            what: format!("auths.{key:?}.auth is not the base64 of user:password"),
        })?;
        let (user, password) = (user.to_owned(), password.trim_end_matches('\0').to_owned());
        Ok(Some(Login::Password { user, password }))
    }
}

/// The name of the registry in an image's name; docker's has two.
fn checked(registry: &str) -> Result<String, CredentialsError> {
    match normal(registry) {
        name if is_host(&name) => Ok(name),
        _ => Err(CredentialsError::Name(registry.chars().take(200).collect())),
    }
}

/// A key of the files, as in the names of images: some have a scheme and a path. In names of hosts
/// case does not count.
fn normal(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    let key = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(&key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key);
    let is_docker = matches!(key, "index.docker.io" | "registry-1.docker.io");
    if is_docker { "docker.io" } else { key }.to_owned()
}

/// The key under which docker keeps it.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER } else { registry }
}

/// Takes the object of all logins out, for changing it; [`load`] has seen that it is one.
fn take_auths(content: &mut Map<String, Value>) -> Map<String, Value> {
    match content.remove("auths") {
        Some(Value::Object(auths)) => auths,
        _ => Map::new(),
    }
}

type Content = (Known, Map<String, Value>);

/// What a file says, if it exists: what is known here, and all.
fn load(file: &Path) -> Result<Option<Content>, CredentialsError> {
    let text = match read(file, MAX_FILE) {
        Ok(text) => text,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(CredentialsError::File { file: file.to_owned(), cause }),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Some(Content::default()));
    }
    let parsed =
        serde_json::from_slice(&text).and_then(|known| Ok((known, serde_json::from_slice(&text)?)));
    // The error's text could tell a secret.
    parsed.map(Some).map_err(|error| CredentialsError::Content {
        file: file.to_owned(),
        what: format!("not understood at line {} column {}", error.line(), error.column()),
    })
}

/// Replaces the file, or makes it; nobody else can read it.
fn store(file: &Path, content: &Map<String, Value>) -> Result<(), CredentialsError> {
    replace(file, content).map_err(|cause| CredentialsError::File { file: file.to_owned(), cause })
}

fn replace(file: &Path, content: &Map<String, Value>) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let file = match fs::canonicalize(file) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Made with mode 0600.
    let mut new = tempfile::Builder::new().prefix(".auth-").tempfile_in(dir)?;
    // It stays whose it was, also when root writes it.
    if rustix::process::geteuid().is_root()
        && let Ok(old) = fs::metadata(&file)
    {
        fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    serde_json::to_writer_pretty(&mut new, content)?;
    new.write_all(b"\n")?;
    new.as_file().sync_all()?;
    new.persist(&file)?;
    File::open(dir)?.sync_all()
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => f.debug_struct("Password").field("user", user).finish(),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
