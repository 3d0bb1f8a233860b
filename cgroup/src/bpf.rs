//! Device rules as a BPF program, which is what v2 has instead of a `devices` controller.
//!
//! The program gets `struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }` and returns 1 to
//! allow or 0 to refuse (linux/bpf.h, Documentation/admin-guide/cgroup-v2.rst).

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use crate::devices::{DeviceAccess, DeviceKind, DeviceRule, Policy};
use crate::error::Error;
use crate::sys::{self, Insn};

/// A compiled list of device rules.
///
/// v1's meaning is kept: the rules are first worked into a default and exceptions, as v1's kernel
/// code would, and the program tests the exceptions one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProgram {
    insns: Vec<Insn>,
}

// Opcodes of linux/bpf_common.h and linux/bpf.h: class | operation | source.
const LOAD_U32: u8 = 0x61; // dst = *(u32 *)(src + off)
const AND32: u8 = 0x54; // dst &= imm, upper half cleared
const SHIFT_RIGHT32: u8 = 0x74; // dst >>= imm
const COPY32: u8 = 0xbc; // dst = src
const SET: u8 = 0xb7; // dst = imm
const JUMP_NE32: u8 = 0x56; // if (u32) dst != imm
const JUMP_EQ32: u8 = 0x16; // if (u32) dst == imm
const EXIT: u8 = 0x95;

// Registers: r0 result, r1 context and later scratch.
const R0: u8 = 0;
const R1: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

impl DeviceProgram {
    /// Compiles the rules. Pure.
    pub fn compile(rules: &[DeviceRule]) -> Self {
        let policy = Policy::from_rules(rules);
        let mut insns = vec![
            insn(LOAD_U32, KIND, R1, 0, 0),
            insn(AND32, KIND, 0, 0, 0xffff),
            insn(LOAD_U32, ACCESS, R1, 0, 0),
            insn(SHIFT_RIGHT32, ACCESS, 0, 0, 16),
            insn(LOAD_U32, MAJOR, R1, 4, 0),
            insn(LOAD_U32, MINOR, R1, 8, 0),
        ];
        for exception in &policy.exceptions {
            insns.extend(block(exception));
        }
        insns.extend(verdict(policy.default_allow));
        Self { insns }
    }

    /// The number of instructions.
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Never true: a program has at least its verdict.
    pub fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }

    /// Loads the program and attaches it to a v2 group's directory (bpf(2), `BPF_PROG_LOAD` and
    /// `BPF_PROG_ATTACH` with `BPF_F_ALLOW_MULTI`, so that programs of the groups above still
    /// count). It goes away with the group. Each call adds a program, and all of them must allow: a
    /// further one can only take access away.
    ///
    /// # Errors
    /// [`Error::DeviceProgram`], [`Error::Open`]. Needs `CAP_BPF` and `CAP_NET_ADMIN`, or
    /// `CAP_SYS_ADMIN`.
    pub fn attach(&self, directory: &Path) -> Result<(), Error> {
        let failed = |operation| {
            move |source| Error::DeviceProgram {
                operation,
                directory: directory.to_owned(),
                source,
            }
        };
        let group = File::open(directory)
            .map_err(|source| Error::Open { file: directory.to_owned(), source })?;
        let program = sys::load_device_program(&self.insns).map_err(failed("load"))?;
        sys::attach_device_program(group.as_fd(), program.as_fd()).map_err(failed("attach"))
    }
}

/// One exception: jumps over its own verdict as soon as something does not match.
fn block(rule: &DeviceRule) -> Vec<Insn> {
    let kind = if rule.kind == DeviceKind::Block { 1 } else { 2 };
    // (test, jumps when it fails)
    let mut tests = vec![insn(JUMP_NE32, KIND, 0, 0, kind)];
    // Every request is covered by rwm; else an allowed exception must cover all that is wanted,
    // a denied one any of it.
    let mask = i32::from(rule.access.bits());
    if rule.access != DeviceAccess::ALL {
        tests.push(insn(COPY32, R1, ACCESS, 0, 0));
        if rule.allow {
            tests.push(insn(AND32, R1, 0, 0, !mask & 0xffff));
            tests.push(insn(JUMP_NE32, R1, 0, 0, 0));
        } else {
            tests.push(insn(AND32, R1, 0, 0, mask));
            tests.push(insn(JUMP_EQ32, R1, 0, 0, 0));
        }
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            tests.push(insn(JUMP_NE32, register, 0, 0, number.cast_signed()));
        }
    }
    let verdict = verdict(rule.allow);
    let mut to_next = i16::try_from(tests.len() + verdict.len()).unwrap_or(i16::MAX);
    for test in &mut tests {
        // Offsets count from the instruction after the jump.
        to_next -= 1;
        if matches!(test.code, JUMP_NE32 | JUMP_EQ32) {
            test.off = to_next;
        }
    }
    tests.extend(verdict);
    tests
}

fn verdict(allow: bool) -> [Insn; 2] {
    [insn(SET, R0, 0, 0, allow.into()), insn(EXIT, 0, 0, 0, 0)]
}

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    // The kernel's two four-bit fields, which follow the byte order.
    let regs = if cfg!(target_endian = "little") { dst | src << 4 } else { dst << 4 | src };
    Insn { code, regs, off, imm }
}

#[cfg(test)]
mod tests;
