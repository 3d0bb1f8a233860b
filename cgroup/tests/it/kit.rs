//! What the tests share: group names of their own, and processes that wait for a word.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use minidock_cgroup::{Cgroup, Hierarchies, Limits, Plan};

/// The groups of one test, in a parent of its own; removed at the end, pass or fail.
pub(crate) struct TestGroup {
    pub(crate) plan: Plan,
    pub(crate) cgroup: Cgroup,
}

impl TestGroup {
    pub(crate) fn plan(limits: &Limits) -> Plan {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let parent = format!("/minidock-test-{}-{number}", std::process::id());
        let hierarchies = Hierarchies::detect().unwrap();
        Plan::new(&hierarchies, Some(Path::new(&parent)), "box", limits).unwrap()
    }

    pub(crate) fn new(limits: &Limits) -> Self {
        let plan = Self::plan(limits);
        match Cgroup::create(&plan) {
            Ok(cgroup) => Self { plan, cgroup },
            Err(error) => {
                remove_parents(&plan);
                panic!("{error}");
            }
        }
    }

    /// The group's own copy of a file, in whichever hierarchy has it.
    pub(crate) fn read(&self, names: [&str; 2]) -> String {
        let files = self.plan.directories().into_iter();
        let mut files = files.flat_map(|dir| names.map(|name| dir.join(name)));
        let file = files.find(|file| file.exists()).unwrap();
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// A shell in the group that runs `script`, which starts once the shell is inside.
    pub(crate) fn shell(&self, script: &str) -> Shell {
        let shell = Shell::start(script);
        self.cgroup.attach(shell.child.id()).unwrap();
        shell.say("go");
        shell
    }

    /// The same, moved by these `tasks` files only.
    pub(crate) fn shell_by(&self, tasks: &[PathBuf], script: &str) -> Shell {
        let shell = Shell::start(script);
        for file in tasks {
            fs::write(file, shell.child.id().to_string()).unwrap();
        }
        shell.say("go");
        shell
    }
}

impl Drop for TestGroup {
    fn drop(&mut self) {
        let killed = self.cgroup.kill_all();
        let destroyed = self.cgroup.destroy();
        remove_parents(&self.plan);
        if !std::thread::panicking() {
            killed.unwrap();
            destroyed.unwrap();
            assert_eq!(left_over(&self.plan), Vec::<PathBuf>::new());
        }
    }
}

fn remove_parents(plan: &Plan) {
    for directory in plan.directories() {
        drop(fs::remove_dir(directory.parent().unwrap()));
    }
}

/// Directories of a plan that are still there, parents included.
pub(crate) fn left_over(plan: &Plan) -> Vec<PathBuf> {
    let both = |dir: PathBuf| [dir.parent().unwrap().to_owned(), dir];
    plan.directories().into_iter().flat_map(both).filter(|dir| dir.exists()).collect()
}

/// A shell that waits for a line on its standard input before it runs its script.
pub(crate) struct Shell {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start(script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    pub(crate) fn say(&self, line: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Shell {
    /// The group's guard kills it; here it is only reaped, unless the test has done so.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
