use minidock_engine::{Found, UserMode, Wiring};

use super::samples::{broken, finding, own, published, rule, topology, wires};
use super::*;

#[test]
fn a_tree_goes_from_the_inside_out() {
    let text = "\
container web (0123456789ab): process 4711
├─ namespaces
│  ├─ user 4026531837: the host's
│  └─ net 4026532204: its own
└─ network namespace 4026532204
   ├─ lo: up, mtu 1500
   │  └─ 127.0.0.1/8
   └─ eth0: up, 02:42:ac:1d:00:02, mtu 1500
      ├─ 172.29.0.2/16
      ├─ default route via 172.29.0.1
      └─ veth mdv0123456789ab: up, mtu 1500
         └─ bridge br0: up, mtu 1500
            ├─ 172.29.0.1/16
            ├─ port mdvfedcba987654: container db
            ├─ port vnet0
            └─ network front (fedcba987654)
               ├─ firewall, of web
               │  ├─ br0 leads out (bridges)
               │  ├─ own address 172.29.0.2 (own4)
               │  └─ host 0.0.0.0:8080/tcp → 172.29.0.2:80
               └─ name server: process 4712
                  ├─ 172.29.0.1:53/udp
                  └─ 172.29.0.1:53/tcp
";
    assert_eq!(draw(&[own("web", wires())], Drawing::Text), text);
}

#[test]
fn what_is_missing_is_told() {
    let text = draw(&[own("web", broken())], Drawing::Text);
    let lines: Vec<_> =
        text.lines().map(|line| line.trim_start_matches(['│', '├', '└', '─', ' '])).collect();
    let expected = [
        "hardware address 02:00:00:00:00:01 (not written down)",
        "hardware address 02:42:ac:1d:00:02 MISSING",
        "172.29.0.2/16 MISSING",
        "default route via 172.29.0.1 MISSING",
        "port of br9 (not written down)",
        "port of br0 MISSING",
        "bridge br0 MISSING",
        "172.29.0.1/16 MISSING",
        "network front (fedcba987654) MISSING",
        "host 0.0.0.0:8080/tcp → 172.29.0.2:80 MISSING",
        "name server MISSING",
        "own address 10.0.0.9 (own4) (not written down)",
    ];
    for line in expected {
        assert!(lines.contains(&line), "{line} is not in\n{text}");
    }
    assert_eq!(text.matches("MISSING").count(), 9, "{text}");
    let mut gone = broken();
    gone.attachments[0].inside.link = None;
    gone.attachments[0].outside.link = None;
    let text = draw(&[own("web", gone)], Drawing::Text);
    assert!(text.contains("└─ eth0 MISSING\n"), "{text}");
    assert!(text.contains("└─ veth mdv0123456789ab MISSING\n"), "{text}");
    // Of what is no link nobody asks where it leads.
    assert!(!text.contains("port of"), "{text}");
    let mut renamed = wires();
    renamed.attachments[0].inside.name = "eth1".parse().unwrap();
    let text = draw(&[own("web", renamed)], Drawing::Text);
    assert!(
        text.contains("eth0: up, 02:42:ac:1d:00:02, mtu 1500, the name eth1 MISSING\n"),
        "{text}"
    );
}

#[test]
fn what_has_no_network_of_its_own_is_one_line() {
    let all = [
        topology("a", Wiring::NotRunning),
        topology("b", Wiring::Host),
        topology("c", Wiring::None),
        topology("d", Wiring::Container("web".to_owned())),
        topology("e", Wiring::UserMode(UserMode::Pasta, Some(7))),
        topology("f", Wiring::UserMode(UserMode::Pasta, None)),
    ];
    let text = "\
container a (0123456789ab): is not running
container b (0123456789ab): shares the host's network (--network host)
container c (0123456789ab): has no network (--network none)
container d (0123456789ab): shares the network of container web
container e (0123456789ab): is connected by pasta, process 7
container f (0123456789ab): was connected by pasta, which has ended
";
    assert_eq!(draw(&all, Drawing::Text), text);
    let dot = draw(&all[..1], Drawing::Dot);
    assert!(dot.contains("n0 [label=\"container a (0123456789ab): is not running\"];"), "{dot}");
    // A tree stands apart.
    let both = draw(&[all[0].clone(), own("web", wires()), all[1].clone()], Drawing::Text);
    assert!(both.contains("running\n\ncontainer web"), "{both}");
    assert!(both.contains("/tcp\n\ncontainer b"), "{both}");
}

#[test]
fn sets_are_told_in_words() {
    let told = |rule| super::words::rule(&finding(rule, Found::Present)).text;
    let port = "mdv0123456789ab";
    for (set, fields, words) in [
        ("ports", &[port][..], "mdv0123456789ab is held to its own addresses (ports)"),
        ("macs", &[port, "02:42:ac:1d:00:02"], "mdv0123456789ab sends as 02:42:ac:1d:00:02 (macs)"),
        ("addresses6", &[port, "fd00::2"], "mdv0123456789ab sends from fd00::2 (addresses6)"),
        ("targets6", &[port, "fd00::2"], "mdv0123456789ab answers for fd00::2 (targets6)"),
        ("internal", &["br0"], "br0 leads nowhere (internal)"),
        ("same", &["br0", "br0"], "br0 connects its ports (same)"),
        ("new", &["a", "b"], "a . b (new)"),
    ] {
        assert_eq!(told(rule(set, fields)), words);
    }
    let range = published("127.0.0.1:80", "172.29.0.2:90", 3);
    assert_eq!(told(range), "host 127.0.0.1:80-82/tcp → 172.29.0.2:90-92");
    let six = published("[::]:80", "[fd00::2]:80", 1);
    assert_eq!(told(six), "host [::]:80/tcp → [fd00::2]:80");
}

