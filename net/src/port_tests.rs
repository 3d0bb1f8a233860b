use super::*;

fn read(text: &str) -> String {
    match PublishedPort::parse(text) {
        Ok(ports) => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_form_is_read() {
    for (text, ports) in [
        ("80", "80/tcp"),
        (":80", "80/tcp"),
        ("0:80", "80/tcp"),
        ("80/", "80/tcp"),
        ("8080:80", "8080:80/tcp"),
        ("53:53/udp", "53:53/udp"),
        ("53/SCTP", "53/sctp"),
        ("127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"),
        ("127.0.0.1::80", "127.0.0.1::80/tcp"),
        ("[::1]:80:80", "[::1]:80:80/tcp"),
        ("[::1]::80/udp", "[::1]::80/udp"),
        ("::1:80:81", "[::1]:80:81/tcp"),
        ("8000-8002:80-82", "8000:80/tcp 8001:81/tcp 8002:82/tcp"),
        ("80-81", "80/tcp 81/tcp"),
        ("192.0.2.1::80-81", "192.0.2.1::80/tcp 192.0.2.1::81/tcp"),
        ("8000-8010:80", "8000-8010:80/tcp"),
        ("8000-8000:80", "8000:80/tcp"),
        ("65535:65535", "65535:65535/tcp"),
        ("65534-65535:1-2", "65534:1/tcp 65535:2/tcp"),
    ] {
        assert_eq!(read(text), ports, "{text}");
    }
}

#[test]
fn what_is_no_port_is_told_in_the_known_words() {
    for (text, words) in [
        ("", "no port specified: <empty>"),
        (":", "no port specified: :<empty>"),
        ("80:", "no port specified: 80:<empty>"),
        ("80:/tcp", "no port specified: 80:/tcp<empty>"),
        ("x", "invalid containerPort: x"),
        ("0", "invalid containerPort: 0"),
        ("65536", "invalid containerPort: 65536"),
        ("+80", "invalid containerPort: +80"),
        ("82-80", "invalid containerPort: 82-80"),
        ("80-", "invalid containerPort: 80-"),
        ("-80", "invalid containerPort: -80"),
        ("80-81-82", "invalid containerPort: 80-81-82"),
        ("99999:80", "invalid hostPort: 99999"),
        ("x:80", "invalid hostPort: x"),
        ("0-1:80", "invalid hostPort: 0-1"),
        ("80:80/icmp", "invalid proto: icmp"),
        ("80:80/tcp/udp", "invalid proto: tcp/udp"),
        ("localhost:80:80", "invalid IP address: localhost"),
        ("127.0.0.256:80:80", "invalid IP address: 127.0.0.256"),
        ("[127.0.0.1]:80:80", "invalid IP address: 127.0.0.1"),
        ("[::1:80:80", "invalid IP address: [::1"),
        ("[]:80:80", "invalid IP address: "),
        (
            "8000-8001:80-82",
            "invalid ranges specified for container and host Ports: 80-82 and 8000-8001",
        ),
        ("8000:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000"),
    ] {
        assert_eq!(read(text), words, "{text}");
    }
}

#[test]
fn a_mapping_says_what_leads_where() {
    let mapping = |host: &str| {
        let host = host.parse().unwrap();
        PortMapping { container: 80, protocol: Protocol::Tcp, host }.to_string()
    };
    assert_eq!(mapping("0.0.0.0:8080"), "0.0.0.0:8080->80/tcp");
    assert_eq!(mapping("[::]:8080"), "[::]:8080->80/tcp");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_port_or_an_error(text in "[0-9:/\\[\\]a-f.-]{0,24}|.{0,12}") {
        crate::fuzzing::ports(text.as_bytes());
    }

    #[test]
    fn every_port_is_read_as_it_is_printed(
        address: Option<IpAddr>,
        host: Option<(u16, u16)>,
        container in 1..=u16::MAX,
    ) {
        let host = host.and_then(|(first, last)| PortRange::new(first, last));
        let port = PublishedPort { address, host, container, protocol: Protocol::Udp };
        proptest::prop_assert_eq!(PublishedPort::parse(&port.to_string()), Ok(vec![port]));
    }
}
