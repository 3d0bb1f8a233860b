//! The local image store: `ROOT/images/<name>/<tag>/{rootfs/, config.json}`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use minidock_image::config::ImageConfig;

use crate::containers::entries;
use crate::{Error, Healthcheck};

/// The name of an image, `name[:tag]`; the tag is `latest` when not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    name: String,
    tag: String,
}

/// An image that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The unpacked layers, the uppermost first: shared by all containers and never written.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) config: ImageConfig,
    /// `HEALTHCHECK`, which is docker's own.
    pub(crate) healthcheck: Option<Healthcheck>,
}

impl FromStr for ImageName {
    type Err = Error;

    /// Path components of lower-case letters and digits with `.`, `_` and `-` between them, and a
    /// tag of at most 128 letters, digits, `_`, `.`, `-` (OCI distribution specification).
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(format!("invalid reference format: {text:?}"));
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::new(format!(
                "invalid reference format: repository name ({name}) must be lowercase"
            )));
        }
        if name.len() <= 255 && name.split('/').all(is_component) && is_tag(tag) {
            Ok(Self { name: name.to_owned(), tag: tag.to_owned() })
        } else {
            Err(invalid())
        }
    }
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || b"._-".contains(byte))
        && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.len() <= 128
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl ImageName {
    /// Without the tag.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

/// Finds an image.
pub(crate) fn find(root: &Path, name: &ImageName) -> Result<Image, Error> {
    let directory = root.join("images").join(&name.name).join(&name.tag);
    let file = directory.join("config.json");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(root, name)),
        Err(error) => return Err(Error::path("read", &file, &error)),
    };
    let damaged = |error: &dyn fmt::Display| {
        Error::new(format!("the image configuration {} is damaged: {error}", file.display()))
            .hint("put the image into the store again")
    };
    let config = ImageConfig::parse(text.as_bytes()).map_err(|error| damaged(&error))?;
    let check = config.config.healthcheck.as_ref().map(Healthcheck::try_from);
    let healthcheck = check.transpose().map_err(|error| damaged(&error))?;
    Ok(Image { layers: vec![directory.join("rootfs")], config, healthcheck })
}

/// All images and their directories, by name. One of several names has one directory.
pub(crate) fn all(root: &Path) -> Result<Vec<(ImageName, PathBuf)>, Error> {
    let mut found = Vec::new();
    collect(&root.join("images"), "", &mut found)?;
    Ok(found)
}

/// A directory with a configuration is an image, and its own name the tag. `name` is that of the
/// directory below `images`.
fn collect(
    directory: &Path,
    name: &str,
    found: &mut Vec<(ImageName, PathBuf)>,
) -> Result<(), Error> {
    for entry in entries(directory)? {
        let path = directory.join(&entry);
        if path.join("config.json").is_file() {
            let path = path.canonicalize().unwrap_or(path);
            found.extend(format!("{name}:{entry}").parse().ok().map(|image| (image, path)));
        } else if path.is_dir() && entry.parse::<ImageName>().is_ok() {
            let name = if name.is_empty() { entry } else { format!("{name}/{entry}") };
            collect(&path, &name, found)?;
        }
    }
    Ok(())
}

fn unknown(root: &Path, name: &ImageName) -> Error {
    Error::new(format!(
        "Unable to find image '{name}' locally: there is none in {}",
        root.display()
    ))
    .hint("`cargo xtask rootfs` puts `alpine` there; `--rootfs DIR` runs any directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_tag() {
        assert_eq!("alpine".parse::<ImageName>().unwrap().to_string(), "alpine:latest");
        assert_eq!("my/app:1.2".parse::<ImageName>().unwrap().to_string(), "my/app:1.2");
    }

    #[test]
    fn names_cannot_leave_the_store() {
        for bad in
            ["", "..", "../x", "a/../b", "a//b", "/a", "a/", "a:", "a:../b", ".a", "a b", "a:-x"]
        {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
        let error = "Alpine".parse::<ImageName>().unwrap_err().to_string();
        assert!(error.contains("must be lowercase"), "{error}");
    }

    #[test]
    fn an_unknown_image_says_how_to_get_one() {
        let error = find(Path::new("/nonexistent"), &"nosuch".parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("Unable to find image 'nosuch:latest' locally"));
        assert!(error.advice().unwrap().contains("xtask rootfs"));
    }

    #[test]
    fn an_image_may_say_how_its_health_is_checked() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("images/x/latest");
        std::fs::create_dir_all(&directory).unwrap();
        let found = |config: &str| {
            let text = format!(
                r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},
                "history":[]{config}}}"#
            );
            std::fs::write(directory.join("config.json"), text).unwrap();
            find(root.path(), &"x".parse().unwrap()).map(|image| image.healthcheck)
        };
        assert_eq!(found("").unwrap(), None);
        assert_eq!(found(r#","config":{}"#).unwrap(), None);
        let check = r#","config":{"Healthcheck":{"Test":["CMD-SHELL","x"],"Retries":2}}"#;
        let expected = Healthcheck { retries: 2, ..Healthcheck::shell("x") };
        assert_eq!(found(check).unwrap(), Some(expected));
        let error = found(r#","config":{"Healthcheck":{"Retries":-1}}"#).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn a_damaged_configuration_is_told() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("images/x/latest");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), "{").unwrap();
        let error = find(root.path(), &"x".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}
