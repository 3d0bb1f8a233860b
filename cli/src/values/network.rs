//! Names and addresses.

use minidock_engine::{
    DEFAULT_NETWORK, EndpointOptions, Exposed, HOST_GATEWAY, Mac, NetworkMode, PortSyntax,
    PublishedPort, UserMode, is_address,
};

use super::ValueError;

/// One `--network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Joined {
    /// A network that the container joins.
    Network(EndpointOptions),
    /// One that it has instead.
    Other(NetworkMode),
}

/// `-p`: one for each port of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports(pub(crate) Vec<PublishedPort>);

/// `--network`: a name, or fields as `name=web,alias=www,ip=192.0.2.7`.
pub(crate) fn mode(text: &str) -> Result<Joined, ValueError> {
    if let Some(container) = text.strip_prefix("container:") {
        return match container.is_empty() {
            true => Err(ValueError::new("invalid container format container:<name|id>")),
            false => Ok(Joined::Other(NetworkMode::Container(container.to_owned()))),
        };
    }
    if let Some(mode) = UserMode::named(text) {
        return Ok(Joined::Other(NetworkMode::UserMode(mode)));
    }
    match text {
        "none" => Ok(Joined::Other(NetworkMode::None)),
        "host" => Ok(Joined::Other(NetworkMode::Host)),
        _ if text.contains('=') => endpoint(text).map(Joined::Network),
        _ => Ok(Joined::Network(EndpointOptions::new(network_name(text)?))),
    }
}

fn network_name(text: &str) -> Result<&str, ValueError> {
    match text {
        "default" => Ok(DEFAULT_NETWORK),
        "" => Err(ValueError::new("the name of a network is empty")),
        _ if !is_name(text) => {
            Err(ValueError::new(format!("network {text} not found: that is no name")))
        }
        _ => Ok(text),
    }
}

/// The grammar of networks' names and ids.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn endpoint(text: &str) -> Result<EndpointOptions, ValueError> {
    let mut endpoint = EndpointOptions::new("");
    for field in text.split(',') {
        let (name, value) = field.split_once('=').ok_or_else(|| {
            ValueError::new(format!("invalid field {field}: NAME=VALUE is expected"))
        })?;
        let bad = || ValueError::new(format!("invalid {name} {value:?}"));
        match name.trim().to_lowercase().as_str() {
            "name" => network_name(value)?.clone_into(&mut endpoint.network),
            "alias" => endpoint.aliases.push(alias(value)?),
            "ip" => endpoint.ip = Some(value.parse().map_err(|_| bad())?),
            "ip6" => endpoint.ip6 = Some(value.parse().map_err(|_| bad())?),
            "mac-address" => endpoint.mac = Some(mac(value)?),
            "gw-priority" => endpoint.gateway_priority = value.parse().map_err(|_| bad())?,
            _ => return Err(ValueError::new(format!("invalid field key {name}"))),
        }
    }
    match endpoint.network.is_empty() {
        true => Err(ValueError::new("network name/id is not specified")),
        false => Ok(endpoint),
    }
}

/// `--network-alias`: what a name server can be asked for.
pub(crate) fn alias(text: &str) -> Result<String, ValueError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !text.is_empty() && text.len() <= 63 && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err(ValueError::new(format!("invalid alias: {text:?}"))),
    }
}

/// `--mac-address`.
pub(crate) fn mac(text: &str) -> Result<Mac, ValueError> {
    text.parse().map_err(|_| ValueError::new(format!("{text} is not a valid mac address")))
}

/// `-p`.
pub(crate) fn ports(text: &str) -> Result<Ports, ValueError> {
    PublishedPort::parse(text).map(Ports).map_err(|error| ValueError::new(error.to_string()))
}

/// `--expose`.
pub(crate) fn exposed(text: &str) -> Result<Exposed, ValueError> {
    text.parse().map_err(|error: PortSyntax| ValueError::new(error.to_string()))
}

