//! `minidock image`, which docker has in other words too: `images`, `rmi`, `tag`, `history`.

mod filters;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;
mod row;
pub(crate) mod tag;

/// What stands for a name that an image does not have.
const NONE: &str = "<none>";
