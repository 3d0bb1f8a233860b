//! The keys that leave an attached container.

use crate::Error;

/// A sequence of keys, as the bytes that a terminal sends for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    sequence: Vec<u8>,
    /// How many of them were typed last.
    typed: usize,
}

/// Docker's: ctrl-p, ctrl-q.
impl Default for Keys {
    fn default() -> Self {
        Self { sequence: vec![0x10, 0x11], typed: 0 }
    }
}

impl Keys {
    /// Docker's grammar: keys with commas between them, each a single character or `ctrl-` and a
    /// letter or one of `@[\]^_`. An empty text leaves by no key.
    ///
    /// # Errors
    /// Another word.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |key: &str| {
            Error::new(format!("invalid detach keys ({text}): Unknown character: '{key}'"))
        };
        let keys = text.split(',').filter(|_| !text.is_empty());
        let sequence = keys
            .map(|key| match (key.strip_prefix("ctrl-"), key.as_bytes()) {
                (Some(letter), _) => control(letter).ok_or_else(|| invalid(key)),
                (None, [byte]) => Ok(*byte),
                _ => Err(invalid(key)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { sequence, typed: 0 })
    }

    /// No keys leave.
    pub(crate) fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// Takes what was typed. What goes to the container, and whether the keys are complete. The
    /// beginning of the sequence is held back until it is known what it becomes.
    pub(crate) fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.sequence.get(self.typed) == Some(byte) {
                self.typed += 1;
                if self.typed == self.sequence.len() {
                    self.typed = 0;
                    return (passed, true);
                }
                continue;
            }
            passed.extend(self.sequence.iter().take(self.typed));
            self.typed = 0;
            match self.sequence.first() == Some(byte) {
                true => self.typed = 1,
                false => passed.push(*byte),
            }
        }
        (passed, false)
    }
}

fn control(letter: &str) -> Option<u8> {
    let [letter] = letter.as_bytes() else { return None };
    let is_key = letter.is_ascii_alphabetic() || b"@[\\]^_".contains(letter);
    is_key.then_some(letter.to_ascii_uppercase() & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &mut Keys, text: &[u8]) -> (Vec<u8>, bool) {
        keys.filter(text)
    }

    #[test]
    fn docker_s_grammar() {
        assert_eq!(Keys::parse("ctrl-p,ctrl-q").unwrap(), Keys::default());
        assert_eq!(Keys::parse("ctrl-@,ctrl-[,a,ctrl-_").unwrap().sequence, [0, 27, b'a', 31]);
        assert!(Keys::parse("").unwrap().sequence.is_empty());
        for bad in ["ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-ä"] {
            assert!(Keys::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_beginning_is_held_back_and_given_on_when_it_becomes_nothing() {
        let mut keys = Keys::default();
        assert_eq!(typed(&mut keys, b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(typed(&mut keys, b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(typed(&mut keys, b"\x10"), (vec![], false));
        assert_eq!(typed(&mut keys, b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(typed(&mut keys, b"\x11d"), (vec![], true));
    }

    #[test]
    fn without_keys_everything_passes() {
        let mut keys = Keys::parse("").unwrap();
        assert_eq!(typed(&mut keys, b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
