//! What the networks of a state directory are called on the host, which others share.

use std::path::Path;

use minidock_net::{Firewall, LinkName};

use super::hash;
use crate::Error;
use crate::state::StateDir;

/// The state directory of root, where no other is asked for.
pub const DEFAULT_STATE: &str = "/run/minidock";

/// The name of its tables.
const DEFAULT_FIREWALL: &str = "minidock";

impl StateDir {
    /// Names the directory where there is no room for its path: 64 hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        hash(self.path())
    }

    /// The bridge of the default network: each state directory has its own.
    pub(crate) fn default_bridge(&self) -> LinkName {
        match self.is_default() {
            true => LinkName::default_bridge(),
            false => LinkName::bridge(&self.hash()),
        }
    }

    /// The tables of this state directory's networks.
    pub(crate) fn firewall(&self) -> Result<Firewall, Error> {
        Ok(match self.is_default() {
            true => Firewall::new(DEFAULT_FIREWALL)?,
            false => Firewall::new(LinkName::bridge(&self.hash()).as_str())?,
        })
    }

    fn is_default(&self) -> bool {
        self.path() == Path::new(DEFAULT_STATE)
    }
}
