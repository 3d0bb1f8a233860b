//! From a policy to the decisions that its program takes, as data.

use super::checks;
use super::emit::{Block, Leaf, Ranges, emit};
use super::table::{Numbers, X32_BIT, apart};
use super::{Action, Arch, Condition, Filter, Policy, Rule, mux};
use crate::Error;

/// Where `struct seccomp_data` has its words.
pub(super) mod offset {
    pub(in crate::seccomp) const NUMBER: u32 = 0;
    pub(in crate::seccomp) const ARCH: u32 = 4;
    pub(in crate::seccomp) const ARGUMENTS: u32 = 16;
}

/// A rule that is about a system call number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    number: u32,
    rule: usize,
    /// The operation of a multiplexer that the rule stands for, or 0.
    operation: u8,
}

/// Translates a policy, see [`Policy::compile`].
pub(super) fn compile(policy: &Policy) -> Result<Filter, Error> {
    validate(policy)?;
    let native = Arch::NATIVE.as_slice();
    let listed = match policy.architectures.as_slice() {
        [] if native.is_empty() => return Err(Error::SeccompArch),
        [] => native,
        listed => listed,
    };
    let mut compiler = Compiler { policy, listed, mentions: mentions(policy), blocks: Vec::new() };
    let root = compiler.architectures();
    Filter::new(&emit(&compiler.blocks, root), policy.flags)
}

fn validate(policy: &Policy) -> Result<(), Error> {
    let error = |place: String, problem: String| Err(Error::Seccomp { place, problem });
    let actions = policy.rules.iter().map(|rule| rule.action);
    for (index, action) in std::iter::once(policy.default).chain(actions).enumerate() {
        if let Action::Errno(errno) = action
            && errno > Action::MAX_ERRNO
        {
            let place = match index.checked_sub(1) {
                Some(rule) => format!("syscalls[{rule}]"),
                None => "defaultAction".to_owned(),
            };
            return error(place, format!("errno {errno} is above {}", Action::MAX_ERRNO));
        }
    }
    for (rule, condition) in policy.rules.iter().enumerate().flat_map(conditions) {
        if condition.index > 5 {
            let problem = format!("argument {} is above 5", condition.index);
            return error(format!("syscalls[{rule}]"), problem);
        }
    }
    Ok(())
}

fn conditions((index, rule): (usize, &Rule)) -> impl Iterator<Item = (usize, &Condition)> {
    rule.conditions.iter().map(move |condition| (index, condition))
}

/// Which rules are about which numbers, for each of [`Arch::ALL`], by number and rule.
fn mentions(policy: &Policy) -> [Vec<Mention>; 5] {
    let mut mentions = [const { Vec::new() }; 5];
    for (index, rule) in policy.rules.iter().enumerate() {
        for name in &rule.names {
            if let Some(numbers) = Numbers::of(name) {
                for (arch, list) in Arch::ALL.into_iter().zip(&mut mentions) {
                    if let Some(number) = numbers.on(arch) {
                        list.push(Mention { number, rule: index, operation: 0 });
                    }
                }
            }
            // What a multiplexer passes on lies in memory, so only a rule that looks at no
            // argument can be applied to it.
            if let Some((number, operation)) = mux::operation(name)
                && rule.conditions.is_empty()
            {
                mentions[Arch::X86 as usize].push(Mention { number, rule: index, operation });
            }
        }
    }
    mentions.iter_mut().for_each(|list| list.sort_unstable());
    mentions
}

struct Compiler<'a> {
    policy: &'a Policy,
    listed: &'a [Arch],
    mentions: [Vec<Mention>; 5],
    blocks: Vec<Block>,
}

