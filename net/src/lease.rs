use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::table::{Table, check_owner};
use crate::{Error, Family, InterfaceAddr, Subnet, lock, sys};

/// The addresses of a network's subnets that are in use, in a file which processes share.
///
/// Each change is made under an exclusive `flock(2)` of `PATH.lock` and replaces the file by
/// `rename(2)`: readers see the file before or after, never in between, and a process that is
/// killed leaves the one or the other. Nothing is flushed to a disk: namespaces do not survive
/// the machine's restart, so the file belongs on a tmpfs such as `/run`.
#[derive(Debug, Clone)]
pub struct Leases {
    path: PathBuf,
    pools: Vec<Pool>,
}

/// What addresses are given from: a subnet with its gateway, and the part of it that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    gateway: InterfaceAddr,
    range: Subnet,
}

/// An address in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: InterfaceAddr,
    /// Who has it, such as a container's id.
    pub owner: String,
}

impl Pool {
    /// The subnet that `gateway` is in, which itself is given to nobody: the bridge's address.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a subnet without hosts: the smallest two of a family.
    pub fn new(gateway: InterfaceAddr) -> Result<Self, Error> {
        let subnet = gateway.subnet();
        if gateway.family().bits().saturating_sub(gateway.prefix()) < 2 {
            return Err(Error::Invalid {
                what: "a subnet to lease addresses of",
                value: subnet.to_string(),
                why: "it has no address between the first and the last",
            });
        }
        Ok(Self { gateway, range: subnet })
    }

    /// The same with only the addresses of `range` given in turn.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the range is not a part of the subnet.
    pub fn within(self, range: Subnet) -> Result<Self, Error> {
        match self.subnet().holds(&range) {
            true => Ok(Self { range, ..self }),
            false => Err(Error::Invalid {
                what: "a range of addresses",
                value: range.to_string(),
                why: "it is not a part of the network's subnet",
            }),
        }
    }

    /// The bridge's address.
    #[must_use]
    pub fn gateway(&self) -> InterfaceAddr {
        self.gateway
    }

    /// The subnet.
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        self.gateway.subnet()
    }

    fn next(&self, table: &mut Table, owner: &str) -> Result<IpAddr, Error> {
        table.allocate(owner, &self.range, self.gateway.address()).ok_or_else(|| Error::Exhausted {
            range: self.range,
            leased: table.leased(&self.range),
        })
    }

    fn fixed(&self, table: &mut Table, owner: &str, address: IpAddr) -> Result<IpAddr, Error> {
        if !self.subnet().has_host(address) {
            return Err(Error::OutsideSubnet { address, subnets: vec![self.subnet()] });
        }
        let holder = match table.owner(address) {
            _ if address == self.gateway.address() => "the gateway",
            Some(holder) => holder,
            None => {
                table.give(owner, address);
                return Ok(address);
            }
        };
        Err(Error::AddressInUse { address, owner: holder.to_owned() })
    }
}

impl Leases {
    /// The leases in the file `path` of addresses from the pools, one for each family at most. The
    /// directory must exist, the file need not.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no pool, or two of a family; [`Error::File`], [`Error::Corrupt`];
    /// [`Error::OtherSubnet`] when the file has leases of other subnets.
    pub fn open(path: impl Into<PathBuf>, pools: &[Pool]) -> Result<Self, Error> {
        let mut pools = pools.to_vec();
        pools.sort_by_key(|pool| pool.gateway.family());
        let twice = pools.windows(2).any(|two| two[0].gateway.family() == two[1].gateway.family());
        if pools.is_empty() || twice {
            let gateways: Vec<_> = pools.iter().map(|pool| pool.gateway.to_string()).collect();
            return Err(Error::Invalid {
                what: "the subnets of a network",
                value: gateways.join(" "),
                why: "one of a family, and at least one, are expected",
            });
        }
        let leases = Self { path: path.into(), pools };
        leases.read()?;
        Ok(leases)
    }

