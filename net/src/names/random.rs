use std::fs::File;
use std::io::{self, Read};

/// Numbers that nobody can foresee (`random(4)`), a few at a time.
#[derive(Debug)]
pub(super) struct Random {
    source: File,
    bytes: [u8; 64],
    left: usize,
}

impl Random {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { source: File::open("/dev/urandom")?, bytes: [0; 64], left: 0 })
    }

    pub(super) fn id(&mut self) -> io::Result<u16> {
        let Some(left) = self.left.checked_sub(2) else {
            self.source.read_exact(&mut self.bytes)?;
            self.left = self.bytes.len();
            return self.id();
        };
        self.left = left;
        let pair = self.bytes.get(left..left + 2).and_then(|pair| pair.try_into().ok());
        Ok(pair.map(u16::from_be_bytes).unwrap_or_default())
    }
}
