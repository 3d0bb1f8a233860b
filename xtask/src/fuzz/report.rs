//! What a run of libFuzzer came to, from what it printed.

use std::fmt;
use std::path::{Path, PathBuf};

/// The end of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    executions: u64,
    /// Inputs in the corpus at the end.
    corpus: u64,
    seconds: u64,
    failure: Option<String>,
}

impl Report {
    pub(super) fn new(text: &str, succeeded: bool, log: &Path) -> Self {
        // `#8192 pulse cov: 92 ft: 213 corp: 43/1.2Kb lim: 80 exec/s: 4096 rss: 40Mb`
        let status = |line: &&str| line.starts_with('#') && line.contains(" corp: ");
        let last = text.lines().rev().find(status).unwrap_or_default();
        let after = |line: &str, mark: &str| {
            let rest = line.split_once(mark)?.1.trim_start();
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        let counted = after(text, "stat::number_of_executed_units:");
        Self {
            executions: counted.or_else(|| after(last, "#")).unwrap_or(0),
            corpus: after(last, " corp: ").unwrap_or(0),
            // `Done 81920 runs in 61 second(s)`
            seconds: text
                .lines()
                .rev()
                .find(|line| line.starts_with("Done "))
                .and_then(|line| after(line, " runs in "))
                .unwrap_or(0),
            failure: (!succeeded).then(|| failure(text, log)),
        }
    }

    /// What went wrong, and where the input is that did it.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, corpus, seconds, failure } = self;
        let outcome = if failure.is_some() { "FAILED" } else { "ok" };
        write!(f, "{outcome:<6} {executions:>9} runs {corpus:>6} inputs {seconds:>4} s")
    }
}

fn failure(text: &str, log: &Path) -> String {
    const MARK: &str = "Test unit written to ";
    let found = text.lines().find_map(|line| line.split_once(MARK));
    let reproducer = found.map(|(_, path)| PathBuf::from(path.trim()));
    // The panic and the line after it, or libFuzzer's own words (`timeout after 10 seconds`).
    let panic = text.lines().skip_while(|line| !line.contains("panicked at")).take(3);
    let mut lines: Vec<String> = panic.map(|line| format!("    {line}")).collect();
    if lines.is_empty() {
        let errors = text.lines().filter(|line| line.contains("ERROR: "));
        lines.extend(errors.map(|line| format!("    {line}")));
    }
    match reproducer {
        Some(path) => lines.push(format!("    reproducer: {}", path.display())),
        None => lines.push("    there is no reproducer".to_owned()),
    }
    lines.push(format!("    log: {}", log.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "INFO: seed corpus: files: 24\n#25\tINITED cov: 92 ft: 100 corp: 20/1Kb\n\
        #8192\tpulse  cov: 92 ft: 213 corp: 43/1234b lim: 80 exec/s: 4096 rss: 40Mb\n\
        Done 81920 runs in 61 second(s)\nstat::number_of_executed_units: 81920\n";

    #[test]
    fn a_run_is_counted() {
        let report = Report::new(GOOD, true, Path::new("/log"));
        let expected = Report { executions: 81_920, corpus: 43, seconds: 61, failure: None };
        assert_eq!(report, expected);
        assert_eq!(report.to_string(), "ok         81920 runs     43 inputs   61 s");
    }

    #[test]
    fn a_crash_says_why_and_where() {
        let text = "#9\tNEW    cov: 9 ft: 9 corp: 3/9b\nthread '<unnamed>' panicked at a.rs:1:2:\n\
            assertion failed\nnote: x\n==1== ERROR: libFuzzer: deadly signal\n\
            artifact_prefix='/t/'; Test unit written to /t/crash-1\n";
        let report = Report::new(text, false, Path::new("/log"));
        assert_eq!((report.executions, report.corpus), (9, 3));
        let failure = report.failure().unwrap();
        assert!(failure.contains("a.rs:1:2") && failure.contains("reproducer: /t/crash-1"));
        let other = Report::new("ERROR: libFuzzer: out-of-memory\n", false, Path::new("/log"));
        assert!(other.failure().unwrap().contains("out-of-memory"));
    }
}
