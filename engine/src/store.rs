//! The images of the store, as containers need them.

use std::path::{Path, PathBuf};

use minidock_fs::Overlay;
use minidock_image::config::Config;
use minidock_image::manifest::Platform;
use minidock_image::store::{SharedLock, Store, StoreError};
use minidock_image::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::{
    Engine, Error, Healthcheck, Kind, PullPolicy, RootSource, RunOptions, Transfer, ids, pull,
};

/// An image that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The unpacked layers, the uppermost first: shared by all containers and never written.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) base: Base,
    /// `HEALTHCHECK`, which is docker's own.
    pub(crate) healthcheck: Option<Healthcheck>,
}

/// What a container keeps of its image: what has its name later may be another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// The digest of its configuration.
    pub(crate) id: Digest,
    /// What it says of its containers.
    pub(crate) config: Config,
}

/// The store of a root directory.
pub(crate) fn open(root: &Path) -> Store {
    let remove = |path: &Path| ids::remove_tree(path).map_err(std::io::Error::other);
    Store::open(root).removing_trees_by(remove)
}

/// The image of a container that is about to be made, if it is made from one. Nobody removes it as
/// long as the lock is held: until the container says that it needs it. One that is not there is
/// pulled first, unless nothing is to be done.
pub(crate) fn take(
    engine: &Engine,
    options: &RunOptions,
    is_dry: bool,
) -> Result<(SharedLock, Option<Image>), Error> {
    let store = open(&engine.root);
    let RootSource::Image(name) = &options.source else { return Ok((store.reading()?, None)) };
    let platform = options.platform.as_deref();
    if options.pull == PullPolicy::Always && !is_dry {
        pull::for_container(engine, &name.parse()?, platform)?;
    }
    let lock = store.reading()?;
    let error = match find(&engine.root, name, platform) {
        Ok(image) => return Ok((lock, Some(image))),
        Err(error) => error,
    };
    let is_missing = error.what() == Kind::NoSuchImage && options.pull == PullPolicy::Missing;
    let reference = name.parse::<Reference>().ok().filter(|_| !is_id(name));
    match reference {
        Some(reference) if is_missing && !is_dry => {
            // A pull may need the store for itself.
            drop(lock);
            engine.transfers.tell(Transfer::Missing(reference.clone()));
            pull::for_container(engine, &reference, platform)?;
        }
        _ => return Err(error),
    }
    let lock = store.reading()?;
    Ok((lock, Some(find(&engine.root, name, platform)?)))
}

