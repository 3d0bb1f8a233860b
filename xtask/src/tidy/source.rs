//! Rules about single files.

use std::path::Path;

use super::Violation;
use super::graph::PRIMITIVES;
use super::scan::{Line, has_word, scan};

const LONGEST_FILE: usize = 400;
/// Directories that exist on one machine only. Written in two parts, or this file would break its
/// own rule.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/fa", "rm/")];
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNFINISHED_CODE: [&str; 2] = ["todo!", "unimplemented!"];
const PRINTING: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];

/// Checks one file of the workspace.
pub(super) fn check(file: &Path, text: &str) -> Vec<Violation> {
    let mut violations = machine_paths(file, text);
    if file.extension().is_none_or(|extension| extension != "rs") {
        return violations;
    }
    let count = text.lines().count();
    if count > LONGEST_FILE {
        let rule = format!("{count} lines, at most {LONGEST_FILE} are allowed");
        violations.push(Violation::new(file, 0, rule));
    }
    let place = Place::of(file);
    let lines = scan(text);
    for (index, line) in lines.iter().enumerate() {
        let rules = [
            unfinished(line),
            ignored_without_reason(line),
            unsafe_code(&place, &lines, index),
            running_programs(&place, line),
            printing(&place, line),
        ];
        let found = rules.into_iter().flatten();
        violations.extend(found.map(|rule| Violation::new(file, index + 1, rule)));
    }
    violations
}

/// Which rules a file is under.
#[derive(Debug)]
struct Place {
    /// Code that ends up in the product: no tests, no examples.
    product: bool,
    /// The product without its command line.
    library: bool,
    /// May hold unsafe code.
    system: bool,
    /// May execute a program other than the payload.
    executes: bool,
}

/// `newuidmap` and `newgidmap` for callers without root; the product itself as a monitor, a probe or
/// a name server; the programs that keep credentials.
const EXECUTES: [&str; 6] = [
    "engine/src/subids.rs",
    "engine/src/monitor/spawn.rs",
    "engine/src/health/prober.rs",
    "engine/src/name_server/start.rs",
    "engine/src/name_server/sys.rs",
    "image/src/registry/helper.rs",
];

impl Place {
    fn of(file: &Path) -> Self {
        let part = |index| {
            let component = file.components().nth(index).map(std::path::Component::as_os_str);
            component.and_then(|name| name.to_str()).unwrap_or_default()
        };
        let (folder, kind) = (part(0), part(1));
        let library = PRIMITIVES.contains(&folder) || matches!(folder, "engine" | "image");
        // `mod tests;` under cfg(test) lives in a file, or a directory, of that name.
        let test = file.iter().skip(2).any(|name| name == "tests.rs" || name == "tests");
        let product = kind == "src" && !test && (library || folder == "cli");
        let system = file.ends_with("sys.rs") || file == Path::new("ns/src/clone.rs");
        let executes = EXECUTES.iter().any(|path| file == Path::new(path));
        Self { product, library: product && library, system, executes }
    }
}

fn unfinished(line: &Line) -> Option<&'static str> {
    let marked = UNFINISHED.iter().any(|word| has_word(&line.comment, word));
    let code = UNFINISHED_CODE.iter().any(|call| line.code.contains(call));
    (marked || code).then_some("nothing is left unfinished")
}

fn ignored_without_reason(line: &Line) -> Option<&'static str> {
    line.code.contains("#[ignore]").then_some("an ignored test says why: #[ignore = \"…\"]")
}

fn unsafe_code(place: &Place, lines: &[Line], index: usize) -> Option<&'static str> {
    let code = &lines[index].code;
    if !has_word(code, "unsafe") {
        return None;
    }
    if !place.system {
        return Some("unsafe code lives in files named sys.rs and in ns/src/clone.rs");
    }
    // `unsafe fn` and `unsafe extern` state conditions; blocks and impls must meet them.
    let meets = code.contains("unsafe {") || code.contains("unsafe impl");
    (meets && !explained(lines, index)).then_some("an unsafe block has a SAFETY comment")
}

/// Whether a SAFETY comment stands on the line, or above it with nothing but comments, attributes
/// and the beginning of the same statement between.
fn explained(lines: &[Line], index: usize) -> bool {
    for (distance, line) in lines[..=index].iter().rev().enumerate() {
        if line.comment.contains("SAFETY:") {
            return true;
        }
        let code = line.code.trim_end();
        let ends = code.ends_with([';', '{', '}']) || (code.is_empty() && line.comment.is_empty());
        if distance > 0 && ends {
            return false;
        }
    }
    false
}

