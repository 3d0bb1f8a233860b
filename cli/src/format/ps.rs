//! What `ps` would show of processes: its options, as far as `minidock top` takes them, and its
//! columns.

use std::time::{Duration, SystemTime};

use minidock_engine::{ProcessInfo, Processes};

use super::time::Clock;
use crate::values::ValueError;

/// A column: what its head says, and which of the [`KNOWN`] ones it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    title: String,
    show: Show,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Pid,
    Ppid,
    Pgid,
    Sid,
    Uid,
    Gid,
    User,
    Group,
    WholeCpu,
    Cpu,
    Memory,
    Start,
    Tty,
    Time,
    ShortTime,
    Elapsed,
    State,
    States,
    Virtual,
    Resident,
    Nice,
    Priority,
    Threads,
    Name,
    Command,
}

/// The fields of `-o`, and their heads.
const KNOWN: &[(&str, &str, Show)] = &[
    ("pid", "PID", Show::Pid),
    ("tgid", "TGID", Show::Pid),
    ("ppid", "PPID", Show::Ppid),
    ("pgid", "PGID", Show::Pgid),
    ("pgrp", "PGRP", Show::Pgid),
    ("sid", "SID", Show::Sid),
    ("sess", "SESS", Show::Sid),
    ("uid", "UID", Show::Uid),
    ("euid", "EUID", Show::Uid),
    ("gid", "GID", Show::Gid),
    ("egid", "EGID", Show::Gid),
    ("user", "USER", Show::User),
    ("euser", "EUSER", Show::User),
    ("uname", "USER", Show::User),
    ("group", "GROUP", Show::Group),
    ("egroup", "EGROUP", Show::Group),
    ("c", "C", Show::WholeCpu),
    ("pcpu", "%CPU", Show::Cpu),
    ("%cpu", "%CPU", Show::Cpu),
    ("pmem", "%MEM", Show::Memory),
    ("%mem", "%MEM", Show::Memory),
    ("stime", "STIME", Show::Start),
    ("start_time", "START", Show::Start),
    ("tty", "TT", Show::Tty),
    ("tt", "TT", Show::Tty),
    ("tname", "TTY", Show::Tty),
    ("time", "TIME", Show::Time),
    ("cputime", "TIME", Show::Time),
    ("bsdtime", "TIME", Show::ShortTime),
    ("etime", "ELAPSED", Show::Elapsed),
    ("s", "S", Show::State),
    ("state", "S", Show::State),
    ("stat", "STAT", Show::States),
    ("vsz", "VSZ", Show::Virtual),
    ("vsize", "VSZ", Show::Virtual),
    ("rss", "RSS", Show::Resident),
    ("rsz", "RSZ", Show::Resident),
    ("ni", "NI", Show::Nice),
    ("nice", "NI", Show::Nice),
    ("pri", "PRI", Show::Priority),
    ("nlwp", "NLWP", Show::Threads),
    ("thcount", "THCNT", Show::Threads),
    ("comm", "COMMAND", Show::Name),
    ("ucmd", "CMD", Show::Name),
    ("args", "COMMAND", Show::Command),
    ("command", "COMMAND", Show::Command),
    ("cmd", "CMD", Show::Command),
];

const FULL: &str = "user=UID,pid,ppid,c,stime,tname,time,cmd";
const BSD: &str = "user,pid,pcpu,pmem,vsz,rss,tname,stat,start_time,bsdtime,args";
const BSD_PLAIN: &str = "pid,tname,stat,bsdtime,args";
const PLAIN: &str = "pid,tname,time,ucmd";

/// The columns that options of ps ask for; `-ef` when there are none. Which processes are shown is
/// no question here: all of the container's.
pub(crate) fn columns(options: &[String]) -> Result<Vec<Column>, ValueError> {
    let mut fields: Vec<Column> = Vec::new();
    let mut form = if options.is_empty() { FULL } else { PLAIN };
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let refused = || {
            ValueError::new(format!(
                "ps option {word:?} is not supported: use -ef, aux, or -o with fields such as \
                 pid,ppid,user,pcpu,rss,comm,args"
            ))
        };
        if let Some(list) = word.strip_prefix("--format") {
            let list = list.strip_prefix('=').or_else(|| words.next().map(String::as_str));
            fields.extend(list_of(list.ok_or_else(refused)?)?);
            continue;
        }
        let (letters, list) = match word.split_once('o') {
            Some((letters, list)) => (letters, Some(list)),
            None => (word.as_str(), None),
        };
        form = match letters.strip_prefix('-') {
            Some("e" | "A") => form,
            Some("ef" | "fe" | "Af" | "f") => FULL,
            Some("aux") => BSD,
            Some("" | "a" | "ax") if list.is_some() => form,
            None if letters.is_empty() && list.is_some() => form,
            None if "aux axu uax ua u".split(' ').any(|known| known == letters) => BSD,
            None if matches!(letters, "ax" | "a" | "x") => BSD_PLAIN,
            _ => return Err(refused()),
        };
        match list {
            Some("") => fields.extend(list_of(words.next().ok_or_else(refused)?)?),
            Some(list) => fields.extend(list_of(list)?),
            None => {}
        }
    }
    if fields.is_empty() { list_of(form) } else { Ok(fields) }
}

