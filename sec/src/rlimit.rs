//! Resource limits and the grammar of `--ulimit`.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::{Error, sys};

/// What a resource limit bounds, `getrlimit(2)`; the names are docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Size of a core file, bytes.
    Core,
    /// CPU time, seconds.
    Cpu,
    /// Data segment, bytes.
    Data,
    /// Size of a file that is written, bytes.
    Fsize,
    /// File locks; without effect on Linux.
    Locks,
    /// Locked memory, bytes.
    Memlock,
    /// Bytes in POSIX message queues.
    Msgqueue,
    /// Ceiling of the nice value, as 20 minus nice.
    Nice,
    /// One more than the largest file descriptor.
    Nofile,
    /// Processes and threads of the user.
    Nproc,
    /// Resident pages; without effect on Linux.
    Rss,
    /// Ceiling of the real-time priority.
    Rtprio,
    /// CPU time without a blocking call under real-time scheduling, microseconds.
    Rttime,
    /// Queued signals of the user.
    Sigpending,
    /// Stack, bytes.
    Stack,
}

/// Resource, docker's name, the kernel's number.
const RESOURCES: [(Resource, &str, libc::__rlimit_resource_t); 15] = [
    (Resource::Core, "core", libc::RLIMIT_CORE),
    (Resource::Cpu, "cpu", libc::RLIMIT_CPU),
    (Resource::Data, "data", libc::RLIMIT_DATA),
    (Resource::Fsize, "fsize", libc::RLIMIT_FSIZE),
    (Resource::Locks, "locks", libc::RLIMIT_LOCKS),
    (Resource::Memlock, "memlock", libc::RLIMIT_MEMLOCK),
    (Resource::Msgqueue, "msgqueue", libc::RLIMIT_MSGQUEUE),
    (Resource::Nice, "nice", libc::RLIMIT_NICE),
    (Resource::Nofile, "nofile", libc::RLIMIT_NOFILE),
    (Resource::Nproc, "nproc", libc::RLIMIT_NPROC),
    (Resource::Rss, "rss", libc::RLIMIT_RSS),
    (Resource::Rtprio, "rtprio", libc::RLIMIT_RTPRIO),
    (Resource::Rttime, "rttime", libc::RLIMIT_RTTIME),
    (Resource::Sigpending, "sigpending", libc::RLIMIT_SIGPENDING),
    (Resource::Stack, "stack", libc::RLIMIT_STACK),
];

impl Resource {
    fn row(self) -> (Resource, &'static str, u32) {
        // The table is in the order of the enumeration; a test holds it to that.
        RESOURCES[self as usize]
    }

    /// docker's name, such as `nofile`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn number(self) -> u32 {
        self.row().2
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Resource {
    type Err = Error;

    fn from_str(name: &str) -> Result<Resource, Error> {
        RESOURCES
            .iter()
            .find(|row| row.1 == name)
            .map(|row| row.0)
            .ok_or_else(|| Error::UlimitResource(name.to_owned()))
    }
}

/// A resource with its soft and hard limit, in the resource's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// What the kernel enforces; [`Rlimit::UNLIMITED`] for no limit.
    pub soft: u64,
    /// How far the soft limit may be raised; [`Rlimit::UNLIMITED`] for no limit.
    pub hard: u64,
}

/// A limit that was cut down to what the caller may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamped {
    /// The limit that was asked for.
    pub wanted: Rlimit,
    /// The limit that is possible.
    pub given: Rlimit,
}

impl Rlimit {
    /// No limit, `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;

    /// The limit of the calling process, `prlimit(2)`.
    ///
    /// # Errors
    /// [`Error::ReadRlimit`].
    pub fn current(resource: Resource) -> Result<Rlimit, Error> {
        sys::getrlimit(resource.number())
            .map(|(soft, hard)| Rlimit { resource, soft, hard })
            .map_err(|source| Error::ReadRlimit { resource, source })
    }

    /// Cuts the limit down to `current_hard`, unless the caller `may_raise` it (which takes
    /// `CAP_SYS_RESOURCE` in the initial user namespace).
    #[must_use]
    pub fn clamp(self, current_hard: u64, may_raise: bool) -> (Rlimit, Option<Clamped>) {
        if may_raise || self.hard <= current_hard {
            return (self, None);
        }
        let given = Rlimit { soft: self.soft.min(current_hard), hard: current_hard, ..self };
        (given, Some(Clamped { wanted: self, given }))
    }

