//! Serde for values of other crates that have a form as text.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn deserialize<'a, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'a>,
{
    parse(&String::deserialize(from)?)
}

fn parse<T: FromStr<Err: Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

/// A list of them.
pub(crate) mod each {
    use super::*;

    pub(crate) fn serialize<'a, I, T, S>(values: &'a I, to: S) -> Result<S::Ok, S::Error>
    where
        &'a I: IntoIterator<Item = T>,
        T: Display,
        S: Serializer,
    {
        let texts: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        texts.serialize(to)
    }

    pub(crate) fn deserialize<'a, I, T, D>(from: D) -> Result<I, D::Error>
    where
        I: FromIterator<T>,
        T: FromStr<Err: Display>,
        D: Deserializer<'a>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| parse(text)).collect()
    }
}

/// One that may be missing.
pub(crate) mod maybe {
    use super::*;

    pub(crate) fn serialize<T, S>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error>
    where
        T: Display,
        S: Serializer,
    {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'a, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'a>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
