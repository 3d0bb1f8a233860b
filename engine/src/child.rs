//! The child's half: from the clone to the exec by raw system calls only. Nothing in here may
//! allocate, lock, format or unwind.

use std::io;
use std::os::fd::OwnedFd;

use minidock_ns::{ChildGate, Exec, Init};

use crate::plan::ChildStep;
use crate::terminal;

/// All that the child needs, made before the clone.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    pub(crate) steps: &'a [ChildStep],
    pub(crate) gate: &'a ChildGate,
    /// `tasks` files of the v1 groups.
    pub(crate) tasks: &'a [OwnedFd],
    pub(crate) files: minidock_fs::State,
    /// The descriptors of `files`.
    pub(crate) keep: &'a [i32],
    pub(crate) init: &'a Init,
    pub(crate) exec: &'a Exec,
    /// Tell the parent of each step.
    pub(crate) traced: bool,
}

impl Recipe<'_> {
    /// Carries the steps out. The last one executes the program; the first that fails is
    /// reported and ends the process.
    pub(crate) fn run(&mut self) {
        self.gate.enter();
        let (steps, gate, traced) = (self.steps, self.gate, self.traced);
        for (index, step) in (0..).zip(steps) {
            gate.step(index, traced, || self.apply(step));
        }
    }

    fn apply(&mut self, step: &ChildStep) -> io::Result<()> {
        match step {
            ChildStep::JoinCgroups(_) => minidock_cgroup::attach_self(self.tasks),
            ChildStep::Ns(step) => step.apply(),
            ChildStep::Fs(step) => step.apply(&mut self.files),
            ChildStep::Sec(step) => step.apply(),
            ChildStep::CloseDescriptors => self.gate.close_others(self.keep),
            ChildStep::Loopback => minidock_net::loopback_up(),
            ChildStep::Terminal(terminal) => terminal::make(*terminal, self.gate),
            ChildStep::Null(streams) => terminal::null(*streams),
            ChildStep::StreamOwner { streams, owner } => terminal::give(*streams, *owner),
            ChildStep::Gate(_) => self.gate.wait(),
            ChildStep::ParentLives => self.gate.check(),
            ChildStep::Sibling => self.gate.sibling(),
            ChildStep::ControllingTerminal => terminal::control(),
            ChildStep::CheckProgram => self.exec.check(),
            ChildStep::Init => self.init.stay(),
            ChildStep::Execute(_) => Err(self.exec.run()),
        }
    }
}
