//! The contents of a lease file: a pure value with its text form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::{Family, Subnet};

const HEADER: &str = "minidock leases 1";

/// Who has which addresses, and which was given last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    parts: Vec<Part>,
    owners: BTreeMap<IpAddr, String>,
}

/// A subnet, one at most of each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    subnet: Subnet,
    last: Option<IpAddr>,
}

/// So many addresses take turns although fewer are needed.
const LEAST_TURNS: usize = 256;

/// What makes a text no table: the line, from 1, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

impl Table {
    pub(crate) fn new(subnets: &[Subnet]) -> Self {
        let parts = subnets.iter().map(|subnet| Part { subnet: *subnet, last: None });
        Self { parts: parts.collect(), owners: BTreeMap::new() }
    }

    pub(crate) fn subnets(&self) -> Vec<Subnet> {
        self.parts.iter().map(|part| part.subnet).collect()
    }

    pub(crate) fn leases(&self) -> impl ExactSizeIterator<Item = (IpAddr, &str)> {
        self.owners.iter().map(|(address, owner)| (*address, owner.as_str()))
    }

    /// The addresses of an owner, at most one of each family.
    pub(crate) fn of(&self, owner: &str) -> Vec<IpAddr> {
        let own = self.leases().filter(|(_, leased_to)| *leased_to == owner);
        own.map(|(address, _)| address).collect()
    }

    pub(crate) fn owner(&self, address: IpAddr) -> Option<&str> {
        self.owners.get(&address).map(String::as_str)
    }

    /// The next free address in `range` after the one given last, round it, `reserved` left out. A
    /// namespace dies some time after its lease: the address comes back late. But what others keep
    /// for each address has an end: only so many addresses as are needed take turns.
    pub(crate) fn allocate(
        &mut self,
        owner: &str,
        range: &Subnet,
        reserved: IpAddr,
    ) -> Option<IpAddr> {
        let part = self.parts.iter_mut().find(|part| part.subnet.holds(range))?;
        let last = part.last.unwrap_or(part.subnet.network());
        let leased = self.owners.keys().filter(|address| range.contains(**address)).count();
        let turns =
            (leased + 1).saturating_mul(2).checked_next_power_of_two().unwrap_or(usize::MAX);
        let turns = turns.max(LEAST_TURNS) as u128;
        let free = |host: &IpAddr| *host != reserved && !self.owners.contains_key(host);
        let address = part.subnet.common_hosts(range, last, turns).find(free)?;
        part.last = Some(address);
        self.owners.insert(address, owner.to_owned());
        Some(address)
    }

    /// Gives an address that the caller knows to be free. The turn is not changed by it.
    pub(crate) fn give(&mut self, owner: &str, address: IpAddr) {
        self.owners.insert(address, owner.to_owned());
    }

    /// How many addresses of a subnet are leased.
    pub(crate) fn leased(&self, subnet: &Subnet) -> usize {
        self.owners.keys().filter(|address| subnet.contains(**address)).count()
    }

    pub(crate) fn release(&mut self, owner: &str) -> Vec<IpAddr> {
        let released = self.of(owner);
        for address in &released {
            self.owners.remove(address);
        }
        released
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        // Writing to a String cannot fail.
        for part in &self.parts {
            let _ = writeln!(text, "subnet {}", part.subnet);
            if let Some(last) = part.last {
                let _ = writeln!(text, "last {last}");
            }
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
        let mut table = Self::new(&[]);
        loop {
            let (line, number) = next()?;
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let read = match word {
                "subnet" => table.read_subnet(rest),
                _ if table.parts.is_empty() => Err("names no subnet"),
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

    fn read_subnet(&mut self, text: &str) -> Result<(), &'static str> {
        let subnet: Subnet = text.parse().map_err(|_| "names no subnet")?;
        match self.part(subnet.family()) {
            Some(_) => Err("names a second subnet of a family"),
            None => {
                self.parts.push(Part { subnet, last: None });
                Ok(())
            }
        }
    }

    fn part(&mut self, family: Family) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.subnet.family() == family)
    }

    fn read_address(&mut self, text: &str) -> Result<(IpAddr, &mut Part), &'static str> {
        let address = text.parse().map_err(|_| "has no address")?;
        match self.part(Family::of(address)) {
            Some(part) if part.subnet.contains(address) => Ok((address, part)),
            _ => Err("has an address outside the subnet"),
        }
    }

    fn read_last(&mut self, text: &str) -> Result<(), &'static str> {
        let (address, part) = self.read_address(text)?;
        match part.last.replace(address) {
            None => Ok(()),
            Some(_) => Err("names a second last address"),
        }
    }

    fn read_lease(&mut self, text: &str) -> Result<(), &'static str> {
        let (address, owner) = text.split_once(' ').ok_or("names no owner")?;
        check_owner(owner)?;
        let (address, _) = self.read_address(address)?;
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
#[path = "table_tests.rs"]
mod tests;
