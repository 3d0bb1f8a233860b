//! Accounts, volumes, images and roots that need more than one odd file.

use minidock_tests::Entry;
use serde_json::{Value, json};

use crate::trial::Layout;

/// All of them.
pub(crate) fn all() -> Vec<Layout> {
    [accounts(), volumes(), images(), trees()].concat()
}

fn file(path: &str, text: &str) -> Entry {
    Entry::File(path.into(), text.into())
}

fn link(path: &str, to: &str) -> Entry {
    Entry::Link(path.into(), to.into())
}

fn repeated(path: &str, text: &str, times: usize) -> Entry {
    Entry::Repeated(path.into(), text.into(), times)
}

/// Files of users and groups that are long, or that say what no account can be.
fn accounts() -> Vec<Layout> {
    let user = |name: &str, entry| {
        Layout::new(format!("passwd {name}"), vec![entry]).flags(&["-u", "somebody"])
    };
    let group = |name: &str, entry| {
        Layout::new(format!("group {name}"), vec![entry]).flags(&["-u", "0:somebody"])
    };
    let (passwd, groups) = ("/etc/passwd", "/etc/group");
    let line = "somebodyelse:x:1000:1000::/:/bin/sh\n";
    vec![
        user("of a million lines", repeated(passwd, line, 1_000_000)),
        user("of the largest size", repeated(passwd, line, 290_000)),
        user("of one line of 20 MiB", repeated(passwd, "x", 20 << 20)),
        user("of NUL bytes", repeated(passwd, "\0", 4096)),
        user("with the id -1", file(passwd, "somebody:x:-1:0::/:\n")),
        user("with the id 2^32", file(passwd, "somebody:x:4294967296:0::/:\n")),
        user("with the id 2^31", file(passwd, "somebody:x:2147483648:0::/:\n")),
        user("with an id of letters", file(passwd, "somebody:x:0x0:0::/:\n")),
        user("without fields", file(passwd, "somebody\n")),
        user("with escapes in the home", file(passwd, "somebody:x:1:1::/\x1b[2J\r/..:\n")),
        user("with a home on the host", file(passwd, "somebody:x:1:1::{canary}:\n")),
        group("of a million lines", repeated(groups, "somebodyelse:x:7:\n", 1_000_000)),
        group("of a million members", repeated(groups, "somebody,", 1_000_000)),
        group("with the id -1", file(groups, "somebody:x:-1:\n")),
        group("with the id 2^32", file(groups, "somebody:x:4294967296:\n")),
    ]
}

/// Volumes that have been prepared, or that an earlier container has left so.
fn volumes() -> Vec<Layout> {
    let volume = |name: &str, entries: Vec<Entry>, flags: &[&str]| Layout {
        volume: entries,
        ..Layout::new(format!("volume {name}"), Vec::new()).flags(flags)
    };
    let dev = ["-v", "{volume}:/dev"];
    let inner = ["-v", "{volume}:/data", "--tmpfs", "/data/inner"];
    let nested = ["-v", "{volume}:/data", "-v", "{volume}/file:/data/inner/file"];
    let proc = "/proc/self/fd/3";
    vec![
        volume("as /dev with links to directories", links(&["pts", "shm", "mqueue"]), &dev),
        volume("as /dev with links to files", links(&["null", "zero", "tty", "ptmx"]), &dev),
        volume(
            "as /dev with a console",
            vec![link("/console", "{canary}/file")],
            &["-t", dev[0], dev[1]],
        ),
        volume("as /dev with a link to proc", vec![link("/pts", "/proc/sys")], &dev),
        volume("as /dev with a magic link", vec![link("/shm", proc), link("/fd", proc)], &dev),
        volume(
            "as /etc with links",
            links(&["hosts", "hostname", "resolv.conf"]),
            &["-v", "{volume}:/etc"],
        ),
        volume(
            "as /etc with pipes",
            pipes(&["hosts", "passwd", "group"]),
            &["-v", "{volume}:/etc", "-u", "x"],
        ),
        volume(
            "as /sys with links",
            links(&["fs", "firmware", "kernel"]),
            &["-v", "{volume}:/sys"],
        ),
        volume(
            "as /sys/fs/cgroup with links",
            links(&["cgroup", "pids"]),
            &["-v", "{volume}:/sys/fs/cgroup"],
        ),
        volume(
            "as /run with a link inside",
            links(&["below"]),
            &["-v", "{volume}:/run", "-w", "/run/below/made"],
        ),
        volume("with a tmpfs on a link", links(&["inner"]), &inner),
        volume("with a tmpfs on a pipe", pipes(&["inner"]), &inner),
        volume("with a tmpfs on a link to proc", vec![link("/inner", "/proc/sys")], &inner),
        volume("with a volume on a link", links(&["inner"]), &nested),
        volume("with a volume on a loop", vec![link("/inner", "inner")], &nested),
        volume(
            "with a device on a link",
            links(&["inner"]),
            &["-v", "{volume}:/data", "--device", "/dev/zero:/data/inner/zero"],
        ),
        volume(
            "with a working directory on a link",
            links(&["inner"]),
            &["-v", "{volume}:/data", "-w", "/data/inner/made"],
        ),
        volume("on a place below proc", Vec::new(), &["-v", "{volume}:/proc/sys"]),
        volume(
            "on a place above the root",
            Vec::new(),
            &["-v", "{volume}:/../../..{canary}/directory"],
        ),
    ]
}

