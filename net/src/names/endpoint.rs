use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Error, HostName};

/// What names a container: 1 to 64 letters, digits, `_`, `.` and `-`, the first no `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(String);

/// A container on a network, as far as names go. As text it is one `key value` a line:
/// ```text
/// id 4f3c0a
/// name web
/// alias www
/// address 172.29.0.2
/// dns 192.0.2.53
/// ```
/// `id` comes once, the others as often as there are values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The same on each network that the container is on.
    pub id: EndpointId,
    /// Its own names; the first is told when somebody asks whose an address is.
    pub names: Vec<HostName>,
    /// Names that it may share with others.
    pub aliases: Vec<HostName>,
    /// Its addresses on this network.
    pub addresses: Vec<IpAddr>,
    /// The servers that are asked for it, instead of those of the host.
    pub dns: Vec<IpAddr>,
}

impl EndpointId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let why = match text {
            _ if !(1..=64).contains(&text.len()) => "it has not 1 to 64 bytes",
            _ if text.starts_with('.') => "it begins with a dot",
            _ if !text.chars().all(allowed) => {
                "it contains something else than letters, digits, _, . and -"
            }
            _ => return Ok(Self(text.to_owned())),
        };
        Err(Error::Invalid { what: "the id of an endpoint", value: text.to_owned(), why })
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Endpoint {
    /// An endpoint without names and addresses.
    #[must_use]
    pub fn new(id: EndpointId) -> Self {
        let (names, aliases, addresses, dns) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { id, names, aliases, addresses, dns }
    }

    /// Whether it is called `name`, which is in lower case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.iter().chain(&self.aliases).any(|own| own.as_str() == name)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "id {}", self.id)?;
        self.names.iter().try_for_each(|name| writeln!(f, "name {name}"))?;
        self.aliases.iter().try_for_each(|alias| writeln!(f, "alias {alias}"))?;
        self.addresses.iter().try_for_each(|address| writeln!(f, "address {address}"))?;
        self.dns.iter().try_for_each(|server| writeln!(f, "dns {server}"))
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lines = text.split_terminator('\n').enumerate();
        let at = |index: usize, why| Error::Record { line: index + 1, why };
        if !text.ends_with('\n') {
            let count = text.split_terminator('\n').count();
            return Err(at(count, "is missing: it was not written whole"));
        }
        let first = lines.next().and_then(|(_, line)| line.strip_prefix("id "));
        let id = first.and_then(|id| id.parse().ok()).ok_or(at(0, "is no id"))?;
        let mut endpoint = Self::new(id);
        for (index, line) in lines {
            endpoint.take(line).map_err(|why| at(index, why))?;
        }
        Ok(endpoint)
    }
}

impl Endpoint {
    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        let (key, value) = line.split_once(' ').ok_or("has no value")?;
        let name = || value.parse::<HostName>().map_err(|_| "is no host name");
        let address = || value.parse::<IpAddr>().map_err(|_| "is no address");
        match key {
            "name" => self.names.push(name()?),
            "alias" => self.aliases.push(name()?),
            "address" => self.addresses.push(address()?),
            "dns" => self.dns.push(address()?),
            "id" => return Err("is a second id"),
            _ => return Err("has a key that is not known"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn host_name() -> impl Strategy<Value = HostName> {
        "[a-z0-9_!-]{1,20}(\\.[a-z0-9_]{1,9}){0,3}".prop_map(|text| text.parse().unwrap())
    }

    fn endpoint() -> impl Strategy<Value = Endpoint> {
        let id = "[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,63}".prop_map(|text| text.parse().unwrap());
        let names = || vec(host_name(), 0..4);
        let addresses = || vec(any::<IpAddr>(), 0..4);
        (id, names(), names(), addresses(), addresses()).prop_map(
            |(id, names, aliases, addresses, dns)| Endpoint { id, names, aliases, addresses, dns },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(endpoint in endpoint()) {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }

        #[test]
        fn half_a_record_is_none(endpoint in endpoint(), cut in any::<prop::sample::Index>()) {
            let text = endpoint.to_string();
            let part = text.get(..cut.index(text.len())).unwrap();
            if let Ok(found) = part.parse::<Endpoint>() {
                // Cut between two lines.
                prop_assert!(part.ends_with('\n'));
                prop_assert_eq!(found.to_string(), part);
            }
        }
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error("").contains("line 1 is missing"), "{}", error(""));
        assert!(error("name web\n").contains("line 1 is no id"));
        assert!(error("id a/b\n").contains("line 1 is no id"));
        assert!(error("id a\nname a b\n").contains("line 2 is no host name"));
        assert!(error("id a\nname b\naddress 1.2.3\n").contains("line 3 is no address"));
        assert!(error("id a\nid b\n").contains("line 2 is a second id"));
        assert!(error("id a\ncolour red\n").contains("line 2 has a key"));
        assert!(error("id a\n\n").contains("line 2 has no value"));
        assert!(error("id a\nname b").contains("line 3 is missing"));
    }

    #[test]
    fn ids_are_names_of_files() {
        for text in ["", ".a", "a/b", "a b", &"a".repeat(65)] {
            assert!(text.parse::<EndpointId>().is_err(), "{text}");
        }
    }
}
