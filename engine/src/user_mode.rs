//! Networks for a caller without root: a program of the host's, `pasta(1)` or `slirp4netns(1)`, makes
//! the container's connections its own, as the caller.
//!
//! It runs beside the container, in the container's user and network namespaces as far as it needs
//! them, and is the only program that the engine executes for this. `STATE/containers/<id>/connector`
//! names the process before it does anything; it dies with whoever is in charge of the container, and
//! whoever undoes the container ends it.

mod command;
mod plan;
mod request;
mod start;

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use minidock_net::Family;
use serde::{Deserialize, Serialize};

use crate::endpoints::PortBinding;
use crate::{Error, NetworkMode, RunOptions};

pub(crate) use command::{Connector, connector};
pub(crate) use plan::{leads_out, plan};
pub(crate) use start::{end, find, start};

/// A program that connects a container without root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserMode {
    /// `pasta(1)`: the container has the host's own addresses, of both families.
    Pasta,
    /// `slirp4netns(1)`: the container has 10.0.2.100, and IPv4 only.
    Slirp4netns,
}

/// The address of the container by slirp4netns, whose network is always the same.
const SLIRP_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

impl UserMode {
    /// All, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Pasta, Self::Slirp4netns];

    /// The program's name, which is the network's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp4netns => "slirp4netns",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The package that it comes in, with every distribution.
    fn package(self) -> &'static str {
        match self {
            Self::Pasta => "passt",
            Self::Slirp4netns => "slirp4netns",
        }
    }

    /// Where it takes questions for the host's own name server, which may listen on the host's
    /// loopback device alone.
    fn resolver(self) -> IpAddr {
        match self {
            Self::Pasta => IpAddr::from([169, 254, 1, 1]),
            Self::Slirp4netns => IpAddr::from([10, 0, 2, 3]),
        }
    }
}

impl fmt::Display for UserMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) mode: UserMode,
    pub(crate) program: PathBuf,
}

/// What of a container's network the steps depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserNetwork {
    pub(crate) installed: Installed,
    /// By which the host leads out. None when it does not.
    pub(crate) families: Vec<Family>,
    pub(crate) published: Vec<PortBinding>,
    /// The host's name servers cannot be reached from elsewhere: they are asked by the program.
    pub(crate) asks_host: bool,
}

impl UserNetwork {
    /// Whom the container asks for names instead of the host's servers.
    pub(crate) fn resolver(&self) -> Option<IpAddr> {
        self.asks_host.then(|| self.installed.mode.resolver())
    }

    /// By which the container finds itself. pasta's is the host's, which may change.
    pub(crate) fn own_address(&self) -> IpAddr {
        match self.installed.mode {
            UserMode::Pasta => Ipv4Addr::LOCALHOST.into(),
            UserMode::Slirp4netns => SLIRP_ADDRESS.into(),
        }
    }
}

/// Those that there are in the directories of a `PATH`, the preferred one first.
pub(crate) fn installed(path: &OsStr) -> Vec<Installed> {
    let find = |mode: UserMode| {
        let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
        let mut places = directories.map(|directory| directory.join(mode.name()));
        Some(Installed { mode, program: places.find(|place| is_program(place))? })
    };
    UserMode::ALL.into_iter().filter_map(find).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The network of a container without root: the one that was asked for, or else the best that there
/// is. A host from which nothing leads out has none to give.
pub(crate) fn settle(
    options: &RunOptions,
    (installed, leads_out): (&[Installed], bool),
) -> Result<NetworkMode, Error> {
    let is_there = |mode: UserMode| installed.iter().any(|one| one.mode == mode);
    let publishes = options.publishing.all || !options.publishing.ports.is_empty();
    match &options.network {
        Some(NetworkMode::Joined(_)) => {
            let hint = match installed.first() {
                Some(one) => format!("use --network {}, none, or run it with sudo", one.mode),
                None => {
                    "install passt for --network pasta, use none, or run it with sudo".to_owned()
                }
            };
            let what = "cannot connect to a bridge: that takes root on the host's network";
            Err(Error::new(what).hint(hint))
        }
        Some(NetworkMode::UserMode(mode)) if !is_there(*mode) => {
            let package = mode.package();
            Err(Error::new(format!("cannot connect the container: {mode} is not in PATH"))
                .hint(format!("install the package {package}, or use --network none")))
        }
        Some(mode) => Ok(mode.clone()),
        None => match installed.first() {
            Some(one) if leads_out || publishes => Ok(NetworkMode::UserMode(one.mode)),
            None if publishes => {
                Err(Error::new("cannot publish ports: without root that takes pasta")
                    .hint("install the package passt (or slirp4netns), or run it with sudo"))
            }
            _ => Ok(NetworkMode::None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    fn both() -> Vec<Installed> {
        let one = |mode: UserMode| Installed { mode, program: mode.name().into() };
        UserMode::ALL.map(one).to_vec()
    }

    fn settled(
        installed: &[Installed],
        change: impl FnOnce(&mut RunOptions),
    ) -> Result<NetworkMode, String> {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        change(&mut options);
        let told = |error: Error| format!("{error}: {}", error.advice().unwrap_or_default());
        settle(&options, (installed, true)).map_err(told)
    }

    #[test]
    fn the_first_that_is_installed_is_the_default() {
        let both = both();
        let network = |installed: &[Installed]| settled(installed, |_| {}).unwrap();
        assert_eq!(network(&both), NetworkMode::UserMode(UserMode::Pasta));
        assert_eq!(network(&both[1..]), NetworkMode::UserMode(UserMode::Slirp4netns));
        assert_eq!(network(&[]), NetworkMode::None);
        let options = RunOptions::new(RootSource::Image("x".to_owned()));
        assert_eq!(settle(&options, (&both, false)).unwrap(), NetworkMode::None);
    }

    #[test]
    fn what_is_asked_for_is_had_or_refused_with_what_to_install() {
        let ask = |installed: &[Installed], mode: NetworkMode| {
            settled(installed, |options| options.network = Some(mode))
        };
        let pasta = NetworkMode::UserMode(UserMode::Pasta);
        assert_eq!(ask(&both(), pasta.clone()), Ok(pasta.clone()));
        assert_eq!(ask(&both(), NetworkMode::None), Ok(NetworkMode::None));
        let refused = ask(&both()[1..], pasta).unwrap_err();
        assert!(refused.contains("install the package passt"), "{refused}");
        let refused = ask(&both(), NetworkMode::bridge()).unwrap_err();
        assert!(refused.contains("use --network pasta"), "{refused}");
        let refused = ask(&[], NetworkMode::bridge()).unwrap_err();
        assert!(refused.contains("install passt"), "{refused}");
        let port = |options: &mut RunOptions| options.publishing.all = true;
        let refused = settled(&[], port).unwrap_err();
        assert!(refused.contains("install the package passt"), "{refused}");
        assert!(settled(&both(), port).is_ok());
    }

    #[test]
    fn programs_are_looked_for_in_absolute_directories() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("pasta");
        std::fs::write(&place, "").unwrap();
        let look = |path: &str| installed(OsStr::new(path));
        let path = format!("::{}:/nonexistent", directory.path().display());
        assert_eq!(look(&path), []);
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(look(&path), [Installed { mode: UserMode::Pasta, program: place }]);
        assert_eq!(look("."), []);
    }
}
