//! The resolv.conf of a container whose networks have name servers of their own.

use std::net::IpAddr;

use crate::RunOptions;

/// How many servers the C libraries ask (`MAXNS`, `resolv.conf(5)`).
const MOST: usize = 3;

/// Whom to ask, the bridges' addresses; the host's search domains and options, unless the caller
/// gives others. As docker's it has `ndots:0` where nobody says anything else, so that a name is
/// asked for as it is first: those of containers have no dot.
///
/// What `--dns` names is not here: the name server asks them, and so it belongs into the container's
/// [`Endpoint`](minidock_net::names::Endpoint).
pub(crate) fn resolv_conf(gateways: &[IpAddr], host: &str, options: &RunOptions) -> String {
    let mut text = String::new();
    for gateway in gateways.iter().take(MOST) {
        text.push_str(&format!("nameserver {gateway}\n"));
    }
    let search = match options.dns_search.as_slice() {
        [] => search_of(host),
        // No search domain at all.
        [only] if only == "." => Vec::new(),
        asked => asked.to_vec(),
    };
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    let mut words = match options.dns_options.as_slice() {
        [] => options_of(host),
        asked => asked.to_vec(),
    };
    if !words.iter().any(|word| word.starts_with("ndots:")) {
        words.push("ndots:0".to_owned());
    }
    text.push_str(&format!("options {}\n", words.join(" ")));
    text
}

/// The last line counts; `domain` is the older word.
fn search_of(host: &str) -> Vec<String> {
    let search = |line: &str| words_after(line, "search").or_else(|| words_after(line, "domain"));
    let last = host.lines().rev().find_map(search).unwrap_or_default();
    // The root is no domain to search in.
    last.into_iter().filter(|domain| domain != ".").collect()
}

/// All lines count.
fn options_of(host: &str) -> Vec<String> {
    host.lines().filter_map(|line| words_after(line, "options")).flatten().collect()
}

fn words_after(line: &str, keyword: &str) -> Option<Vec<String>> {
    let rest = line.strip_prefix(keyword)?;
    let rest = rest.strip_prefix([' ', '\t'])?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    const HOST: &str = "# the host's\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n\
                        domain old.example\nsearch a.example b.example\n\
                        options edns0\noptions timeout:1\n";

    fn text(host: &str, change: impl FnOnce(&mut RunOptions)) -> String {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        change(&mut options);
        let gateways: Vec<IpAddr> = ["172.30.0.1", "fd00::1"].map(|a| a.parse().unwrap()).to_vec();
        resolv_conf(&gateways, host, &options)
    }

    #[test]
    fn the_gateways_are_asked_the_way_the_host_asks() {
        let expected = "nameserver 172.30.0.1\nnameserver fd00::1\nsearch a.example b.example\n\
                        options edns0 timeout:1 ndots:0\n";
        assert_eq!(text(HOST, |_| {}), expected);
        let alone = "nameserver 172.30.0.1\nnameserver fd00::1\noptions ndots:0\n";
        assert_eq!(text("", |_| {}), alone);
        assert_eq!(text("search .\n", |_| {}), alone);
        assert!(text("search a\ndomain b\n", |_| {}).contains("search b\n"));
    }

    #[test]
    fn what_the_caller_says_replaces_what_the_host_says() {
        let asked = text(HOST, |options| {
            options.dns = vec!["192.0.2.9".to_owned()];
            options.dns_search = vec!["c.example".to_owned()];
            options.dns_options = vec!["ndots:2".to_owned(), "rotate".to_owned()];
        });
        let expected = "nameserver 172.30.0.1\nnameserver fd00::1\nsearch c.example\n\
                        options ndots:2 rotate\n";
        assert_eq!(asked, expected);
        let none = text(HOST, |options| options.dns_search = vec![".".to_owned()]);
        assert!(!none.contains("search"), "{none}");
    }

    #[test]
    fn the_hosts_ndots_stay() {
        assert!(text("options ndots:5\n", |_| {}).ends_with("\noptions ndots:5\n"));
    }

    #[test]
    fn no_more_servers_are_named_than_are_asked() {
        let many: Vec<IpAddr> = (1..9).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        let options = RunOptions::new(RootSource::Image("x".to_owned()));
        assert_eq!(resolv_conf(&many, "", &options).matches("nameserver").count(), 3);
    }
}
