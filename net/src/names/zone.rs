use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::HostName;

/// Who has which name on a network.
pub trait Zone {
    /// The addresses of `name`, which is in lower case and has no dot at its end, as `asker` is to
    /// see them. `None` when the name is nobody's here: somebody else is asked then.
    fn addresses(&self, asker: IpAddr, name: &str) -> Option<Vec<IpAddr>>;

    /// The name of who has `address`. `None` when nobody here has.
    fn name_of(&self, asker: IpAddr, address: IpAddr) -> Option<HostName>;

    /// Whether this asker gets any answer at all.
    fn serves(&self, asker: IpAddr) -> bool {
        let _ = asker;
        true
    }

    /// The servers that know what the zone does not, for this asker. None: those of the host.
    fn servers(&self, asker: IpAddr) -> Vec<IpAddr> {
        let _ = asker;
        Vec::new()
    }

    /// Readable when there is something to [`refresh`](Self::refresh).
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Takes in what has changed. Called before each answer, so it has to be quick when nothing
    /// has.
    fn refresh(&mut self) {}
}
