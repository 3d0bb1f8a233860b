//! What is answered, as another reader of the format sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

use super::*;

/// `web` has one IPv4 address, `both` one of each family, `many` forty, `none` no address.
struct Fixed;

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn v6(last: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])
}

impl Zone for Fixed {
    fn addresses(&self, _: IpAddr, name: &str) -> Option<Vec<IpAddr>> {
        match name {
            "web" | "web.net" => Some(vec![v4(1)]),
            "both" => Some(vec![v4(1), v6(1), v4(1)]),
            "three" => Some(vec![v4(1), v4(2), v4(3)]),
            "many" => Some((0..40).map(v4).collect()),
            "none" => Some(Vec::new()),
            _ => None,
        }
    }

    fn name_of(&self, _: IpAddr, address: IpAddr) -> Option<HostName> {
        (address == v4(1) || address == v6(1)).then(|| "web.net".parse().unwrap())
    }

    fn serves(&self, asker: IpAddr) -> bool {
        asker != v4(66)
    }
}

fn packet<'a>(name: &'a str, kind: QTYPE) -> Packet<'a> {
    let mut packet = Packet::new_query(0x1234);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    packet.questions.push(Question::new(name, kind, CLASS::IN.into(), false));
    packet
}

fn query(name: &str, kind: impl Into<QTYPE>) -> Vec<u8> {
    packet(name, kind.into()).build_bytes_vec().unwrap()
}

fn ask_as(asker: IpAddr, message: &[u8], transport: Transport, turn: usize) -> Verdict {
    answer(&Fixed, &Asked { message, asker, transport }, turn)
}

fn reply(message: &[u8]) -> Vec<u8> {
    match ask_as(v4(9), message, Transport::Udp, 0) {
        Verdict::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let packet = Packet::parse(reply).unwrap();
    assert!(packet.answers.iter().all(|record| record.ttl == 1 && record.class == CLASS::IN));
    let address = |rdata: &RData<'_>| match rdata {
        RData::A(a) => Ipv4Addr::from_bits(a.address).into(),
        RData::AAAA(a) => Ipv6Addr::from_bits(a.address).into(),
        other => panic!("{other:?}"),
    };
    packet.answers.iter().map(|record| address(&record.rdata)).collect()
}

fn code(reply: &[u8]) -> RCODE {
    Packet::parse(reply).unwrap().rcode()
}

#[test]
fn names_are_found_in_any_case() {
    for name in ["web", "WEB", "wEb.Net"] {
        let reply = reply(&query(name, TYPE::A));
        assert_eq!(addresses(&reply), [v4(1)]);
        let packet = Packet::parse(&reply).unwrap();
        assert_eq!(packet.id(), 0x1234);
        let flags = PacketFlag::RESPONSE
            | PacketFlag::AUTHORITATIVE_ANSWER
            | PacketFlag::RECURSION_DESIRED
            | PacketFlag::RECURSION_AVAILABLE;
        assert!(packet.has_flags(flags) && !packet.has_flags(PacketFlag::TRUNCATION));
        assert_eq!(packet.questions[0].qname.to_string(), name, "as it was asked");
    }
}

#[test]
fn a_name_without_what_is_asked_for_exists() {
    let kinds = [TYPE::AAAA, TYPE::MX, TYPE::TXT, TYPE::SOA, TYPE::HTTPS, TYPE::Unknown(65280)];
    let asked = kinds.map(|kind| query("web", kind));
    for message in asked.iter().chain(&[query("none", TYPE::A), query("none", TYPE::AAAA)]) {
        let reply = reply(message);
        assert_eq!(reply[3] & 0x0f, 0, "NOERROR");
        assert_eq!(reply[6..8], [0, 0], "no answer");
    }
}

#[test]
fn all_families_are_told_where_any_is_asked_for() {
    assert_eq!(addresses(&reply(&query("both", TYPE::A))), [v4(1)]);
    assert_eq!(addresses(&reply(&query("both", TYPE::AAAA))), [v6(1)]);
    assert_eq!(addresses(&reply(&query("both", QTYPE::ANY))), [v4(1), v6(1)]);
}

