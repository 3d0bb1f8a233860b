//! Ports of containers, as docker shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use minidock_engine::{Info, PortBinding, Protocol};
use serde_json::{Map, Value, json};

/// `0.0.0.0:8080-8081->80-81/tcp, 90/tcp`: those that follow one another together.
pub(crate) fn row(info: &Info) -> String {
    let mut bindings = info.connections.published.clone();
    bindings.sort_by_key(|one| (one.host.ip(), one.protocol, one.container, one.host.port()));
    let mut runs: Vec<(PortBinding, u16)> = Vec::new();
    for one in bindings {
        match runs.last_mut() {
            Some((first, count)) if follows(first, *count, &one) => *count += 1,
            _ => runs.push((one, 1)),
        }
    }
    let published = runs.iter().map(|(first, count)| {
        let host = first.host.ip();
        let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
        let (from, to) = (range(first.host.port(), *count), range(first.container, *count));
        format!("{host}:{from}->{to}/{}", first.protocol)
    });
    let is_published = |port: u16, protocol: Protocol| {
        let bindings = &info.connections.published;
        bindings.iter().any(|one| (one.container, one.protocol) == (port, protocol))
    };
    // Docker tells what a container is meant to be reached by as long as it runs.
    let exposed = info.described.exposed.iter().filter(|_| info.state.status.is_active());
    let exposed = exposed.flat_map(|one| one.ports.ports().map(|port| (one.protocol, port)));
    let unpublished = exposed.filter(|(protocol, port)| !is_published(*port, *protocol)).collect();
    published.chain(ranges(unpublished)).collect::<Vec<_>>().join(", ")
}

/// `81-82/tcp`: ports that follow one another together, each once.
fn ranges(ports: BTreeSet<(Protocol, u16)>) -> Vec<String> {
    let mut runs: Vec<(Protocol, u16, u16)> = Vec::new();
    for (protocol, port) in ports {
        match runs.last_mut() {
            Some((of, first, count))
                if *of == protocol && first.checked_add(*count) == Some(port) =>
            {
                *count += 1;
            }
            _ => runs.push((protocol, port, 1)),
        }
    }
    let text = |(protocol, first, count)| format!("{}/{protocol}", range(first, count));
    runs.into_iter().map(text).collect()
}

fn follows(first: &PortBinding, count: u16, next: &PortBinding) -> bool {
    (first.host.ip(), first.protocol) == (next.host.ip(), next.protocol)
        && first.host.port().checked_add(count) == Some(next.host.port())
        && first.container.checked_add(count) == Some(next.container)
}

fn range(first: u16, count: u16) -> String {
    match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(count - 1)),
    }
}

/// `NetworkSettings.Ports`: all that is published or exposed.
pub(crate) fn bindings(info: &Info) -> Value {
    let mut all: BTreeMap<String, Option<Vec<Value>>> = BTreeMap::new();
    if info.state.status.is_active() {
        for one in &info.described.exposed {
            for port in one.ports.ports() {
                all.insert(format!("{port}/{}", one.protocol), None);
            }
        }
    }
    for one in &info.connections.published {
        let own = all.entry(format!("{}/{}", one.container, one.protocol)).or_default();
        own.get_or_insert_default()
            .push(binding(Some(one.host.ip()), &one.host.port().to_string()));
    }
    all.into_iter().map(|(port, own)| (port, json!(own))).collect::<Map<_, _>>().into()
}

/// `HostConfig.PortBindings`: what was asked for.
pub(crate) fn asked_for(info: &Info) -> Value {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in &info.options.publishing.ports {
        let own = all.entry(format!("{}/{}", port.container, port.protocol)).or_default();
        let host = port.host.map_or(String::new(), |range| range.to_string());
        own.push(binding(port.address, &host));
    }
    all.into_iter().map(|(port, own)| (port, json!(own))).collect::<Map<_, _>>().into()
}

/// `Config.ExposedPorts`.
pub(crate) fn exposed(info: &Info) -> Value {
    let exposed = info
        .described
        .exposed
        .iter()
        .flat_map(|one| one.ports.ports().map(move |port| format!("{port}/{}", one.protocol)));
    let ports = &info.options.publishing.ports;
    let published = ports.iter().map(|port| format!("{}/{}", port.container, port.protocol));
    exposed.chain(published).map(|port| (port, json!({}))).collect::<Map<_, _>>().into()
}

fn binding(address: Option<IpAddr>, port: &str) -> Value {
    let address = address.map_or(String::new(), |address| address.to_string());
    json!({"HostIp": address, "HostPort": port})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::info;
    use minidock_engine::Status;

    fn running(published: &[(&str, u16)]) -> Info {
        let mut info = info("web");
        info.state.status = Status::Running;
        info.connections.published = published
            .iter()
            .map(|(host, container)| PortBinding {
                container: *container,
                protocol: Protocol::Tcp,
                host: host.parse().unwrap(),
            })
            .collect();
        info
    }

    #[test]
    fn ports_that_follow_one_another_are_shown_together() {
        let mut info = running(&[
            ("0.0.0.0:8081", 81),
            ("0.0.0.0:8080", 80),
            ("[::]:8080", 80),
            ("127.0.0.1:9000", 90),
        ]);
        info.described.exposed = vec!["80".parse().unwrap(), "53/udp".parse().unwrap()];
        assert_eq!(
            row(&info),
            "0.0.0.0:8080-8081->80-81/tcp, 127.0.0.1:9000->90/tcp, [::]:8080->80/tcp, 53/udp"
        );
        // Those of a range that are published are shown so alone.
        info.described.exposed = ["79-83", "83", "53/udp"].map(|it| it.parse().unwrap()).to_vec();
        assert!(row(&info).ends_with("[::]:8080->80/tcp, 79/tcp, 82-83/tcp, 53/udp"));
        info.state.status = Status::Exited;
        info.connections = Default::default();
        assert_eq!(row(&info), "");
    }

    #[test]
    fn bindings_are_docker_s() {
        let mut info = running(&[("0.0.0.0:8080", 80), ("[::]:8080", 80)]);
        info.described.exposed = vec!["80".parse().unwrap(), "53/udp".parse().unwrap()];
        let expected = json!({
            "53/udp": null,
            "80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": "8080"},
                {"HostIp": "::", "HostPort": "8080"},
            ],
        });
        assert_eq!(bindings(&info), expected);
        assert_eq!(exposed(&info), json!({"53/udp": {}, "80/tcp": {}}));
        info.options.publishing.ports = vec!["127.0.0.1:8080:80".parse().unwrap()];
        let expected = json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]});
        assert_eq!(asked_for(&info), expected);
    }
}
