use std::os::unix::fs::PermissionsExt;

use std::thread;

use minidock_net::{Bridge, Leases, LinkName, Mac, Pool};
use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::containers::Config;
use crate::{
    ContainerId, Described, EndpointOptions, Kind, NetworkMode, NetworkOptions, RootSource,
    RunOptions,
};

fn engine(place: &tempfile::TempDir) -> Engine {
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o700)).unwrap();
    Engine::new(place.path().join("root"), place.path().join("state"))
}

fn network(name: &str) -> Network {
    let id = ContainerId::random().unwrap();
    Network {
        bridge: minidock_net::LinkName::bridge(id.as_str()),
        id: id.to_string(),
        name: name.to_owned(),
        created: 1,
        labels: Vec::new(),
        internal: false,
        mtu: 1500,
        subnets: Vec::new(),
    }
}

#[test]
fn those_that_a_container_is_to_join_are_wanted() {
    let place = tempfile::tempdir().unwrap();
    let engine = engine(&place);
    engine.containers.prepare().unwrap();
    let networks = Networks::of(&engine);
    let lock = networks.lock().unwrap();
    let made = ["by-name", "by-id", "unused"].map(network);
    made.iter().for_each(|network| networks.write(&lock, network).unwrap());
    let joined = [made[0].name.as_str(), &made[1].id[..12], "gone"].map(EndpointOptions::new);
    let mut options = RunOptions::new(RootSource::Image("alpine".to_owned()));
    options.network = Some(NetworkMode::Joined(joined.to_vec()));
    let config = Config {
        id: ContainerId::random().unwrap(),
        name: "web".to_owned(),
        image: "alpine".to_owned(),
        created: 1,
        command: Vec::new(),
        stop_signal: 15,
        options,
        base: None,
        described: Described::default(),
    };
    engine.containers.write_config(&config, false).unwrap();
    let wanted = used::wanted(&engine).unwrap();
    assert_eq!(wanted, made[..2].iter().map(|network| network.id.clone()).collect());
}

#[test]
fn who_is_on_a_network_is_named() {
    let member = |name: &str| NetworkMember {
        id: "0123456789abcdef".repeat(4),
        name: name.to_owned(),
        mac: None,
        addresses: Vec::new(),
    };
    let error = in_use(&network("web"), &[member("a"), member("b")]);
    assert_eq!(
        error.to_string(),
        "network web has active endpoints (name:\"a\" id:\"0123456789ab\", name:\"b\" \
         id:\"0123456789ab\")"
    );
}

/// As the first container that joins makes it.
fn join(engine: &Engine, session: &Session, network: &Network, owner: &str) -> Leases {
    let gateway = network.subnets[0].gateway;
    let leases = engine.state.leases(network.bridge.as_str());
    let leases = Leases::open(leases, &[Pool::new(gateway).unwrap()]).unwrap();
    leases.allocate(owner, &[]).unwrap();
    let firewall = engine.state.firewall().unwrap();
    let mut connection = Connection::open().unwrap();
    firewall.ensure(&mut connection).unwrap();
    firewall.apply(&mut connection, &firewall.network(&network.bridge, false)).unwrap();
    let bridge = Bridge {
        name: network.bridge.clone(),
        addresses: vec![gateway],
        mac: Mac::of(gateway.address()),
        mtu: network.mtu,
        lock: engine.state.bridge_lock(network.bridge.as_str()),
        owner: engine.state.path().to_owned(),
    };
    session.ensure_bridge(&bridge).unwrap();
    fs::create_dir_all(engine.state.path().join("names/web")).unwrap();
    leases
}

fn removed_with_all_that_it_has() {
    let place = tempfile::tempdir().unwrap();
    let engine = engine(&place);
    let options = NetworkOptions { name: "Web".to_owned(), ..NetworkOptions::default() };
    let network = engine.create_network(&options).unwrap();
    let session = Session::new(None).unwrap();
    let owner = ContainerId::random().unwrap();
    let leases = join(&engine, &session, &network, owner.as_str());
    let error = engine.remove_network("Web").unwrap_err().to_string();
    assert!(error.contains("has active endpoints"), "{error}");
    assert!(engine.prune_networks(|_| true).unwrap().networks.is_empty());
    assert!(session.link(&network.bridge).unwrap().is_some());
    leases.release(owner.as_str()).unwrap();
    engine.remove_network("Web").unwrap();
    assert_eq!(session.link(&network.bridge).unwrap(), None);
    let firewall = engine.state.firewall().unwrap();
    let elements = firewall.present(&mut Connection::open().unwrap()).unwrap();
    assert_eq!(elements, []);
    assert!(fs::read_dir(engine.state.networks()).unwrap().next().is_none());
    assert!(!engine.state.path().join("names/web").exists());
    assert_eq!(engine.find_network("Web").unwrap_err().what(), Kind::NoSuchNetwork);
}

fn a_link_of_others_stays() {
    let place = tempfile::tempdir().unwrap();
    let (engine, elsewhere) = (engine(&place), place.path().join("other"));
    let name: LinkName = "br-web".parse().unwrap();
    let options = NetworkOptions {
        name: "web".to_owned(),
        bridge: Some(name.clone()),
        ..NetworkOptions::default()
    };
    let network = engine.create_network(&options).unwrap();
    let session = Session::new(None).unwrap();
    let gateway = network.subnets[0].gateway;
    let bridge = Bridge {
        name: name.clone(),
        addresses: vec![gateway],
        mac: Mac::of(gateway.address()),
        mtu: network.mtu,
        lock: place.path().join("lock"),
        owner: elsewhere,
    };
    session.ensure_bridge(&bridge).unwrap();
    engine.remove_network("web").unwrap();
    assert!(session.link(&name).unwrap().is_some());
}

/// A thread's own network namespace ends with it.
fn in_a_network_namespace(test: fn()) {
    let inside = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    };
    thread::spawn(inside).join().unwrap();
}

#[test]
#[ignore = "needs root: makes links and tables in a network namespace"]
fn a_network_goes_with_all_that_it_has() {
    in_a_network_namespace(removed_with_all_that_it_has);
}

#[test]
#[ignore = "needs root: makes links in a network namespace"]
fn what_has_its_name_and_is_another_s_stays() {
    in_a_network_namespace(a_link_of_others_stays);
}