/// `pid,comm=PROGRAM`: a head of one's own goes to the end of the list's word.
fn list_of(list: &str) -> Result<Vec<Column>, ValueError> {
    let column = |field: &str| {
        let (name, title) = field.split_once('=').map_or((field, None), |(n, t)| (n, Some(t)));
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let (_, usual, show) = known.ok_or_else(|| {
            let names: Vec<&str> = KNOWN.iter().map(|(name, ..)| *name).collect();
            let names = names.join(",");
            ValueError::new(format!("unknown ps field {name:?}: there are {names}"))
        })?;
        Ok(Column { title: title.unwrap_or(usual).to_owned(), show: *show })
    };
    list.split([',', ' ']).filter(|field| !field.is_empty()).map(column).collect()
}

/// Heads and rows, with tabs between the cells.
pub(crate) fn table(columns: &[Column], processes: &Processes, clock: &Clock) -> String {
    let line = |cells: Vec<String>| cells.join("\t") + "\n";
    let head = line(columns.iter().map(|column| column.title.clone()).collect());
    let rows = processes.list.iter().map(|process| {
        let cell = |column: &Column| printable(&cell(column.show, process, processes, clock));
        line(columns.iter().map(cell).collect())
    });
    std::iter::once(head).chain(rows).collect()
}

/// A process calls itself what it likes; as ps does, nothing of it drives a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn cell(show: Show, process: &ProcessInfo, all: &Processes, clock: &Clock) -> String {
    let used = process.cpu.as_secs_f64() / process.age.as_secs_f64().max(0.01) * 100.0;
    let memory = process.resident as f64 / (all.host_memory.max(1)) as f64 * 100.0;
    match show {
        Show::Pid => process.pid.to_string(),
        Show::Ppid => process.ppid.to_string(),
        Show::Pgid => process.pgid.to_string(),
        Show::Sid => process.sid.to_string(),
        Show::Uid => process.uid.to_string(),
        Show::Gid => process.gid.to_string(),
        Show::User => process.user.clone(),
        Show::Group => process.group.clone(),
        Show::WholeCpu => format!("{:.0}", used.floor().min(99.0)),
        Show::Cpu => format!("{used:.1}"),
        Show::Memory => format!("{memory:.1}"),
        Show::Start => clock.short(SystemTime::UNIX_EPOCH + process.started),
        Show::Tty => process.tty.clone().unwrap_or_else(|| "?".to_owned()),
        Show::Time => long_time(process.cpu),
        Show::ShortTime => {
            let seconds = process.cpu.as_secs();
            format!("{}:{:02}", seconds / 60, seconds % 60)
        }
        Show::Elapsed => elapsed(process.age),
        Show::State => process.state.to_string(),
        Show::States => states(process),
        Show::Virtual => (process.virtual_memory >> 10).to_string(),
        Show::Resident => (process.resident >> 10).to_string(),
        Show::Nice => process.nice.to_string(),
        // ps counts from the other end.
        Show::Priority => (39 - process.priority).to_string(),
        Show::Threads => process.threads.to_string(),
        Show::Name => process.name.clone(),
        Show::Command if process.arguments.is_empty() => format!("[{}]", process.name),
        Show::Command => process.arguments.join(" "),
    }
}

fn states(process: &ProcessInfo) -> String {
    let marks = [
        (process.nice < 0, '<'),
        (process.nice > 0, 'N'),
        (i64::from(process.pid) == process.sid, 's'),
        (process.threads > 1, 'l'),
        (process.foreground, '+'),
    ];
    let marks = marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark));
    std::iter::once(process.state).chain(marks).collect()
}

/// `[DD-]HH:MM:SS`.
fn long_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86400, seconds / 3600 % 24);
    let days = if days == 0 { String::new() } else { format!("{days}-") };
    format!("{days}{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

/// `[[DD-]HH:]MM:SS`.
fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..3600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        _ => long_time(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(options: &[&str]) -> Result<String, String> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let columns = columns(&options).map_err(|error| error.to_string())?;
        let titles: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
        Ok(titles.join(" "))
    }

    #[test]
    fn options_of_ps_choose_columns() {
        let full = "UID PID PPID C STIME TTY TIME CMD";
        let bsd = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND";
        for (options, expected) in [
            (&[] as &[&str], full),
            (&["-ef"], full),
            (&["-e", "-f"], full),
            (&["aux"], bsd),
            (&["-aux"], bsd),
            (&["ax"], "PID TTY STAT TIME COMMAND"),
            (&["-e"], "PID TTY TIME CMD"),
            (&["-o", "pid,comm"], "PID COMMAND"),
            (&["-opid,comm"], "PID COMMAND"),
            (&["-eo", "pid", "-o", "args"], "PID COMMAND"),
            (&["-eopid,etime"], "PID ELAPSED"),
            (&["axo", "pid,stat"], "PID STAT"),
            (&["o", "pid"], "PID"),
            (&["--format=pid", "--format", "user=WHO"], "PID WHO"),
        ] {
            assert_eq!(titles(options).as_deref(), Ok(expected), "{options:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for options in [&["-L"] as &[&str], &["-o"], &["--forest"], &["-p", "1"], &["x y"], &[""]] {
            let error = titles(options).unwrap_err();
            assert!(error.contains("is not supported: use -ef"), "{error}");
        }
        let error = titles(&["-o", "pid,wchan"]).unwrap_err();
        assert!(error.starts_with("unknown ps field \"wchan\": there are pid,"), "{error}");
    }

    #[test]
    fn times_have_the_forms_of_ps() {
        let day = |seconds| Duration::from_secs(seconds);
        assert_eq!(long_time(day(3661)), "01:01:01");
        assert_eq!(long_time(day(90061)), "1-01:01:01");
        assert_eq!(elapsed(day(61)), "01:01");
        assert_eq!(elapsed(day(90061)), "1-01:01:01");
        assert_eq!(printable("a\x1b[2J\nb\u{9b}"), "a?[2J?b?");
    }
}