#[test]
fn each_turn_begins_with_another_address() {
    let first = |turn| match ask_as(v4(9), &query("three", TYPE::A), Transport::Udp, turn) {
        Verdict::Reply(reply) => addresses(&reply),
        other => panic!("{other:?}"),
    };
    assert_eq!(first(0), [v4(1), v4(2), v4(3)]);
    assert_eq!(first(1), [v4(2), v4(3), v4(1)]);
    assert_eq!(first(5), [v4(3), v4(1), v4(2)]);
}

#[test]
fn addresses_are_found_backwards() {
    let nibbles = ["1", &["0."; 23].concat(), "8.b.d.0.1.0.0.2"].join(".").replace("..", ".");
    for name in ["1.2.0.192.in-addr.arpa", &format!("{nibbles}.IP6.arpa")] {
        let message = query(name, TYPE::PTR);
        let reply = reply(&message);
        let packet = Packet::parse(&reply).unwrap();
        let RData::PTR(found) = &packet.answers[0].rdata else { panic!("{packet:?}") };
        assert_eq!(found.0.to_string(), "web.net", "{name}");
    }
    assert!(addresses(&reply(&query("1.2.0.192.in-addr.arpa", TYPE::A))).is_empty());
}

#[test]
fn what_is_nobodys_goes_on() {
    let others = [
        "nobody",
        "example.com",
        "web.other",
        "web\\.net",
        ".",
        "2.2.0.192.in-addr.arpa",
        "2.0.192.in-addr.arpa",
        "300.2.0.192.in-addr.arpa",
        "1.0.ip6.arpa",
        "in-addr.arpa",
    ];
    for name in others {
        for kind in [QTYPE::ANY, TYPE::A.into(), TYPE::PTR.into(), TYPE::Unknown(999).into()] {
            let message = query(name, kind);
            assert_eq!(ask_as(v4(9), &message, Transport::Udp, 0), Verdict::Forward, "{name}");
        }
    }
}

#[test]
fn what_is_no_question_is_said_so() {
    let mut two = packet("web", TYPE::A.into());
    two.questions.push(two.questions[0].clone());
    let mut none = packet("web", TYPE::A.into());
    none.questions.clear();
    for packet in [two, none] {
        assert_eq!(code(&reply(&packet.build_bytes_vec().unwrap())), RCODE::FormatError);
    }
    let mut status = packet("web", TYPE::A.into());
    *status.opcode_mut() = simple_dns::OPCODE::Notify;
    assert_eq!(code(&reply(&status.build_bytes_vec().unwrap())), RCODE::NotImplemented);
    let mut chaos = packet("version.bind", TYPE::TXT.into());
    chaos.questions[0].qclass = QCLASS::CLASS(CLASS::CH);
    assert_eq!(code(&reply(&chaos.build_bytes_vec().unwrap())), RCODE::Refused);
    assert_eq!(code(&reply(&query("web", QTYPE::AXFR))), RCODE::Refused);
    // A name that points to itself.
    let pointing = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
    assert_eq!(code(&reply(pointing)), RCODE::FormatError);
}

#[test]
fn replies_and_scraps_are_not_answered() {
    let mut response = query("web", TYPE::A);
    response[2] |= 0x80;
    for message in [&response[..], b"", b"\x00\x01\x01\x00\x00\x01"] {
        assert_eq!(ask_as(v4(9), message, Transport::Udp, 0), Verdict::Ignore);
    }
}

#[test]
fn strangers_are_refused() {
    match ask_as(v4(66), &query("web", TYPE::A), Transport::Udp, 0) {
        Verdict::Reply(reply) => assert_eq!(code(&reply), RCODE::Refused),
        other => panic!("{other:?}"),
    }
}

