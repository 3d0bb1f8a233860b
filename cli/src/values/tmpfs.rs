//! `--tmpfs`.

use minidock_engine::{AccessTimes, MountRequest, MountSource, TmpfsOptions, TmpfsSize};

use super::size::bytes;
use super::volume::mount_point;
use super::{ValueError, is_digits};

/// `--tmpfs target[:options]`; of options that contradict each other the last one counts.
pub(crate) fn tmpfs(text: &str) -> Result<MountRequest, ValueError> {
    let (target, words) = text.split_once(':').unwrap_or((text, ""));
    let target = mount_point(target)?;
    let mut options = TmpfsOptions::default();
    let mut read_only = false;
    for word in words.split(',').filter(|_| !words.is_empty()) {
        let known = match word.split_once('=') {
            Some((key, value)) => set_value(&mut options, key, value),
            None if matches!(word, "ro" | "rw") => {
                read_only = word == "ro";
                Some(())
            }
            None => set_flag(&mut options, word),
        };
        known.ok_or_else(|| ValueError::new(format!("invalid tmpfs option {word:?}")))?;
    }
    let source = MountSource::Tmpfs { options };
    Ok(MountRequest { source, target, read_only, propagation: None })
}

fn set_value(options: &mut TmpfsOptions, key: &str, value: &str) -> Option<()> {
    match key {
        "size" => options.size = Some(size(value)?),
        "nr_inodes" => options.inodes = Some(bytes(value).ok()?),
        "mode" => options.mode = Some(permissions(value)?),
        "uid" => options.uid = Some(id(value)?),
        "gid" => options.gid = Some(id(value)?),
        _ => return None,
    }
    Some(())
}

fn set_flag(options: &mut TmpfsOptions, word: &str) -> Option<()> {
    match word {
        "exec" | "noexec" => options.exec = word == "exec",
        "suid" | "nosuid" => options.suid = word == "suid",
        "dev" | "nodev" => options.dev = word == "dev",
        "relatime" | "nostrictatime" | "atime" => options.access_times = AccessTimes::Relative,
        "strictatime" | "norelatime" => options.access_times = AccessTimes::Always,
        "noatime" => options.access_times = AccessTimes::Never,
        "diratime" | "nodiratime" => options.no_directory_access_times = word == "nodiratime",
        // Nothing is written behind, nothing is locked by force, and no mount travels to or from
        // a new tmpfs.
        "defaults" | "async" | "sync" | "dirsync" | "nomand" | "private" | "rprivate" => {}
        _ => return None,
    }
    Some(())
}

/// Bytes, or hundredths of the memory.
fn size(text: &str) -> Option<TmpfsSize> {
    match text.strip_suffix('%') {
        Some(percent) if is_digits(percent) => percent.parse().ok().map(TmpfsSize::Percent),
        Some(_) => None,
        None => bytes(text).ok().map(TmpfsSize::Bytes),
    }
}

/// The number of a user or group. The largest stands for none at all, `chown(2)`.
fn id(text: &str) -> Option<u32> {
    let id = is_digits(text).then(|| text.parse().ok()).flatten();
    id.filter(|id| *id != u32::MAX)
}

/// Permission bits as an octal number.
pub(crate) fn permissions(text: &str) -> Option<u32> {
    let bits = is_digits(text).then_some(text)?;
    u32::from_str_radix(bits, 8).ok().filter(|bits| *bits <= 0o7777)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn request(options: TmpfsOptions) -> MountRequest {
        let source = MountSource::Tmpfs { options };
        MountRequest { source, target: "/p".to_owned(), read_only: false, propagation: None }
    }

    #[test]
    fn options() {
        let default = TmpfsOptions::default;
        let sized = |size| request(TmpfsOptions { size: Some(size), ..default() });
        let read = |access_times| request(TmpfsOptions { access_times, ..default() });
        let large = TmpfsOptions {
            size: Some(TmpfsSize::Bytes(64 << 20)),
            mode: Some(0o1777),
            exec: true,
            ..default()
        };
        let owned = TmpfsOptions {
            uid: Some(1000),
            gid: Some(4_294_967_294),
            inodes: Some(2048),
            mode: Some(0o700),
            ..default()
        };
        let lenient = TmpfsOptions { exec: true, suid: true, dev: true, ..default() };
        let still = TmpfsOptions { no_directory_access_times: true, ..default() };
        check(
            tmpfs,
            &[
                ("/p", request(default())),
                ("/p:", request(default())),
                ("/p:size=64m,mode=1777,exec", request(large)),
                ("/p:uid=1000,gid=4294967294,nr_inodes=2k,mode=700", request(owned)),
                ("/p:size=50%", sized(TmpfsSize::Percent(50))),
                ("/p:size=1g,size=0", sized(TmpfsSize::Bytes(0))),
                ("/p:exec,suid,dev", request(lenient)),
                ("/p:exec,suid,dev,noexec,nosuid,nodev", request(default())),
                ("/p:strictatime", read(AccessTimes::Always)),
                ("/p:noatime", read(AccessTimes::Never)),
                ("/p:noatime,relatime", read(AccessTimes::Relative)),
                ("/p:nodiratime", request(still)),
                ("/p:defaults,sync,rprivate", request(default())),
                ("/p:rw,ro", MountRequest { read_only: true, ..request(default()) }),
                ("/p:ro,rw", request(default())),
            ],
            &[
                ("relative", "invalid mount path: 'relative' mount path must be absolute"),
                ("/", "invalid specification: destination can't be '/'"),
                ("/p:size=x", "invalid tmpfs option \"size=x\""),
                ("/p:size=-1%", "invalid tmpfs option \"size=-1%\""),
                ("/p:size", "invalid tmpfs option \"size\""),
                ("/p:mode=", "invalid tmpfs option \"mode=\""),
                ("/p:mode=9", "invalid tmpfs option \"mode=9\""),
                ("/p:mode=77777", "invalid tmpfs option \"mode=77777\""),
                ("/p:uid=root", "invalid tmpfs option \"uid=root\""),
                ("/p:uid=4294967295", "invalid tmpfs option \"uid=4294967295\""),
                ("/p:exec=", "invalid tmpfs option \"exec=\""),
                ("/p:rshared", "invalid tmpfs option \"rshared\""),
                ("/p:ro,", "invalid tmpfs option \"\""),
            ],
        );
    }
}
