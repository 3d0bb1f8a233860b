use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn table(prefix: u8) -> Table {
    Table::new(&[format!("10.0.0.0/{prefix}").parse().unwrap()])
}

/// From the whole of the first subnet, all but the gateway.
fn take(table: &mut Table, owner: &str) -> Option<IpAddr> {
    let whole = table.subnets()[0];
    table.allocate(owner, &whole, whole.gateway().address())
}

#[test]
fn addresses_are_given_in_turn_and_a_released_one_comes_back_last() {
    let mut table = table(29);
    let give = |table: &mut Table, owner: &str| {
        take(table, owner).map(|address| address.to_string().rsplit('.').next()?.parse().ok())?
    };
    assert_eq!(give(&mut table, "a"), Some(2_u8));
    assert_eq!(give(&mut table, "b"), Some(3));
    assert_eq!(table.release("a"), [address("10.0.0.2")]);
    assert_eq!(give(&mut table, "c"), Some(4));
    assert_eq!(give(&mut table, "d"), Some(5));
    assert_eq!(give(&mut table, "e"), Some(6));
    assert_eq!(give(&mut table, "f"), Some(2));
    assert_eq!(give(&mut table, "g"), None);
    assert!(table.release("nobody").is_empty());
}

#[test]
fn no_more_addresses_take_turns_than_are_needed() {
    let mut table = table(16);
    let mut given = std::collections::BTreeSet::new();
    let mut round = |table: &mut Table, count: usize| {
        for n in 0..count {
            given.extend(take(table, &format!("c{n}")));
        }
        for n in 0..count {
            table.release(&format!("c{n}"));
        }
        given.len()
    };
    for _ in 0..2000 {
        round(&mut table, 1);
    }
    assert_eq!(round(&mut table, 1), 255);
    // As many at the same time as need more.
    assert_eq!(round(&mut table, 1000), 1000);
}

#[test]
fn the_reserved_address_is_given_to_nobody_wherever_it_is() {
    let mut table = table(29);
    let whole = table.subnets()[0];
    let reserved = address("10.0.0.4");
    let given: Vec<_> =
        (0..5).filter_map(|n| table.allocate(&format!("c{n}"), &whole, reserved)).collect();
    assert_eq!(given.len(), 5);
    assert!(!given.contains(&reserved));
    assert_eq!(table.allocate("more", &whole, reserved), None);
}

#[test]
fn a_range_is_gone_round_by_itself() {
    let mut table = table(24);
    let range: Subnet = "10.0.0.8/30".parse().unwrap();
    let give = |table: &mut Table, owner: &str| {
        table.allocate(owner, &range, address("10.0.0.9")).map(|address| address.to_string())
    };
    table.give("fixed", address("10.0.0.8"));
    assert_eq!(give(&mut table, "a").as_deref(), Some("10.0.0.10"));
    assert_eq!(give(&mut table, "b").as_deref(), Some("10.0.0.11"));
    assert_eq!(give(&mut table, "c"), None);
    table.release("fixed");
    assert_eq!(give(&mut table, "c").as_deref(), Some("10.0.0.8"));
    assert_eq!(table.leased(&range), 3);
    assert_eq!(table.allocate("d", &"10.0.1.0/30".parse().unwrap(), address("10.0.0.1")), None);
}

#[test]
fn a_table_reads_back_what_it_prints() {
    let mut table = table(24);
    assert_eq!(Table::parse(&table.to_text()), Ok(table.clone()));
    for owner in ["one", "two", "0123456789abcdef"] {
        take(&mut table, owner);
    }
    table.release("two");
    let text = "minidock leases 1\nsubnet 10.0.0.0/24\nlast 10.0.0.4\nlease 10.0.0.2 one\n\
                lease 10.0.0.4 0123456789abcdef\nend 2\n";
    assert_eq!(table.to_text(), text);
    assert_eq!(Table::parse(text), Ok(table));
}

#[test]
fn a_table_of_both_families_reads_back_what_it_prints() {
    let subnets = ["10.0.0.0/24", "fd00::/64"].map(|text| text.parse::<Subnet>().unwrap());
    let mut table = Table::new(&subnets);
    for owner in ["one", "two"] {
        for subnet in &subnets {
            table.allocate(owner, subnet, subnet.gateway().address());
        }
    }
    assert_eq!(table.of("two"), [address("10.0.0.3"), address("fd00::3")]);
    table.release("one");
    let text = "minidock leases 1\nsubnet 10.0.0.0/24\nlast 10.0.0.3\nsubnet fd00::/64\n\
                last fd00::3\nlease 10.0.0.3 two\nlease fd00::3 two\nend 2\n";
    assert_eq!(table.to_text(), text);
    assert_eq!(Table::parse(text), Ok(table));
}

#[test]
fn every_prefix_of_a_table_is_corrupt() {
    let mut table = table(24);
    take(&mut table, "one");
    take(&mut table, "two");
    let text = table.to_text();
    for length in 0..text.len() {
        assert!(Table::parse(&text[..length]).is_err(), "{:?} was taken", &text[..length]);
    }
}

#[test]
fn corruption_is_told_with_its_line() {
    let start = "minidock leases 1\nsubnet 10.0.0.0/24\n";
    let cases = [
        (String::new(), 1, "is missing"),
        ("minidock leases 2\n".to_owned(), 1, "is not \"minidock leases 1\""),
        ("minidock leases 1\nsubnet 10.0.0.1/24\n".to_owned(), 2, "names no subnet"),
        (format!("{start}lease 10.0.1.2 a\nend 1\n"), 3, "has an address outside the subnet"),
        (format!("{start}lease 10.0.0.x a\nend 1\n"), 3, "has no address"),
        (format!("{start}lease 10.0.0.2\nend 1\n"), 3, "names no owner"),
        (
            format!("{start}lease 10.0.0.2 a b\nend 1\n"),
            3,
            "contains white space or a control character",
        ),
        (
            format!("{start}lease 10.0.0.2 a\nlease 10.0.0.2 b\nend 2\n"),
            4,
            "leases an address a second time",
        ),
        (format!("{start}last 10.0.0.2\nlast 10.0.0.3\nend 0\n"), 4, "names a second last address"),
        (format!("{start}subnet 10.0.1.0/24\nend 0\n"), 3, "names a second subnet of a family"),
        (format!("{start}lease fd00::1 a\nend 1\n"), 3, "has an address outside the subnet"),
        (format!("{start}\u{0}\u{0}\u{0}"), 3, "is cut off"),
        (format!("{start}what ever\n"), 3, "has an unknown first word"),
        (format!("{start}end 1\n"), 3, "has not the number of leases"),
        (format!("{start}end 0\nend 0\n"), 4, "follows the end"),
        (start.to_owned(), 3, "is missing"),
    ];
    for (text, line, why) in cases {
        assert_eq!(Table::parse(&text), Err(Corrupt { line, why }), "{text:?}");
    }
}