    /// The leases in an existing file, of whatever subnets it says; nothing when there is no file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Corrupt`].
    pub fn recorded(path: impl Into<PathBuf>) -> Result<Option<Self>, Error> {
        let path = path.into();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path, source)),
        };
        let subnets = parsed(&path, &bytes)?.subnets();
        let pool = |subnet: Subnet| Pool { gateway: subnet.gateway(), range: subnet };
        Ok(Some(Self { path, pools: subnets.into_iter().map(pool).collect() }))
    }

    /// An address of each pool for `owner`, IPv4 first: the one in `fixed`, if there is one of the
    /// family, otherwise the next free one after that given last. An owner who has addresses
    /// already keeps them, unless another one is asked for. All or nothing.
    ///
    /// # Errors
    /// [`Error::Exhausted`]; for a fixed address [`Error::AddressInUse`], also by the gateway, and
    /// [`Error::OutsideSubnet`]; [`Error::Invalid`] for an owner that is empty, above 255 bytes or
    /// has white space in it; as [`Leases::open`].
    pub fn allocate(&self, owner: &str, fixed: &[IpAddr]) -> Result<Vec<InterfaceAddr>, Error> {
        check_owner(owner).map_err(|why| Error::Invalid {
            what: "the owner of a lease",
            value: owner.to_owned(),
            why,
        })?;
        let _lock = self.lock()?;
        let mut table = self.read()?;
        let own = table.of(owner);
        if !own.is_empty() && fixed.iter().all(|address| own.contains(address)) {
            return Ok(own.into_iter().filter_map(|address| self.on_link(address)).collect());
        }
        table.release(owner);
        let given = self.take(&mut table, owner, fixed)?;
        self.write(&table)?;
        Ok(given)
    }

    /// The addresses that [`Leases::allocate`] would give to a new owner now, without taking them.
    ///
    /// # Errors
    /// As [`Leases::allocate`].
    pub fn next(&self, fixed: &[IpAddr]) -> Result<Vec<InterfaceAddr>, Error> {
        self.take(&mut self.read()?, "next", fixed)
    }

    fn take(
        &self,
        table: &mut Table,
        owner: &str,
        fixed: &[IpAddr],
    ) -> Result<Vec<InterfaceAddr>, Error> {
        let has_pool = |address: &&IpAddr| self.pool(Family::of(**address)).is_some();
        if let Some(address) = fixed.iter().find(|address| !has_pool(address)) {
            let subnets = self.pools.iter().map(Pool::subnet).collect();
            return Err(Error::OutsideSubnet { address: *address, subnets });
        }
        let mut given = Vec::new();
        for pool in &self.pools {
            let family = pool.gateway.family();
            let address = match fixed.iter().find(|address| Family::of(**address) == family) {
                Some(address) => pool.fixed(table, owner, *address)?,
                None => pool.next(table, owner)?,
            };
            given.push(InterfaceAddr::new(address, pool.gateway.prefix())?);
        }
        Ok(given)
    }

    /// Gives the addresses of `owner` back and says which they were; none the second time. The
    /// file may be of other subnets by now.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Corrupt`].
    pub fn release(&self, owner: &str) -> Result<Vec<IpAddr>, Error> {
        let _lock = self.lock()?;
        let Some(mut table) = self.table()? else { return Ok(Vec::new()) };
        let released = table.release(owner);
        if !released.is_empty() {
            match self.write(&table) {
                Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                    self.shrink(&table)?;
                }
                written => written?,
            }
        }
        Ok(released)
    }

    /// All leases in the order of their addresses.
    ///
    /// # Errors
    /// As [`Leases::open`].
    pub fn list(&self) -> Result<Vec<Lease>, Error> {
        let table = self.read()?;
        let lease = |(address, owner): (_, &str)| {
            Some(Lease { address: self.on_link(address)?, owner: owner.to_owned() })
        };
        Ok(table.leases().filter_map(lease).collect())
    }

    /// What addresses are given from, IPv4 first.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn pool(&self, family: Family) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.gateway.family() == family)
    }

    fn on_link(&self, address: IpAddr) -> Option<InterfaceAddr> {
        InterfaceAddr::new(address, self.pool(Family::of(address))?.gateway.prefix()).ok()
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
        let wanted: Vec<_> = self.pools.iter().map(Pool::subnet).collect();
        match self.table()? {
            None => Ok(Table::new(&wanted)),
            Some(table) if table.subnets() == wanted => Ok(table),
            // Nobody holds an address of the former subnets.
            Some(table) if table.leases().len() == 0 => Ok(Table::new(&wanted)),
            Some(table) => {
                let (path, found) = (self.path.clone(), table.subnets());
                Err(Error::OtherSubnet { path, wanted, found })
            }
        }
    }

    fn table(&self) -> Result<Option<Table>, Error> {
        match fs::read(&self.path) {
            Ok(bytes) => parsed(&self.path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &self.path, source)),
        }
    }

    /// On a full file system, where there is no room for a second file: an address can be given
    /// back all the same. To be called with the lock.
    fn shrink(&self, table: &Table) -> Result<(), Error> {
        drop(fs::remove_file(self.beside(".new")));
        if table.leases().len() == 0 {
            let removed = fs::remove_file(&self.path);
            return removed.map_err(|source| failed("remove", &self.path, source));
        }
        let text = table.to_text();
        let length = text.len() as u64;
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes()).and_then(|()| file.set_len(length))
            })
            .map_err(|source| failed("write", &self.path, source))
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
        self.replace_by(&path)
    }

    /// By an exchange where the file system can: a file that is renamed onto another one is written
    /// to the disk first by ext4, and that takes milliseconds.
    fn replace_by(&self, new: &Path) -> Result<(), Error> {
        match sys::exchange(new, &self.path) {
            // What is left of it when this is cut off is used up.
            Ok(()) => fs::remove_file(new).map_err(|source| failed("remove", new, source)),
            // Or there is no file yet.
            Err(_) => {
                fs::rename(new, &self.path).map_err(|source| failed("replace", &self.path, source))
            }
        }
    }
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<Table, Error> {
    // What is not UTF-8 is no word of the format either; it must not shift the line numbers.
    Table::parse(&String::from_utf8_lossy(bytes)).map_err(|corrupt| Error::Corrupt {
        path: path.to_owned(),
        line: corrupt.line,
        why: corrupt.why,
    })
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { operation, path: path.to_owned(), source }
}
