//! Whether the firewall is as it should be, and putting it back when somebody has wiped it.

use std::fs;
use std::io;

use minidock_net::nft::{Connection, Element};

use crate::endpoints::{CLOSED, CLOSED_SET};
use crate::{Engine, Error, endpoints};

/// Other processes start and end containers meanwhile.
const TRIES: usize = 10;

/// Makes the firewall anew, with what belongs to all networks and containers and nothing else.
pub(crate) fn reload(engine: &Engine) -> Result<(), Error> {
    // What a container has is neither changed nor given back between being looked at and made.
    let _unchanged = endpoints::lock_all(engine)?;
    let firewall = engine.state.firewall()?;
    let mut connection = Connection::open()?;
    // Also where nothing says any more that it was the engine that let the host pass packets on.
    let closed = firewall.present(&mut connection)?.into_iter();
    let closed: Vec<_> = closed.filter(|element| element.set == CLOSED_SET).collect();
    let mut made = endpoints::wanted(engine)?;
    let all: Vec<_> = closed.iter().chain(&made).cloned().collect();
    firewall.replace(&mut connection, &all)?;
    // What has come or gone while it was replaced is added or removed once more.
    for _ in 0..TRIES {
        let wanted = endpoints::wanted(engine)?;
        let (more, less) = (without(&wanted, &made), without(&made, &wanted));
        if more.is_empty() && less.is_empty() {
            return Ok(());
        }
        firewall.apply(&mut connection, &more)?;
        firewall.remove(&mut connection, &less)?;
        made = wanted;
    }
    Err(Error::new("containers come and go too fast to make the firewall anew").hint("try again"))
}

/// Lets the host pass on what is others', too. Nobody else's packets are shut out any more until the
/// engine has to let the host pass packets on again, as after a boot.
pub(crate) fn open(engine: &Engine) -> Result<(), Error> {
    let firewall = engine.state.firewall()?;
    // What the files say would come back with the next reload.
    for (name, family) in CLOSED {
        let path = engine.state.networks().join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::path("remove", &path, &error));
            }
            _ => {}
        }
        firewall.remove(&mut Connection::open()?, &[firewall.closed(family)])?;
    }
    Ok(())
}

/// What is wrong with the firewall, if anything is and containers need it.
pub(crate) fn fault(engine: &Engine) -> Result<Option<String>, Error> {
    // Without root a program connects containers: there is no firewall, nor could one be looked at.
    if !nix::unistd::geteuid().is_root() || endpoints::count(engine)? == 0 {
        return Ok(None);
    }
    // Those of a network come with its first container.
    let needed = endpoints::needed(engine)?;
    let firewall = engine.state.firewall()?;
    let mut connection = Connection::open()?;
    if !firewall.intact(&mut connection)? {
        return Ok(Some("the firewall's tables are missing or incomplete".to_owned()));
    }
    let missing = firewall.missing(&mut connection, &needed)?.len();
    Ok((missing > 0).then(|| format!("the firewall lacks {missing} elements")))
}

fn without(all: &[Element], some: &[Element]) -> Vec<Element> {
    all.iter().filter(|element| !some.contains(element)).cloned().collect()
}
