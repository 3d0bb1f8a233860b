//! Rules as the kernel's expressions, which load registers and look at them.

use super::kernel as k;
use super::rule::{EtherType, Expr, Field, Match, Rule, State};
use super::value::IpFamily;
use super::{Family, object};
use crate::nfnetlink::wire::Attributes;

/// How a field is read: its expression, and the bytes that it fills.
enum Load {
    Meta(u32, usize),
    Payload { header: u32, offset: u32, length: usize },
}

/// The list of a rule's expressions.
pub(super) fn expressions(rule: &Rule) -> Attributes {
    let mut compiler =
        Compiler { family: rule.table.family, known: Vec::new(), out: Attributes::default() };
    for expression in &rule.expressions {
        compiler.expression(expression);
    }
    compiler.out
}

struct Compiler {
    family: object::Family,
    /// What the expressions so far have made sure of.
    known: Vec<Known>,
    out: Attributes,
}

/// What must hold before a field of a header is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Ether(EtherType),
    Ip(IpFamily),
    Icmp6,
}

impl Compiler {
    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Is(wanted) => self.compare(*wanted, true),
            Expr::IsNot(unwanted) => self.compare(*unwanted, false),
            Expr::Within(field, network, prefix) => {
                self.load(std::slice::from_ref(field));
                let mask = u32::MAX.checked_shl(32 - u32::from((*prefix).min(32))).unwrap_or(0);
                self.mask(&mask.to_be_bytes());
                self.cmp(true, &(network.to_bits() & mask).to_be_bytes());
            }
            Expr::In(fields, set) => {
                self.load(fields);
                self.lookup(set, false);
            }
            Expr::NotIn(fields, set) => {
                self.load(fields);
                self.lookup(set, true);
            }
            Expr::State(states) => {
                let bits = states.iter().copied().map(State::bit).fold(0, |all, bit| all | bit);
                self.connection(k::CT_STATE, bits);
            }
            // IPS_DST_NAT.
            Expr::Translated => self.connection(k::CT_STATUS, 0x20),
            Expr::Dnat { family, key, map, port } => self.translate(*family, key, map, *port),
            Expr::Masquerade => self.add("masq", |_| ()),
            Expr::Jump(chain) => self.verdict(-3, Some(chain)),
            Expr::Return => self.verdict(-5, None),
            Expr::Accept => self.verdict(1, None),
            Expr::Drop => self.verdict(0, None),
        }
    }

    fn add(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) {
        self.out.nested(k::MEMBER, |expression| {
            expression.text(k::EXPRESSION_NAME, name).nested(k::EXPRESSION_DATA, fill);
        });
    }

    fn compare(&mut self, wanted: Match, equal: bool) {
        match wanted {
            Match::EtherType(kind) => {
                self.payload(k::LINK_HEADER, 12, 2, 0);
                self.cmp(equal, &kind.number().to_be_bytes());
                self.learn(equal, Known::Ether(kind));
            }
            Match::Family(family) => {
                self.meta(k::META_NFPROTO, 0);
                self.cmp(equal, &[family.number()]);
                self.learn(equal, Known::Ip(family));
            }
            Match::Icmp6(kind) => {
                self.need(Known::Icmp6);
                self.payload(k::TRANSPORT_HEADER, 0, 1, 0);
                self.cmp(equal, &[kind.number()]);
            }
            Match::Ip6Source(address) => {
                self.load(&[Field::Ip6Source]);
                self.cmp(equal, &address.octets());
            }
            Match::LocalDestination => {
                self.add("fib", |fib| {
                    fib.number(1, k::FIRST_REGISTER);
                    fib.number(2, k::FIB_ADDRESS_TYPE).number(3, k::FIB_DESTINATION);
                });
                // RTN_LOCAL, in the machine's order of bytes.
                self.cmp(equal, &2_u32.to_ne_bytes());
            }
            Match::FromBridge => self.kind(k::META_IIFKIND, equal),
            Match::ToBridge => self.kind(k::META_OIFKIND, equal),
            Match::InputGroup(group) => {
                self.meta(k::META_IIFGROUP, 0);
                self.cmp(equal, &group.to_ne_bytes());
            }
        }
    }

    fn kind(&mut self, key: u32, equal: bool) {
        self.meta(key, 0);
        self.cmp(equal, b"bridge\0\0\0\0\0\0\0\0\0\0");
    }

    fn learn(&mut self, equal: bool, known: Known) {
        if equal {
            self.known.push(known);
        }
    }

    /// Makes sure of what is not known yet.
    fn need(&mut self, wanted: Known) {
        if self.known.contains(&wanted) {
            return;
        }
        match (wanted, self.family) {
            (Known::Ether(kind), _) => self.compare(Match::EtherType(kind), true),
            (Known::Ip(IpFamily::V4), Family::Bridge) => self.need(Known::Ether(EtherType::Ip4)),
            (Known::Ip(IpFamily::V6), Family::Bridge) => self.need(Known::Ether(EtherType::Ip6)),
            (Known::Ip(family), Family::Inet) => self.compare(Match::Family(family), true),
            (Known::Icmp6, _) => {
                // The protocol of IPv4 has the same number, so the version matters on a bridge.
                if self.family == Family::Bridge {
                    self.need(Known::Ether(EtherType::Ip6));
                }
                self.meta(k::META_L4PROTO, 0);
                self.cmp(true, &[58]);
                self.known.push(Known::Icmp6);
            }
        }
    }

    /// Loads the fields into registers, one behind the other.
    fn load(&mut self, fields: &[Field]) {
        for field in fields {
            match field {
                Field::ArpMac | Field::ArpAddress => self.need(Known::Ether(EtherType::Arp)),
                Field::Ip4Source | Field::Ip4Destination => self.need(Known::Ip(IpFamily::V4)),
                Field::Ip6Source | Field::Ip6Destination => self.need(Known::Ip(IpFamily::V6)),
                Field::NeighbourTarget => self.need(Known::Icmp6),
                _ => {}
            }
        }
        let mut register = 0;
        for field in fields {
            let length = match field.place() {
                Load::Meta(key, length) => {
                    self.meta(key, register);
                    length
                }
                Load::Payload { header, offset, length } => {
                    self.payload(header, offset, length, register);
                    length
                }
            };
            register += registers(length);
        }
    }

    fn meta(&mut self, key: u32, register: u32) {
        self.add("meta", |meta| {
            meta.number(1, k::FIRST_REGISTER + register).number(2, key);
        });
    }

    fn payload(&mut self, header: u32, offset: u32, length: usize, register: u32) {
        self.add("payload", |payload| {
            payload.number(1, k::FIRST_REGISTER + register).number(2, header);
            payload.number(3, offset).number(4, u32::try_from(length).unwrap_or(u32::MAX));
        });
    }

    fn cmp(&mut self, equal: bool, value: &[u8]) {
        self.add("cmp", |cmp| {
            cmp.number(1, k::FIRST_REGISTER).number(2, u32::from(!equal));
            cmp.nested(3, |data| {
                data.bytes(k::DATA_VALUE, value);
            });
        });
    }

    /// Leaves in the first register what the mask covers.
    fn mask(&mut self, mask: &[u8; 4]) {
        self.add("bitwise", |bitwise| {
            bitwise.number(1, k::FIRST_REGISTER).number(2, k::FIRST_REGISTER).number(3, 4);
            for (kind, value) in [(4, mask), (5, &[0; 4])] {
                bitwise.nested(kind, |data| {
                    data.bytes(k::DATA_VALUE, value);
                });
            }
        });
    }

    /// Matches when the connection has one of the bits.
    fn connection(&mut self, key: u32, bits: u32) {
        self.add("ct", |ct| {
            ct.number(1, k::FIRST_REGISTER).number(2, key);
        });
        self.mask(&bits.to_ne_bytes());
        self.cmp(false, &[0; 4]);
    }

    fn lookup(&mut self, set: &str, inverted: bool) {
        self.add("lookup", |lookup| {
            lookup.text(1, set).number(2, k::FIRST_REGISTER);
            if inverted {
                lookup.number(5, 1);
            }
        });
    }

    fn translate(&mut self, family: IpFamily, key: &[Field], map: &str, port: bool) {
        self.load(key);
        self.add("lookup", |lookup| {
            lookup.text(1, map).number(2, k::FIRST_REGISTER).number(3, k::FIRST_REGISTER);
        });
        self.add("nat", |nat| {
            // NFT_NAT_DNAT.
            nat.number(1, 1).number(2, u32::from(family.number())).number(3, k::FIRST_REGISTER);
            if port {
                let address = if family == IpFamily::V4 { 4 } else { 16 };
                nat.number(5, k::FIRST_REGISTER + registers(address));
            }
        });
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        self.add("immediate", |immediate| {
            // Register 0 is the verdict.
            immediate.number(1, 0).nested(2, |data| {
                data.nested(k::DATA_VERDICT, |verdict| {
                    verdict.bytes(k::VERDICT_CODE, &code.to_be_bytes());
                    if let Some(chain) = chain {
                        verdict.text(k::VERDICT_CHAIN, chain);
                    }
                });
            });
        });
    }
}

