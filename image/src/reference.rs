use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// The name of an image, as people write it and as registries take it:
/// `[registry[:port]/]repository[:tag][@digest]`.
///
/// The grammar is that of docker and of the OCI distribution specification. What is left out is
/// docker's: the registry `docker.io`, there the user `library`, and the tag `latest` when there is
/// no digest either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference format: {text:?}{reason}")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

/// What is meant when no registry is named.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Whose the images without a user are there.
const DEFAULT_USER: &str = "library";
const DEFAULT_TAG: &str = "latest";
/// Of registry and repository together (OCI distribution specification).
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

impl Reference {
    /// Host and port of the registry, such as `docker.io` or `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry, such as `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; nothing for one that is named by its digest alone.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if it was given.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as docker shows it: without what it leaves out, and without tag and digest.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let user = format!("{DEFAULT_USER}/");
        // `docker.io/library/a/b` is no image without a user: the rest would be read as one.
        match self.repository.strip_prefix(&user) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// As docker shows it, with tag and digest.
    #[must_use]
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    /// The same repository with this digest instead of the tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// It is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        match is_tag(tag) {
            true => Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }),
            false => Err(InvalidReference::new(tag, ": a tag is up to 128 letters, digits, _ . -")),
        }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }
}

impl fmt::Display for Reference {
    /// The whole name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}

impl InvalidReference {
    fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(300).collect(), reason }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |reason| InvalidReference::new(text, reason);
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| invalid(": the digest is not sha256"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if !tag.is_none_or(is_tag) {
            return Err(invalid(": a tag is up to 128 letters, digits, _ . -"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path),
            _ => (DEFAULT_REGISTRY, name),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid(": the repository's name must be lowercase"));
        }
        // Docker's own registry has a second name.
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        let repository = match registry == DEFAULT_REGISTRY && !path.contains('/') {
            true => format!("{DEFAULT_USER}/{path}"),
            false => path.to_owned(),
        };
        if !is_domain(registry) || !repository.split('/').all(is_component) {
            return Err(invalid(""));
        }
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(invalid(": the name is longer than 255 characters"));
        }
        let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

/// Whether the first component is a registry and not a user: docker's rule.
fn is_registry(text: &str) -> bool {
    text.contains(['.', ':'])
        || text == "localhost"
        || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    port.is_none_or(is_port) && (is_address || host.split('.').all(is_label))
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.copied().is_some_and(alphanumeric);
    let bytes = text.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.split(|byte| alphanumeric(*byte)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__")
                || separator.iter().all(|byte| *byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.len() <= MAX_TAG
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_left_out_is_docker_s() {
        for (text, whole, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("index.docker.io/me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("host/app", "docker.io/host/app:latest", "host/app:latest"),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            (
                "quay.io/a/b__c/d-----e",
                "quay.io/a/b__c/d-----e:latest",
                "quay.io/a/b__c/d-----e:latest",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                (reference.to_string().as_str(), reference.familiar().as_str()),
                (whole, familiar)
            );
        }
    }

    #[test]
    fn a_digest_stands_for_a_tag() {
        let reference: Reference = format!("alpine@{DIGEST}").parse().unwrap();
        assert_eq!((reference.tag(), reference.digest()), (None, Some(&Digest::of(b""))));
        assert_eq!(reference.familiar(), format!("alpine@{DIGEST}"));
        let both: Reference = format!("alpine:3@{DIGEST}").parse().unwrap();
        assert_eq!(both.to_string(), format!("docker.io/library/alpine:3@{DIGEST}"));
        let tagged: Reference = "alpine:3".parse().unwrap();
        assert_eq!(tagged.with_digest(Digest::of(b"")), reference);
        assert_eq!(reference.with_tag("3").unwrap(), tagged);
        assert!(tagged.with_tag("../x").is_err());
    }

    #[test]
    fn nothing_else_is_an_image() {
        let long = "a/".repeat(130) + "a";
        let tag = format!("a:{}", "t".repeat(129));
        for bad in [
            "",
            "..",
            "../x",
            "a/../b",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:../b",
            ".a",
            "a b",
            "a:-x",
            "a..b",
            "a___b",
            "a._b",
            "a@",
            "a@sha256:12",
            "a@md5:12",
            "a:b:c",
            "host:port/a",
            "host:/a",
            "host:99999/a",
            "-x.y/a",
            "x..y/a",
            "[::1/a",
            "[zz]/a",
            "a\n",
            "ä",
            "localhost:5000/",
            &long,
            &tag,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
        let error = "Alpine".parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains("must be lowercase"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_again(text in "([a-zA-Z.:/@_-]|alpine|localhost|sha256){0,12}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
            }
        }
    }
}
