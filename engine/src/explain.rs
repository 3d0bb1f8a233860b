//! Telling the caller of the plan, and of each step as it happens.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use crate::error::in_words;
use crate::plan::{ChildStep, HostStep, Plan};
use crate::shell;
use crate::text::{visible, visible_json};
use crate::{Error, Explain};

/// Writes to standard error, so that the container's output stays what it is.
#[derive(Debug)]
pub(crate) struct Reporter(Explain);

/// One line about one step.
struct Line<'a> {
    side: &'static str,
    step: &'a dyn Display,
    call: &'static str,
    syscalls: &'static [&'static str],
    took: Option<Duration>,
    failure: Option<String>,
}

impl Reporter {
    pub(crate) fn new(explain: Explain) -> Self {
        Self(explain)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0 != Explain::Off
    }

    pub(crate) fn host(&self, step: &HostStep, took: Duration, failure: Option<&dyn Display>) {
        self.line(&host_line(step, Some(took), failure.map(ToString::to_string)));
    }

    pub(crate) fn child(&self, step: &ChildStep, took: Option<Duration>, errno: Option<i32>) {
        let failure = errno.map(|errno| in_words(&io::Error::from_raw_os_error(errno)));
        self.line(&child_line(step, took, failure));
    }

    pub(crate) fn warn(&self, text: &str) {
        // Nobody is left to be told when standard error is closed.
        drop(writeln!(io::stderr(), "minidock: warning: {}", visible(text)));
    }

    /// One line that the caller has to know of, such as the cause of the container's death.
    pub(crate) fn tell(&self, text: &str) {
        drop(writeln!(io::stderr(), "minidock: {}", visible(text)));
    }

    fn line(&self, line: &Line<'_>) {
        if let Some(text) = render(self.0, line) {
            drop(writeln!(io::stderr(), "{text}"));
        }
    }
}

fn host_line(step: &HostStep, took: Option<Duration>, failure: Option<String>) -> Line<'_> {
    Line { side: "host", step, call: step.call(), syscalls: &[], took, failure }
}

fn child_line(step: &ChildStep, took: Option<Duration>, failure: Option<String>) -> Line<'_> {
    Line { side: "child", step, call: step.call(), syscalls: step.syscalls(), took, failure }
}

fn render(explain: Explain, line: &Line<'_>) -> Option<String> {
    let Line { side, step, call, syscalls, took, failure } = line;
    match explain {
        Explain::Off | Explain::Shell => None,
        Explain::Text => {
            let took = took.map_or(String::new(), |took| format!("{} µs", took.as_micros()));
            let failure = failure.as_ref().map_or(String::new(), |why| format!(" FAILED: {why}"));
            Some(visible(&format!("{side:<5} {took:>9}  {step}  [{call}]{failure}")))
        }
        Explain::Json => Some(visible_json(
            &json!({
                "side": side,
                "step": step.to_string(),
                "call": call,
                "syscalls": syscalls,
                "nanoseconds": took.map(|took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
                "result": failure.as_deref().unwrap_or("ok"),
            })
            .to_string(),
        )),
    }
}

/// Prints the whole plan, and does nothing; the exit code of a success.
pub(crate) fn print(explain: Explain, plan: &Plan, id: &str) -> Result<u8, Error> {
    match io::stdout().write_all(self::plan(explain, plan, id).as_bytes()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", "the plan", &error))
        }
        _ => Ok(0),
    }
}

/// The whole plan, with nothing done: the child's steps stand where the child starts.
pub(crate) fn plan(explain: Explain, plan: &Plan, id: &str) -> String {
    if explain == Explain::Shell {
        return shell::script(plan, id);
    }
    // A dry run without --explain is explained in text.
    let explain = if explain == Explain::Off { Explain::Text } else { explain };
    let mut lines = Vec::new();
    for step in &plan.host {
        lines.push(dry(explain, &host_line(step, None, None)));
        if matches!(step, HostStep::Clone { .. }) {
            lines.extend(plan.child.iter().map(|step| dry(explain, &child_line(step, None, None))));
        }
    }
    lines.into_iter().flatten().map(|line| line + "\n").collect()
}

fn dry(explain: Explain, line: &Line<'_>) -> Option<String> {
    match explain {
        Explain::Text => Some(visible(&format!("{:<5} {}  [{}]", line.side, line.step, line.call))),
        Explain::Json => Some(visible_json(
            &json!({
                "side": line.side,
                "step": line.step.to_string(),
                "call": line.call,
                "syscalls": line.syscalls,
            })
            .to_string(),
        )),
        Explain::Off | Explain::Shell => None,
    }
}
