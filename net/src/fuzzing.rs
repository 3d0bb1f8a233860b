//! What has to hold for any input whatever. The fuzz targets in `fuzz/` come in by this door, and
//! so do the tests that replay the inputs kept there; no other build has it.
//!
//! Each function takes the bytes of one input and panics when a property does not hold.

use crate::PublishedPort;
use crate::table::Table;

/// A published port: what is read is what is meant, printed and read again.
pub fn ports(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let ports = match PublishedPort::parse(&text) {
        Ok(ports) => ports,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!ports.is_empty());
    let one = ports.len() == 1;
    for (index, port) in ports.iter().enumerate() {
        assert_ne!(port.container, 0);
        assert_eq!(usize::from(port.container), usize::from(ports[0].container) + index);
        if let Some(host) = port.host {
            assert!(host.ports().len() >= 1 && host.ports().all(|port| port > 0));
            assert!(one || host.ports().len() == 1, "each has its own");
        }
        assert_eq!(PublishedPort::parse(&port.to_string()), Ok(vec![port.clone()]));
    }
}

/// A lease file: what is a table reads back what it prints, and nobody has an address twice.
pub fn leases(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(table) = Table::parse(&text) else { return };
    let again = Table::parse(&table.to_text());
    assert_eq!(again.as_ref(), Ok(&table));
    let subnets = table.subnets();
    for (address, owner) in table.leases() {
        assert!(subnets.iter().any(|subnet| subnet.contains(address)));
        assert!(table.of(owner).contains(&address));
    }
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn kept_ports_hold() {
        replay("ports", ports);
    }

    #[test]
    fn kept_leases_hold() {
        replay("leases", leases);
    }
}
