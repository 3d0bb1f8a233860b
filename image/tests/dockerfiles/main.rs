//! Dockerfiles as people write them, from the text to the instructions that a builder would get.

#![allow(clippy::unwrap_used, clippy::panic)]

mod forms;
mod hostile;
mod languages;
mod render;