fn with_opt(name: &str, size: u16) -> Vec<u8> {
    let mut packet = packet(name, TYPE::A.into());
    *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: size, version: 0 });
    packet.build_bytes_vec().unwrap()
}

#[test]
fn a_datagram_is_as_large_as_the_asker_takes() {
    // Forty addresses take 16 bytes each, the question 22.
    for (message, limit, whole) in [
        (query("many", TYPE::A), 512, false),
        (with_opt("many", 0), 512, false),
        (with_opt("many", 600), 600, false),
        (with_opt("many", 4096), 1232, true),
    ] {
        let reply = reply(&message);
        assert!(reply.len() <= limit && reply.len() + 16 + 11 > limit.min(673), "{}", reply.len());
        let packet = Packet::parse(&reply).unwrap();
        assert_eq!(packet.has_flags(PacketFlag::TRUNCATION), !whole);
        assert_eq!(packet.answers.len() == 40, whole);
        let asked = Packet::parse(&message).unwrap();
        assert_eq!(packet.opt().map(|opt| opt.udp_packet_size), asked.opt().map(|_| 1232));
    }
    match ask_as(v4(9), &query("many", TYPE::A), Transport::Tcp, 0) {
        Verdict::Reply(reply) => assert_eq!(addresses(&reply).len(), 40),
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_of_the_extension_are_told_apart() {
    // Code 16. simple-dns has its upper part and the version at other places of the OPT record
    // than RFC 6891, section 6.1.3.
    let mut one = with_opt("web", 1232);
    let version = one.len() - 5;
    one[version] = 1;
    let reply_to_one = reply(&one);
    assert_eq!(reply_to_one[3] & 0x0f, 0);
    assert_eq!(reply_to_one[reply_to_one.len() - 11..], [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
    let mut twice = with_opt("web", 1232);
    let opt = twice[twice.len() - 11..].to_vec();
    twice.extend(opt);
    twice[11] = 2;
    assert_eq!(code(&reply(&twice)), RCODE::FormatError);
}

/// Messages with something of a query in them.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec!["web", "many", "both", "x", "1.2.0.192.in-addr.arpa"]);
    let base =
        (names, any::<u16>(), any::<bool>(), any::<u16>()).prop_map(|(name, kind, opt, size)| {
            match opt {
                true => with_opt(name, size),
                false => query(name, QTYPE::TYPE(TYPE::Unknown(kind))),
            }
        });
    (base, vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), vec(any::<u8>(), 0..20))
        .prop_map(|(mut message, changes, tail)| {
            for (index, byte) in changes {
                let index = index.index(message.len());
                message[index] = byte;
            }
            message.extend(tail);
            message
        })
}

proptest! {
    #[test]
    fn any_bytes_are_no_harm(data in vec(any::<u8>(), 0..600)) {
        fuzzing::query(&data);
        fuzzing::response(&data);
        fuzzing::record(&data);
        fuzzing::resolv_conf(&data);
    }

    #[test]
    fn nearly_queries_are_no_harm(data in nearly()) {
        fuzzing::query(&data);
        fuzzing::response(&data);
    }

    #[test]
    fn nearly_answers_count_with_their_question_only(
        flags in any::<u16>(), cut in 0..24_usize, change in vec((0..21_usize, any::<u8>()), 0..2)
    ) {
        let mut answer =
            b"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x03wEb\x00\x00\x01\x00\x01".to_vec();
        answer[2..4].copy_from_slice(&flags.to_be_bytes());
        change.into_iter().for_each(|(index, byte)| answer[index] = byte);
        answer.truncate(cut);
        fuzzing::response(&answer);
    }

    #[test]
    fn nearly_files_are_no_harm(
        lines in vec("(id|name|alias|address|dns|nameserver|options) [a-z0-9.:%]{0,20}", 0..6)
    ) {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        fuzzing::record(text.as_bytes());
        fuzzing::resolv_conf(text.as_bytes());
    }
}
