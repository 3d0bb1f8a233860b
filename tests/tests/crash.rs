//! minidock dies at every step that makes or undoes something, and at random moments; the next
//! command, of whatever kind, finds everything in order or brings it there.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use minidock_tests::{Found, Sandbox, wait_for_group};

/// The most places of a life at which it is killed; a slow machine asks for fewer rounds.
fn places() -> usize {
    let rounds = std::env::var("MINIDOCK_TEST_ROUNDS");
    rounds.map_or(usize::MAX, |rounds| rounds.parse::<usize>().unwrap().div_ceil(5))
}

/// What is done to a container, in words of a command line each.
#[derive(Debug)]
struct Life {
    name: &'static str,
    prepare: fn(&Sandbox, &str),
    /// At one of these minidock dies.
    commands: &'static [&'static str],
    /// How the container may be afterwards: `gone`, `exists` (and does not run), `runs`.
    allowed: &'static [&'static str],
}

const NOTHING: fn(&Sandbox, &str) = |_, _| {};

const ANY: &[&str] = &["gone", "exists", "runs"];

const LIVES: &[Life] = &[
    Life {
        name: "run",
        prepare: NOTHING,
        commands: &["run --name one NET -v data:/v alpine sh -c true>/v/f"],
        allowed: &["gone", "exists"],
    },
    Life {
        name: "run --rm",
        prepare: NOTHING,
        commands: &["run --rm --name one NET -v data:/v -v /v2 -m 64m alpine true"],
        allowed: &["gone"],
    },
    Life {
        name: "run --userns",
        prepare: NOTHING,
        commands: &["run --name one NET --userns auto -v data:/v -u 7 alpine true"],
        allowed: &["gone", "exists"],
    },
    Life {
        name: "run -d",
        prepare: NOTHING,
        commands: &[
            "run -d --name one NET -v data:/v --stop-signal KILL alpine sleep 60",
            "stop one",
        ],
        allowed: ANY,
    },
    Life {
        name: "run -d --rm",
        prepare: NOTHING,
        commands: &["run -d --rm --name one NET -v data:/v alpine sleep 60", "rm -f one"],
        allowed: &["gone", "runs"],
    },
    Life {
        name: "run -d --restart",
        prepare: NOTHING,
        commands: &[
            "run -d --restart on-failure:1 --name one NET alpine false",
            "wait one",
            "wait one",
            "rm one",
        ],
        allowed: ANY,
    },
    Life {
        name: "run --health-cmd",
        prepare: NOTHING,
        // The first probe's result is there when the second begins, which ends the container.
        commands: &["run --name one NET --health-interval 1ms \
             --health-cmd test\t-e\t/a&&>/ok&&sleep\t60;>/a \
             alpine sh -c until\ttest\t-e\t/ok;do\tsleep\t0.1;done"],
        allowed: &["gone", "exists"],
    },
    Life { name: "stop", prepare: detached, commands: &["stop one"], allowed: &["exists", "runs"] },
    Life { name: "rm -f", prepare: detached, commands: &["rm -f one"], allowed: ANY },
    Life { name: "rm", prepare: created, commands: &["rm one"], allowed: &["exists", "gone"] },
    Life { name: "rename", prepare: created, commands: &["rename one two"], allowed: &["exists"] },
    Life {
        name: "rename what runs",
        prepare: detached,
        commands: &["rename one two", "rm -f two"],
        allowed: ANY,
    },
    Life {
        name: "rename of what leaves nothing",
        prepare: NOTHING,
        commands: &[
            "run -d --rm --name one NET --stop-signal KILL alpine sleep 60",
            "rename one two",
            "stop two",
        ],
        allowed: &["gone", "runs"],
    },
    Life {
        name: "restart of what leaves nothing",
        prepare: detached_without_traces,
        commands: &["restart -t 0 one", "rm -f one"],
        allowed: &["gone", "runs"],
    },
    Life {
        name: "start",
        prepare: created,
        commands: &["start one", "stop one"],
        allowed: &["exists", "runs"],
    },
    Life { name: "exec", prepare: detached, commands: &["exec one true"], allowed: &["runs"] },
    Life {
        name: "exec -d",
        prepare: detached,
        commands: &["exec -d one sleep 60"],
        allowed: &["runs"],
    },
    Life {
        name: "network create",
        prepare: NOTHING,
        commands: &["network create web", "network rm web"],
        allowed: &["gone"],
    },
    Life {
        name: "network connect",
        prepare: beside_a_network,
        commands: &[
            "network connect --alias www web one",
            "network disconnect web one",
            "rm -f one",
            "network rm web",
        ],
        allowed: ANY,
    },
    Life {
        name: "run on a network",
        prepare: network_alone,
        commands: &[
            "run --rm --name one --network web --network-alias www -p 80 -p 53/udp alpine true",
        ],
        allowed: &["gone"],
    },
    Life {
        name: "wait after a crash",
        prepare: crashed,
        commands: &["wait nosuch"],
        allowed: &["exists"],
    },
    Life {
        name: "wait after a reboot",
        prepare: rebooted,
        commands: &["wait nosuch"],
        allowed: &["exists"],
    },
];

