//! The contents of a lease file: a pure value with its text form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::Ipv4Subnet;

const HEADER: &str = "minidock leases 1";

/// Who has which address, and which was given last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) subnet: Ipv4Subnet,
    last: Option<Ipv4Addr>,
    owners: BTreeMap<Ipv4Addr, String>,
}

/// What makes a text no table: the line, from 1, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

impl Table {
    pub(crate) fn new(subnet: Ipv4Subnet) -> Self {
        Self { subnet, last: None, owners: BTreeMap::new() }
    }

    pub(crate) fn leases(&self) -> impl ExactSizeIterator<Item = (Ipv4Addr, &str)> {
        self.owners.iter().map(|(address, owner)| (*address, owner.as_str()))
    }

    pub(crate) fn of(&self, owner: &str) -> Option<Ipv4Addr> {
        self.leases().find(|(_, leased_to)| *leased_to == owner).map(|(address, _)| address)
    }

    /// The next free address after the one given last, round the subnet, `reserved` left out. A
    /// namespace dies some time after its lease: the address comes back as late as possible.
    pub(crate) fn allocate(&mut self, owner: &str, reserved: Ipv4Addr) -> Option<Ipv4Addr> {
        let last = self.last.unwrap_or(self.subnet.network());
        let hosts = self.subnet.hosts();
        let after = hosts.clone().skip_while(|host| *host <= last);
        let before = hosts.take_while(|host| *host <= last);
        let free = |host: &Ipv4Addr| *host != reserved && !self.owners.contains_key(host);
        let address = after.chain(before).find(free)?;
        self.owners.insert(address, owner.to_owned());
        self.last = Some(address);
        Some(address)
    }

    pub(crate) fn release(&mut self, owner: &str) -> Option<Ipv4Addr> {
        let address = self.of(owner)?;
        self.owners.remove(&address);
        Some(address)
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\nsubnet {}\n", self.subnet);
        // Writing to a String cannot fail.
        if let Some(last) = self.last {
            let _ = writeln!(text, "last {last}");
        }
        for (address, owner) in self.leases() {
            let _ = writeln!(text, "lease {address} {owner}");
        }
        let _ = writeln!(text, "end {}", self.owners.len());
        text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Corrupt> {
        let mut lines = text.split_inclusive('\n').zip(1..).peekable();
        let end = lines.clone().count() + 1;
        let mut next = || match lines.next() {
            Some((line, number)) => match line.strip_suffix('\n') {
                Some(line) => Ok((line, number)),
                None => Err(Corrupt { line: number, why: "is cut off" }),
            },
            None => Err(Corrupt { line: end, why: "is missing" }),
        };
        if next()?.0 != HEADER {
            return Err(Corrupt { line: 1, why: "is not \"minidock leases 1\"" });
        }
        let (line, _) = next()?;
        let subnet = line.strip_prefix("subnet ").and_then(|text| text.parse().ok());
        let mut table = Self::new(subnet.ok_or(Corrupt { line: 2, why: "names no subnet" })?);
        loop {
            let (line, number) = next()?;
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let read = match word {
                "last" => table.read_last(rest),
                "lease" => table.read_lease(rest),
                "end" if rest == table.owners.len().to_string() => break,
                "end" => Err("has not the number of leases"),
                _ => Err("has an unknown first word"),
            };
            read.map_err(|why| Corrupt { line: number, why })?;
        }
        match lines.next() {
            None => Ok(table),
            Some((_, line)) => Err(Corrupt { line, why: "follows the end" }),
        }
    }

    fn read_address(&self, text: &str) -> Result<Ipv4Addr, &'static str> {
        let address = text.parse().map_err(|_| "has no IPv4 address")?;
        match self.subnet.contains(address) {
            true => Ok(address),
            false => Err("has an address outside the subnet"),
        }
    }

    fn read_last(&mut self, text: &str) -> Result<(), &'static str> {
        match self.last.replace(self.read_address(text)?) {
            None => Ok(()),
            Some(_) => Err("names a second last address"),
        }
    }

    fn read_lease(&mut self, text: &str) -> Result<(), &'static str> {
        let (address, owner) = text.split_once(' ').ok_or("names no owner")?;
        check_owner(owner)?;
        let address = self.read_address(address)?;
        match self.owners.insert(address, owner.to_owned()) {
            None => Ok(()),
            Some(_) => Err("leases an address a second time"),
        }
    }
}

