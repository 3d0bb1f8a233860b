use minidock_fs::{MountAttr, Propagation};
use oci_spec::runtime::{Mount, MountBuilder};

use crate::lower::mounts::{Options, Trees, lower_mount};

/// Words that turn one attribute on, and off.
const FLAGS: [(&str, &str, MountAttr); 6] = [
    ("ro", "rw", MountAttr::RDONLY),
    ("nosuid", "suid", MountAttr::NOSUID),
    ("nodev", "dev", MountAttr::NODEV),
    ("noexec", "exec", MountAttr::NOEXEC),
    ("nodiratime", "", MountAttr::NODIRATIME),
    ("nosymfollow", "", MountAttr::NOSYMFOLLOW),
];

/// Words of which the last one counts.
const ACCESS_TIMES: [(&str, MountAttr); 3] = [
    ("noatime", MountAttr::NOATIME),
    ("strictatime", MountAttr::STRICTATIME),
    ("relatime", MountAttr::empty()),
];

const PROPAGATION: [(&str, &str, Propagation); 4] = [
    ("private", "rprivate", Propagation::Private),
    ("slave", "rslave", Propagation::Slave),
    ("shared", "rshared", Propagation::Shared),
    ("unbindable", "runbindable", Propagation::Unbindable),
];

/// Options of an OCI mount, one a line: each has its effect once, and there is no other effect.
pub fn mount_options(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let options: Vec<String> = text.lines().map(str::to_owned).collect();
    let parsed = Options::parse(&options);
    let last = |one: &str, other: &str| options.iter().rfind(|o| *o == one || *o == other);
    let attr = attributes(&options);
    assert_eq!(parsed.attr, attr, "attributes");
    let propagation = options.iter().rev().find_map(|o| propagation(o));
    assert_eq!(parsed.propagation, propagation, "propagation");
    assert_eq!(parsed.bind, last("bind", "rbind").is_some(), "bind");
    assert_eq!(parsed.recursive, last("rbind", "rbind").is_some(), "recursive");
    let data: Vec<&str> = options.iter().map(String::as_str).filter(|o| !is_word(o)).collect();
    let kept: Vec<String> = parsed.data.iter().map(|(key, value)| written(key, *value)).collect();
    assert_eq!(kept, data, "what is left for the file system");

    let again = canonical(&parsed);
    assert_eq!(Options::parse(&again), parsed, "what was understood reads back as itself");
    lowered("tmpfs", &options, &parsed);
    lowered("bind", &options, &parsed);
}

fn attributes(options: &[String]) -> MountAttr {
    let mut attr = MountAttr::empty();
    for (on, off, flag) in FLAGS {
        let last = options.iter().rfind(|option| *option == on || is_off(option, off));
        attr.set(flag, last.is_some_and(|option| option == on));
    }
    let access = |option: &String| ACCESS_TIMES.iter().find(|(name, _)| name == option);
    attr | options.iter().rev().find_map(access).map_or(MountAttr::empty(), |(_, attr)| *attr)
}

fn propagation(option: &str) -> Option<Propagation> {
    let found = PROPAGATION.iter().find(|(one, all, _)| option == *one || option == *all);
    found.map(|(.., propagation)| *propagation)
}

fn is_word(option: &str) -> bool {
    matches!(option, "bind" | "rbind" | "defaults")
        || propagation(option).is_some()
        || ACCESS_TIMES.iter().any(|(name, _)| *name == option)
        || FLAGS.iter().any(|(on, off, _)| option == *on || is_off(option, off))
}

/// Not every attribute has a word that takes it away.
fn is_off(option: &str, off: &str) -> bool {
    !off.is_empty() && option == off
}

fn written(key: &str, value: Option<&str>) -> String {
    value.map_or(key.to_owned(), |value| format!("{key}={value}"))
}

fn canonical(parsed: &Options<'_>) -> Vec<String> {
    let mut words: Vec<String> =
        parsed.attr.iter().map(|attr| attr.to_string()).filter(|word| !word.is_empty()).collect();
    let named = |(_, _, p): &&(_, _, Propagation)| Some(*p) == parsed.propagation;
    words.extend(PROPAGATION.iter().find(named).map(|(word, ..)| (*word).to_owned()));
    words.extend(parsed.bind.then(|| if parsed.recursive { "rbind" } else { "bind" }.to_owned()));
    words.extend(parsed.data.iter().map(|(key, value)| written(key, *value)));
    words
}

/// A mount either says all that was asked for, or is refused.
fn lowered(typ: &str, options: &[String], parsed: &Options<'_>) {
    let Some(mount) = mount(typ, options) else { return };
    let cgroup = minidock_cgroup::Plan::new(
        &minidock_cgroup::Hierarchies::default(),
        None,
        "x",
        &minidock_cgroup::Limits::default(),
    );
    let Ok(cgroup) = cgroup else { return };
    let Ok(steps) = lower_mount(&mount, &cgroup, &mut Trees::default()) else { return };
    let [step] = steps.as_slice() else { panic!("one mount is {} steps", steps.len()) };
    let bind = parsed.bind || typ == "bind";
    let mut words: Vec<String> = Vec::new();
    words.extend((bind && parsed.recursive).then(|| "recursive".to_owned()));
    words.extend((!parsed.attr.is_empty()).then(|| parsed.attr.to_string()));
    words.extend(parsed.propagation.map(|propagation| {
        let named = PROPAGATION.iter().find(|(.., other)| *other == propagation);
        named.map_or("", |(one, all, _)| if parsed.recursive { all } else { one }).to_owned()
    }));
    words.extend(parsed.data.iter().map(|(key, value)| written(key, *value)));
    let words = words.join(",");
    // How control characters are shown is another question.
    if !words.contains(char::is_control) {
        let what = if bind { "bind /source on /target" } else { "mount tmpfs on /target" };
        let options = if words.is_empty() { String::new() } else { format!(" ({words})") };
        assert_eq!(step.to_string(), format!("{what}{options}"));
    }
}

fn mount(typ: &str, options: &[String]) -> Option<Mount> {
    let builder = MountBuilder::default().typ(typ).source("/source").destination("/target");
    builder.options(options.to_vec()).build().ok()
}
