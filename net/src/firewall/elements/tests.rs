use super::*;

fn firewall() -> Firewall {
    Firewall::new("minidock").unwrap()
}

fn words(elements: &[Element]) -> Vec<String> {
    elements.iter().map(ToString::to_string).collect()
}

fn published(address: Option<&str>, ports: (u16, u16, u16), target: &str) -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: address.map(|address| address.parse().unwrap()),
        first: ports.0,
        count: ports.2,
        target: target.parse().unwrap(),
        target_port: ports.1,
    }
}

#[test]
fn a_network_is_its_bridge() {
    let name = LinkName::default_bridge();
    let same = "element inet minidock same { \"minidock0\" . \"minidock0\" }";
    let outside = "element inet minidock bridges { \"minidock0\" }";
    assert_eq!(words(&firewall().network(&name, false)), [outside, same]);
    let internal = "element inet minidock internal { \"minidock0\" }";
    assert_eq!(words(&firewall().network(&name, true)), [internal, same]);
}

#[test]
fn an_endpoint_is_all_that_may_speak() {
    let mut endpoint = Endpoint {
        mac: "02:42:ac:1d:00:02".parse().unwrap(),
        addresses: vec!["172.29.0.2".parse().unwrap()],
    };
    let four = [
        "element bridge minidock ports { 2887581698 }",
        "element bridge minidock macs { 2887581698 . 02:42:ac:1d:00:02 }",
        "element inet minidock own4 { 172.29.0.2 . 172.29.0.2 }",
        "element bridge minidock addresses4 { 2887581698 . 172.29.0.2 }",
    ];
    assert_eq!(words(&firewall().endpoint(&endpoint)), four);
    endpoint
        .addresses
        .extend(["fd00::2", "fd00::3"].map(|address| IpAddr::V6(address.parse().unwrap())));
    let six = words(&firewall().endpoint(&endpoint));
    assert_eq!(six[..4], four);
    assert_eq!(six.len(), 4 + 2 * 3 + 2);
    let link_local = "addresses6 { 2887581698 . fe80::42:acff:fe1d:2 }";
    assert_eq!(six.iter().filter(|element| element.ends_with(link_local)).count(), 1);
    assert!(
        six.contains(
            &"element bridge minidock targets6 { 2887581698 . \
          0xfd000000000000000000000000000002 }"
                .to_owned()
        )
    );
    let text = "02:42:ac:1d:00:02 with 172.29.0.2, fd00::2, fd00::3";
    assert_eq!(endpoint.to_string(), text);
}

#[test]
fn what_there_is_of_an_address_says_which() {
    let address = Ipv4Addr::new(172, 29, 0, 2);
    let elements = firewall().address(address);
    assert_eq!(elements.len(), 4);
    assert!(elements.iter().all(|element| Firewall::address_of(element) == Some(address)));
    let network = firewall().network(&LinkName::default_bridge(), false);
    let published = firewall().published(&published(None, (80, 80, 1), "172.29.0.2")).unwrap();
    assert!(network.iter().chain(&published).all(|other| Firewall::address_of(other).is_none()));
    let place = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|one| one.parse().unwrap()).collect();
        Endpoint { mac: Mac::of(address), addresses }.group()
    };
    assert_eq!(place(&["fd00::2", "172.29.0.2"]), place(&["172.29.0.2"]));
    assert_ne!(place(&["fd00::2"]), place(&["fd00::3"]));
    assert_eq!(place(&[]), None);
}

#[test]
fn links_of_others_are_never_held_to_addresses() {
    for addresses in [vec![], vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)]] {
        let endpoint = Endpoint { mac: "02:42:ac:1d:00:02".parse().unwrap(), addresses };
        assert_eq!(firewall().endpoint(&endpoint), []);
    }
}

#[test]
fn published_ports_are_elements_of_the_map_for_their_address() {
    let cases = [
        (None, "172.29.0.2", "any4 { tcp . 8080 : 172.29.0.2 . 80 }"),
        (Some("0.0.0.0"), "172.29.0.2", "any4 { tcp . 8080 : 172.29.0.2 . 80 }"),
        (Some("192.0.2.1"), "172.29.0.2", "bound4 { 192.0.2.1 . tcp . 8080 : 172.29.0.2 . 80 }"),
        (None, "fd00::2", "any6 { tcp . 8080 : fd00::2 . 80 }"),
        (Some("::"), "fd00::2", "any6 { tcp . 8080 : fd00::2 . 80 }"),
        (Some("::1"), "fd00::2", "bound6 { ::1 . tcp . 8080 : fd00::2 . 80 }"),
    ];
    for (address, target, element) in cases {
        let elements = firewall().published(&published(address, (8080, 80, 1), target)).unwrap();
        assert_eq!(words(&elements), [format!("element inet minidock {element}")]);
    }
}

#[test]
fn a_range_that_keeps_its_numbers_is_one_element() {
    let wide = published(None, (8000, 8000, 1000), "172.29.0.2");
    assert_eq!(
        words(&firewall().published(&wide).unwrap()),
        ["element inet minidock any_ranges4 { tcp . 8000-8999 : 172.29.0.2 }"]
    );
    let bound = published(Some("::1"), (65535, 65535, 1), "fd00::2");
    assert_eq!(
        words(&firewall().published(&bound).unwrap()),
        ["element inet minidock bound6 { ::1 . tcp . 65535 : fd00::2 . 65535 }"]
    );
    let bound = published(Some("::1"), (65534, 65534, 2), "fd00::2");
    assert_eq!(
        words(&firewall().published(&bound).unwrap()),
        ["element inet minidock bound_ranges6 { ::1 . tcp . 65534-65535 : fd00::2 }"]
    );
    let moved = published(None, (8000, 80, 2), "172.29.0.2");
    assert_eq!(
        words(&firewall().published(&moved).unwrap()),
        [
            "element inet minidock any4 { tcp . 8000 : 172.29.0.2 . 80 }",
            "element inet minidock any4 { tcp . 8001 : 172.29.0.2 . 81 }"
        ]
    );
    assert_eq!(moved.to_string(), "*:8000-8001/tcp -> 172.29.0.2:80-81");
}

#[test]
fn ports_that_cannot_be_are_refused() {
    for (address, ports, target, why) in [
        (None, (80, 80, 0), "10.0.0.2", "there is no port"),
        (None, (0, 80, 1), "10.0.0.2", "a port is 0"),
        (None, (80, 0, 1), "10.0.0.2", "a port is 0"),
        (None, (65535, 80, 2), "10.0.0.2", "a port is above 65535"),
        (None, (80, 65535, 2), "10.0.0.2", "a port is above 65535"),
        (Some("::1"), (80, 80, 1), "10.0.0.2", "the addresses are of two versions of IP"),
        (Some("0.0.0.0"), (80, 80, 1), "fd00::2", "the addresses are of two versions of IP"),
    ] {
        let error = firewall().published(&published(address, ports, target)).unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
    }
}

#[test]
fn names_that_nft_would_not_read_are_refused() {
    let long = "a".repeat(32);
    for bad in ["", "1a", "-a", "a b", "a;b", "a\"", "ä", long.as_str()] {
        assert!(Firewall::new(bad).is_err(), "{bad:?} was taken");
    }
    let text = "tables inet minidock-0a1b2c and bridge minidock-0a1b2c";
    assert_eq!(Firewall::new("minidock-0a1b2c").unwrap().to_string(), text);
}