impl Compiler<'_> {
    /// The whole program: whoever uses an interface that is not listed is up to no good.
    fn architectures(&mut self) -> Leaf {
        let kill = Leaf::Return(Action::KillProcess.code());
        let mut ranges = Ranges::from(kill);
        // By their audit numbers.
        for arch in [Arch::X86, Arch::Arm, Arch::X86_64, Arch::Aarch64] {
            let x32 = arch == Arch::X86_64 && self.listed.contains(&Arch::X32);
            if self.listed.contains(&arch) || x32 {
                let calls = self.calls(arch);
                ranges.set(arch.audit(), calls);
                ranges.set(arch.audit() + 1, kill);
            }
        }
        self.block(Block::Switch { offset: offset::ARCH, ranges })
    }

    /// The decisions for the numbers of an audit architecture.
    fn calls(&mut self, arch: Arch) -> Leaf {
        let kill = Leaf::Return(Action::KillProcess.code());
        let mut ranges = Ranges::from(kill);
        if self.listed.contains(&arch) {
            self.numbers(arch, &mut ranges);
        }
        if arch == Arch::X86_64 && self.listed.contains(&Arch::X32) {
            ranges.set(X32_BIT, kill);
            self.numbers(Arch::X32, &mut ranges);
        } else if arch == Arch::X86_64 {
            let unknown = ranges.last();
            ranges.set(X32_BIT, kill);
            // A tracer makes the number -1 to have a system call skipped.
            ranges.set(u32::MAX, unknown);
        }
        self.block(Block::Switch { offset: offset::NUMBER, ranges })
    }

    /// Appends an architecture's own numbers.
    fn numbers(&mut self, arch: Arch, ranges: &mut Ranges) {
        let default = self.policy.default;
        let otherwise = Leaf::Return(default.code());
        let mentions = std::mem::take(&mut self.mentions[arch as usize]);
        ranges.set(if arch == Arch::X32 { X32_BIT } else { 0 }, otherwise);
        if mentions.is_empty() {
            return;
        }
        let nosys = u16::try_from(libc::ENOSYS).map_or(default, Action::Errno);
        let unknown = if default.is_permissive() { default } else { nosys };
        let unknown = Leaf::Return(unknown.code());
        // Without numbers apart from the others, the split takes them all.
        let (apart, end) = apart(arch).unwrap_or((u32::MAX, u32::MAX));
        let (known, own) = mentions.split_at(mentions.partition_point(|call| call.number < apart));
        self.append(arch, known, ranges);
        if let Some(newest) = known.last() {
            ranges.set(newest.number + 1, unknown);
        }
        if apart != u32::MAX {
            ranges.set(apart, otherwise);
            self.append(arch, own, ranges);
            ranges.set(end, unknown);
        }
    }

    /// Appends the numbers that rules are about; the ones between them are the default's.
    fn append(&mut self, arch: Arch, mentions: &[Mention], ranges: &mut Ranges) {
        for group in mentions.chunk_by(|a, b| a.number == b.number) {
            let Some(first) = group.first() else { continue };
            let leaf = self.decision(arch, group);
            ranges.set(first.number, leaf);
            ranges.set(first.number + 1, Leaf::Return(self.policy.default.code()));
        }
    }

    /// What is done about one number.
    fn decision(&mut self, arch: Arch, group: &[Mention]) -> Leaf {
        let (rules, default) = (&self.policy.rules, self.policy.default);
        // As in runc, a rule that repeats the default is none: it keeps nothing from those after
        // it. Only its numbers count, as known ones.
        let others = group.iter().filter_map(|mention| Some((mention, rules.get(mention.rule)?)));
        let others: Vec<_> = others.filter(|(_, rule)| rule.action != default).collect();
        let always = others
            .iter()
            .find(|(mention, rule)| rule.conditions.is_empty() && mention.operation == 0);
        if let Some((_, rule)) = always {
            return Leaf::Return(rule.action.code());
        }
        let mut clauses = Vec::new();
        for (mention, rule) in others {
            match mux::condition(mention.number, mention.operation) {
                Some(condition) => clauses.push((vec![condition], rule.action)),
                None => clauses.extend(checks::alternatives(rule)),
            }
        }
        checks::compile(&clauses, default, arch.max_argument(), &mut self.blocks)
    }

    fn block(&mut self, block: Block) -> Leaf {
        Block::add(block, &mut self.blocks)
    }
}
