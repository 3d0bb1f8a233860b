//! Docker's flags that are refused with a reason, rather than taken to no effect.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

#[derive(Debug)]
struct Refused {
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    /// A boolean; only this one is refused, as the other is how things are.
    Switch(bool),
}

const fn value(long: &'static str, why: &'static str) -> Refused {
    Refused { long, short: None, takes: Takes::Value, why }
}

const fn switch(long: &'static str, refused: bool, why: &'static str) -> Refused {
    Refused { takes: Takes::Switch(refused), ..value(long, why) }
}

impl Refused {
    const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }
}

const ADDRESS: &str = "the container's addresses are given out by minidock";
const NAMESPACE: &str = "the container always has a namespace of its own";
const NODES: &str = "name each device with --device";
const REAL_TIME: &str = "cgroup v2 has no limits on real-time processes";
const WINDOWS: &str = "it is for Windows containers";

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    value("annotation", "note things with --label"),
    value("attach", "output and errors are always the caller's: add the input with -i").short('a'),
    value("blkio-weight-device", "use --blkio-weight, which is for all devices"),
    value("cgroupns", NAMESPACE),
    value("cpu-count", WINDOWS),
    value("cpu-percent", WINDOWS),
    value("cpu-rt-period", REAL_TIME),
    value("cpu-rt-runtime", REAL_TIME),
    value("device-cgroup-rule", NODES),
    switch("disable-content-trust", false, "nothing verifies signatures"),
    value("gpus", NODES),
    value("io-maxbandwidth", WINDOWS),
    value("io-maxiops", WINDOWS),
    value("ipc", NAMESPACE),
    value("isolation", WINDOWS),
    value("kernel-memory", "kernels no longer have this limit: -m counts their memory too"),
    value("label-file", "name each with --label"),
    value("link", "join the same network: minidock network create makes one"),
    value("link-local-ip", ADDRESS),
    value("memory-swappiness", "cgroup v2 has no such setting: use --memory-swap"),
    switch("oom-kill-disable", true, "cgroup v2 has no such setting: use --oom-score-adj"),
    value("pid", NAMESPACE),
    value("runtime", "containers are run by minidock itself"),
    switch("sig-proxy", false, "signals are always passed on"),
    value("storage-opt", "bound what is written with --read-only and --tmpfs"),
    switch("use-api-socket", true, "there is no API socket"),
    value("uts", NAMESPACE),
    value("volume-driver", "volumes are directories: use -v or --mount"),
    value("volumes-from", "name each volume with -v"),
];

/// Adds the flags that [`refusal`] looks for.
pub(crate) fn with_refused(command: Command) -> Command {
    command.args(REFUSED.iter().map(|flag| {
        let arg = Arg::new(flag.long).long(flag.long).hide(true);
        let arg = flag.short.into_iter().fold(arg, Arg::short);
        arg.action(match flag.takes {
            Takes::Value => ArgAction::Append,
            Takes::Switch(_) => ArgAction::SetTrue,
        })
    }))
}

/// Why a flag that was given is refused, if one was.
pub(crate) fn refusal(matches: &ArgMatches) -> Option<String> {
    let is_refused = |flag: &&Refused| {
        matches.value_source(flag.long) == Some(ValueSource::CommandLine)
            && match flag.takes {
                Takes::Value => true,
                Takes::Switch(refused) => matches.get_one(flag.long) == Some(&refused),
            }
    };
    REFUSED.iter().find(is_refused).map(|flag| {
        let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        let value = if flag.takes == Takes::Switch(false) { "=false" } else { "" };
        format!("{short}--{}{value} is not supported: {}", flag.long, flag.why)
    })
}