/// Whether it can only be the digest of something.
fn is_id(name: &str) -> bool {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Finds an image by its name, by its id or the beginning of that.
pub(crate) fn find(root: &Path, name: &str, platform: Option<&str>) -> Result<Image, Error> {
    let store = open(root);
    let image = match store.resolve(name) {
        Err(StoreError::NoSuchImage(_)) => return Err(unknown(root, name)),
        found => found?.image,
    };
    if let Some(wanted) = platform {
        check_platform(name, &image.config.platform(), wanted)?;
    }
    let mut layers = Vec::new();
    for diff_id in image.config.rootfs.diff_ids.iter().rev() {
        let Some(layer) = store.layer(diff_id)? else {
            return Err(Error::new(format!(
                "image {name} is not whole: layer {diff_id} is missing"
            ))
            .hint(format!("`minidock pull {name}` gets what is missing")));
        };
        let path = store.layer_path(diff_id);
        // Of a layer that is there twice the upper one hides all of the lower: overlayfs takes a
        // directory once.
        if !layers.contains(&path) {
            layers.push(path);
        }
        if layer.opaque {
            break;
        }
    }
    let (count, most) = (layers.len(), Overlay::MAX_LOWER);
    if count > most {
        return Err(Error::new(format!(
            "image {name} has {count} layers: a container can have {most}"
        )));
    }
    Image::new(layers, Base { id: image.id, config: image.config.config })
}

fn check_platform(name: &str, has: &Platform, wanted: &str) -> Result<(), Error> {
    let wanted: Platform = wanted.parse()?;
    if wanted.takes(has) {
        return Ok(());
    }
    Err(Error::new(format!(
        "image with reference {name} was found but its platform ({has}) does not match the specified platform ({wanted})"
    ))
    .kind(Kind::NoSuchImage))
}

impl Image {
    /// One of these layers, the uppermost first.
    pub(crate) fn new(layers: Vec<PathBuf>, base: Base) -> Result<Self, Error> {
        let check = base.config.healthcheck.as_ref().map(Healthcheck::try_from);
        Ok(Self { healthcheck: check.transpose()?, layers, base })
    }
}

/// How to get an image without a registry.
pub(crate) const OTHERWISE: &str = "`cargo xtask rootfs` puts `alpine` there, `minidock import` any archive; `--rootfs DIR` runs any directory";

fn unknown(root: &Path, name: &str) -> Error {
    // What is no name at all is told as that.
    let name = match name.parse::<Reference>() {
        Ok(reference) => reference.familiar(),
        Err(error) => return error.into(),
    };
    Error::new(format!(
        "Unable to find image '{name}' locally: there is none in {}",
        root.display()
    ))
    .kind(Kind::NoSuchImage)
    .hint(OTHERWISE)
}

/// Docker's words.
pub(crate) fn unknown_image(name: &str) -> Error {
    let name = name.parse::<Reference>().map_or_else(|_| name.to_owned(), |name| name.familiar());
    Error::new(format!("No such image: {name}")).kind(Kind::NoSuchImage)
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchImage(name) => unknown_image(&name),
            error => Self::new(error.to_string()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use minidock_image::config::{History, ImageConfig};
    use minidock_image::layer::{Options, Owner};
    use minidock_image::{add_image, add_layer};

    use super::*;

    /// Puts an image of these layers, the lowest first, into a store; each is files and what they
    /// hold.
    pub(crate) fn image(root: &Path, name: &str, layers: &[&[(&str, &[u8])]]) {
        image_with(root, name, layers, Config::default());
    }

    pub(crate) fn image_with(root: &Path, name: &str, layers: &[&[(&str, &[u8])]], config: Config) {
        let store = open(root);
        let options = Options { owner: Owner::Mine, devices: false, ..Options::default() };
        let mut whole = ImageConfig {
            created: Some("2026-01-02T03:04:05Z".to_owned()),
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            config,
            ..ImageConfig::default()
        };
        let mut archives = Vec::new();
        for files in layers {
            let layer = add_layer(&store, &archive(files)[..], &options).unwrap();
            whole.rootfs.diff_ids.push(layer.record.diff_id);
            whole.history.push(History::default());
            archives.push(layer.archive);
        }
        add_image(&store, &archives, &whole, &[name.parse().unwrap()]).unwrap();
    }

    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, contents) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn an_unknown_image_says_how_to_get_one() {
        let error = find(Path::new("/nonexistent"), "nosuch", None).unwrap_err();
        assert!(error.to_string().starts_with("Unable to find image 'nosuch:latest' locally"));
        assert!(error.advice().unwrap().contains("xtask rootfs"));
        assert_eq!(error.what(), Kind::NoSuchImage);
        let error = find(Path::new("/nonexistent"), "No Such", None).unwrap_err().to_string();
        assert!(error.starts_with("invalid reference format"), "{error}");
    }

    #[test]
    fn an_image_is_its_layers_and_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        let check = minidock_image::config::Healthcheck {
            test: Some(vec!["CMD-SHELL".to_owned(), "x".to_owned()]),
            retries: Some(2),
            ..Default::default()
        };
        let config = Config { healthcheck: Some(check), ..Config::default() };
        image_with(root.path(), "x", &[&[("a", b"low")], &[("a", b"high")]], config);
        let found = find(root.path(), "x", Some("linux/amd64")).unwrap();
        let read = |layer: &PathBuf| std::fs::read_to_string(layer.join("a")).unwrap();
        assert_eq!(found.layers.iter().map(read).collect::<Vec<_>>(), ["high", "low"]);
        let expected = Healthcheck { retries: 2, ..Healthcheck::shell("x") };
        assert_eq!(found.healthcheck, Some(expected));
        let by_id = find(root.path(), &found.base.id.short(), None).unwrap();
        assert_eq!(by_id.base, found.base);
        let error = find(root.path(), "x", Some("linux/arm64")).unwrap_err().to_string();
        assert!(error.contains("does not match the specified platform (linux/arm64)"), "{error}");
        std::fs::remove_dir_all(found.layers[0].parent().unwrap()).unwrap();
        let error = find(root.path(), "x", None).unwrap_err().to_string();
        assert!(error.contains("is not whole"), "{error}");
    }

    #[test]
    fn a_layer_that_is_there_twice_is_mounted_once() {
        let root = tempfile::tempdir().unwrap();
        let [one, other] = [[("a", &b"1"[..])], [("a", &b"2"[..])]];
        image(root.path(), "x", &[&one, &other, &one, &one]);
        let found = find(root.path(), "x", None).unwrap();
        let read = |layer: &PathBuf| std::fs::read_to_string(layer.join("a")).unwrap();
        assert_eq!(found.layers.iter().map(read).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_layer_that_hides_all_below_it_is_the_last() {
        let root = tempfile::tempdir().unwrap();
        let layers: [&[(&str, &[u8])]; 3] =
            [&[("a", b"")], &[(".wh..wh..opq", b"")], &[("b", b"")]];
        image(root.path(), "x", &layers);
        let found = find(root.path(), "x", None).unwrap();
        let names = |layer: &PathBuf| std::fs::read_dir(layer).unwrap().count();
        assert_eq!(found.layers.iter().map(names).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn a_healthcheck_that_means_nothing_is_told() {
        let root = tempfile::tempdir().unwrap();
        let check = minidock_image::config::Healthcheck { retries: Some(-1), ..Default::default() };
        let config = Config { healthcheck: Some(check), ..Config::default() };
        image_with(root.path(), "x", &[&[]], config);
        let error = find(root.path(), "x", None).unwrap_err().to_string();
        assert_eq!(error, "Retries in Healthcheck cannot be negative");
    }
}
