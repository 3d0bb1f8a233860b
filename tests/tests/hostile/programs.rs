//! The command itself: what lies where a program should.

use minidock_tests::Entry;

use crate::trial::Layout;

const COMMAND: &str = "/cmd";

/// The command in every shape.
pub(crate) fn all() -> Vec<Layout> {
    let mut layouts: Vec<Layout> = odd().into_iter().chain(scripts()).collect();
    // A name without a slash is looked up in PATH, and must come to the same.
    let mut searched = odd();
    for layout in &mut searched {
        layout.name.push_str(" in PATH");
        layout.flags = ["-e", "PATH=/:/bin"].map(str::to_owned).into();
        "cmd".clone_into(&mut layout.command[0]);
    }
    layouts.extend(searched);
    layouts.push(kept());
    layouts
}

/// The one whose command is right.
fn kept() -> Layout {
    let root = vec![Entry::Link("/echo".into(), "/../bin/busybox".into())];
    command("program behind a link", root, &["/echo", "KEPT"])
}

fn command(name: &str, root: Vec<Entry>, words: &[&str]) -> Layout {
    Layout {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Layout::new(name, root)
    }
}

fn link(to: &str) -> Entry {
    Entry::Link(COMMAND.into(), to.into())
}

fn executable(entry: Entry) -> Vec<Entry> {
    vec![entry, Entry::Mode(COMMAND.into(), 0o6755)]
}

/// Nothing that could be executed.
fn odd() -> Vec<Layout> {
    let place = || COMMAND.to_owned();
    let shapes = [
        ("missing", Vec::new()),
        ("a link to the host", vec![link("{canary}/program")]),
        ("a relative link to the host", vec![link("../../../../../../..{canary}/program")]),
        ("a link through proc", vec![link("/proc/1/root{canary}/program")]),
        ("a link to the engine", vec![link("/proc/self/exe")]),
        ("a link to a descriptor", vec![link("/proc/self/fd/3")]),
        ("a loop", vec![link(COMMAND)]),
        ("a pipe", vec![Entry::Fifo(place()), Entry::Mode(place(), 0o755)]),
        ("a disk", executable(Entry::Block(place(), 254, 0))),
        ("the memory", executable(Entry::Character(place(), 1, 1))),
        ("a socket", executable(Entry::Socket(place()))),
        ("a directory", vec![Entry::Directory(place())]),
        ("empty", executable(Entry::File(place(), String::new()))),
        ("of 8 GiB", executable(Entry::Sparse(place(), 8 << 30))),
        ("not executable", vec![Entry::File(place(), "#!/bin/busybox sh\n".into())]),
        ("a damaged program", executable(Entry::File(place(), "\x7fELF\x02\x01\x01".into()))),
    ];
    let layouts = shapes
        .into_iter()
        .map(|(name, root)| command(&format!("program that is {name}"), root, &[COMMAND]));
    layouts.collect()
}

/// Scripts, whose first line names a program.
fn scripts() -> Vec<Layout> {
    let long = format!("#!/{}\n", "x".repeat(5000));
    let lines = [
        ("of the host", "#!{canary}/program\n"),
        ("of itself", "#!/cmd\n"),
        ("of a descriptor", "#!/proc/self/fd/3\n"),
        ("of the engine", "#!/proc/self/exe --help\n"),
        ("of nothing", "#!\n"),
        ("of a directory", "#!/bin\n"),
        ("with escapes", "#!/\x1b[2J\x07\n"),
        ("with a carriage return", "#!/bin/busybox\r\n"),
        ("of a long name", &long),
    ];
    let layouts = lines.into_iter().map(|(name, text)| {
        let root = executable(Entry::File(COMMAND.into(), text.into()));
        command(&format!("script {name}"), root, &[COMMAND])
    });
    layouts.collect()
}
