//! Many containers, one after the other and at once.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use minidock_tests::{Running, Sandbox};

/// How many runs in a row; a slow machine may ask for fewer.
fn runs() -> u32 {
    std::env::var("MINIDOCK_TEST_RUNS").map_or(1000, |runs| runs.parse().unwrap())
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_thousand_runs_leave_nothing() {
    let sandbox = Sandbox::new();
    for _ in 0..runs() {
        sandbox.run(["alpine", "true"]).expect_code(0);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn fifty_at_once_have_an_address_each_and_leave_nothing() {
    let sandbox = Sandbox::new();
    let script = "ip -4 -o addr show dev eth0; read line";
    let mut running: Vec<Running> = (0..50)
        .map(|_| sandbox.prepare_run(["-i", "alpine", "sh", "-c", script]).open_stdin().spawn())
        .collect();
    let addresses: HashSet<String> = running
        .iter_mut()
        .map(|one| {
            let line = one.wait_for_output("scope");
            line.split_whitespace().nth(3).unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(addresses.len(), 50, "{addresses:?}");
    for mut one in running {
        one.close_stdin();
        one.wait();
    }
    sandbox.assert_clean();
}
