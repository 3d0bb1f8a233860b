//! Names and addresses.

use minidock_engine::{HOST_GATEWAY, NetworkMode, is_address};

use super::ValueError;

/// `--network`.
pub(crate) fn mode(text: &str) -> Result<NetworkMode, ValueError> {
    match text {
        "bridge" | "default" => Ok(NetworkMode::Bridge),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        _ => Err(ValueError::new(format!(
            "network {text} not found: it is one of none, host and bridge"
        ))),
    }
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

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn modes() {
        check(
            mode,
            &[
                ("bridge", NetworkMode::Bridge),
                ("default", NetworkMode::Bridge),
                ("none", NetworkMode::None),
                ("host", NetworkMode::Host),
            ],
            &[
                ("no:such", "network no:such not found: it is one of none, host and bridge"),
                ("", "network  not found: it is one of none, host and bridge"),
            ],
        );
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
}
