use super::*;

fn endpoints(published: &[(&str, u16)]) -> Endpoints {
    let endpoint = Endpoint {
        network: "web".to_owned(),
        network_id: "0".repeat(64),
        internal: false,
        bridge: LinkName::default_bridge(),
        number: 0,
        leases: PathBuf::from("/run/minidock/net/minidock0.leases"),
        gateways: vec!["172.29.0.1/16".parse().unwrap()],
        addresses: vec!["172.29.0.2/16".parse().unwrap(), "fd00::2/64".parse().unwrap()],
        mac: Mac::of(std::net::Ipv4Addr::new(172, 29, 0, 2)),
        aliases: Vec::new(),
        gateway_priority: 0,
    };
    let binding = |(host, container): &(&str, u16)| PortBinding {
        container: *container,
        protocol: Protocol::Tcp,
        host: host.parse().unwrap(),
    };
    Endpoints { list: vec![endpoint], published: published.iter().map(binding).collect() }
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Endpoints::read(directory.path()).unwrap(), None);
    let one = endpoints(&[("0.0.0.0:80", 8080), ("[::1]:90", 9090)]);
    one.write(directory.path()).unwrap();
    assert_eq!(Endpoints::read(directory.path()).unwrap(), Some(one));
}

#[test]
fn ports_that_follow_one_another_are_one_range() {
    let told = |published: &[(&str, u16)]| -> Vec<String> {
        let ranges = endpoints(published).published_ranges();
        ranges.iter().map(ToString::to_string).collect()
    };
    let three = [("0.0.0.0:81", 81), ("0.0.0.0:80", 80), ("0.0.0.0:82", 82)];
    assert_eq!(told(&three), ["*:80-82/tcp -> 172.29.0.2:80-82"]);
    let apart = [("0.0.0.0:80", 80), ("0.0.0.0:82", 82), ("0.0.0.0:83", 90)];
    assert_eq!(told(&apart).len(), 3);
    let two = [("[::]:80", 80), ("127.0.0.1:80", 80)];
    let words = ["127.0.0.1:80/tcp -> 172.29.0.2:80", "*:80/tcp -> [fd00::2]:80"];
    assert_eq!(told(&two), words);
}

#[test]
fn ports_of_udp_are_those_that_lead_somewhere() {
    let mut one = endpoints(&[("0.0.0.0:53", 53), ("[::]:53", 53), ("0.0.0.0:80", 80)]);
    one.published[0].protocol = Protocol::Udp;
    one.published[1].protocol = Protocol::Udp;
    assert_eq!(one.udp_ports(), ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()]);
    one.list[0].addresses.pop();
    assert_eq!(one.udp_ports(), ["0.0.0.0:53".parse().unwrap()]);
}

#[test]
fn an_internal_network_leads_nowhere() {
    let mut one = endpoints(&[]);
    assert!(one.outward(Family::V4).is_some());
    let second = Endpoint { number: 1, ..one.list[0].clone() };
    one.list.push(second);
    let number = |one: &Endpoints| one.outward(Family::V4).map(|found| found.number);
    assert_eq!(number(&one), Some(0));
    one.list[1].gateway_priority = 1;
    assert_eq!(number(&one), Some(1));
    one.list[1].internal = true;
    assert_eq!(number(&one), Some(0));
    one.list[0].internal = true;
    assert_eq!(number(&one), None);
}

#[test]
fn elements_are_found_by_the_id() {
    let id = ContainerId::random().unwrap();
    let firewall = Firewall::new("minidock").unwrap();
    let one = endpoints(&[("0.0.0.0:80", 8080)]);
    let addresses: Vec<IpAddr> = one.list[0].addresses.iter().map(InterfaceAddr::address).collect();
    let own = one.elements(&firewall).unwrap();
    assert!(own.iter().all(|element| concerns(element, &id, &addresses)));
    assert!(!own.iter().any(|element| concerns(element, &id, &[])));
    let others = firewall.network(&one.list[0].bridge, false);
    assert!(!others.iter().any(|element| concerns(element, &id, &addresses)));
}

#[test]
fn what_follows_from_the_address_alone_is_the_network_s() {
    let firewall = Firewall::new("minidock").unwrap();
    let mut one = endpoints(&[]);
    one.list[0].addresses.pop();
    assert_eq!(one.elements(&firewall).unwrap(), []);
    let shared = one.of_networks(&firewall);
    assert!(firewall.endpoint(&one.list[0].place()).iter().all(|own| shared.contains(own)));
    // Somebody else would not have this hardware address.
    one.list[0].mac = "02:00:00:00:00:01".parse().unwrap();
    assert_eq!(one.elements(&firewall).unwrap(), firewall.endpoint(&one.list[0].place()));
    assert_eq!(one.of_networks(&firewall).len(), 2);
}
