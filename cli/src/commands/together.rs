use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use minidock_engine::{ContainerId, Engine};

use crate::{exit, output};

/// How many containers something is done to at the same time. For each a process is held, and some
/// files; a program may usually have 1024 open.
const AT_ONCE: usize = 100;

/// As [`super::each`], to all at the same time: none waits for the end of another.
pub(super) fn each_at_once<T: Display + Send>(
    engine: &Engine,
    names: &[String],
    act: impl Fn(&ContainerId, &str) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<u8> {
    let mut code = 0;
    let act = |name: &str| act(&engine.find(name)?, name);
    at_once(names, act, |_, done| match done {
        Ok(text) => output::print(&format!("{text}\n")).map(drop),
        Err(error) => {
            code = exit::complain(&error);
            Ok(())
        }
    })?;
    Ok(code)
}

/// Does something to all of these at the same time, and tells what has come of each in their order.
///
/// # Errors
/// The first one of telling; all of them have been done nevertheless.
pub(super) fn at_once<T: Send>(
    names: &[String],
    act: impl Fn(&str) -> T + Sync,
    mut tell: impl FnMut(&str, T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..names.len().min(AT_ONCE) {
            let (sender, next, act) = (sender.clone(), &next, &act);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(index) else { return };
                    // Nobody hears it any more when telling has failed.
                    drop(sender.send((index, act(name))));
                }
            });
        }
        drop(sender);
        let mut told = 0;
        let mut waiting: Vec<Option<T>> = names.iter().map(|_| None).collect();
        for (index, done) in receiver {
            if let Some(place) = waiting.get_mut(index) {
                *place = Some(done);
            }
            while let Some(done) = waiting.get_mut(told).and_then(Option::take) {
                tell(names.get(told).map_or("", String::as_str), done)?;
                told += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[test]
    fn all_are_done_at_the_same_time_and_told_in_order() {
        let names = names(AT_ONCE);
        // It never ends when one waits for another.
        let (all, mut told) = (Barrier::new(names.len()), Vec::new());
        let act = |name: &str| {
            all.wait();
            name.parse::<usize>().unwrap()
        };
        at_once(&names, act, |name, number| {
            assert_eq!(name, number.to_string());
            told.push(number);
            Ok(())
        })
        .unwrap();
        assert_eq!(told, (0..names.len()).collect::<Vec<_>>());
    }

    #[test]
    fn all_are_done_whatever_becomes_of_telling() {
        let (names, done) = (names(3 * AT_ONCE), AtomicUsize::new(0));
        let act = |_: &str| done.fetch_add(1, Ordering::Relaxed);
        let told = at_once(&names, act, |_, _| Err(anyhow::anyhow!("nobody listens")));
        assert_eq!(told.unwrap_err().to_string(), "nobody listens");
        assert_eq!(done.into_inner(), names.len());
    }
}