fn registers(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX)
}

impl Field {
    fn place(self) -> Load {
        let link = |offset, length| Load::Payload { header: k::LINK_HEADER, offset, length };
        let network = |offset, length| Load::Payload { header: k::NETWORK_HEADER, offset, length };
        let above = |offset, length| Load::Payload { header: k::TRANSPORT_HEADER, offset, length };
        match self {
            Self::InputName => Load::Meta(k::META_IIFNAME, 16),
            Self::InputGroup => Load::Meta(k::META_IIFGROUP, 4),
            Self::OutputName => Load::Meta(k::META_OIFNAME, 16),
            Self::Family => Load::Meta(k::META_NFPROTO, 1),
            Self::Protocol => Load::Meta(k::META_L4PROTO, 1),
            Self::EtherSource => link(6, 6),
            Self::ArpMac => network(8, 6),
            Self::ArpAddress => network(14, 4),
            Self::Ip4Source => network(12, 4),
            Self::Ip4Destination => network(16, 4),
            Self::Ip6Source => network(8, 16),
            Self::Ip6Destination => network(24, 16),
            Self::Port => above(2, 2),
            Self::NeighbourTarget => above(8, 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Icmp6, Table};
    use super::*;
    use crate::nfnetlink::wire::{attributes, find, text};

    fn compiled(family: Family, expressions: Vec<Expr>) -> Attributes {
        let table = Table { family, name: "t".to_owned() };
        super::expressions(&Rule { table, chain: "c".to_owned(), expressions })
    }

    fn names(compiled: &Attributes) -> Vec<String> {
        let name = |(_, member)| find(attributes(member), k::EXPRESSION_NAME).map(text);
        attributes(compiled.as_bytes()).filter_map(name).map(|name| name.into_owned()).collect()
    }

    /// The bytes of the data of the last expression of this name.
    fn data(compiled: &Attributes, name: &str) -> Vec<(u16, Vec<u8>)> {
        let of_name = |member: &&[u8]| {
            find(attributes(member), k::EXPRESSION_NAME).is_some_and(|found| text(found) == name)
        };
        let all: Vec<_> = attributes(compiled.as_bytes()).map(|(_, member)| member).collect();
        let last = all.into_iter().rfind(of_name).unwrap();
        let data = find(attributes(last), k::EXPRESSION_DATA).unwrap();
        attributes(data).map(|(kind, bytes)| (kind, bytes.to_vec())).collect()
    }

    #[test]
    fn a_header_is_read_only_behind_what_says_that_it_is_there() {
        let source = || Expr::In(vec![Field::Ip4Source], "s".to_owned());
        let inet = compiled(Family::Inet, vec![source(), source()]);
        assert_eq!(names(&inet), ["meta", "cmp", "payload", "lookup", "payload", "lookup"]);
        assert_eq!(data(&inet, "meta")[1].1, k::META_NFPROTO.to_be_bytes());
        let bridge = compiled(Family::Bridge, vec![source()]);
        assert_eq!(names(&bridge), ["payload", "cmp", "payload", "lookup"]);
        let message = compiled(Family::Bridge, vec![Expr::Is(Match::Icmp6(Icmp6::Redirect))]);
        assert_eq!(names(&message), ["payload", "cmp", "meta", "cmp", "payload", "cmp"]);
        // What a field is not says nothing about the rest.
        let not = Expr::IsNot(Match::EtherType(EtherType::Ip4));
        assert_eq!(
            names(&compiled(Family::Bridge, vec![not, source()])),
            ["payload", "cmp", "payload", "cmp", "payload", "lookup"]
        );
    }

    #[test]
    fn fields_go_to_registers_behind_one_another() {
        let key = vec![Field::InputName, Field::EtherSource];
        let pair = compiled(Family::Bridge, vec![Expr::NotIn(key, "macs".to_owned())]);
        assert_eq!(names(&pair), ["meta", "payload", "lookup"]);
        assert_eq!(data(&pair, "meta")[0], (1, vec![0, 0, 0, 8]));
        let payload = [(1, vec![0, 0, 0, 12]), (2, vec![0; 4]), (3, vec![0, 0, 0, 6])];
        assert_eq!(data(&pair, "payload")[..3], payload);
        let lookup = data(&pair, "lookup");
        assert_eq!(lookup[0], (1, b"macs\0".to_vec()));
        assert_eq!(lookup[2], (5, vec![0, 0, 0, 1]), "inverted");
    }

    #[test]
    fn a_translation_finds_the_port_behind_the_address() {
        let nat = |family, port| {
            let key = vec![Field::Protocol, Field::Port];
            let dnat = Expr::Dnat { family, key, map: "m".to_owned(), port };
            data(&compiled(Family::Inet, vec![dnat]), "nat")
        };
        assert_eq!(nat(IpFamily::V4, true)[3], (5, vec![0, 0, 0, 9]));
        assert_eq!(nat(IpFamily::V6, true)[3], (5, vec![0, 0, 0, 12]));
        assert_eq!(nat(IpFamily::V6, false).len(), 3);
    }

    #[test]
    fn networks_are_compared_under_their_mask() {
        let within = |prefix| {
            let address = "127.1.2.3".parse().unwrap();
            let network = Expr::Within(Field::Ip4Source, address, prefix);
            let rule = compiled(Family::Inet, vec![network]);
            let value = |bytes: &[(u16, Vec<u8>)], kind| {
                let (_, nested) = bytes.iter().find(|(found, _)| *found == kind).unwrap().clone();
                nested[4..].to_vec()
            };
            (value(&data(&rule, "bitwise"), 4), value(&data(&rule, "cmp"), 3))
        };
        assert_eq!(within(8), (vec![255, 0, 0, 0], vec![127, 0, 0, 0]));
        assert_eq!(within(0), (vec![0; 4], vec![0; 4]));
        assert_eq!(within(32), (vec![255; 4], vec![127, 1, 2, 3]));
        assert_eq!(within(99), within(32));
    }

    #[test]
    fn verdicts_are_the_kernels_numbers() {
        for (expression, code) in [
            (Expr::Drop, 0_i32),
            (Expr::Accept, 1),
            (Expr::Jump("c".to_owned()), -3),
            (Expr::Return, -5),
        ] {
            let rule = compiled(Family::Inet, vec![expression]);
            assert!(data(&rule, "immediate")[1].1.windows(4).any(|at| at == code.to_be_bytes()));
        }
    }
}