#[test]
fn a_graph_has_what_is_shared_once() {
    let mut other = own("db", wires());
    other.id = "fedcba9876543210".repeat(4).parse().unwrap();
    let Wiring::Own(wires_of_other) = &mut other.wiring else { panic!("it has wires") };
    let place = &mut wires_of_other.attachments[0];
    place.outside.name = "mdvfedcba987654".parse().unwrap();
    place.outside.link.as_mut().unwrap().name = place.outside.name.clone();
    place.others[0].link = "mdv0123456789ab".parse().unwrap();
    let all = [own("web", wires()), other];
    let dot = draw(&all, Drawing::Dot);
    for once in ["bridge br0", "network front", "name server", "port vnet0"] {
        assert_eq!(dot.matches(once).count(), 1, "{dot}");
    }
    for once in
        ["veth mdv0123456789ab", "veth mdvfedcba987654", "firewall, of web", "firewall, of db"]
    {
        assert_eq!(dot.matches(once).count(), 1, "{dot}");
    }
    // Who is drawn is no unknown port.
    assert!(!dot.contains("port mdv"), "{dot}");
    let mut edges: Vec<_> = dot.lines().filter(|line| line.contains(" -- ")).collect();
    let count = edges.len();
    edges.sort_unstable();
    edges.dedup();
    assert_eq!(edges.len(), count, "{dot}");
}

#[test]
fn dot_is_a_graph_of_quoted_labels() {
    let dot = draw(&[own("web", wires())], Drawing::Dot);
    let first = "graph minidock {\n    rankdir=LR;\n    node [shape=box];\n    \
                 n0 [label=\"container web (0123456789ab): process 4711\"];\n";
    assert!(dot.starts_with(first), "{dot}");
    let label = "[label=\"eth0: up, 02:42:ac:1d:00:02, mtu 1500\\n172.29.0.2/16\\n\
                 default route via 172.29.0.1\"];\n";
    assert!(dot.contains(label), "{dot}");
    assert!(dot.contains("    n0 -- n1;\n") && dot.ends_with("}\n"), "{dot}");
    assert!(!dot.contains("red"), "{dot}");
    let dot = draw(&[own("web", broken())], Drawing::Dot);
    let missing = "color=red, fontcolor=red, style=dashed]";
    assert!(dot.contains(&format!("\"name server MISSING\", {missing};")), "{dot}");
    assert!(dot.contains(&format!(" [label=\"MISSING\", {missing};")), "{dot}");
}

#[test]
fn mermaid_is_a_flowchart_of_quoted_labels() {
    let text = draw(&[own("web", wires())], Drawing::Mermaid);
    let first = "flowchart LR\n    n0[\"container web (0123456789ab): process 4711\"]\n";
    assert!(text.starts_with(first), "{text}");
    let label = "[\"eth0: up, 02:42:ac:1d:00:02, mtu 1500<br/>172.29.0.2/16<br/>\
                 default route via 172.29.0.1\"]\n";
    assert!(text.contains(label), "{text}");
    assert!(text.contains("    n0 --- n1\n"), "{text}");
    assert!(!text.contains(":::") && !text.contains("-."), "{text}");
    let text = draw(&[own("web", broken())], Drawing::Mermaid);
    assert!(text.contains("[\"name server MISSING\"]:::missing\n"), "{text}");
    assert!(text.contains(" -. MISSING .- "), "{text}");
}

/// What somebody might call a container who could call it anything.
const HOSTILE: &str = "a\"];\n} \\\"<b>&quot;`%%\x1b[31m#quot;--> end [[x]] é";

#[test]
fn a_name_cannot_break_out() {
    let topology = topology(HOSTILE, Wiring::NotRunning);
    let text = draw(std::slice::from_ref(&topology), Drawing::Text);
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\x1b'), "{text:?}");
    let dot = draw(std::slice::from_ref(&topology), Drawing::Dot);
    // One node: in its line every quote but the two around the label has a backslash of its own.
    assert_eq!(dot.lines().count(), 5, "{dot}");
    let line = dot.lines().nth(3).unwrap();
    let inner = line.strip_prefix("    n0 [label=\"").and_then(|line| line.strip_suffix("\"];"));
    let mut letters = inner.unwrap().chars();
    while let Some(letter) = letters.next() {
        assert_ne!(letter, '"', "{line}");
        if letter == '\\' {
            assert!(matches!(letters.next(), Some('\\' | '"')), "{line}");
        }
    }
    assert!(line.contains("&amp;quot;"), "{line}");
    let mermaid = draw(&[topology], Drawing::Mermaid);
    assert_eq!(mermaid.lines().count(), 3, "{mermaid}");
    let line = mermaid.lines().nth(1).unwrap();
    let inner = line.strip_prefix("    n0[\"").and_then(|line| line.strip_suffix("\"]")).unwrap();
    // Nothing is left of it but plain letters and numbers of letters.
    for (at, part) in inner.split('#').enumerate() {
        let rest = if at == 0 { part } else { part.split_once(';').unwrap().1 };
        let plain = |c: char| c.is_ascii_alphanumeric() || " .,:/-()".contains(c);
        assert!(rest.chars().all(plain), "{part} in {line}");
        let number = if at == 0 { "0" } else { part.split_once(';').unwrap().0 };
        assert!(number.parse::<u32>().is_ok(), "{part} in {line}");
    }
    assert!(inner.contains("#34;#93;#59;"), "{line}");
}
