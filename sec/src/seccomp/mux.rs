//! The two system calls of x86 that do the work of many, by the number of the operation:
//! `socketcall(2)` and `ipc(2)`.

use super::{Condition, Operator};

const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

/// The multiplexer and the operation in it that does the same as the system call of this name.
pub(super) fn operation(name: &str) -> Option<(u32, u8)> {
    let socketcall = |operation| Some((SOCKETCALL, operation));
    let ipc = |operation| Some((IPC, operation));
    match name {
        "socket" => socketcall(1),
        "bind" => socketcall(2),
        "connect" => socketcall(3),
        "listen" => socketcall(4),
        "accept" => socketcall(5),
        "getsockname" => socketcall(6),
        "getpeername" => socketcall(7),
        "socketpair" => socketcall(8),
        "send" => socketcall(9),
        "recv" => socketcall(10),
        "sendto" => socketcall(11),
        "recvfrom" => socketcall(12),
        "shutdown" => socketcall(13),
        "setsockopt" => socketcall(14),
        "getsockopt" => socketcall(15),
        "sendmsg" => socketcall(16),
        "recvmsg" => socketcall(17),
        "accept4" => socketcall(18),
        "recvmmsg" => socketcall(19),
        "sendmmsg" => socketcall(20),
        "semop" => ipc(1),
        "semget" => ipc(2),
        "semctl" => ipc(3),
        "semtimedop" => ipc(4),
        "msgsnd" => ipc(11),
        "msgrcv" => ipc(12),
        "msgget" => ipc(13),
        "msgctl" => ipc(14),
        "shmat" => ipc(21),
        "shmdt" => ipc(22),
        "shmget" => ipc(23),
        "shmctl" => ipc(24),
        _ => None,
    }
}

/// The condition under which the multiplexer with this number does this operation; none for 0.
pub(super) fn condition(number: u32, operation: u8) -> Option<Condition> {
    if operation == 0 {
        return None;
    }
    let operation = u64::from(operation);
    Some(match number {
        // A version is in the upper half of the same argument.
        IPC => Condition {
            index: 0,
            operator: Operator::MaskedEq,
            value: 0xffff,
            value_two: operation,
        },
        _ => Condition { index: 0, operator: Operator::Eq, value: operation, value_two: 0 },
    })
}
