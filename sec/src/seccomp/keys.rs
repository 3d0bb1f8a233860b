//! The keys of docker's JSON, which have to be spelled exactly.
//!
//! Go's decoder takes a key in any case, and serde ignores one that it does not know. Then `"Args"`
//! would turn an exception into a permission for everyone, so such a key is an error. This is a
//! walk of its own, ahead of reading: what it finds has a place, and it keeps nothing in memory.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};

use crate::Error;

/// What a part of a profile looks like, as far as keys go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Object(&'static [(&'static str, Shape)]),
    List(&'static Shape),
    /// Whatever it is, there is no object in it that has a meaning.
    Plain,
}

use Shape::{List, Object, Plain};

pub(super) const PROFILE: Shape = Object(&[
    ("defaultAction", Plain),
    ("defaultErrnoRet", Plain),
    ("architectures", Plain),
    ("archMap", List(&ARCH)),
    ("flags", Plain),
    ("syscalls", List(&SYSCALL)),
]);

pub(super) const ARCH: Shape = Object(&[("architecture", Plain), ("subArchitectures", Plain)]);

pub(super) const SYSCALL: Shape = Object(&[
    ("name", Plain),
    ("names", Plain),
    ("action", Plain),
    ("errnoRet", Plain),
    ("args", List(&ARG)),
    ("includes", LIMITS),
    ("excludes", LIMITS),
]);

pub(super) const ARG: Shape =
    Object(&[("index", Plain), ("value", Plain), ("valueTwo", Plain), ("op", Plain)]);

pub(super) const LIMITS: Shape =
    Object(&[("caps", Plain), ("arches", Plain), ("minKernel", Plain)]);

/// Refuses a key that only Go's decoder would know.
pub(super) fn check(json: &[u8]) -> Result<(), Error> {
    let mut wrong = None;
    let walk = Walk { shape: PROFILE, place: String::new(), wrong: &mut wrong };
    let walked = walk.deserialize(&mut serde_json::Deserializer::from_slice(json));
    wrong.map_or_else(|| walked.map_err(Error::SeccompJson), Err)
}

/// The letters by which Go compares keys: two that are not ASCII count as `s` and `k`.
fn fold(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    })
}

struct Walk<'a> {
    shape: Shape,
    place: String,
    /// The wrong key. serde's own errors cannot carry one of ours.
    wrong: &'a mut Option<Error>,
}

impl Walk<'_> {
    /// The part with this key, unless the key is wrong.
    fn part(&mut self, known: &[(&str, Shape)], key: &str) -> Option<Walk<'_>> {
        let dot = if self.place.is_empty() { "" } else { "." };
        let place = format!("{}{dot}{key}", self.place);
        let same = |(name, _): &&(&str, Shape)| fold(name).eq(fold(key));
        let shape = match known.iter().find(same) {
            Some((name, shape)) if *name == key => *shape,
            Some((name, _)) => {
                let problem = format!("has to be spelled {name}");
                *self.wrong = Some(Error::Seccomp { place, problem });
                return None;
            }
            None => Plain,
        };
        Some(Walk { shape, place, wrong: self.wrong })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.shape {
            Plain => json.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            Object(_) | List(_) => json.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.shape, List(_)) { "a list" } else { "an object" })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        // serde takes a list for an object, too: the values without their keys. Go does not.
        let List(shape) = self.shape else {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        };
        for index in 0.. {
            let place = format!("{}[{index}]", self.place);
            let item = Walk { shape: *shape, place, wrong: self.wrong };
            if list.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let Object(known) = self.shape else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        while let Some(key) = object.next_key::<String>()? {
            let part = self.part(known, &key).ok_or_else(|| A::Error::custom("a wrong key"))?;
            object.next_value_seed(part)?;
        }
        Ok(())
    }
}
