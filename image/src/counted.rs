use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Counts what is read.
pub(crate) struct Counted<R> {
    pub(crate) input: R,
    /// Bytes so far.
    pub(crate) taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.set(self.taken.get().saturating_add(u64::try_from(count).unwrap_or(0)));
        Ok(count)
    }
}
