//! What the kernel does with a program: checks it, and runs it.

use crate::seccomp::{Filter, Instruction};

/// `struct seccomp_data`
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => 0x5555_5555, // the instruction pointer
            offset => {
                let arg = self.args[(offset as usize - 16) / 8];
                (if offset.is_multiple_of(8) { arg } else { arg >> 32 }) as u32
            }
        }
    }
}

/// `bpf_check_classic` and `seccomp_check_filter`, and besides that no instruction is out of
/// reach.
pub(super) fn verify(filter: &Filter) {
    let program = filter.instructions();
    assert!(!program.is_empty() && program.len() <= 4096);
    let mut reached = vec![false; program.len()];
    reached[0] = true;
    for (at, &Instruction { code, jt, jf, k }) in program.iter().enumerate() {
        let mut next = |skip: usize| {
            assert!(at + 1 + skip < program.len(), "{at} leads out of the program");
            reached[at + 1 + skip] = true;
        };
        match code {
            0x20 => {
                assert!(k < 64 && k.is_multiple_of(4), "{at} loads from {k}");
                next(0);
            }
            0x54 => next(0),
            0x05 => next(k as usize),
            0x15 | 0x25 | 0x35 | 0x45 => {
                next(jt.into());
                next(jf.into());
            }
            0x06 => assert_eq!((jt, jf), (0, 0)),
            _ => panic!("{at} has the unknown operation {code:#x}"),
        }
    }
    assert_eq!(program.last().unwrap().code, 0x06, "a program ends with an answer");
    assert!(reached.iter().all(|reached| *reached), "an instruction is never reached");
}

/// The answer, and how many instructions it took.
pub(super) fn run(filter: &Filter, call: &Call) -> (u32, usize) {
    let program = filter.instructions();
    let (mut at, mut accumulator) = (0, None);
    for steps in 1.. {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        let loaded = || accumulator.expect("compared before anything was loaded");
        match code {
            0x20 => accumulator = Some(call.word(k)),
            0x54 => accumulator = Some(loaded() & k),
            0x05 => at += k as usize,
            0x15 => branch(loaded() == k),
            0x25 => branch(loaded() > k),
            0x35 => branch(loaded() >= k),
            0x45 => branch(loaded() & k != 0),
            0x06 => return (k, steps),
            _ => panic!("unknown operation {code:#x}"),
        }
    }
    unreachable!("programs only go forward")
}
