use std::collections::HashSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;

use minidock_net::{Error, InterfaceAddr, Leases, Pool};

fn pool(gateway: &str) -> [Pool; 1] {
    [Pool::new(gateway.parse().unwrap()).unwrap()]
}

#[test]
fn two_hundred_leases_at_once_are_all_different() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let pool = pool("10.9.0.1/24");
    let barrier = Barrier::new(8);
    let take = |thread: usize| {
        // Each its own: a lock of one open file would not keep its threads apart.
        let leases = Leases::open(&path, &pool).unwrap();
        barrier.wait();
        let lease = |n| leases.allocate(&format!("c{thread}-{n}"), &[]).unwrap()[0].address();
        (0..25).map(lease).collect::<Vec<_>>()
    };
    let take = &take;
    let taken: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || take(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let different: HashSet<_> = taken.iter().copied().collect();
    assert_eq!(different.len(), 200);
    assert!(!different.contains(&pool[0].gateway().address()));
    let listed = Leases::open(&path, &pool).unwrap().list().unwrap();
    assert_eq!(
        listed.iter().map(|lease| lease.address.address()).collect::<HashSet<_>>(),
        different
    );
}

#[test]
fn taking_and_giving_back_at_once_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let pool = pool("10.9.0.1/28");
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let leases = Leases::open(path, &pool).unwrap();
                for round in 0..25 {
                    let owner = format!("c{thread}-{round}");
                    let address = leases.allocate(&owner, &[]).unwrap()[0].address();
                    let mine = leases.list().unwrap();
                    let with_it = mine.iter().filter(|lease| lease.address.address() == address);
                    assert_eq!(with_it.map(|lease| &lease.owner).collect::<Vec<_>>(), [&owner]);
                    assert_eq!(leases.release(&owner).unwrap(), [address]);
                }
            });
        }
    });
    assert_eq!(Leases::open(&path, &pool).unwrap().list().unwrap(), []);
}

#[test]
fn a_full_subnet_is_an_error_until_somebody_gives_back() {
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(directory.path().join("leases"), &pool("10.9.0.1/29")).unwrap();
    for owner in ["a", "b", "c", "d", "e"] {
        leases.allocate(owner, &[]).unwrap();
    }
    let error = leases.allocate("f", &[]).unwrap_err();
    assert!(matches!(error, Error::Exhausted { leased: 5, .. }), "{error}");
    assert_eq!(error.to_string(), "cannot lease an address of 10.9.0.0/29: all 5 are in use");
    let freed = leases.release("c").unwrap()[0];
    assert_eq!(leases.allocate("f", &[]).unwrap()[0].address(), freed);
}

#[test]
fn an_owner_has_one_address() {
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(directory.path().join("leases"), &pool("10.9.0.1/24")).unwrap();
    let first = leases.allocate("web", &[]).unwrap();
    assert_eq!(first[0].to_string(), "10.9.0.2/24");
    assert_eq!(leases.allocate("web", &[]).unwrap(), first);
    assert_eq!(leases.release("web").unwrap(), [first[0].address()]);
    assert!(leases.release("web").unwrap().is_empty());
    for bad in ["", "two words", "a\nb", &"x".repeat(256)] {
        assert!(
            matches!(leases.allocate(bad, &[]), Err(Error::Invalid { .. })),
            "{bad:?} was taken"
        );
    }
}

#[test]
fn a_corrupt_file_is_named_with_its_line_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let pool = pool("10.9.0.1/24");
    let leases = Leases::open(&path, &pool).unwrap();
    leases.allocate("web", &[]).unwrap();
    let damaged = fs::read_to_string(&path).unwrap().replace("10.9.0.2 web", "10.9.0.2 we b");
    for (contents, words) in [
        (damaged.as_bytes(), "line 4 contains white space or a control character"),
        (b"".as_slice(), "line 1 is missing"),
        (b"\xff\xfe\n".as_slice(), "line 1 is not \"minidock leases 1\""),
    ] {
        fs::write(&path, contents).unwrap();
        let wanted = format!("cannot read the leases in {}: {words}", path.display());
        assert_eq!(leases.allocate("db", &[]).unwrap_err().to_string(), wanted);
        assert_eq!(leases.release("web").unwrap_err().to_string(), wanted);
        assert_eq!(leases.list().unwrap_err().to_string(), wanted);
        assert_eq!(Leases::open(&path, &pool).unwrap_err().to_string(), wanted);
        assert_eq!(fs::read(&path).unwrap(), contents);
    }
}

