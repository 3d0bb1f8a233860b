use std::collections::HashSet;
use std::fs;
use std::sync::Barrier;
use std::thread;

use minidock_net::{Error, InterfaceAddr, Leases};

fn gateway(text: &str) -> InterfaceAddr {
    text.parse().unwrap()
}

#[test]
fn two_hundred_leases_at_once_are_all_different() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let gateway = gateway("10.9.0.1/24");
    let barrier = Barrier::new(8);
    let take = |thread: usize| {
        // Each its own: a lock of one open file would not keep its threads apart.
        let leases = Leases::open(&path, gateway).unwrap();
        barrier.wait();
        let lease = |n| leases.allocate(&format!("c{thread}-{n}")).unwrap().address();
        (0..25).map(lease).collect::<Vec<_>>()
    };
    let take = &take;
    let taken: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || take(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let different: HashSet<_> = taken.iter().copied().collect();
    assert_eq!(different.len(), 200);
    assert!(!different.contains(&gateway.address()));
    let listed = Leases::open(&path, gateway).unwrap().list().unwrap();
    assert_eq!(
        listed.iter().map(|lease| lease.address.address()).collect::<HashSet<_>>(),
        different
    );
}

#[test]
fn taking_and_giving_back_at_once_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let gateway = gateway("10.9.0.1/28");
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let leases = Leases::open(path, gateway).unwrap();
                for round in 0..25 {
                    let owner = format!("c{thread}-{round}");
                    let address = leases.allocate(&owner).unwrap().address();
                    let mine = leases.list().unwrap();
                    let with_it = mine.iter().filter(|lease| lease.address.address() == address);
                    assert_eq!(with_it.map(|lease| &lease.owner).collect::<Vec<_>>(), [&owner]);
                    assert_eq!(leases.release(&owner).unwrap(), Some(address));
                }
            });
        }
    });
    assert_eq!(Leases::open(&path, gateway).unwrap().list().unwrap(), []);
}

#[test]
fn a_full_subnet_is_an_error_until_somebody_gives_back() {
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(directory.path().join("leases"), gateway("10.9.0.1/29")).unwrap();
    for owner in ["a", "b", "c", "d", "e"] {
        leases.allocate(owner).unwrap();
    }
    let error = leases.allocate("f").unwrap_err();
    assert!(matches!(error, Error::Exhausted { leased: 5, .. }), "{error}");
    assert_eq!(error.to_string(), "cannot lease an address of 10.9.0.0/29: all 5 are in use");
    let freed = leases.release("c").unwrap().unwrap();
    assert_eq!(leases.allocate("f").unwrap().address(), freed);
}

#[test]
fn an_owner_has_one_address() {
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(directory.path().join("leases"), gateway("10.9.0.1/24")).unwrap();
    let first = leases.allocate("web").unwrap();
    assert_eq!(first.to_string(), "10.9.0.2/24");
    assert_eq!(leases.allocate("web").unwrap(), first);
    assert_eq!(leases.release("web").unwrap(), Some(first.address()));
    assert_eq!(leases.release("web").unwrap(), None);
    for bad in ["", "two words", "a\nb", &"x".repeat(256)] {
        assert!(matches!(leases.allocate(bad), Err(Error::Invalid { .. })), "{bad:?} was taken");
    }
}

#[test]
fn a_corrupt_file_is_named_with_its_line_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let gateway = gateway("10.9.0.1/24");
    let leases = Leases::open(&path, gateway).unwrap();
    leases.allocate("web").unwrap();
    let damaged = fs::read_to_string(&path).unwrap().replace("10.9.0.2 web", "10.9.0.2 we b");
    for (contents, words) in [
        (damaged.as_bytes(), "line 4 contains white space or a control character"),
        (b"".as_slice(), "line 1 is missing"),
        (b"\xff\xfe\n".as_slice(), "line 1 is not \"minidock leases 1\""),
    ] {
        fs::write(&path, contents).unwrap();
        let wanted = format!("cannot read the leases in {}: {words}", path.display());
        assert_eq!(leases.allocate("db").unwrap_err().to_string(), wanted);
        assert_eq!(leases.release("web").unwrap_err().to_string(), wanted);
        assert_eq!(leases.list().unwrap_err().to_string(), wanted);
        assert_eq!(Leases::open(&path, gateway).unwrap_err().to_string(), wanted);
        assert_eq!(fs::read(&path).unwrap(), contents);
    }
}

#[test]
fn a_file_of_another_subnet_is_refused_while_it_has_leases() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let former = Leases::open(&path, gateway("10.9.0.1/24")).unwrap();
    former.allocate("web").unwrap();
    let error = Leases::open(&path, gateway("10.8.0.1/24")).unwrap_err();
    assert!(matches!(error, Error::OtherSubnet { .. }), "{error}");
    former.release("web").unwrap();
    let leases = Leases::open(&path, gateway("10.8.0.1/24")).unwrap();
    assert_eq!(leases.allocate("web").unwrap().to_string(), "10.8.0.2/24");
}

#[test]
fn what_a_killed_process_left_of_a_new_file_does_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    let leases = Leases::open(&path, gateway("10.9.0.1/24")).unwrap();
    leases.allocate("web").unwrap();
    fs::write(directory.path().join("leases.new"), "x".repeat(100_000)).unwrap();
    assert_eq!(leases.list().unwrap().len(), 1);
    leases.allocate("db").unwrap();
    assert_eq!(leases.list().unwrap().len(), 2);
}

#[test]
fn a_subnet_without_hosts_and_a_directory_that_is_missing_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none/leases");
    assert!(matches!(Leases::open(&path, gateway("10.9.0.0/31")), Err(Error::Invalid { .. })));
    let leases = Leases::open(&path, gateway("10.9.0.1/24")).unwrap();
    let error = leases.allocate("web").unwrap_err();
    assert_eq!(error.errno(), Some(2), "{error}");
    assert!(error.to_string().contains("none/leases.lock"), "{error}");
}