/// `--add-host`: `name:address` or `name=address`, the address perhaps in brackets.
pub(crate) fn extra_host(text: &str) -> Result<(String, String), ValueError> {
    let malformed = || ValueError::new(format!("bad format for add-host: {text:?}"));
    let (name, address) =
        text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(malformed)?;
    // A space or a `#` would change the meaning of the line in /etc/hosts.
    let breaks =
        |letter: char| letter.is_whitespace() || letter.is_control() || ":#".contains(letter);
    if name.is_empty() || name.contains(breaks) {
        return Err(malformed());
    }
    let address =
        address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    if address == HOST_GATEWAY || is_address(address) {
        return Ok((name.to_owned(), address.to_owned()));
    }
    Err(ValueError::new(format!("invalid IP address in add-host: {address:?}")))
}

/// `--dns`.
pub(crate) fn dns(text: &str) -> Result<String, ValueError> {
    let address = text.trim();
    if is_address(address) {
        return Ok(address.to_owned());
    }
    Err(ValueError::new(format!("IP address is not correctly formatted: {text}")))
}

/// `--dns-search`: a domain, or `.` for none.
pub(crate) fn dns_search(text: &str) -> Result<String, ValueError> {
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let domain = text.strip_suffix('.').unwrap_or(text);
    if text == "." || (text.len() < 255 && domain.split('.').all(is_label)) {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!("{text} is not a valid domain")))
}

/// `--dns-option`: one word of the options line of `resolv.conf(5)`.
pub(crate) fn dns_option(text: &str) -> Result<String, ValueError> {
    if text.is_empty()
        || text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    {
        return Err(ValueError::new(format!("{text} is not a valid resolver option")));
    }
    Ok(text.to_owned())
}

/// `--hostname`. Empty: the engine's choice.
pub(crate) fn hostname(text: &str) -> Result<String, ValueError> {
    host_or_domain(text, "hostname")
}

/// `--domainname`.
pub(crate) fn domainname(text: &str) -> Result<String, ValueError> {
    host_or_domain(text, "domainname")
}

/// The kernel takes 64 bytes of anything, `sethostname(2)`; /etc/hosts does not.
fn host_or_domain(text: &str, what: &str) -> Result<String, ValueError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() <= 64 && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!("invalid {what} format: {text}")))
}