fn words<'a>(line: &'a str, network: &'a str) -> Vec<&'a str> {
    let words = line.split(' ');
    words
        .flat_map(|word| if word == "NET" { vec!["--network", network] } else { vec![word] })
        .collect()
}

fn detached(sandbox: &Sandbox, network: &str) {
    let line = "run -d --name one NET -v data:/v --stop-signal KILL alpine sleep 60";
    sandbox.minidock(words(line, network)).output().expect_code(0);
}

fn detached_without_traces(sandbox: &Sandbox, network: &str) {
    let line = "run -d --rm --name one NET -v data:/v alpine sleep 60";
    sandbox.minidock(words(line, network)).output().expect_code(0);
}

fn network_alone(sandbox: &Sandbox, _: &str) {
    let line = "network create --subnet 10.97.0.0/24 --subnet fd00:97::/64 web";
    sandbox.minidock(words(line, "")).output().expect_code(0);
}

fn beside_a_network(sandbox: &Sandbox, network: &str) {
    network_alone(sandbox, network);
    detached(sandbox, network);
}

fn created(sandbox: &Sandbox, network: &str) {
    let line = "create --name one NET -v data:/v --stop-signal KILL alpine sleep 60";
    sandbox.minidock(words(line, network)).output().expect_code(0);
}

/// Several have died at once.
fn crashed(sandbox: &Sandbox, network: &str) {
    for (place, name) in
        [("begin-record", "one"), ("launch-open-gate", "three"), ("claim-name", "four")]
    {
        let line = format!("run --name {name} NET -v data:/v --userns auto alpine sleep 60");
        sandbox.doomed(place, words(&line, network)).output();
    }
}

