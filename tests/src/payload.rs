//! A program of this workspace as the payload of a container of any image.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::user::copy_program;
use crate::{Output, Report, Sandbox, places};

/// Where the program lies in the container.
const PLACE: &str = "/probe";

/// The example `probe` of this crate, ready to be bound into containers.
///
/// The image has another libc than the host that the probe is built on. So where it needs a
/// loader and libraries, they come along from the host, read-only and at their own places.
#[derive(Debug, Clone)]
pub struct Payload {
    program: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Payload {
    /// The probe, as cargo has built it.
    ///
    /// # Panics
    /// When it has not been built, or `ldd` cannot be run.
    #[allow(clippy::new_without_default, reason = "finding one is not a default")]
    pub fn new() -> Payload {
        let program = places::example("probe");
        let output = Command::new("ldd").arg(&program).output();
        // Where there is no ldd, as in the virtual machines, programs are static.
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let libraries = libraries(&String::from_utf8_lossy(&text));
        Payload { program, libraries }
    }

    /// Pairs of a file of the host and its place in the container.
    pub fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        let own = (self.program.clone(), PathBuf::from(PLACE));
        let libraries = self.libraries.iter().map(|path| (real(path), path.clone()));
        [own].into_iter().chain(libraries).collect()
    }

    /// The command in the container: the program, and the host's namespaces for it to compare.
    pub fn command(&self, sandbox: &Sandbox) -> Vec<String> {
        let links = |directory: &str| -> Vec<String> {
            let entries = fs::read_dir(directory).expect("the namespaces").flatten();
            let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
            links.map(|link| link.display().to_string()).collect()
        };
        // The sandbox has a network namespace that stands for the host's.
        let network = sandbox.netns().run(move || links("/proc/thread-self/ns"));
        let mut command = vec![PLACE.to_owned()];
        command.extend(links("/proc/self/ns"));
        command.extend(network);
        command.dedup();
        command
    }

    /// `minidock run --rm OPTIONS alpine /probe …`, to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn run(&self, sandbox: &Sandbox, options: &[&str]) -> Output {
        let options = options.iter().map(OsString::from);
        let command = self.command(sandbox).into_iter().map(OsString::from);
        let image = [OsString::from("alpine")];
        sandbox.run(options.chain(self.binds(sandbox)).chain(image).chain(command))
    }

    /// `minidock exec EXEC_OPTIONS CONTAINER /probe …` in a container that `minidock run --rm
    /// OPTIONS` has started: what the probe has printed, and the namespaces of the container's
    /// first process.
    ///
    /// # Panics
    /// When one of them has not come to its end.
    #[track_caller]
    pub fn report_by_exec(
        &self,
        sandbox: &Sandbox,
        options: &[&str],
        exec_options: &[&str],
    ) -> (Report, Vec<String>) {
        let options = ["-i", "--name", "probed"].iter().chain(options).map(OsString::from);
        let waits = ["alpine", "sh", "-c", "ls -l /proc/self/ns; echo ready; read -r _"];
        let waits = waits.map(OsString::from);
        let run = sandbox.prepare_run(options.chain(self.binds(sandbox)).chain(waits));
        let mut running = run.open_stdin().spawn();
        let listed = running.wait_for_output("ready");
        let namespaces = listed.split_whitespace().filter(|word| word.ends_with(']'));
        let namespaces = namespaces.map(str::to_owned).collect();
        let command = self.command(sandbox);
        let words = ["exec"].iter().chain(exec_options).chain(&["probed"]);
        let words = words.map(OsString::from).chain(command.into_iter().map(OsString::from));
        let output = sandbox.minidock(words).output().expect_code(0);
        running.send("\n");
        running.wait().expect_code(0);
        let report = Report::from_output(&output.stdout);
        (report.unwrap_or_else(|why| panic!("{why}: {output}")), namespaces)
    }

    /// `-v` for each of the files.
    fn binds(&self, sandbox: &Sandbox) -> Vec<OsString> {
        let files = match sandbox.user() {
            Some(_) => self.within_reach(sandbox),
            None => self.files(),
        };
        let binds = files.into_iter().flat_map(|(source, target)| {
            let bind = format!("{}:{}:ro", source.display(), target.display());
            [OsString::from("-v"), bind.into()]
        });
        binds.collect()
    }

    /// The files for a user who may not pass through the directories above the program.
    fn within_reach(&self, sandbox: &Sandbox) -> Vec<(PathBuf, PathBuf)> {
        let copy = sandbox.path().join("probe");
        copy_program(&self.program, &copy);
        let mut files = self.files();
        files[0].0 = copy;
        files
    }

    /// What the probe has printed in such a run.
    ///
    /// # Panics
    /// When it has not come to its end.
    #[track_caller]
    pub fn report(&self, sandbox: &Sandbox, options: &[&str]) -> Report {
        let output = self.run(sandbox, options).expect_code(0);
        Report::from_output(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output}"))
    }
}

/// The file itself: what is bound must not be a link.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The paths of `libc.so.6 => /lib/… (0x…)` and of `/lib64/ld-linux… (0x…)`.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    let paths = ldd.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(text), expected);
        assert!(libraries("\tstatically linked\n").is_empty());
        assert!(libraries("\tnot a dynamic executable\n").is_empty());
    }
}
