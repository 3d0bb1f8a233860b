//! Dockerfiles: from the text to a checked graph of stages, without touching anything outside.
//!
//! | part | what it does |
//! |---|---|
//! | [`Dockerfile`] | the text read: every instruction, flag and form is checked |
//! | [`Graph`] | the stages that a target needs, and what each of them takes from others |
//! | [`Scope`] | the variables of a stage, and instructions with their values put in |
//!
//! The parser is written here and not taken from a crate: `parse-dockerfile` 0.1.9 knows a heredoc
//! only as the first word of `RUN`, leaves continuations in the text of shell commands, and refuses
//! a word with its whole file; what would be left of it is the joining of lines.

mod arguments;
mod error;
mod expand;
mod file;
mod flags;
mod graph;
mod health;
mod heredoc;
mod instruction;
mod lines;
mod mount;
mod names;
mod pattern;
mod read;
mod resolve;
mod scope;
mod values;
mod words;

pub use error::Error;
pub use file::Dockerfile;
pub use graph::{Base, Graph, Options, Stage};
pub use heredoc::Heredoc;
pub use instruction::{
    Add, Command, Copy, FileSource, Files, Healthcheck, Instruction, Run, RunCommand, RunNetwork,
    Step,
};
pub use mount::{Mount, Sharing};
pub use names::Origin;
pub use scope::Scope;

/// The size of a file, in bytes.
const MAX_TEXT: usize = 1 << 20;
const MAX_LINES: usize = 50_000;
const MAX_INSTRUCTIONS: usize = 10_000;
const MAX_STAGES: usize = 500;
/// Of one instruction.
const MAX_HEREDOCS: usize = 64;
/// Of one instruction.
const MAX_FLAGS: usize = 100;
/// How deep `${…}` can stand in itself.
const MAX_DEPTH: usize = 32;
/// The size of one expanded word, in bytes.
const MAX_EXPANSION: usize = 1 << 20;
/// The variables of a stage, in bytes: about as much as a program can be given (execve(2)).
const MAX_ENVIRONMENT: usize = 1 << 20;

#[cfg(test)]
mod testing;