/// An owner is one word of a line.
pub(crate) fn check_owner(owner: &str) -> Result<(), &'static str> {
    match owner {
        "" => Err("is empty"),
        _ if owner.len() > 255 => Err("is longer than 255 bytes"),
        _ if owner.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err("contains white space or a control character")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn table(prefix: u8) -> Table {
        Table::new(format!("10.0.0.0/{prefix}").parse().unwrap())
    }

    #[test]
    fn addresses_are_given_in_turn_and_a_released_one_comes_back_last() {
        let mut table = table(29);
        let give = |table: &mut Table, owner: &str| {
            table.allocate(owner, GATEWAY).map(|address| address.octets()[3])
        };
        assert_eq!(give(&mut table, "a"), Some(2));
        assert_eq!(give(&mut table, "b"), Some(3));
        assert_eq!(table.release("a"), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(give(&mut table, "c"), Some(4));
        assert_eq!(give(&mut table, "d"), Some(5));
        assert_eq!(give(&mut table, "e"), Some(6));
        assert_eq!(give(&mut table, "f"), Some(2));
        assert_eq!(give(&mut table, "g"), None);
        assert_eq!(table.release("nobody"), None);
    }

    #[test]
    fn the_reserved_address_is_given_to_nobody_wherever_it_is() {
        let mut table = table(29);
        let reserved = Ipv4Addr::new(10, 0, 0, 4);
        let given: Vec<_> =
            (0..5).filter_map(|n| table.allocate(&format!("c{n}"), reserved)).collect();
        assert_eq!(given.len(), 5);
        assert!(!given.contains(&reserved));
        assert_eq!(table.allocate("more", reserved), None);
    }

    #[test]
    fn a_table_reads_back_what_it_prints() {
        let mut table = table(24);
        assert_eq!(Table::parse(&table.to_text()), Ok(table.clone()));
        for owner in ["one", "two", "0123456789abcdef"] {
            table.allocate(owner, GATEWAY);
        }
        table.release("two");
        let text = "minidock leases 1\nsubnet 10.0.0.0/24\nlast 10.0.0.4\nlease 10.0.0.2 one\n\
                    lease 10.0.0.4 0123456789abcdef\nend 2\n";
        assert_eq!(table.to_text(), text);
        assert_eq!(Table::parse(text), Ok(table));
    }

    #[test]
    fn every_prefix_of_a_table_is_corrupt() {
        let mut table = table(24);
        table.allocate("one", GATEWAY);
        table.allocate("two", GATEWAY);
        let text = table.to_text();
        for length in 0..text.len() {
            assert!(Table::parse(&text[..length]).is_err(), "{:?} was taken", &text[..length]);
        }
    }

    #[test]
    fn corruption_is_told_with_its_line() {
        let start = "minidock leases 1\nsubnet 10.0.0.0/24\n";
        let cases = [
            (String::new(), 1, "is missing"),
            ("minidock leases 2\n".to_owned(), 1, "is not \"minidock leases 1\""),
            ("minidock leases 1\nsubnet 10.0.0.1/24\n".to_owned(), 2, "names no subnet"),
            (format!("{start}lease 10.0.1.2 a\nend 1\n"), 3, "has an address outside the subnet"),
            (format!("{start}lease 10.0.0.x a\nend 1\n"), 3, "has no IPv4 address"),
            (format!("{start}lease 10.0.0.2\nend 1\n"), 3, "names no owner"),
            (
                format!("{start}lease 10.0.0.2 a b\nend 1\n"),
                3,
                "contains white space or a control character",
            ),
            (
                format!("{start}lease 10.0.0.2 a\nlease 10.0.0.2 b\nend 2\n"),
                4,
                "leases an address a second time",
            ),
            (
                format!("{start}last 10.0.0.2\nlast 10.0.0.3\nend 0\n"),
                4,
                "names a second last address",
            ),
            (format!("{start}\u{0}\u{0}\u{0}"), 3, "is cut off"),
            (format!("{start}what ever\n"), 3, "has an unknown first word"),
            (format!("{start}end 1\n"), 3, "has not the number of leases"),
            (format!("{start}end 0\nend 0\n"), 4, "follows the end"),
            (start.to_owned(), 3, "is missing"),
        ];
        for (text, line, why) in cases {
            assert_eq!(Table::parse(&text), Err(Corrupt { line, why }), "{text:?}");
        }
    }
}