#[test]
fn a_file_of_another_subnet_is_refused_while_it_has_leases() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let former = Leases::open(&path, &pool("10.9.0.1/24")).unwrap();
    former.allocate("web", &[]).unwrap();
    let error = Leases::open(&path, &pool("10.8.0.1/24")).unwrap_err();
    assert!(matches!(error, Error::OtherSubnet { .. }), "{error}");
    former.release("web").unwrap();
    let leases = Leases::open(&path, &pool("10.8.0.1/24")).unwrap();
    assert_eq!(leases.allocate("web", &[]).unwrap()[0].to_string(), "10.8.0.2/24");
}

#[test]
fn what_a_killed_process_left_of_a_new_file_does_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let leases = Leases::open(&path, &pool("10.9.0.1/24")).unwrap();
    leases.allocate("web", &[]).unwrap();
    fs::write(directory.path().join("leases.new"), "x".repeat(100_000)).unwrap();
    assert_eq!(leases.list().unwrap().len(), 1);
    leases.allocate("db", &[]).unwrap();
    assert_eq!(leases.list().unwrap().len(), 2);
}

#[test]
fn a_subnet_without_hosts_and_a_directory_that_is_missing_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none/leases");
    for small in ["10.9.0.0/31", "10.9.0.0/32", "fd00::/127", "fd00::/128"] {
        let refused = Pool::new(small.parse().unwrap());
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{small} was taken");
    }
    let leases = Leases::open(&path, &pool("10.9.0.1/24")).unwrap();
    let error = leases.allocate("web", &[]).unwrap_err();
    assert_eq!(error.errno(), Some(2), "{error}");
    assert!(error.to_string().contains("none/leases.lock"), "{error}");
}

