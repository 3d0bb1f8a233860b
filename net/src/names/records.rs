use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Endpoint, EndpointId, Error, HostName};

/// The records of who is on which network: `ROOT/<network>/<id>` holds an [`Endpoint`]. Whoever
/// makes and removes containers writes them, a [`RecordZone`](super::RecordZone) reads them.
#[derive(Debug, Clone)]
pub struct Records {
    root: PathBuf,
}

impl Records {
    /// Records below `root`, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the networks are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes down an endpoint of a network, in place of what there was of the same id. Readers
    /// see the old record or the new one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn put(&self, network: &HostName, endpoint: &Endpoint) -> Result<(), Error> {
        let directory = self.directory(network);
        fs::create_dir_all(&directory).map_err(file("make", &directory))?;
        // No id begins with a dot, so nobody takes this for a record.
        let unfinished = directory.join(format!(".{}", endpoint.id));
        let path = directory.join(endpoint.id.as_str());
        fs::write(&unfinished, endpoint.to_string()).map_err(file("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(file("write", &path))
    }

    /// Forgets an endpoint. Says whether there was a record.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self, network: &HostName, id: &EndpointId) -> Result<bool, Error> {
        let directory = self.directory(network);
        let unfinished = directory.join(format!(".{id}"));
        gone(fs::remove_file(&unfinished)).map_err(file("remove", &unfinished))?;
        let path = directory.join(id.as_str());
        gone(fs::remove_file(&path)).map_err(file("remove", &path))
    }

    /// Forgets a network with all that is on it. Says whether there was one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove_network(&self, network: &HostName) -> Result<bool, Error> {
        let directory = self.directory(network);
        gone(fs::remove_dir_all(&directory)).map_err(file("remove", &directory))
    }

    /// What is written down of an endpoint.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Damaged`].
    pub fn get(&self, network: &HostName, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
        read(&self.directory(network).join(id.as_str()))
    }

    /// Whom there are records of on a network, whatever they say. Nobody, where there is no such
    /// network.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn ids(&self, network: &HostName) -> Result<Vec<EndpointId>, Error> {
        let directory = self.directory(network);
        let failed = file("read", &directory);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(&failed)?.file_name();
            // What is no id is none that `put` has finished.
            ids.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        Ok(ids)
    }

    fn directory(&self, network: &HostName) -> PathBuf {
        self.root.join(network.as_str())
    }
}

pub(super) fn read(path: &Path) -> Result<Option<Endpoint>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => match text.parse() {
            Ok(endpoint) => Ok(Some(endpoint)),
            Err(Error::Record { line, why }) => {
                Err(Error::Damaged { path: path.to_path_buf(), line, why })
            }
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

pub(super) fn file(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::File { operation, path: path.to_path_buf(), source }
}

fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