/// Links of a volume to the canary, each to what suits its name least.
fn links(names: &[&str]) -> Vec<Entry> {
    names.iter().map(|name| link(&format!("/{name}"), "{canary}/directory")).collect()
}

fn pipes(names: &[&str]) -> Vec<Entry> {
    names.iter().map(|name| Entry::Fifo(format!("/{name}"))).collect()
}

/// Images, whose configuration says where to go.
fn images() -> Vec<Layout> {
    let image = |name: &str, root: Vec<Entry>, config: Value| Layout {
        image: Some(config),
        ..Layout::new(format!("image {name}"), root)
    };
    let data = || json!({ "Volumes": { "/data": {} } });
    let payload = ["/bin/busybox", "echo", "KEPT"];
    vec![
        image("as it should be", Vec::new(), json!({ "Cmd": payload })),
        image(
            "with a working directory behind a link",
            vec![link("/w", "{canary}")],
            json!({ "WorkingDir": "/w/made" }),
        ),
        image(
            "with a working directory on the host",
            Vec::new(),
            json!({ "WorkingDir": "/../../../..{canary}/made" }),
        ),
        image(
            "with a working directory in proc",
            Vec::new(),
            json!({ "WorkingDir": "/proc/self/fd/5" }),
        ),
        image(
            "with a working directory behind proc",
            Vec::new(),
            json!({ "WorkingDir": "/proc/1/root/..{canary}/made" }),
        ),
        image(
            "with a working directory of escapes",
            Vec::new(),
            json!({ "WorkingDir": "/\u{1b}[2J\n/x\u{7}" }),
        ),
        image(
            "with a long working directory",
            Vec::new(),
            json!({ "WorkingDir": "/x".repeat(4000) }),
        ),
        image(
            "with a relative working directory",
            Vec::new(),
            json!({ "WorkingDir": "../..{canary}" }),
        ),
        image("with a volume on a link", vec![link("/data", "{canary}/directory")], data()),
        image("with a volume on a dangling link", vec![link("/data", "{canary}/made")], data()),
        image("with a volume on a file", vec![file("/data", "x")], data()),
        image(
            "with a volume full of links",
            vec![link("/data/l", "{canary}"), Entry::Fifo("/data/p".into())],
            data(),
        ),
        image("with a volume of 8 GiB", vec![Entry::Sparse("/data/big".into(), 8 << 30)], data()),
        image(
            "with a volume above the root",
            Vec::new(),
            json!({ "Volumes": { "/../../..{canary}": {} } }),
        ),
        image("with a volume on proc", Vec::new(), json!({ "Volumes": { "/proc/sys": {} } })),
        image("with a volume on the root", Vec::new(), json!({ "Volumes": { "/": {} } })),
        image(
            "with a user of a pipe",
            vec![Entry::Fifo("/etc/passwd".into())],
            json!({ "User": "somebody" }),
        ),
        image("with the user 2^32", Vec::new(), json!({ "User": "4294967296" })),
        image("with the user -1", Vec::new(), json!({ "User": "-1:-1" })),
        image(
            "with an environment of escapes",
            Vec::new(),
            json!({ "Env": ["\u{1b}[2J=x", "=y"] }),
        ),
        image(
            "with an empty entry point",
            Vec::new(),
            json!({ "Entrypoint": [""], "Cmd": payload }),
        ),
        image("with a stop signal that is none", Vec::new(), json!({ "StopSignal": "SIGNONE" })),
    ]
}

/// Trees that are odd as a whole.
fn trees() -> Vec<Layout> {
    let etc = || Entry::Directory("/etc".into());
    let immutable = |path: &str| Entry::Immutable(path.into());
    let many = (0..5000).map(|number| file(&format!("/etc/{number}"), "")).collect();
    let deep = "/d".repeat(1000);
    vec![
        Layout::new("tree without directories", Vec::new()),
        Layout::new("tree with an immutable /etc", vec![etc(), immutable("/etc")]),
        Layout::new(
            "tree with immutable files",
            vec![
                file("/etc/hosts", "x"),
                immutable("/etc/hosts"),
                Entry::Directory("/job".into()),
                immutable("/job"),
            ],
        )
        .flags(&["-w", "/job/made"]),
        Layout::new("tree with many files", many),
        Layout::new("tree with a deep place", vec![Entry::Directory(deep.clone())])
            .flags(&["-w", &deep]),
        Layout::new("tree with a deep mount", Vec::new()).flags(&["--tmpfs", &deep]),
        Layout::new(
            "tree for nobody",
            vec![Entry::Mode("/bin".into(), 0), Entry::Mode("/lib".into(), 0)],
        ),
        Layout::new("tree, with: colons, commas\\ and \"quotes\"", Vec::new()),
        Layout::new("tree with a name of 200 letters ".to_owned() + &"x".repeat(200), Vec::new()),
        Layout::new(
            "tree with devices",
            vec![
                Entry::Character("/etc/hosts".into(), 1, 1),
                Entry::Character("/etc/passwd".into(), 1, 5),
                Entry::Block("/etc/group".into(), 254, 0),
            ],
        )
        .flags(&["-u", "somebody:somebody"]),
        Layout::new(
            "tree with whiteouts",
            vec![
                Entry::Character("/etc".into(), 0, 0),
                Entry::Character("/proc".into(), 0, 0),
                Entry::Character("/job".into(), 0, 0),
            ],
        )
        .flags(&["-w", "/job/made"]),
        Layout::new("tree that is a layer", vec![file("/.wh..wh..opq", ""), file("/.wh.bin", "")]),
    ]
}
