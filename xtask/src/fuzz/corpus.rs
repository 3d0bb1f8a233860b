//! `--keep`: from what was found, the few inputs that are worth a place in the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Fuzzer, Places, logged};

/// Found inputs in the repository, for each target, and the bytes of one: they are replayed by
/// ordinary tests, and read by people.
const MOST: usize = 40;
const LARGEST: usize = 2048;

/// Replaces the found inputs of a target's kept corpus. Gives how many are new and how many gone.
/// The ones with a name of their own, written by hand, stay.
pub(super) fn keep(fuzzer: &Fuzzer, target: &str) -> Result<(usize, usize)> {
    let places = Places::new(target)?;
    if places.minimised.exists() {
        fs::remove_dir_all(&places.minimised)?;
    }
    fs::create_dir_all(&places.minimised)?;
    let kept = read(&places.kept)?;
    // Merging adds to the first directory what reaches further than it does itself.
    let by_hand = kept.iter().filter(|(name, _)| !is_found(name));
    write(&places.minimised, by_hand.clone())?;
    let mut merge = fuzzer.command("run");
    merge.arg(target).args([&places.minimised, &places.kept, &places.scratch]);
    // By the code that is reached, not also by how often.
    merge.args(["--", "-merge=1", "-use_counters=0"]);
    merge.arg(format!("-max_len={LARGEST}"));
    let log = places.log.with_extension("merge");
    let (status, _) = logged(&mut merge, &log)?;
    ensure!(status.success(), "the corpus of {target} cannot be merged: see {}", log.display());

    let known: Vec<&Vec<u8>> = by_hand.map(|(_, bytes)| bytes).collect();
    let mut found: Vec<(String, Vec<u8>)> = read(&places.minimised)?
        .into_iter()
        .filter(|(name, bytes)| is_found(name) && !known.contains(&bytes))
        .collect();
    found.sort_by_key(|(_, bytes)| bytes.len());
    let found: BTreeMap<String, Vec<u8>> = spread(found, MOST).into_iter().collect();
    let before: Vec<&String> = kept.keys().filter(|name| is_found(name)).collect();
    let mut gone = before.iter().filter(|name| !found.contains_key(**name));
    let removed = gone.clone().count();
    gone.try_for_each(|name| fs::remove_file(places.kept.join(name)))?;
    write(&places.kept, found.iter())?;
    let added = found.keys().filter(|name| !before.contains(name)).count();
    Ok((added, removed))
}

/// libFuzzer names an input by the SHA-1 of its bytes.
fn is_found(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// At most so many, small and large ones alike.
fn spread<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let count = all.len();
    let chosen = |index: usize| count <= most || index * most / count != (index + 1) * most / count;
    all.into_iter().enumerate().filter(|(index, _)| chosen(*index)).map(|(_, one)| one).collect()
}

fn read(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, bytes);
    }
    Ok(files)
}

fn write<'a>(
    directory: &Path,
    files: impl Iterator<Item = (&'a String, &'a Vec<u8>)>,
) -> Result<()> {
    for (name, bytes) in files {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_written_by_hand_have_names() {
        assert!(is_found("da39a3ee5e6b4b0d3255bfef95601890afd80709"));
        assert!(!is_found("terminal-escape"));
    }

    #[test]
    fn what_is_spread_has_small_and_large_ones() {
        assert_eq!(spread(vec![1, 2, 3], 5), [1, 2, 3]);
        let chosen = spread((0..100).collect(), 10);
        assert_eq!(chosen.len(), 10);
        assert!(chosen[0] < 10 && chosen[9] >= 90);
    }
}
