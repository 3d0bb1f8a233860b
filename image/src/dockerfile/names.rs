use std::collections::BTreeMap;

use super::error::did_you_mean;
use super::{Dockerfile, Error};
use crate::Reference;

/// What a `--from` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An empty file system.
    Scratch,
    /// An image.
    Image(Reference),
    /// A stage before this one.
    Stage(usize),
}

/// The stages by their names and numbers.
#[derive(Debug, Clone)]
pub(super) struct Names {
    numbers: BTreeMap<String, usize>,
    count: usize,
}

impl Names {
    pub(super) fn of(file: &Dockerfile) -> Result<Self, Error> {
        let mut numbers = BTreeMap::new();
        for (number, stage) in file.stages.iter().enumerate() {
            let Some(name) = stage.from.name.clone() else { continue };
            let message = format!("the name {name} is that of another stage already");
            if numbers.insert(name, number).is_some() {
                return Err(Error::new(&file.name, stage.line, &stage.text, message));
            }
        }
        Ok(Self { numbers, count: file.stages.len() })
    }

    /// The stage of this name, in whatever case.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.numbers.get(&name.to_ascii_lowercase()).copied()
    }

    /// What a stage means by a `--from`.
    pub(super) fn origin(&self, stage: usize, from: &str) -> Result<Origin, String> {
        let is_number = !from.is_empty() && from.bytes().all(|byte| byte.is_ascii_digit());
        let number = match is_number {
            true => Some(from.parse().unwrap_or(usize::MAX)),
            false => self.named(from),
        };
        match number {
            Some(number) if number < stage => Ok(Origin::Stage(number)),
            Some(number) if number == stage => Err(format!("the stage {from} takes from itself")),
            Some(number) if number < self.count => {
                Err(format!("the stage {from} is not yet defined: it must stand before this one"))
            }
            Some(_) => Err(format!("there is no stage {from}")),
            None if from == "scratch" => Ok(Origin::Scratch),
            None => Ok(Origin::Image(reference(from)?)),
        }
    }

    /// The stage that is asked for: the last, if none is.
    pub(super) fn target(&self, file: &str, target: Option<&str>) -> Result<usize, Error> {
        let Some(target) = target else { return Ok(self.count.saturating_sub(1)) };
        let number = || target.parse().ok().filter(|number| *number < self.count);
        self.named(target).or_else(number).ok_or_else(|| {
            let known: Vec<&str> = self.numbers.keys().map(String::as_str).collect();
            let message = format!("there is no stage {target}{}", did_you_mean(target, &known));
            Error::new(file, 0, "", message)
        })
    }
}

/// The image that a text names.
pub(super) fn reference(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error: crate::InvalidReference| error.to_string())
}