fn running_programs(place: &Place, line: &Line) -> Option<&'static str> {
    let code = &line.code;
    let named = code.contains("process::Command")
        || (code.contains("process::{") && has_word(code, "Command"));
    let refused = place.product && !line.test && named && !place.executes;
    refused.then_some("the product executes nothing but the payload")
}

fn printing(place: &Place, line: &Line) -> Option<&'static str> {
    if !place.library || line.test {
        return None;
    }
    let prints = PRINTING
        .iter()
        .any(|call| has_word(&line.code, &call[..call.len() - 1]) && line.code.contains(call));
    if prints {
        return Some("libraries do not print");
    }
    line.code.contains("process::exit").then_some("libraries do not end the process")
}

fn machine_paths(file: &Path, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found = MACHINE_PATHS.iter().any(|path| {
            // `/overlay/work/x` is another path.
            let inner = |c: char| c.is_alphanumeric() || "_-./}$".contains(c);
            line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inner))
        });
        if found {
            violations.push(Violation::new(file, index + 1, "a path of one machine"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<(usize, String)> {
        let found = check(Path::new(file), text);
        found.into_iter().map(|violation| (violation.line, violation.rule)).collect()
    }

    fn lines(file: &str, text: &str) -> Vec<usize> {
        rules(file, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn unsafe_code_has_its_files_and_its_reasons() {
        let explained = "// SAFETY: the pointer is valid\nlet x = unsafe { f() };\n";
        assert!(lines("fs/src/sys.rs", explained).is_empty());
        assert!(lines("ns/src/clone.rs", explained).is_empty());
        assert_eq!(lines("fs/src/mount.rs", explained), [2]);
        assert_eq!(lines("fs/src/sys.rs", "a();\nlet x = unsafe { f() };\n"), [2]);
        let split = "// SAFETY: fine\nlet x =\n    unsafe { f() };\n";
        assert!(lines("fs/src/sys.rs", split).is_empty());
        let stale = "// SAFETY: fine\na();\nunsafe { f() };\n";
        assert_eq!(lines("fs/src/sys.rs", stale), [3]);
        assert!(lines("fs/src/lib.rs", "#![deny(unsafe_code)] // unsafe\n").is_empty());
    }

    #[test]
    fn programs_are_for_tests_only() {
        let text = "use std::process::Command;\n";
        assert_eq!(lines("net/src/lib.rs", text), [1]);
        assert_eq!(lines("cli/src/main.rs", "use std::process::{Command, Stdio};\n"), [1]);
        assert!(lines("net/tests/it/main.rs", text).is_empty());
        assert!(lines("net/examples/x.rs", text).is_empty());
        assert!(lines("xtask/src/main.rs", text).is_empty());
        assert!(lines("cli/src/main.rs", "use clap::Command;\n").is_empty());
        let test = format!("#[cfg(test)]\nmod tests {{\n    {text}}}\n");
        assert!(lines("net/src/lib.rs", &test).is_empty());
    }

    #[test]
    fn libraries_neither_print_nor_exit() {
        assert_eq!(lines("engine/src/lib.rs", "println!();\nstd::process::exit(1);\n"), [1, 2]);
        assert!(lines("cli/src/main.rs", "println!();\n").is_empty());
        assert!(lines("engine/src/lib.rs", "//! println!(\"\")\nlet a = \"print!\";\n").is_empty());
        assert!(lines("engine/src/lower/tests.rs", "println!();\n").is_empty());
    }

    #[test]
    fn nothing_is_left_unfinished() {
        let comment = format!("// {}: later\n", UNFINISHED[0]);
        assert_eq!(lines("cli/src/main.rs", &comment), [1]);
        assert_eq!(lines("tests/src/lib.rs", &format!("{}()\n", UNFINISHED_CODE[0])), [1]);
        assert!(lines("cli/src/main.rs", "// a plain remark\n").is_empty());
    }

    #[test]
    fn ignored_tests_say_why() {
        assert_eq!(lines("fs/tests/it/main.rs", "#[ignore]\n"), [1]);
        assert!(lines("fs/tests/it/main.rs", "#[ignore = \"needs root: x\"]\n").is_empty());
    }

    #[test]
    fn files_are_short() {
        assert!(lines("fs/src/lib.rs", &"a();\n".repeat(400)).is_empty());
        assert_eq!(lines("fs/src/lib.rs", &"a();\n".repeat(401)), [0]);
    }

    #[test]
    fn machine_paths_are_found_in_any_text() {
        let path = MACHINE_PATHS[0];
        assert_eq!(lines("README.md", &format!("see\n`{path}main`\n")), [2]);
        assert!(lines("README.md", &format!("overlay{path}x and /tmp{path}y\n")).is_empty());
    }
}
