//! Each place that the engine looks at, in each shape that it does not expect.

use minidock_tests::Entry;

use crate::trial::Layout;

/// Places and the flags that make the engine go there.
const PLACES: [(&str, &[&str]); 34] = [
    ("/dev", &[]),
    ("/dev/null", &[]),
    ("/dev/pts", &[]),
    ("/dev/shm", &[]),
    ("/dev/mqueue", &[]),
    ("/dev/fd", &[]),
    ("/dev/console", &["-t"]),
    ("/dev/ptmx", &["-t"]),
    ("/proc", &[]),
    ("/proc/sys", &[]),
    ("/proc/kcore", &[]),
    ("/proc/sysrq-trigger", &[]),
    ("/sys", &[]),
    ("/sys/fs", &[]),
    ("/sys/fs/cgroup", &[]),
    ("/sys/firmware", &[]),
    ("/etc", &[]),
    ("/etc/hosts", &[]),
    ("/etc/hostname", &["-h", "name"]),
    ("/etc/resolv.conf", &["--dns", "192.0.2.1"]),
    ("/etc/passwd", &["-u", "somebody"]),
    ("/etc/group", &["-u", "0:somebody"]),
    ("/tmp", &["--tmpfs", "/tmp"]),
    ("/run", &["--tmpfs", "/run/below"]),
    ("/job", &["-w", "/job"]),
    ("/opt/above", &["-w", "/opt/above/deep/er"]),
    ("/data", &["-v", "{volume}:/data"]),
    ("/data/above", &["-v", "{volume}:/data/above/below"]),
    ("/data/file", &["-v", "{volume}/file:/data/file"]),
    ("/data/read-only", &["-v", "{volume}:/data/read-only:ro", "--read-only"]),
    ("/node", &["--device", "/dev/zero:/node"]),
    ("/node/above", &["--device", "/dev/zero:/node/above/node"]),
    ("/volume", &["-v", "named:/volume"]),
    ("/init", &["--init", "-w", "/init"]),
];

/// Makes something of a place.
type Shape = fn(&str) -> Vec<Entry>;

const SHAPES: [(&str, Shape); 24] = [
    ("absolute link to a directory", |place| vec![link(place, "{canary}/directory")]),
    ("absolute link to a file", |place| vec![link(place, "{canary}/file")]),
    ("relative link to a directory", |place| vec![link(place, &up("{canary}/directory"))]),
    ("relative link to a file", |place| vec![link(place, &up("{canary}/private"))]),
    ("chain of links", |place| {
        vec![link(place, "/one"), link("/one", "two"), link("/two", &up("{canary}/link"))]
    }),
    ("chain through a directory", |place| {
        vec![link(place, "/one/inner"), link("/one", "{canary}/directory")]
    }),
    ("dangling link", |place| vec![link(place, "{canary}/made")]),
    ("dangling link below a directory", |place| vec![link(place, "{canary}/directory/../made")]),
    ("dangling relative link", |place| vec![link(place, &up("{canary}/directory/made"))]),
    ("loop of one", |place| vec![link(place, place)]),
    ("loop of two", |place| vec![link(place, "/one"), link("/one", place)]),
    ("magic link to a descriptor", |place| vec![link(place, "/proc/self/fd/3")]),
    ("magic link behind a descriptor", |place| vec![link(place, "/proc/self/fd/4/../made")]),
    ("magic link to a root", |place| vec![link(place, "/proc/1/root{canary}/directory")]),
    ("magic link to a working directory", |place| {
        vec![link(place, &format!("/proc/self/cwd/{}", up("{canary}/made")))]
    }),
    ("magic link to a program", |place| vec![link(place, "/proc/self/exe")]),
    ("pipe", |place| vec![Entry::Fifo(place.into())]),
    // The first disk of the virtual machine.
    ("device of a disk", |place| vec![Entry::Block(place.into(), 254, 0)]),
    ("device of the console", |place| vec![Entry::Character(place.into(), 5, 1)]),
    ("socket", |place| vec![Entry::Socket(place.into())]),
    ("file that is empty", |place| vec![Entry::File(place.into(), String::new())]),
    ("file of 8 GiB", |place| vec![Entry::Sparse(place.into(), 8 << 30)]),
    ("file for nobody", |place| {
        vec![Entry::File(place.into(), "x\n".into()), Entry::Mode(place.into(), 0o4000)]
    }),
    ("directory for nobody", |place| {
        vec![Entry::File(format!("{place}/x"), "x\n".into()), Entry::Mode(place.into(), 0)]
    }),
];

fn link(place: &str, to: &str) -> Entry {
    Entry::Link(place.into(), to.into())
}

/// A way that leads to a path of the host from wherever it is taken.
fn up(path: &str) -> String {
    format!("{}{path}", "../".repeat(20))
}

/// Every place in every shape.
pub(crate) fn all() -> Vec<Layout> {
    let mut layouts = Vec::new();
    for (shape, make) in SHAPES {
        for (place, flags) in PLACES {
            let mut layout = Layout::new(format!("{shape} at {place}"), make(place));
            layout.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            layout.place = place.to_owned();
            layouts.push(layout);
        }
    }
    layouts
}
