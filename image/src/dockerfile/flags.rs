use super::error::did_you_mean;
use super::words;

/// The flags of an instruction. Each is taken by whoever knows it; what is left is unknown.
#[derive(Debug)]
pub(super) struct Flags {
    left: Vec<(String, Option<String>)>,
}

impl Flags {
    /// Those at the front of the arguments, and the rest of the arguments.
    pub(super) fn read<'a>(
        instruction: &str,
        known: &[&str],
        arguments: &'a str,
    ) -> Result<(Self, &'a str), String> {
        let (words, rest) = words::flags(arguments)?;
        let mut left = Vec::new();
        for word in words {
            let word = word.strip_prefix("--").unwrap_or(&word);
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            if !known.contains(&name) {
                let hint = did_you_mean(name, known);
                return Err(format!("{instruction} knows no flag --{name}{hint}"));
            }
            left.push((name.to_owned(), value));
        }
        Ok((Self { left }, rest))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The values of a flag that can be there several times.
    pub(super) fn all(&mut self, name: &str) -> Result<Vec<String>, String> {
        let taken = self.left.extract_if(.., |(other, _)| other == name);
        let missing = || format!("the flag --{name} needs a value");
        taken.map(|(_, value)| value.filter(|v| !v.is_empty()).ok_or_else(missing)).collect()
    }

    /// The value of a flag that can be there once.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<String>, String> {
        let mut values = self.all(name)?;
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(format!("the flag --{name} is there twice")),
        }
    }

    /// `--name`, `--name=true` or `--name=false`.
    pub(super) fn switch(&mut self, name: &str) -> Result<Option<bool>, String> {
        for (other, value) in &mut self.left {
            if other == name && value.is_none() {
                *value = Some("true".to_owned());
            }
        }
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!("the flag --{name} is true or false, not {other:?}")),
        }
    }
}
