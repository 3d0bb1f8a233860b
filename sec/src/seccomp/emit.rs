//! From decisions to instructions. The program is written from its end to its beginning, so that
//! the target of every jump is known, and its distance with it.

use super::checks::Clause;
use super::{Condition, Instruction, Operator};
use crate::seccomp::compile::offset;

/// What a decision comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The filter's answer.
    Return(u32),
    /// More to decide, by position in the list of blocks.
    Block(usize),
}

/// For what cannot happen.
const REFUSE: Leaf = Leaf::Return(libc::SECCOMP_RET_KILL_PROCESS);

/// A decision that loads what it looks at. It refers only to blocks before it in their list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// By the value of one word of `struct seccomp_data`.
    Switch {
        /// Where the word is, in bytes.
        offset: u32,
        /// What each value comes to.
        ranges: Ranges,
    },
    /// By the first clause that holds.
    Chain {
        /// What is compared; none is without conditions.
        clauses: Vec<Clause>,
        /// Whether arguments have 64 bits.
        wide: bool,
        /// The answer when none holds.
        otherwise: u32,
    },
}

impl Block {
    /// Adds a block to the list, or finds it there.
    pub(super) fn add(block: Block, blocks: &mut Vec<Block>) -> Leaf {
        let known = blocks.iter().position(|known| *known == block);
        Leaf::Block(known.unwrap_or_else(|| {
            blocks.push(block);
            blocks.len() - 1
        }))
    }
}

/// A division of all numbers: each entry holds from its number to that of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u32, Leaf)>);

impl From<Leaf> for Ranges {
    fn from(leaf: Leaf) -> Ranges {
        Ranges(vec![(0, leaf)])
    }
}

impl Ranges {
    /// From `start`, which may not lie before the last entry, everything is `leaf`.
    pub(super) fn set(&mut self, start: u32, leaf: Leaf) {
        if self.0.last().is_some_and(|last| last.0 == start) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|last| last.1 != leaf) {
            self.0.push((start, leaf));
        }
    }

    /// The answer, when it is the same for all numbers.
    pub(super) fn single(&self) -> Option<Leaf> {
        match self.0.as_slice() {
            [(_, leaf)] => Some(*leaf),
            _ => None,
        }
    }

    /// What the largest number comes to.
    pub(super) fn last(&self) -> Leaf {
        self.0.last().map_or(REFUSE, |last| last.1)
    }
}

/// The program that decides `root`.
pub(super) fn emit(blocks: &[Block], root: Leaf) -> Vec<Instruction> {
    let mut emitter = Emitter { code: Vec::with_capacity(512), labels: Vec::new() };
    for (index, block) in blocks.iter().enumerate() {
        let label = match block {
            Block::Switch { offset, ranges } => {
                let first = emitter.tree(&ranges.0, 1 << 32);
                emitter.load(*offset, first)
            }
            Block::Chain { clauses, wide, otherwise } => emitter.chain(clauses, *wide, *otherwise),
        };
        emitter.labels.push((Leaf::Block(index), label));
    }
    let first = emitter.leaf(root);
    emitter.before(first);
    emitter.code.reverse();
    emitter.code
}

/// The position of an instruction, counted from the end of the program.
type Label = usize;

struct Emitter {
    /// Last instruction first.
    code: Vec<Instruction>,
    /// Where each answer and each block can be reached.
    labels: Vec<(Leaf, Label)>,
}

// Operations of linux/bpf_common.h.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQ: u16 = 0x15;
const JUMP_GT: u16 = 0x25;
const JUMP_GE: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