/// A port inside a container and its protocol, `80` or `80/udp`.
pub(crate) fn private_port(text: &str) -> Result<(u16, String), ValueError> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let why = match super::unsigned(port).map(u16::try_from) {
        Ok(Ok(number)) => return Ok((number, protocol.to_owned())),
        Ok(Err(_)) => format!("strconv.ParseUint: parsing {port:?}: value out of range"),
        Err(error) => error.to_string(),
    };
    Err(ValueError::new(format!("Error: invalid port ({port}): {why}")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn modes() {
        let network = |name: &str| Joined::Network(EndpointOptions::new(name));
        let mut full = EndpointOptions::new("web");
        full.aliases = vec!["www".to_owned(), "db.x".to_owned()];
        full.ip = Some([192, 0, 2, 7].into());
        full.ip6 = Some("fd00::7".parse().unwrap());
        full.mac = Some("02:42:00:00:00:07".parse().unwrap());
        full.gateway_priority = -3;
        check(
            mode,
            &[
                ("bridge", network("bridge")),
                ("default", network("bridge")),
                ("my-net", network("my-net")),
                ("none", Joined::Other(NetworkMode::None)),
                ("host", Joined::Other(NetworkMode::Host)),
                ("pasta", Joined::Other(NetworkMode::UserMode(UserMode::Pasta))),
                ("container:web", Joined::Other(NetworkMode::Container("web".to_owned()))),
                (
                    "name=web,alias=www,alias=db.x,ip=192.0.2.7,ip6=fd00::7,\
                     mac-address=02:42:00:00:00:07,gw-priority=-3",
                    Joined::Network(full),
                ),
            ],
            &[
                ("no:such", "network no:such not found: that is no name"),
                ("", "the name of a network is empty"),
                ("container:", "invalid container format container:<name|id>"),
                ("alias=x", "network name/id is not specified"),
                ("name=web,ip=1.2.3", "invalid ip \"1.2.3\""),
                ("name=web,x=y", "invalid field key x"),
                ("name=web,x", "invalid field x: NAME=VALUE is expected"),
                ("name=web,alias=a b", "invalid alias: \"a b\""),
            ],
        );
    }

    #[test]
    fn published_ports() {
        let port = |text: &str| text.parse::<PublishedPort>().unwrap();
        check(
            ports,
            &[
                ("80", Ports(vec![port("80")])),
                ("8000-8001:80-81", Ports(vec![port("8000:80"), port("8001:81")])),
            ],
            &[
                ("x", "invalid containerPort: x"),
                ("1:", "no port specified: 1:<empty>"),
                ("80/x", "invalid proto: x"),
            ],
        );
        assert_eq!(exposed("80-81/udp").unwrap().to_string(), "80-81/udp");
        assert!(exposed("0").is_err());
    }

    #[test]
    fn extra_hosts() {
        let entry = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        check(
            extra_host,
            &[
                ("db:10.0.0.1", entry("db", "10.0.0.1")),
                ("db=10.0.0.1", entry("db", "10.0.0.1")),
                ("db:::1", entry("db", "::1")),
                ("db=[::1]", entry("db", "::1")),
                ("host:host-gateway", entry("host", "host-gateway")),
            ],
            &[
                ("db", "bad format for add-host: \"db\""),
                (":10.0.0.1", "bad format for add-host: \":10.0.0.1\""),
                ("a:b=10.0.0.1", "bad format for add-host: \"a:b=10.0.0.1\""),
                ("a b:10.0.0.1", "bad format for add-host: \"a b:10.0.0.1\""),
                ("a\nb:10.0.0.1", "bad format for add-host: \"a\\nb:10.0.0.1\""),
                ("db:1.2.3", "invalid IP address in add-host: \"1.2.3\""),
                ("db:", "invalid IP address in add-host: \"\""),
            ],
        );
    }

    #[test]
    fn resolvers() {
        check(
            dns,
            &[("10.0.0.1", "10.0.0.1".to_owned()), (" ::1 ", "::1".to_owned())],
            &[("nowhere", "IP address is not correctly formatted: nowhere")],
        );
        check(
            dns_search,
            &[
                (".", ".".to_owned()),
                ("example.org", "example.org".to_owned()),
                ("example.org.", "example.org.".to_owned()),
            ],
            &[
                ("", " is not a valid domain"),
                ("a b", "a b is not a valid domain"),
                ("-a.b", "-a.b is not a valid domain"),
                ("a..b", "a..b is not a valid domain"),
            ],
        );
        check(
            dns_option,
            &[("ndots:2", "ndots:2".to_owned())],
            &[("a\nb", "a\nb is not a valid resolver option")],
        );
    }

    #[test]
    fn host_names() {
        check(
            hostname,
            &[("", String::new()), ("web-1.example", "web-1.example".to_owned())],
            &[("a\nb", "invalid hostname format: a\nb"), ("a b", "invalid hostname format: a b")],
        );
        assert!(hostname(&"a".repeat(64)).is_ok());
        assert!(hostname(&"a".repeat(65)).is_err());
        check(domainname, &[], &[("a b", "invalid domainname format: a b")]);
    }

    #[test]
    fn private_ports() {
        let invalid = |port| format!("Error: invalid port ({port}): strconv.ParseUint: parsing ");
        check(
            private_port,
            &[
                ("80", (80, "tcp".to_owned())),
                ("80/udp", (80, "udp".to_owned())),
                ("65535/tcp", (65535, "tcp".to_owned())),
            ],
            &[
                ("http", &(invalid("http") + "\"http\": invalid syntax")),
                ("65536", &(invalid("65536") + "\"65536\": value out of range")),
                ("/tcp", &(invalid("") + "\"\": invalid syntax")),
            ],
        );
    }
}
