//! Which containers a sandbox has had: the names that appear in its directories, as inotify tells
//! them, so that even those are known that are long gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// The containers' ids so far.
#[derive(Debug)]
pub(crate) struct Ids {
    inotify: Inotify,
    seen: Mutex<BTreeSet<String>>,
}

impl Ids {
    /// Watches directories whose entries are named by container ids.
    pub(crate) fn watch(directories: &[&Path]) -> Ids {
        let inotify =
            Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).expect("inotify");
        for directory in directories {
            let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            inotify.add_watch(*directory, events).expect("watching a directory");
        }
        Ids { inotify, seen: Mutex::default() }
    }

    /// Every id that has appeared.
    pub(crate) fn seen(&self) -> BTreeSet<String> {
        let mut seen = self.seen.lock().expect("the ids");
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    let names = events.into_iter().filter_map(|event| event.name);
                    seen.extend(names.filter_map(|name| id(&name.into_string().ok()?)));
                }
                Err(Errno::EAGAIN) => return seen.clone(),
                Err(error) => panic!("reading inotify events: {error}"),
            }
        }
    }
}

/// An entry's id: its leading hexadecimal digits, of which there are at least 12.
fn id(name: &str) -> Option<String> {
    let digits = name.bytes().take_while(u8::is_ascii_hexdigit).count();
    (digits >= 12).then(|| name[..digits].to_owned())
}
