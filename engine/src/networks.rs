//! The networks of a root directory. One that was made is described in `ROOT/networks/<name>.json`;
//! the default one is there without.

mod create;
mod damaged;
mod methods;
mod remove;
mod state;
mod used;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use minidock_net::{DEFAULT_MTU, Family, InterfaceAddr, LinkName, Pool, Subnet};
use serde::{Deserialize, Serialize};

use crate::containers::{entries, write};
use crate::locks::{lock_if_free, make_private, open_locked};
use crate::{DEFAULT_NETWORK, Engine, Error, Kind, as_text};

pub use create::NetworkOptions;
pub(crate) use create::taken_by;
pub use remove::PrunedNetworks;
pub use state::DEFAULT_STATE;
pub use used::NetworkMember;

/// What containers can have instead of networks, shown among them.
pub const PLAIN_NETWORKS: [&str; 2] = ["host", "none"];

/// What descriptions end with.
const SUFFIX: &str = ".json";

/// A network that containers join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, nanoseconds since the epoch.
    pub created: u64,
    /// `--label`, in order.
    pub labels: Vec<(String, String)>,
    /// `--internal`: nothing goes out of it and nothing comes in.
    pub internal: bool,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// The link that it is on the host.
    #[serde(with = "as_text")]
    pub bridge: LinkName,
    /// One of a family at most. None: the default network, whose one is chosen when its bridge is
    /// made.
    pub subnets: Vec<NetworkSubnet>,
}

/// The addresses of a network, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSubnet {
    /// The bridge's address, with the length of the subnet.
    #[serde(with = "as_text")]
    pub gateway: InterfaceAddr,
    /// `--ip-range`: containers that ask for no address get one of these.
    #[serde(with = "as_text::maybe")]
    pub range: Option<Subnet>,
}

/// The networks of a root directory.
#[derive(Debug)]
pub(crate) struct Networks<'a>(&'a Engine);

/// As long as it exists nobody makes or removes a network.
#[derive(Debug)]
pub(crate) struct NetworksLock(#[allow(dead_code, reason = "held for its lock")] File);

impl Network {
    /// The default network of an engine.
    pub(crate) fn default_of(engine: &Engine) -> Self {
        Self {
            id: engine.state.hash(),
            name: DEFAULT_NETWORK.to_owned(),
            created: 0,
            labels: Vec::new(),
            internal: false,
            mtu: DEFAULT_MTU,
            bridge: engine.state.default_bridge(),
            subnets: Vec::new(),
        }
    }

    /// Whether it is the one that is always there.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_NETWORK
    }

    /// Whether a text that names a network names this one, when no other is meant.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        self.name == text || (!text.is_empty() && self.id.starts_with(text))
    }

    /// Its subnet of a family.
    #[must_use]
    pub fn subnet(&self, family: Family) -> Option<&NetworkSubnet> {
        self.subnets.iter().find(|subnet| subnet.gateway.family() == family)
    }
}

impl NetworkSubnet {
    pub(crate) fn pool(&self) -> Result<Pool, Error> {
        let pool = Pool::new(self.gateway)?;
        Ok(match self.range {
            Some(range) => pool.within(range)?,
            None => pool,
        })
    }
}

impl<'a> Networks<'a> {
    pub(crate) fn of(engine: &'a Engine) -> Self {
        Self(engine)
    }

    fn directory(&self) -> PathBuf {
        self.0.root.join("networks")
    }

    /// Where one is described.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}{SUFFIX}"))
    }

    /// Until it is dropped no network is made or removed.
    pub(crate) fn lock_shared(&self) -> Result<NetworksLock, Error> {
        make_private(&self.directory())?;
        open_locked(&self.directory(), File::lock_shared).map(NetworksLock)
    }

    /// To make or remove one.
    pub(crate) fn lock(&self) -> Result<NetworksLock, Error> {
        make_private(&self.directory())?;
        open_locked(&self.directory(), File::lock).map(NetworksLock)
    }

    /// A network by its name, its id, or the beginning of one id only.
    pub(crate) fn find(&self, text: &str) -> Result<Network, Error> {
        if text == DEFAULT_NETWORK {
            return Ok(Network::default_of(self.0));
        }
        if create::check_name(text).is_ok()
            && let Some(network) = self.read(text)?
        {
            return Ok(network);
        }
        let mut found = self
            .all()?
            .into_iter()
            .filter(|network| !text.is_empty() && network.id.starts_with(text));
        match (found.next(), found.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => {
                Err(Error::new(format!("several networks have an id that begins with {text}")))
            }
            (None, _) => Err(Error::new(format!("network {text} not found"))
                .kind(Kind::NoSuchNetwork)
                .hint("minidock network ls lists them")),
        }
    }

    /// All that can be understood, the default one first, then by name.
    pub(crate) fn all(&self) -> Result<Vec<Network>, Error> {
        let mut all = vec![Network::default_of(self.0)];
        all.extend(self.described()?);
        Ok(all)
    }

    /// Those of them that were made, by name.
    pub(crate) fn described(&self) -> Result<Vec<Network>, Error> {
        let names = self.names()?;
        // One may have been removed since.
        Ok(names.iter().filter_map(|name| self.read(name).ok().flatten()).collect())
    }

    /// Those that were made and cannot be understood, and why.
    pub(crate) fn damaged(&self) -> Result<Vec<(String, Error)>, Error> {
        let names = self.names()?.into_iter();
        Ok(names.filter_map(|name| Some((name.clone(), self.read(&name).err()?))).collect())
    }

    /// The names of all that were made, damaged ones too.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let files = entries(&self.directory())?;
        Ok(files.iter().filter_map(|name| name.strip_suffix(SUFFIX)).map(str::to_owned).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Network>, Error> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::path("understand", &path, &error.into()))
                .map_err(|error| error.hint(format!("minidock network rm {name} removes it"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::path("read", &path, &error)),
        }
    }

    /// Writes one down, to stay.
    pub(crate) fn write(&self, _lock: &NetworksLock, network: &Network) -> Result<(), Error> {
        write(&self.directory(), &format!("{}{SUFFIX}", network.name), network, true)
    }

    /// What killed processes have left half written. Nobody writes but who has the lock.
    pub(crate) fn discard_drafts(&self, _lock: &NetworksLock) -> Result<(), Error> {
        for path in self.drafts()? {
            fs::remove_file(&path).map_err(|error| Error::path("remove", &path, &error))?;
        }
        Ok(())
    }

    /// The same, unless somebody makes or removes a network just now.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        if self.drafts()?.is_empty() {
            return Ok(());
        }
        match lock_if_free(&self.directory())? {
            Some(lock) => self.discard_drafts(&NetworksLock(lock)),
            None => Ok(()),
        }
    }

    /// Descriptions that are being written, or were left so.
    pub(crate) fn drafts(&self) -> Result<Vec<PathBuf>, Error> {
        let directory = self.directory();
        let names = entries(&directory)?.into_iter();
        Ok(names.filter(|name| !name.ends_with(SUFFIX)).map(|name| directory.join(name)).collect())
    }

    /// Forgets one.
    pub(crate) fn forget(&self, _lock: &NetworksLock, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        fs::remove_file(&path).map_err(|error| Error::path("remove", &path, &error))
    }
}

/// A hash of 64 hexadecimal digits, for what has no random id.
pub(crate) fn hash(path: &Path) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut text = String::new();
    for _ in 0..4 {
        for byte in path.as_os_str().as_encoded_bytes() {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        text.push_str(&format!("{state:016x}"));
    }
    text
}