/// Nothing is left below the state directory.
fn rebooted(sandbox: &Sandbox, network: &str) {
    created(sandbox, network);
    let line = "run --rm --name three NET -v data:/v alpine true";
    sandbox.doomed("end-outcome", words(line, network)).output();
    let line = "run --name four NET -v data:/v alpine true";
    sandbox.doomed("claim-name", words(line, network)).output();
    symlink("0".repeat(64), sandbox.root().join("names/five")).unwrap();
    for entry in fs::read_dir(sandbox.state()).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().is_some_and(|name| name == "containers") {
            // It is watched.
            true => empty(&path),
            false if path.is_dir() => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
}

/// Lives a life and dies at a failpoint; what is left after the next command.
fn live(life: &Life, network: &str, failpoint: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    (life.prepare)(&sandbox, network);
    for command in life.commands {
        let running = sandbox.doomed(failpoint, words(command, network)).spawn();
        let group = running.pid();
        if running.wait().status.code().is_none() {
            wait_for_group(group);
            break;
        }
    }
    sandbox
}

fn judge(life: &Life, found: &[Found], what: &str) {
    let is = match found {
        [] => "gone",
        [one] if one.name == "one" || one.name == "two" => match one.runs {
            true => "runs",
            false => "exists",
        },
        _ => panic!("{what}: {found:?}"),
    };
    assert!(life.allowed.contains(&is), "{what}: {found:?}");
}

/// How many containers of a test are killed at the same time.
const WORKERS: usize = 3;

fn kill_at(life: &Life, network: &str, place: &str, passage: usize) {
    let failpoint = format!("{place}:{passage}");
    let what = format!("{}, network {network}, killed at {failpoint}", life.name);
    let sandbox = live(life, network, &failpoint);
    sandbox.wait_for_death_at(place, passage);
    // What speaks of a container that does not exist, and does nothing but what any command does.
    sandbox.minidock(["wait", "nosuch"]).output().expect_code(1);
    judge(life, &sandbox.assert_consistent(&what), &what);
    // As minidock itself sees it.
    sandbox.minidock(["system", "prune", "--verify"]).output().expect_code(0);
    sandbox.minidock(["rm", "-f", "one", "two"]).output().expect_code(0);
    sandbox.assert_clean();
}

/// Kills minidock at each passage of each place in a life; the places.
fn kill_everywhere(name: &str, network: &str) -> BTreeSet<String> {
    let life = LIVES.iter().find(|life| life.name == name).unwrap();
    let sandbox = live(life, network, "none");
    sandbox.minidock(["rm", "-f", "one", "two"]).output();
    sandbox.assert_clean();
    let passages = sandbox.passages();
    let places = passages.iter().flat_map(|(name, count)| (1..=*count).map(move |n| (name, n)));
    let places: Vec<_> = places.collect();
    assert!(!places.is_empty(), "{name} passes no place");
    let step = places.len().div_ceil(self::places()).max(1);
    let places: Vec<_> = places.into_iter().step_by(step).collect();
    // Most of the time is spent waiting for ends.
    thread::scope(|scope| {
        for part in places.chunks(places.len().div_ceil(WORKERS)) {
            scope.spawn(|| {
                part.iter().for_each(|(place, passage)| kill_at(life, network, place, *passage));
            });
        }
    });
    passages.into_keys().collect()
}

macro_rules! killed_everywhere {
    ($($test:ident: $life:literal, $network:literal;)*) => {
        $(
            #[test]
            #[ignore = "needs root: runs containers"]
            fn $test() {
                kill_everywhere($life, $network);
            }
        )*

        const TESTED: &[(&str, &str)] = &[$(($life, $network)),*];
    };
}

killed_everywhere! {
    run: "run", "none";
    run_on_a_bridge: "run", "bridge";
    run_rm: "run --rm", "none";
    run_rm_on_a_bridge: "run --rm", "bridge";
    run_with_ids_of_its_own: "run --userns", "bridge";
    detached_run: "run -d", "none";
    detached_run_on_a_bridge: "run -d", "bridge";
    detached_run_rm: "run -d --rm", "none";
    detached_run_rm_on_a_bridge: "run -d --rm", "bridge";
    restart_policy: "run -d --restart", "none";
    restart_policy_on_a_bridge: "run -d --restart", "bridge";
    health_check: "run --health-cmd", "none";
    stop: "stop", "none";
    stop_on_a_bridge: "stop", "bridge";
    rm_force: "rm -f", "none";
    rm_force_on_a_bridge: "rm -f", "bridge";
    rm: "rm", "bridge";
    rename: "rename", "none";
    rename_of_what_runs: "rename what runs", "bridge";
    rename_of_what_leaves_nothing: "rename of what leaves nothing", "none";
    restart_of_what_leaves_nothing: "restart of what leaves nothing", "none";
    start: "start", "none";
    start_on_a_bridge: "start", "bridge";
    exec: "exec", "none";
    detached_exec: "exec -d", "none";
    network: "network create", "none";
    connect: "network connect", "bridge";
    run_on_a_network: "run on a network", "none";
    sweep: "wait after a crash", "bridge";
    reboot: "wait after a reboot", "bridge";
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_program_in_a_container_ends_with_the_engine_that_has_started_it() {
    let probe = Sandbox::new();
    detached(&probe, "none");
    probe.doomed("none", ["exec", "one", "true"]).output().expect_code(0);
    let places = probe.passages();
    assert!(places.contains_key("launch-executed"), "{places:?}");
    probe.minidock(["rm", "-f", "one"]).output().expect_code(0);
    let sandbox = Sandbox::new();
    let run = ["run", "-d", "--name", "one", "--network", "none", "alpine", "sleep", "1000"];
    sandbox.minidock(run).output().expect_code(0);
    for place in places.keys() {
        let running = sandbox.doomed(place, ["exec", "one", "sleep", "1000"]).spawn();
        let group = running.pid();
        running.wait_for_end();
        wait_for_group(group);
        sandbox.wait_for_processes(1);
        assert!(sandbox.assert_consistent(place).iter().all(|one| one.runs), "{place}");
    }
    sandbox.minidock(["rm", "-f", "one"]).output().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn every_place_is_reached_by_some_command() {
    let sandbox = Sandbox::new();
    let list = sandbox.doomed("none", ["failpoints"]).output().expect_code(0);
    let mut places: BTreeSet<&str> = list.stdout.lines().collect();
    // Those of a program that connects containers without root: tests/rootless_network.rs.
    places.retain(|place| !place.contains("connector"));
    assert!(places.len() > 40, "{list}");
    let mut undeclared = Vec::new();
    for life in LIVES {
        assert!(TESTED.iter().any(|(name, _)| *name == life.name), "{} is not tested", life.name);
        let sandbox = live(life, "bridge", "none");
        for place in sandbox.passages().into_keys() {
            if !list.stdout.lines().any(|declared| declared == place) {
                undeclared.push(place.clone());
            }
            places.remove(place.as_str());
        }
    }
    assert!(places.is_empty(), "never reached: {places:?}");
    assert!(undeclared.is_empty(), "not declared: {undeclared:?}");
}
