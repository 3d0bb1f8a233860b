//! `images`, `tag`, `rmi`, `history` and `image prune`.

#![allow(clippy::unwrap_used, clippy::panic)]

use minidock_tests::{Output, Sandbox};

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

fn ok(sandbox: &Sandbox, line: &str) -> String {
    minidock(sandbox, line).expect_code(0).stdout
}

#[track_caller]
fn refused(sandbox: &Sandbox, line: &str, message: &str) {
    let output = minidock(sandbox, line).expect_code(1);
    assert!(output.stderr.contains(message), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_image_is_listed_by_each_of_its_names_and_runs_by_its_id() {
    let sandbox = Sandbox::with_own_images();
    assert_eq!(ok(&sandbox, "tag alpine me/own:2"), "");
    let names = ok(&sandbox, "images --format {{.Repository}}:{{.Tag}}");
    assert_eq!(names, "alpine:3.20\nalpine:latest\nme/own:2\n");
    let id = ok(&sandbox, "image ls -q me/own").trim_end().to_owned();
    assert_eq!(id.len(), 12);
    assert_eq!(ok(&sandbox, "images -q --no-trunc --filter reference=alp*:l*").len(), 72);
    assert_eq!(ok(&sandbox, "images -q --filter dangling=true"), "");
    let run = sandbox.run(["--network", "none", &id, "echo", "hi"]).expect_code(0);
    assert_eq!(run.stdout, "hi\n");
    let inspected = ok(&sandbox, &format!("image inspect -f {{{{.Id}}}} {id}"));
    assert!(inspected.starts_with(&format!("sha256:{id}")), "{inspected}");
    assert_eq!(ok(&sandbox, "inspect --type image -f {{.Os}} me/own:2"), "linux\n");
    assert_eq!(ok(&sandbox, "inspect -f {{.Os}} alpine"), "linux\n");
    refused(&sandbox, "image inspect nosuch", "No such image: nosuch:latest");
    refused(&sandbox, "inspect nosuch", "No such object: nosuch");
    let history = ok(&sandbox, "history alpine");
    assert!(history.starts_with("IMAGE          CREATED"), "{history}");
    assert!(history.lines().nth(1).unwrap().starts_with(&id), "{history}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_a_container_is_made_of_is_not_removed() {
    let sandbox = Sandbox::with_own_layers();
    ok(&sandbox, "run -d --name runs --network none alpine sleep 60");
    ok(&sandbox, "tag alpine other");
    assert_eq!(ok(&sandbox, "rmi other"), "Untagged: other:latest\n");
    assert_eq!(ok(&sandbox, "rmi alpine:3.20"), "Untagged: alpine:3.20\n");
    refused(&sandbox, "rmi alpine", "image is being used by running container");
    refused(&sandbox, "rmi -f alpine", "cannot be forced");
    ok(&sandbox, "kill runs");
    ok(&sandbox, "wait runs");
    refused(&sandbox, "rmi alpine", "image is being used by stopped container");
    assert_eq!(ok(&sandbox, "image prune -a -f"), "Total reclaimed space: 0B\n");
    // The layers stay as long as the container does.
    let removed = ok(&sandbox, "rmi -f alpine");
    assert!(removed.starts_with("Untagged: alpine:latest\nDeleted: sha256:"), "{removed}");
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert_eq!(ok(&sandbox, "images -q"), "");
    ok(&sandbox, "start runs");
    assert_eq!(ok(&sandbox, "exec runs echo hi"), "hi\n");
    refused(&sandbox, "rmi alpine nosuch", "No such image: nosuch:latest");
    minidock(&sandbox, "rmi -f nosuch").expect_code(0);
    ok(&sandbox, "rm -f runs");
    sandbox.assert_clean();
}
