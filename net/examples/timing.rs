//! How long each step of a container's network takes, the median of a number of containers that
//! stay, in a network namespace of its own: `timing [CONTAINERS]`, as root.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use minidock_net::{DEFAULT_MTU, Leases, LinkName, Mac, Op, Pool, Session, Veth};
use nix::sched::{CloneFlags, unshare};

/// The steps in their order, and what each took.
type Times = BTreeMap<(usize, String), Vec<Duration>>;

fn main() -> ExitCode {
    let number = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    match run(number) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("timing: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(number: usize) -> Result<(), Box<dyn Error>> {
    let containers: Vec<OwnedFd> = (0..number).map(|_| namespace()).collect::<Result<_, _>>()?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let directory = tempfile::tempdir_in("/run")?;
    let mut times = Times::new();
    for (index, container) in containers.into_iter().enumerate() {
        one(index, container, directory.path(), &mut times)?;
    }
    let mut all = Duration::ZERO;
    for ((_, step), times) in &mut times {
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        all += median;
        println!("{:>8} µs  {step}", median.as_micros());
    }
    println!("{:>8} µs  together", all.as_micros());
    Ok(())
}

fn namespace() -> Result<OwnedFd, Box<dyn Error>> {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    });
    Ok(made.join().map_err(|_| "the thread has panicked")??.into())
}

fn one(
    index: usize,
    container: OwnedFd,
    directory: &std::path::Path,
    times: &mut Times,
) -> Result<(), Box<dyn Error>> {
    let id = format!("container-{index}");
    let mut start = Instant::now();
    let mut done = |step: String| {
        let key =
            (times.keys().find(|(_, known)| *known == step).map_or(times.len(), |k| k.0), step);
        times.entry(key).or_default().push(start.elapsed());
        start = Instant::now();
    };
    let mut session = Session::new(None)?;
    done("session".to_owned());
    let name = LinkName::default_bridge();
    let bridge = session.plan_bridge(&name, (&directory.join("lock"), directory), &[])?;
    done("plan the bridge".to_owned());
    let leases = Leases::open(directory.join("leases"), &[Pool::new(bridge.addresses[0])?])?;
    leases.next(&[])?;
    done("next address".to_owned());
    let address = leases.allocate(&id, &[])?[0];
    done("allocate".to_owned());
    session.attach(container)?;
    done("attach".to_owned());
    let (via, mac, eth0) =
        (bridge.addresses[0].address(), Mac::of(address.address()), LinkName::container());
    let veth = Veth {
        host: LinkName::veth(&id),
        peer: eth0.clone(),
        bridge: name,
        mac,
        mtu: DEFAULT_MTU,
        group: 0,
    };
    for (what, op) in [
        ("bridge", Op::EnsureBridge(bridge)),
        ("veth", Op::Veth(veth)),
        ("address", Op::Address { link: eth0.clone(), address }),
        ("up", Op::LinkUp(eth0)),
        ("route", Op::DefaultRoute { via }),
    ] {
        session.run(&op)?;
        done(what.to_owned());
    }
    drop(session);
    done("close".to_owned());
    Ok(())
}