    /// Sets the limit on the calling process, `prlimit(2)`. Child-safe.
    ///
    /// # Errors
    /// `EPERM` for a hard limit that the caller may not raise, or `nofile` above
    /// `/proc/sys/fs/nr_open`; `EINVAL` for a soft limit above the hard one.
    pub fn apply(&self) -> io::Result<()> {
        sys::setrlimit(self.resource.number(), self.soft, self.hard)
    }
}

impl FromStr for Rlimit {
    type Err = Error;

    /// docker's `resource=soft[:hard]`; -1 is unlimited, and a single value is both.
    fn from_str(text: &str) -> Result<Rlimit, Error> {
        let (name, values) =
            text.split_once('=').ok_or_else(|| Error::UlimitSyntax(text.to_owned()))?;
        let resource = name.parse()?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        if hard.contains(':') {
            return Err(Error::UlimitTooManyValues(values.to_owned()));
        }
        let limit = Rlimit { resource, soft: parse_value(soft)?, hard: parse_value(hard)? };
        if limit.soft <= limit.hard {
            return Ok(limit);
        }
        Err(Error::UlimitOrder(if limit.soft == Rlimit::UNLIMITED {
            format!("soft: -1 (unlimited), hard: {hard}")
        } else {
            format!("{soft} > {hard}")
        }))
    }
}

fn parse_value(text: &str) -> Result<u64, Error> {
    if text == "-1" {
        return Ok(Rlimit::UNLIMITED);
    }
    // Like docker's, numbers are those of a signed 64-bit integer.
    text.parse::<i64>()
        .ok()
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| Error::UlimitValue(text.to_owned()))
}

/// A limit as docker writes it: -1 for none.
struct Value(u64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Rlimit::UNLIMITED { f.write_str("-1") } else { self.0.fmt(f) }
    }
}

impl fmt::Display for Rlimit {
    /// `nofile=1024:2048`, as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.resource, Value(self.soft), Value(self.hard))
    }
}

impl fmt::Display for Clamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, given) = (self.wanted, self.given);
        write!(f, "ulimit {wanted} is beyond this process's own hard limit, using {given}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enumeration() {
        for (index, row) in RESOURCES.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(row.1.parse::<Resource>().unwrap(), row.0);
        }
    }

    #[test]
    fn the_grammar_is_docker_s() {
        let parse = |text: &str| text.parse::<Rlimit>().map(|l| (l.soft, l.hard));
        assert_eq!(parse("nofile=1024:2048").unwrap(), (1024, 2048));
        assert_eq!(parse("nproc=7").unwrap(), (7, 7));
        assert_eq!(parse("core=0").unwrap(), (0, 0));
        assert_eq!(parse("memlock=-1").unwrap(), (u64::MAX, u64::MAX));
        assert_eq!(parse("stack=8192:-1").unwrap(), (8192, u64::MAX));
    }

    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        let refusal = |text: &str| text.parse::<Rlimit>().unwrap_err().to_string();
        assert_eq!(refusal("nofile"), "invalid ulimit argument: nofile");
        assert_eq!(refusal("as=1"), "invalid ulimit type: as");
        assert_eq!(refusal("NOFILE=1"), "invalid ulimit type: NOFILE");
        assert!(refusal("nofile=1:2:3").starts_with("too many limit value arguments - 1:2:3"));
        assert!(refusal("nofile=2:1").ends_with("less than or equal to hard limit: 2 > 1"));
        assert!(refusal("nofile=-1:5").ends_with("soft: -1 (unlimited), hard: 5"));
        for bad in ["", ":", "1:", ":1", "x", "1k", "-2", "1.5", " 1", "99999999999999999999"] {
            assert!(refusal(&format!("nofile={bad}")).starts_with("invalid ulimit value"), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_clamped_only_when_it_must_be() {
        let limit: Rlimit = "nofile=1000:5000".parse().unwrap();
        assert_eq!(limit.clamp(5000, false), (limit, None));
        assert_eq!(limit.clamp(100, true), (limit, None));
        let (given, clamped) = limit.clamp(100, false);
        assert_eq!((given.soft, given.hard), (100, 100));
        assert_eq!(
            clamped.unwrap().to_string(),
            "ulimit nofile=1000:5000 is beyond this process's own hard limit, using \
             nofile=100:100"
        );
        let (given, _) = limit.clamp(3000, false);
        assert_eq!((given.soft, given.hard), (1000, 3000));
    }

    #[test]
    fn a_limit_is_shown_as_it_is_read() {
        for text in ["nofile=1024:2048", "core=-1:-1", "stack=1:-1"] {
            assert_eq!(text.parse::<Rlimit>().unwrap().to_string(), text);
        }
    }
}
