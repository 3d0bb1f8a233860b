//! The one unsafe call of the engine.

use minidock_ns::{CloneOptions, Error};

use crate::child::Recipe;

/// Makes the container's first process, which carries out the recipe.
pub(crate) fn spawn(
    options: &CloneOptions<'_>,
    recipe: &mut Recipe<'_>,
) -> Result<minidock_ns::Child, Error> {
    // SAFETY: `Recipe::run` calls child-safe functions only, as an end-to-end test with an
    // aborting allocator shows, and ends in execve or _exit.
    unsafe { minidock_ns::spawn(options, || recipe.run()) }
}
