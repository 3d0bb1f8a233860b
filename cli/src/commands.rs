//! The commands: each makes its calls of the engine.

pub(crate) mod run;
