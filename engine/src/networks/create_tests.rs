use super::*;

fn options(subnets: &[&str]) -> NetworkOptions {
    let subnets = subnets.iter().map(|text| text.parse().unwrap()).collect();
    NetworkOptions { name: "web".to_owned(), subnets, ..NetworkOptions::default() }
}

fn by(name: &str, subnet: &str) -> Taken {
    Taken { subnet: subnet.parse().unwrap(), by: Holder::Network(name.to_owned()) }
}

/// The gateways and ranges that a network gets, or why it gets none.
fn given(options: &NetworkOptions, taken: &[Taken]) -> Result<Vec<String>, String> {
    let id = "0123456789abcdef".repeat(4).parse().unwrap();
    let around = Surroundings { others: &[], taken };
    let subnets = check(options).and_then(|()| subnets(options, &id, &around));
    let text = |subnet: &NetworkSubnet| match subnet.range {
        Some(range) => format!("{} of {range}", subnet.gateway),
        None => subnet.gateway.to_string(),
    };
    subnets.map(|all| all.iter().map(text).collect()).map_err(|error| error.to_string())
}

#[test]
fn names_are_docker_s_and_host_names() {
    for good in ["a", "web", "My_net-1", "a.b", "0"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    let long = "x".repeat(64);
    for bad in ["", "-a", ".", "..", "a b", "a/b", "a..b", "a.", "ä", "a\n", long.as_str()] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
    for reserved in ["bridge", "host", "None", "DEFAULT", "container"] {
        let options = NetworkOptions { name: reserved.to_owned(), ..options(&[]) };
        let error = check(&options).unwrap_err().to_string();
        assert!(error.starts_with("operation is not permitted on predefined"), "{error}");
    }
}

#[test]
fn the_first_free_subnets_are_chosen() {
    assert_eq!(given(&options(&[]), &[]).unwrap(), ["172.29.0.1/16"]);
    assert_eq!(given(&options(&[]), &[by("a", "172.29.0.0/16")]).unwrap(), ["172.30.0.1/16"]);
    let six = NetworkOptions { ipv6: true, ..options(&[]) };
    assert_eq!(given(&six, &[]).unwrap(), ["172.29.0.1/16", "fd01:2345:6789::1/64"]);
    let all = [by("a", "172.16.0.0/12"), by("b", "192.168.0.0/16")];
    let error = given(&options(&[]), &all).unwrap_err();
    assert!(error.starts_with("all IPv4 subnets for networks are in use"), "{error}");
}

#[test]
fn what_is_asked_for_is_given() {
    let mut asked = options(&["fd00:1::/64", "10.1.0.0/16"]);
    assert_eq!(given(&asked, &[]).unwrap(), ["10.1.0.1/16", "fd00:1::1/64"]);
    asked.gateways = vec!["10.1.0.9".parse().unwrap(), "fd00:1::9".parse().unwrap()];
    asked.ranges = vec!["10.1.2.0/24".parse().unwrap()];
    assert_eq!(given(&asked, &[]).unwrap(), ["10.1.0.9/16 of 10.1.2.0/24", "fd00:1::9/64"]);
}

#[test]
fn what_cannot_be_is_told() {
    let with = |subnets: &[&str], gateways: &[&str], ranges: &[&str]| NetworkOptions {
        gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
        ranges: ranges.iter().map(|text| text.parse().unwrap()).collect(),
        ..options(subnets)
    };
    let mtu = |mtu, ipv6| NetworkOptions { mtu: Some(mtu), ipv6, ..options(&[]) };
    for (options, message) in [
        (with(&["10.0.0.0/24", "10.1.0.0/24"], &[], &[]), "one subnet of IPv4 at most"),
        (with(&["127.1.0.0/16"], &[], &[]), "it overlaps 127.0.0.0/8"),
        (with(&["fe80::/64"], &[], &[]), "it overlaps fe80::/10"),
        (with(&[], &["10.0.0.1"], &[]), "must have a corresponding subnet"),
        (with(&["10.0.0.0/24"], &["10.0.1.1"], &[]), "no matching subnet for gateway 10.0.1.1"),
        (with(&["10.0.0.0/24"], &[], &["10.0.1.0/25"]), "no matching subnet for range"),
        (with(&["10.0.0.0/24"], &[], &["10.0.0.0/16"]), "not a part of the network's subnet"),
        (with(&["10.0.0.0/24"], &["10.0.0.255"], &[]), "the first or the last address"),
        (with(&["10.0.0.0/24"], &["10.0.0.1", "10.0.0.2"], &[]), "multiple gateways"),
        (with(&["10.0.0.0/31"], &[], &[]), "no address between the first and the last"),
        (with(&["172.30.7.0/24"], &[], &[]), "172.30.0.0/16 of network db"),
        (mtu(67, false), "invalid MTU 67: a network has 68 to 65535"),
        (mtu(1279, true), "invalid MTU 1279: a network with IPv6 has 1280"),
    ] {
        let error = given(&options, &[by("db", "172.30.0.0/16")]).unwrap_err();
        assert!(error.contains(message), "{error}, not {message}");
    }
    assert!(given(&mtu(65535, true), &[]).is_ok());
}
