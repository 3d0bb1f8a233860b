use super::*;

fn subnet(text: &str) -> Subnet {
    text.parse().unwrap()
}

#[test]
fn a_subnet_reads_back_what_it_prints() {
    for text in ["0.0.0.0/0", "172.29.0.0/16", "10.1.2.128/25", "1.2.3.4/32", "::/0", "fd00::/8"] {
        assert_eq!(subnet(text).to_string(), text);
    }
    assert_eq!(subnet("FD00:0:0::/64").to_string(), "fd00::/64");
}

#[test]
fn what_is_no_subnet_is_refused() {
    let bad = [
        "",
        "172.29.0.0",
        "172.29.0.0/",
        "/16",
        "172.29.0/16",
        "172.29.0.0/33",
        "172.29.0.0/+16",
        "172.29.0.0/-1",
        "172.29.0.0/256",
        "172.29.0.0/16/1",
        "172.29.0.1/16",
        " 172.29.0.0/16",
        "fe80::",
        "fe80::1/64",
        "fe80::/129",
        "[fe80::]/64",
        "fe80::%eth0/64",
    ];
    for text in bad {
        assert!(text.parse::<Subnet>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn an_error_says_what_is_wrong_with_which_text() {
    let error = |text: &str| text.parse::<Subnet>().unwrap_err().to_string();
    let words =
        "cannot use \"172.29.0.1/16\" as a subnet: the address has bits set behind the prefix";
    assert_eq!(error("172.29.0.1/16"), words);
    let words = "cannot use \"fd00::/129\" as a subnet: the prefix length is above 128";
    assert_eq!(error("fd00::/129"), words);
}

#[test]
fn hosts_leave_out_the_first_and_the_last_address() {
    let hosts = |text: &str| subnet(text).hosts().map(|host| host.to_string()).collect::<Vec<_>>();
    assert_eq!(hosts("10.0.0.4/30"), ["10.0.0.5", "10.0.0.6"]);
    assert_eq!(hosts("fd00::4/126"), ["fd00::5", "fd00::6"]);
    assert_eq!(subnet("172.29.0.0/16").hosts().count(), 65_534);
    assert_eq!(subnet("255.255.255.252/30").hosts().count(), 2);
    for none in ["10.0.0.4/31", "255.255.255.255/32", "fd00::4/127", "::/128"] {
        assert_eq!(subnet(none).hosts().count(), 0, "{none}");
    }
    let network = subnet("fd00::/64");
    assert!(network.has_host("fd00::ffff:ffff:ffff:fffe".parse().unwrap()));
    for no_host in ["fd00::", "fd00::ffff:ffff:ffff:ffff", "fd00:0:0:1::1", "10.0.0.1"] {
        assert!(!network.has_host(no_host.parse().unwrap()), "{no_host}");
    }
}

#[test]
fn hosts_of_a_part_come_in_turn() {
    let turn = |whole: &str, part: &str, start: &str| {
        let hosts = subnet(whole).common_hosts(&subnet(part), start.parse().unwrap(), u128::MAX);
        hosts.map(|host| host.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(turn("10.0.0.0/29", "10.0.0.0/29", "10.0.0.0").split(' ').count(), 6);
    let part = "10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7";
    assert_eq!(turn("10.0.0.0/24", "10.0.0.4/30", "10.0.0.0"), part);
    assert_eq!(turn("10.0.0.0/24", "10.0.0.4/30", "10.0.0.200"), part);
    let turned = "10.0.0.6 10.0.0.7 10.0.0.4 10.0.0.5";
    assert_eq!(turn("10.0.0.0/24", "10.0.0.4/30", "10.0.0.5"), turned);
    assert_eq!(turn("fd00::/64", "fd00::fffe/127", "fd00::fffe"), "fd00::ffff fd00::fffe");
    let mut whole =
        subnet("::/0").common_hosts(&subnet("::/0"), "::ffff".parse().unwrap(), u128::MAX);
    assert_eq!(whole.next().unwrap().to_string(), "::1:0");
}

#[test]
fn the_gateway_is_the_first_host() {
    let gateway = |text: &str| subnet(text).gateway().to_string();
    assert_eq!(gateway("172.29.0.0/16"), "172.29.0.1/16");
    assert_eq!(gateway("1.2.3.4/32"), "1.2.3.4/32");
    assert_eq!(gateway("fd00:1::/64"), "fd00:1::1/64");
}

#[test]
fn subnets_overlap_exactly_when_one_holds_the_other() {
    let cases = [
        ("172.29.0.0/16", "172.29.128.0/17", true),
        ("172.29.0.0/16", "172.30.0.0/16", false),
        ("172.29.0.0/16", "172.16.0.0/12", true),
        ("172.29.0.0/16", "0.0.0.0/0", true),
        ("172.29.0.0/16", "172.28.255.255/32", false),
        ("172.29.0.0/16", "172.29.255.255/32", true),
        ("fd00::/64", "fd00::/48", true),
        ("fd00::/64", "fd00:0:0:1::/64", false),
        ("::/0", "0.0.0.0/0", false),
        ("::/96", "0.0.0.0/0", false),
    ];
    for (left, right, expected) in cases {
        assert_eq!(subnet(left).overlaps(&subnet(right)), expected, "{left} {right}");
        assert_eq!(subnet(right).overlaps(&subnet(left)), expected, "{right} {left}");
    }
}

#[test]
fn an_interface_address_knows_its_subnet() {
    let address: InterfaceAddr = "172.29.3.7/16".parse().unwrap();
    assert_eq!(address.to_string(), "172.29.3.7/16");
    assert_eq!(address.subnet(), subnet("172.29.0.0/16"));
    assert_eq!("fd00::7/64".parse::<InterfaceAddr>().unwrap().subnet(), subnet("fd00::/64"));
    assert!(InterfaceAddr::new(Ipv4Addr::LOCALHOST, 33).is_err());
    assert!(InterfaceAddr::new(Ipv6Addr::LOCALHOST, 129).is_err());
}
