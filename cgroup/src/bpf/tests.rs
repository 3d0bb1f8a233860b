use super::*;

/// Runs a program as the kernel would: exactly the instructions that the compiler emits.
fn run(program: &DeviceProgram, kind: u32, access: u32, major: u32, minor: u32) -> bool {
    let context = [kind | access << 16, major, minor];
    let mut registers = [0_u32; 6];
    let mut at = 0_usize;
    for _ in 0..=program.insns.len() {
        let insn = program.insns[at];
        let (dst, src) = (usize::from(insn.regs & 15), usize::from(insn.regs >> 4));
        let imm = insn.imm.cast_unsigned();
        let mut jump = false;
        match insn.code {
            LOAD_U32 => {
                registers[dst] = context[usize::try_from(insn.off).unwrap() / 4];
            }
            AND32 => registers[dst] &= imm,
            SHIFT_RIGHT32 => registers[dst] >>= imm,
            COPY32 => registers[dst] = registers[src],
            SET => registers[dst] = imm,
            JUMP_NE32 => jump = registers[dst] != imm,
            JUMP_EQ32 => jump = registers[dst] == imm,
            EXIT => return registers[0] == 1,
            other => panic!("opcode {other:#x}"),
        }
        at += 1 + if jump { usize::try_from(insn.off).unwrap() } else { 0 };
    }
    panic!("no exit");
}

fn rule(allow: bool, text: &str) -> DeviceRule {
    let mut words = text.split(' ');
    let kind = if words.next() == Some("b") { DeviceKind::Block } else { DeviceKind::Char };
    let (major, minor) = words.next().unwrap().split_once(':').unwrap();
    let access = DeviceAccess::parse(words.next().unwrap()).unwrap();
    DeviceRule { allow, kind, major: major.parse().ok(), minor: minor.parse().ok(), access }
}

/// Docker's list.
fn docker() -> Vec<DeviceRule> {
    let mut rules = vec![DeviceRule::DENY_ALL];
    let allowed = [
        "b *:* m",
        "c *:* m",
        "c 1:3 rwm",
        "c 1:5 rwm",
        "c 1:7 rwm",
        "c 1:8 rwm",
        "c 1:9 rwm",
        "c 5:0 rwm",
        "c 5:1 rwm",
        "c 5:2 rwm",
        "c 136:* rwm",
    ];
    rules.extend(allowed.map(|text| rule(true, text)));
    rules.push(rule(false, "c 10:229 rwm"));
    rules
}

fn agrees_with_v1(rules: &[DeviceRule]) {
    let program = DeviceProgram::compile(rules);
    let policy = Policy::from_rules(rules);
    let numbers = [0, 1, 3, 5, 8, 10, 136, 200, 229, 0xffff, u32::MAX];
    for (kind, code) in [(DeviceKind::Block, 1), (DeviceKind::Char, 2)] {
        for access in 1..8_u8 {
            for major in numbers {
                for minor in numbers {
                    assert_eq!(
                        run(&program, code, access.into(), major, minor),
                        policy.allows(kind, major, minor, access),
                        "{kind:?} {major}:{minor} access {access} under {rules:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn dockers_list_allows_null_and_refuses_disks() {
    let program = DeviceProgram::compile(&docker());
    assert!(run(&program, 2, 6, 1, 3), "/dev/null");
    assert!(run(&program, 2, 6, 136, 77), "a pty");
    assert!(run(&program, 1, 1, 8, 0), "mknod of a disk");
    assert!(!run(&program, 1, 2, 8, 0), "reading a disk");
    assert!(!run(&program, 1, 3, 8, 0), "mknod and reading at once");
    assert!(!run(&program, 2, 6, 10, 229), "fuse");
    agrees_with_v1(&docker());
}

#[test]
fn programs_agree_with_v1_for_every_kind_of_rule() {
    agrees_with_v1(&[]);
    agrees_with_v1(&[DeviceRule::DENY_ALL]);
    agrees_with_v1(&[DeviceRule::DENY_ALL, DeviceRule::ALLOW_ALL]);
    agrees_with_v1(&[rule(false, "c 10:200 w"), rule(false, "b 8:* rw")]);
    agrees_with_v1(&[rule(false, "c 1:* rw"), rule(true, "c 1:* r")]);
    agrees_with_v1(&[DeviceRule::DENY_ALL, rule(true, "c 4294967295:* r")]);
}

/// Every combination of up to three rules from a pool.
#[test]
fn short_lists_agree_with_v1_exhaustively() {
    let pool = [
        DeviceRule::DENY_ALL,
        DeviceRule::ALLOW_ALL,
        rule(true, "c 1:* rw"),
        rule(false, "c 1:3 w"),
        rule(true, "b *:0 m"),
        rule(false, "b *:0 rm"),
    ];
    for a in pool {
        for b in pool {
            for c in pool {
                agrees_with_v1(&[a, b, c]);
            }
        }
    }
}

#[test]
fn jumps_land_on_a_block_and_the_last_instruction_is_an_exit() {
    let program = DeviceProgram::compile(&docker());
    for (at, insn) in program.insns.iter().enumerate() {
        if matches!(insn.code, JUMP_NE32 | JUMP_EQ32) {
            let target = at + 1 + usize::try_from(insn.off).unwrap();
            assert_eq!(program.insns[target - 1].code, EXIT, "jump at {at}");
        }
    }
    assert_eq!(program.insns.last().unwrap().code, EXIT);
}