#[test]
fn looking_for_the_next_address_takes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let leases = Leases::open(&path, &pool("10.9.0.1/30")).unwrap();
    let next = leases.next(&[]).unwrap();
    assert!(!path.exists());
    assert_eq!(leases.allocate("one", &[]).unwrap(), next);
    let before = fs::read(&path).unwrap();
    assert!(matches!(leases.next(&[]), Err(Error::Exhausted { leased: 1, .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn both_families_are_leased_together() {
    let directory = tempfile::tempdir().unwrap();
    let pools = [pool("fd00::1/64")[0], pool("10.9.0.1/24")[0]];
    let leases = Leases::open(directory.path().join("leases"), &pools).unwrap();
    let text =
        |given: Vec<InterfaceAddr>| given.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(leases.allocate("web", &[]).unwrap()), ["10.9.0.2/24", "fd00::2/64"]);
    assert_eq!(text(leases.next(&[]).unwrap()), ["10.9.0.3/24", "fd00::3/64"]);
    assert_eq!(text(leases.allocate("web", &[]).unwrap()), ["10.9.0.2/24", "fd00::2/64"]);
    let six = ["fd00::ff".parse().unwrap()];
    assert_eq!(text(leases.allocate("db", &six).unwrap()), ["10.9.0.3/24", "fd00::ff/64"]);
    // All or nothing: with its IPv6 address in use the other one is not taken either.
    let error = leases.allocate("new", &six).unwrap_err();
    assert_eq!(error.to_string(), "cannot lease fd00::ff: it is in use by db");
    assert_eq!(leases.list().unwrap().len(), 4);
    assert_eq!(leases.release("db").unwrap().len(), 2);
    assert_eq!(text(leases.allocate("new", &six).unwrap()), ["10.9.0.4/24", "fd00::ff/64"]);
    for wrong in [&[][..], &[pools[0], pools[0]], &[pools[0], pools[1], pools[0]]] {
        let refused = Leases::open(directory.path().join("leases"), wrong);
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_fixed_address_must_be_free_and_a_hosts() {
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(directory.path().join("leases"), &pool("10.9.0.1/24")).unwrap();
    let ask = |owner: &str, address: &str| leases.allocate(owner, &[address.parse().unwrap()]);
    assert_eq!(ask("web", "10.9.0.50").unwrap()[0].to_string(), "10.9.0.50/24");
    let told = |address: &str| ask("db", address).unwrap_err();
    for (address, owner) in [("10.9.0.50", "web"), ("10.9.0.1", "the gateway")] {
        let error = told(address);
        assert!(matches!(error, Error::AddressInUse { .. }), "{error}");
        assert_eq!(error.to_string(), format!("cannot lease {address}: it is in use by {owner}"));
    }
    for address in ["10.9.0.0", "10.9.0.255", "10.9.1.5", "fd00::5"] {
        let error = told(address);
        assert!(matches!(error, Error::OutsideSubnet { .. }), "{error}");
        let words = "it is not the address of a host of 10.9.0.0/24";
        assert_eq!(error.to_string(), format!("cannot lease {address}: {words}"));
    }
    assert_eq!(leases.list().unwrap().len(), 1);
    // Who has it keeps it, until another one is asked for.
    assert_eq!(ask("web", "10.9.0.50").unwrap()[0].to_string(), "10.9.0.50/24");
    assert_eq!(ask("web", "10.9.0.60").unwrap()[0].to_string(), "10.9.0.60/24");
    assert_eq!(leases.list().unwrap().len(), 1);
    ask("web", "10.9.0.50").unwrap();
    // Free again at once, and no part of the turn.
    leases.release("web").unwrap();
    ask("db", "10.9.0.50").unwrap();
    assert_eq!(leases.allocate("next", &[]).unwrap()[0].to_string(), "10.9.0.2/24");
}

#[test]
fn a_range_is_where_addresses_are_taken_from() {
    let directory = tempfile::tempdir().unwrap();
    let [whole] = pool("10.9.0.1/24");
    let range = whole.within("10.9.0.252/30".parse().unwrap()).unwrap();
    let leases = Leases::open(directory.path().join("leases"), &[range]).unwrap();
    let take = |owner: &str| leases.allocate(owner, &[]).map(|given| given[0].to_string());
    // The last address of all is nobody's.
    for (owner, address) in [("a", "252"), ("b", "253"), ("c", "254")] {
        assert_eq!(take(owner).unwrap(), format!("10.9.0.{address}/24"));
    }
    let full = take("d").unwrap_err();
    assert!(matches!(full, Error::Exhausted { leased: 3, .. }), "{full}");
    assert_eq!(full.to_string(), "cannot lease an address of 10.9.0.252/30: all 3 are in use");
    // A fixed one may be outside it.
    leases.allocate("fixed", &["10.9.0.7".parse().unwrap()]).unwrap();
    leases.release("b").unwrap();
    assert_eq!(take("d").unwrap(), "10.9.0.253/24");
    for wrong in ["10.9.0.0/23", "10.8.0.0/24", "fd00::/64"] {
        assert!(whole.within(wrong.parse().unwrap()).is_err(), "{wrong} was taken");
    }
}

#[test]
fn what_is_given_back_does_not_depend_on_the_subnets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    Leases::open(&path, &pool("10.9.0.1/24")).unwrap().allocate("web", &[]).unwrap();
    let recorded = Leases::recorded(&path).unwrap().unwrap();
    recorded.release("web").unwrap();
    Leases::open(&path, &pool("fd00::1/64")).unwrap().allocate("db", &[]).unwrap();
    assert!(recorded.release("web").unwrap().is_empty());
    assert_eq!(recorded.release("db").unwrap().len(), 1);
    fs::remove_file(&path).unwrap();
    assert!(recorded.release("db").unwrap().is_empty());
}

#[test]
fn a_file_of_the_former_form_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let text = "minidock leases 1\nsubnet 10.9.0.0/24\nlast 10.9.0.4\nlease 10.9.0.4 web\nend 1\n";
    fs::write(&path, text).unwrap();
    let leases = Leases::open(&path, &pool("10.9.0.1/24")).unwrap();
    assert_eq!(leases.list().unwrap()[0].owner, "web");
    assert_eq!(leases.allocate("db", &[]).unwrap()[0].to_string(), "10.9.0.5/24");
}

/// The example leases for as many owners as it is given.
#[test]
fn eight_processes_share_a_subnet_without_a_duplicate() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let start = |process: usize| {
        let mut command = Command::new(crate::namespace::example());
        command.arg("lease").arg(&path).arg("10.9.0.1/24,fd00::1/64");
        command.args((0..31).map(|n| format!("c{process}-{n}"))).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let processes: Vec<_> = (0..8).map(start).collect();
    let mut given = Vec::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        given.extend(text.split_whitespace().map(str::to_owned));
    }
    assert_eq!(given.len(), 8 * 31 * 2);
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
    let pools = [pool("10.9.0.1/24")[0], pool("fd00::1/64")[0]];
    let leases = Leases::open(&path, &pools).unwrap();
    assert_eq!(leases.list().unwrap().len(), given.len());
    // 253 hosts but the gateway: five more, and no sixth.
    (0..5).for_each(|n| drop(leases.allocate(&format!("more-{n}"), &[]).unwrap()));
    assert!(matches!(leases.allocate("last", &[]), Err(Error::Exhausted { leased: 253, .. })));
}
