use std::error::Error as _;
use std::fs::{self, File};
use std::io;

use minidock_net::{Error, LinkName, Op, Session, Side};

use crate::namespace::{bridge, container, isolated, name, new_namespace, veth};

fn errno(error: &Error) -> Option<i32> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>())?.raw_os_error()
}

#[test]
fn the_loopback_is_listed_without_root() {
    let session = Session::new(None).unwrap();
    let lo = session.link(&LinkName::loopback()).unwrap().unwrap();
    assert_eq!((lo.index, lo.kind.as_deref(), lo.controller), (1, None, None));
    assert!(session.links(Side::Host).unwrap().contains(&lo));
    assert_eq!(session.link(&name("no-such-link")).unwrap(), None);
}

#[test]
fn a_session_works_inside_an_asynchronous_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let session = Session::new(None).unwrap();
        assert!(session.link(&LinkName::loopback()).unwrap().is_some());
        assert!(!session.links(Side::Host).unwrap().is_empty());
        drop(session);
    });
}

#[test]
fn a_session_is_shared_among_threads() {
    let session = Session::new(None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(session.link(&LinkName::loopback()).unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn what_is_for_a_container_needs_one() {
    let session = Session::new(None).unwrap();
    let up = Op::LinkUp(LinkName::container());
    let error = session.run(&up).unwrap_err();
    let words = "cannot bring up eth0 in the container: \
                 the session has no container's network namespace";
    assert_eq!(error.to_string(), words);
    assert!(matches!(session.links(Side::Container), Err(Error::NoContainer { .. })));
}

#[test]
fn a_descriptor_that_is_no_network_namespace_is_refused() {
    let file = File::open("/dev/null").unwrap();
    let error = Session::new(Some(file.into())).unwrap_err();
    assert!(matches!(&error, Error::Connect { side: Side::Container, .. }), "{error}");
    assert!(error.errno().is_some());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_calling_thread_stays_in_its_namespace() {
    isolated(|| {
        let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = here();
        let session = Session::new(Some(new_namespace())).unwrap();
        session.run(&Op::LinkUp(LinkName::loopback())).unwrap();
        assert_eq!(here(), before);
        assert!(!session.link(&LinkName::loopback()).unwrap().unwrap().up);
        assert!(session.links(Side::Container).unwrap()[0].up);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_the_kernel_refuses_is_told_in_words_with_the_errno() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(Some(new_namespace())).unwrap();
        let address = "10.9.0.2/24".parse().unwrap();
        let pair = Op::Veth(veth("one", &name("br0"), address));
        let fails = |op: &Op, code: i32| {
            let error = session.run(op).unwrap_err();
            assert_eq!(errno(&error), Some(code), "{error}");
            assert_eq!(error.errno(), Some(code));
            assert!(error.to_string().starts_with(&format!("cannot {op}: ")), "{error}");
        };
        fails(&pair, libc::ENODEV);
        fails(&Op::LinkUp(name("eth0")), libc::ENODEV);
        fails(&Op::Address { link: name("eth0"), address }, libc::ENODEV);
        fails(&Op::DefaultRoute { via: address.address() }, libc::ENETUNREACH);
        session.ensure_bridge(&bridge("br0", "10.9.0.1/24", directory.path())).unwrap();
        session.run(&pair).unwrap();
        fails(&pair, libc::EEXIST);
        let link = LinkName::container();
        session.run(&Op::Address { link: link.clone(), address }).unwrap();
        fails(&Op::Address { link, address }, libc::EEXIST);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn operations_stop_at_the_first_that_fails() {
    isolated(|| {
        let session = Session::new(Some(new_namespace())).unwrap();
        let ops = [Op::LinkUp(name("missing")), Op::LinkUp(LinkName::loopback())];
        let error = session.run_all(&ops).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(!session.links(Side::Container).unwrap()[0].up);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_deleted_end_takes_the_other_along() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let namespace = container("one", &bridge, &["10.9.0.2/24"]);
        let session = Session::new(Some(namespace)).unwrap();
        let host = LinkName::veth("one");
        assert!(session.delete_link(&host).unwrap());
        assert!(!session.delete_link(&host).unwrap());
        assert_eq!(session.links(Side::Container).unwrap().len(), 1);
        assert!(session.delete_link(&bridge.name).unwrap());
        assert_eq!(session.links(Side::Host).unwrap().len(), 1);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_namespace_can_be_attached_later() {
    isolated(|| {
        let mut session = Session::new(None).unwrap();
        session.attach(new_namespace()).unwrap();
        session.run(&Op::LinkUp(LinkName::loopback())).unwrap();
        assert!(session.links(Side::Container).unwrap()[0].up);
        session.attach(new_namespace()).unwrap();
        assert!(!session.links(Side::Container).unwrap()[0].up);
    });
}
