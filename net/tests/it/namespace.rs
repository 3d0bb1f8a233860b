//! Network namespaces for tests. Namespaces belong to threads: the test's own is never changed.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use minidock_net::{
    Bridge, DEFAULT_MTU, Endpoint, InterfaceAddr, LinkName, Mac, Op, Session, Veth,
};
use nix::sched::{CloneFlags, setns, unshare};

pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Runs `work` where the host is an empty network namespace.
pub(crate) fn isolated<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs root");
        work()
    })
}

/// A network namespace that lives as long as the descriptor.
pub(crate) fn new_namespace() -> OwnedFd {
    isolated(current)
}

pub(crate) fn current() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").unwrap().into()
}

/// Runs `work` in `namespace`.
pub(crate) fn inside<T: Send>(namespace: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    on_thread(|| {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
}

pub(crate) fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

pub(crate) fn bridge(text: &str, address: &str, directory: &Path) -> Bridge {
    let address: InterfaceAddr = address.parse().unwrap();
    Bridge {
        name: name(text),
        addresses: vec![address],
        mac: Mac::of(address.address()),
        mtu: DEFAULT_MTU,
        lock: directory.join("bridge.lock"),
        owner: directory.to_owned(),
    }
}

pub(crate) fn veth(id: &str, bridge: &LinkName, address: InterfaceAddr) -> Veth {
    let (mac, addresses) = (Mac::of(address.address()), vec![address.address()]);
    let endpoint = Endpoint { mac, addresses };
    Veth {
        host: LinkName::veth(id),
        peer: LinkName::container(),
        bridge: bridge.clone(),
        mac: Mac::of(address.address()),
        mtu: DEFAULT_MTU,
        group: endpoint.group().unwrap(),
    }
}

/// All that a container's network consists of, with one address for each of the bridge's.
pub(crate) fn container_ops(id: &str, bridge: &Bridge, addresses: &[&str]) -> Vec<Op> {
    let addresses: Vec<InterfaceAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let link = LinkName::container;
    let mut ops = vec![
        Op::EnsureBridge(bridge.clone()),
        Op::Veth(veth(id, &bridge.name, addresses[0])),
        Op::LinkUp(LinkName::loopback()),
    ];
    ops.extend(addresses.into_iter().map(|address| Op::Address { link: link(), address }));
    ops.push(Op::LinkUp(link()));
    ops.extend(bridge.addresses.iter().map(|a| Op::DefaultRoute { via: a.address() }));
    ops
}

/// A namespace with the network of a container on `bridge`.
pub(crate) fn container(id: &str, bridge: &Bridge, addresses: &[&str]) -> OwnedFd {
    let namespace = new_namespace();
    let session = Session::new(Some(namespace.try_clone().unwrap())).unwrap();
    session.run_all(&container_ops(id, bridge, addresses)).unwrap();
    namespace
}

/// The example, which cargo builds beside the tests.
pub(crate) fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples/bridge");
    assert!(path.exists(), "{} is missing: cargo build --examples makes it", path.display());
    path
}
