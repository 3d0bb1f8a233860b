//! What has to hold for any input whatever.
//!
//! Each function takes the bytes of one input and panics when a property does not hold.

use std::net::IpAddr;

use super::message::{Query, Worth, judge};
use super::resolv::ResolvConf;
use super::{Asked, Endpoint, HostName, Transport, Verdict, Zone, answer};

/// `web` has an address of each family, `many` has a hundred.
struct Fixed;

impl Zone for Fixed {
    fn addresses(&self, _: IpAddr, name: &str) -> Option<Vec<IpAddr>> {
        match name {
            "web" => Some(vec![[192, 0, 2, 1].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()]),
            "many" => Some((0..100).map(|last| [192, 0, 2, last].into()).collect()),
            _ => None,
        }
    }

    fn name_of(&self, _: IpAddr, address: IpAddr) -> Option<HostName> {
        (address == IpAddr::from([192, 0, 2, 1])).then(|| "web.net".parse().ok())?
    }
}

/// A query: the reply belongs to it and is not too long; what is forwarded can be read.
pub fn query(data: &[u8]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let asked = Asked { message: data, asker: [192, 0, 2, 9].into(), transport };
        match answer(&Fixed, &asked, 3) {
            Verdict::Ignore => assert!(data.len() < 12 || data[2] & 0x80 != 0),
            Verdict::Forward => assert!(Query::read(data).is_ok()),
            Verdict::Reply(reply) => {
                assert_eq!(reply[..2], data[..2], "the id");
                assert_eq!(reply[2] & 0x80, 0x80, "it is a reply");
                assert_eq!(reply[2] & 0x79, data[2] & 0x79, "operation and recursion");
                let question = usize::from(reply[5]);
                assert!(question <= 1);
                if let Ok(query) = Query::read(data) {
                    assert_eq!(reply[12..query.head.len()], query.head[12..], "the question");
                    let limit = usize::from(query.datagram());
                    assert!(transport == Transport::Tcp || reply.len() <= limit);
                    assert_eq!(
                        reply[11] == 1,
                        query.edns.is_some(),
                        "EDNS is for those who know it"
                    );
                }
                // Nobody answers a reply.
                let back = Asked { message: &reply, ..asked };
                assert_eq!(answer(&Fixed, &back, 3), Verdict::Ignore);
            }
        }
    }
}

/// An answer to a fixed query, its id included: it counts only with the question in it, or as a
/// failure.
pub fn response(data: &[u8]) {
    let sent = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wEb\x00\x00\x01\x00\x01";
    let query = Query::read(sent).unwrap_or_else(|_| panic!("this is a query"));
    match judge(&query, 0x1234, data) {
        Worth::None => {}
        Worth::Failure => assert!(data[..2] == sent[..2] && matches!(data[3] & 15, 2 | 4 | 5)),
        Worth::Answer => assert!(data[..2] == sent[..2] && data[12..].starts_with(&sent[12..])),
    }
}

/// A record: what is read is written as something that reads the same.
pub fn record(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            let Ok(again) = endpoint.to_string().parse::<Endpoint>() else {
                panic!("{endpoint} is not read again");
            };
            assert_eq!(again, endpoint);
        }
        Err(error) => assert!(error.to_string().contains("line")),
    }
}

/// A resolv.conf: there is somebody to ask, each for a time that ends.
pub fn resolv_conf(data: &[u8]) {
    let conf = ResolvConf::parse(&String::from_utf8_lossy(data), |_| Some(1));
    assert!(!conf.servers.is_empty());
    assert!((1..=30).contains(&conf.timeout.as_secs()) && conf.timeout.subsec_nanos() == 0);
    assert!((1..=5).contains(&conf.attempts));
    let mut first = conf.order(1);
    assert_eq!(first.len(), conf.servers.len() * usize::try_from(conf.attempts).unwrap_or(0));
    first.truncate(conf.servers.len());
    first.sort();
    let mut all = conf.servers;
    all.sort();
    assert_eq!(first, all);
}
