use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::table::{Table, check_owner};
use crate::{Error, InterfaceAddr, lock};

/// The addresses of a subnet that are in use, in a file which processes share.
///
/// Each change is made under an exclusive `flock(2)` of `PATH.lock` and replaces the file by
/// `rename(2)`: readers see the file before or after, never in between, and a process that is
/// killed leaves the one or the other. Nothing is flushed to a disk: namespaces do not survive
/// the machine's restart, so the file belongs on a tmpfs such as `/run`.
#[derive(Debug, Clone)]
pub struct Leases {
    path: PathBuf,
    gateway: InterfaceAddr,
}

/// An address in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: InterfaceAddr,
    /// Who has it, such as a container's id.
    pub owner: String,
}

impl Leases {
    /// The leases in the file `path` of the subnet that `gateway` is in, which itself is given to
    /// nobody: the bridge's address. The directory must exist, the file need not.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a subnet without hosts (/31, /32); [`Error::File`],
    /// [`Error::Corrupt`]; [`Error::OtherSubnet`] when the file has leases of another subnet.
    pub fn open(path: impl Into<PathBuf>, gateway: InterfaceAddr) -> Result<Self, Error> {
        if gateway.prefix() > 30 {
            return Err(Error::Invalid {
                what: "a subnet to lease addresses of",
                value: gateway.subnet().to_string(),
                why: "it has no address between the first and the last",
            });
        }
        let leases = Self { path: path.into(), gateway };
        leases.read()?;
        Ok(leases)
    }

    /// An address for `owner`: the next free one after that given last, or the one that `owner`
    /// has already.
    ///
    /// # Errors
    /// [`Error::Exhausted`]; [`Error::Invalid`] for an owner that is empty, above 255 bytes or
    /// has white space in it; as [`Leases::open`].
    pub fn allocate(&self, owner: &str) -> Result<InterfaceAddr, Error> {
        check_owner(owner).map_err(|why| Error::Invalid {
            what: "the owner of a lease",
            value: owner.to_owned(),
            why,
        })?;
        let _lock = self.lock()?;
        let mut table = self.read()?;
        if let Some(address) = table.of(owner) {
            return Ok(self.gateway.sibling(address));
        }
        let reserved = self.gateway.address();
        let address = table.allocate(owner, reserved).ok_or_else(|| Error::Exhausted {
            subnet: table.subnet,
            leased: table.leases().len(),
        })?;
        self.write(&table)?;
        Ok(self.gateway.sibling(address))
    }

    /// The address that [`Leases::allocate`] would give to a new owner now, without taking it;
    /// nothing when all are taken.
    ///
    /// # Errors
    /// As [`Leases::open`].
    pub fn next(&self) -> Result<Option<InterfaceAddr>, Error> {
        let address = self.read()?.allocate("next", self.gateway.address());
        Ok(address.map(|address| self.gateway.sibling(address)))
    }

    /// Gives the address of `owner` back and says which it was; nothing when there was none.
    ///
    /// # Errors
    /// As [`Leases::open`].
    pub fn release(&self, owner: &str) -> Result<Option<Ipv4Addr>, Error> {
        let _lock = self.lock()?;
        let mut table = self.read()?;
        let released = table.release(owner);
        if released.is_some() {
            self.write(&table)?;
        }
        Ok(released)
    }

    /// All leases in the order of their addresses.
    ///
    /// # Errors
    /// As [`Leases::open`].
    pub fn list(&self) -> Result<Vec<Lease>, Error> {
        let table = self.read()?;
        let lease = |(address, owner): (_, &str)| Lease {
            address: self.gateway.sibling(address),
            owner: owner.to_owned(),
        };
        Ok(table.leases().map(lease).collect())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// The file itself cannot be the lock: it is replaced.
    fn lock(&self) -> Result<File, Error> {
        lock::exclusive(&self.beside(".lock"))
    }

    fn read(&self) -> Result<Table, Error> {
        let wanted = self.gateway.subnet();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Table::new(wanted)),
            Err(source) => return Err(failed("read", &self.path, source)),
        };
        // What is not UTF-8 is no word of the format either; it must not shift the line numbers.
        let table = Table::parse(&String::from_utf8_lossy(&bytes)).map_err(|corrupt| {
            Error::Corrupt { path: self.path.clone(), line: corrupt.line, why: corrupt.why }
        })?;
        match table.subnet {
            found if found == wanted => Ok(table),
            // Nobody holds an address of the former subnet.
            _ if table.leases().len() == 0 => Ok(Table::new(wanted)),
            found => Err(Error::OtherSubnet { path: self.path.clone(), wanted, found }),
        }
    }

    /// To be called with the lock: the temporary file has a fixed name, so that what a killed
    /// process left of it is used up.
    fn write(&self, table: &Table) -> Result<(), Error> {
        let path = self.beside(".new");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        options
            .open(&path)
            .and_then(|mut file| file.write_all(table.to_text().as_bytes()))
            .map_err(|source| failed("write", &path, source))?;
        fs::rename(&path, &self.path).map_err(|source| failed("replace", &self.path, source))
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { operation, path: path.to_owned(), source }
}