impl Emitter {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.code.push(Instruction { code, jt, jf, k });
        self.code.len() - 1
    }

    /// How many instructions the next one would skip to get to the label.
    fn distance(&self, label: Label) -> usize {
        (self.code.len() - 1).saturating_sub(label)
    }

    /// A label for the same place that two jumps from here can reach with their eight bits.
    fn near(&mut self, label: Label) -> Label {
        // One less than 255, because the other jump may need an instruction of its own.
        if self.distance(label) < u8::MAX.into() {
            return label;
        }
        match self.code.get(label) {
            Some(answer) if answer.code == RETURN => self.push(RETURN, 0, 0, answer.k),
            _ => {
                let distance = u32::try_from(self.distance(label)).unwrap_or(u32::MAX);
                self.push(JUMP, 0, 0, distance)
            }
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Label {
        let known = self.labels.iter().position(|(known, _)| *known == leaf);
        let label = match (known.and_then(|index| self.labels.get(index)), leaf) {
            (Some((_, label)), _) => {
                let label = *label;
                self.near(label)
            }
            (None, Leaf::Return(answer)) => self.push(RETURN, 0, 0, answer),
            // Blocks refer to earlier ones only, so this is never reached; refusing is safe.
            (None, Leaf::Block(_)) => self.push(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        };
        match known.and_then(|index| self.labels.get_mut(index)) {
            Some(entry) => entry.1 = label,
            None => self.labels.push((leaf, label)),
        }
        label
    }

    fn jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let short = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
        let (jt, jf) = (short(self.distance(yes)), short(self.distance(no)));
        self.push(code, jt, jf, k)
    }

    /// Loads a word and goes on at `next`.
    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.before(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// Makes sure that the instruction pushed next is followed by the label.
    fn before(&mut self, label: Label) {
        match self.distance(label) {
            0 => (),
            distance => {
                self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX));
            }
        }
    }

    /// A binary search for numbers below `end`. Where all but a few single numbers come to the
    /// same, those are asked for one by one: that takes half as many instructions.
    fn tree(&mut self, ranges: &[(u32, Leaf)], end: u64) -> Label {
        if let Some((around, singles)) = singles(ranges, end) {
            let mut next = self.leaf(around);
            for (number, leaf) in singles.into_iter().rev().flatten() {
                let found = self.leaf(leaf);
                next = self.jump(JUMP_EQ, number, found, next);
            }
            return next;
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let first = high.first().map_or(0, |first| first.0);
        let high = self.tree(high, end);
        let low = self.tree(low, first.into());
        self.jump(JUMP_GE, first, high, low)
    }

    fn chain(&mut self, clauses: &[Clause], wide: bool, otherwise: u32) -> Label {
        let mut next = self.leaf(Leaf::Return(otherwise));
        for clause in clauses.iter().rev() {
            let mut holds = self.leaf(Leaf::Return(clause.answer));
            for condition in clause.conditions.iter().rev() {
                holds = self.condition(condition, wide, holds, next);
            }
            next = holds;
        }
        next
    }

    fn condition(&mut self, condition: &Condition, wide: bool, yes: Label, no: Label) -> Label {
        match condition.operator {
            Operator::Eq => self.equal(condition, wide, yes, no),
            Operator::Ne => self.equal(condition, wide, no, yes),
            Operator::Gt => self.above(JUMP_GT, condition, wide, (yes, no)),
            Operator::Le => self.above(JUMP_GT, condition, wide, (no, yes)),
            Operator::Ge => self.above(JUMP_GE, condition, wide, (yes, no)),
            Operator::Lt => self.above(JUMP_GE, condition, wide, (no, yes)),
            Operator::MaskedEq => {
                let (mask, value) = (condition.value, condition.value_two);
                let (low, high) = words(condition.index);
                let first = self.masked(low, (half(mask), half(value)), yes, no);
                if !wide {
                    return first;
                }
                self.masked(high, (half(mask >> 32), half(value >> 32)), first, no)
            }
        }
    }

    fn equal(&mut self, condition: &Condition, wide: bool, yes: Label, no: Label) -> Label {
        let (low, high) = words(condition.index);
        let compare = self.jump(JUMP_EQ, half(condition.value), yes, no);
        let first = self.load(low, compare);
        if !wide {
            return first;
        }
        let compare = self.jump(JUMP_EQ, half(condition.value >> 32), first, no);
        self.load(high, compare)
    }

    /// Greater, or greater or equal: the upper words decide, unless they are the same.
    fn above(&mut self, code: u16, than: &Condition, wide: bool, to: (Label, Label)) -> Label {
        let (yes, no) = to;
        let (low, high) = words(than.index);
        let compare = self.jump(code, half(than.value), yes, no);
        let first = self.load(low, compare);
        if !wide {
            return first;
        }
        let same = self.jump(JUMP_EQ, half(than.value >> 32), first, no);
        let compare = self.jump(JUMP_GT, half(than.value >> 32), yes, same);
        self.load(high, compare)
    }

    /// Compares one word under a mask.
    fn masked(&mut self, word: u32, bits: (u32, u32), yes: Label, no: Label) -> Label {
        let compare = match bits {
            (0, _) => return yes,
            (mask, 0) => self.jump(JUMP_SET, mask, no, yes),
            (mask, value) => {
                self.jump(JUMP_EQ, value & mask, yes, no);
                self.push(AND, 0, 0, mask)
            }
        };
        self.load(word, compare)
    }
}

/// Where the lower and the upper word of an argument are. All architectures are little endian.
pub(super) fn words(argument: u8) -> (u32, u32) {
    let low = offset::ARGUMENTS + 8 * u32::from(argument);
    (low, low + 4)
}

/// The lower half of 64 bits.
#[allow(clippy::cast_possible_truncation, reason = "one half of 64 bits is what is wanted")]
pub(super) fn half(value: u64) -> u32 {
    value as u32
}

/// Numbers that come to something else than those around them. Three take no longer than a search
/// in the seven ranges that they make.
type Singles = [Option<(u32, Leaf)>; 3];

/// The answer that all ranges share but a few single numbers, if it is so. It is for a range alone.
fn singles(ranges: &[(u32, Leaf)], end: u64) -> Option<(Leaf, Singles)> {
    let (first, second) = match ranges {
        [] => return Some((REFUSE, Singles::default())),
        [(_, only)] => return Some((*only, Singles::default())),
        [first, second, ..] => (first.1, second.1),
    };
    let try_around = |around: Leaf| {
        let mut singles = Singles::default();
        let mut free = singles.iter_mut();
        for (index, (number, leaf)) in ranges.iter().enumerate() {
            let next = ranges.get(index + 1).map_or(end, |next| next.0.into());
            if *leaf != around {
                let alone = next - u64::from(*number) == 1;
                *free.next().filter(|_| alone)? = Some((*number, *leaf));
            }
        }
        Some((around, singles))
    };
    try_around(first).or_else(|| try_around(second))
}
