//! `--mount type=bind,source=/a,target=/b,…`.

use std::path::{Component, Path};

use minidock_engine::{MountRequest, MountSource, Propagation, TmpfsOptions, TmpfsSize};

use super::size::bytes;
use super::tmpfs::permissions;
use super::volume::{mount_point, propagation, volume_name};
use super::{ValueError, boolean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bind,
    Volume,
    Tmpfs,
}

/// How far a bind reaches: `bind-recursive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Enabled,
    Disabled,
    /// All mounts below are read-only too, or it is an error.
    ReadOnly,
}

/// The fields that were given, in no order.
#[derive(Debug, Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<Propagation>,
    reach: Option<Reach>,
    no_copy: Option<bool>,
    size: Option<u64>,
    mode: Option<u32>,
}

/// The mount that the fields describe.
pub(crate) fn mount(text: &str) -> Result<MountRequest, ValueError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ValueError::new("value is empty"));
    }
    let mut fields = Fields::default();
    for field in csv(text)? {
        fields.set(&field)?;
    }
    fields.finish()
}

impl Fields {
    fn set(&mut self, field: &str) -> Result<(), ValueError> {
        let Some((key, value)) = field.split_once('=') else {
            return match field.to_lowercase().as_str() {
                "readonly" | "ro" => {
                    self.read_only = true;
                    Ok(())
                }
                "volume-nocopy" => {
                    self.no_copy = Some(true);
                    Ok(())
                }
                _ => Err(ValueError::new(format!(
                    "invalid field '{field}' must be a key=value pair"
                ))),
            };
        };
        let key = key.to_lowercase();
        let invalid = || ValueError::new(format!("invalid value for {key}: {value}"));
        match key.as_str() {
            "type" => self.kind = Some(value.to_lowercase()),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(value.to_owned()),
            "readonly" | "ro" => self.read_only = boolean(value).map_err(|_| invalid())?,
            "bind-propagation" => {
                let word = value.to_lowercase();
                self.propagation = Some(propagation(&word).ok_or_else(invalid)?);
            }
            "bind-recursive" => self.reach = Some(reach(value)?),
            // Nothing of the image is copied into a new volume in any case.
            "volume-nocopy" => self.no_copy = Some(boolean(value).map_err(|_| invalid())?),
            "tmpfs-size" => self.size = Some(bytes(value).map_err(|_| invalid())?),
            "tmpfs-mode" => self.mode = Some(permissions(value).ok_or_else(invalid)?),
            // A hint to virtual machines; docker takes it everywhere.
            "consistency" => {}
            _ => return Err(ValueError::new(format!("unexpected key '{key}' in '{field}'"))),
        }
        Ok(())
    }

    fn finish(self) -> Result<MountRequest, ValueError> {
        let kind = self.kind()?;
        let target = self.target.filter(|target| !target.is_empty());
        let target = mount_point(&target.ok_or_else(|| ValueError::new("target is required"))?)?;
        let source = self.source.filter(|source| !source.is_empty());
        let source = match (kind, source) {
            (Kind::Bind, Some(path)) => MountSource::Bind {
                path: bind_source(&path)?.into(),
                create: false,
                non_recursive: self.reach == Some(Reach::Disabled),
            },
            (Kind::Bind, None) => {
                return Err(ValueError::new(
                    "invalid mount config for type \"bind\": field Source must not be empty",
                ));
            }
            (Kind::Volume, name) => {
                MountSource::Volume { name: name.as_deref().map(volume_name).transpose()? }
            }
            (Kind::Tmpfs, None) => MountSource::Tmpfs {
                options: TmpfsOptions {
                    // Docker takes 0 for "not given" here, though not in --tmpfs.
                    size: self.size.filter(|size| *size > 0).map(TmpfsSize::Bytes),
                    mode: self.mode.filter(|mode| *mode > 0),
                    ..TmpfsOptions::default()
                },
            },
            (Kind::Tmpfs, Some(_)) => {
                return Err(ValueError::new(
                    "invalid mount config for type \"tmpfs\": field Source must not be specified",
                ));
            }
        };
        let (read_only, propagation) = (self.read_only, self.propagation);
        Ok(MountRequest { source, target, read_only, propagation })
    }

    /// The type, which the other fields must suit.
    fn kind(&self) -> Result<Kind, ValueError> {
        let (kind, name) = match self.kind.as_deref() {
            None | Some("volume") => (Kind::Volume, "volume"),
            Some("bind") => (Kind::Bind, "bind"),
            Some("tmpfs") => (Kind::Tmpfs, "tmpfs"),
            Some("") => return Err(ValueError::new("type is required")),
            Some(other) => {
                return Err(ValueError::new(format!(
                    "invalid mount config for type {other:?}: mount type unknown"
                )));
            }
        };
        let for_binds = self.propagation.is_some() || self.reach.is_some();
        let for_tmpfs = self.size.is_some() || self.mode.is_some();
        let strange = match () {
            () if for_binds && kind != Kind::Bind => "bind",
            () if self.no_copy.is_some() && kind != Kind::Volume => "volume",
            () if for_tmpfs && kind != Kind::Tmpfs => "tmpfs",
            () => return self.check_read_only().map(|()| kind),
        };
        Err(ValueError::new(format!("cannot mix '{strange}-*' options with mount type '{name}'")))
    }

    fn check_read_only(&self) -> Result<(), ValueError> {
        let needs = match self.reach {
            Some(Reach::ReadOnly) if !self.read_only => "readonly",
            Some(Reach::ReadOnly) if self.propagation != Some(Propagation::Private) => {
                "bind-propagation=rprivate"
            }
            _ => return Ok(()),
        };
        Err(ValueError::new(format!(
            "option 'bind-recursive=readonly' requires '{needs}' to be specified in conjunction"
        )))
    }
}

/// A path is absolute or starts with `.` or `..`: anything else is more likely a volume's name.
fn bind_source(path: &str) -> Result<&str, ValueError> {
    match Path::new(path).components().next() {
        Some(Component::RootDir | Component::CurDir | Component::ParentDir) => Ok(path),
        _ => Err(ValueError::new(format!(
            "invalid mount config for type \"bind\": invalid mount path: '{path}' mount path must \
             be absolute"
        ))),
    }
}

fn reach(value: &str) -> Result<Reach, ValueError> {
    match value {
        "enabled" => Ok(Reach::Enabled),
        "disabled" => Ok(Reach::Disabled),
        "readonly" => Ok(Reach::ReadOnly),
        "writable" => Err(ValueError::new(
            "bind-recursive=writable is not supported: readonly holds for the mounts below too",
        )),
        _ => Err(ValueError::new(format!(
            "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\" or \
             \"readonly\")"
        ))),
    }
}

/// One record of comma-separated values, RFC 4180: a field in quotes may hold commas, and a quote
/// written twice.
fn csv(text: &str) -> Result<Vec<String>, ValueError> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains('"') {
                    return Err(ValueError::new("parse error: bare \" in non-quoted field"));
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// The field after an opening quote, and what follows the closing one.
fn quoted_field(text: &str) -> Result<(String, &str), ValueError> {
    let malformed = || ValueError::new("parse error: extraneous or missing \" in quoted-field");
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or_else(malformed)?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None if after.is_empty() || after.starts_with(',') => return Ok((field, after)),
            None => return Err(malformed()),
        }
    }
}

#[cfg(test)]
#[path = "mount_tests.rs"]
mod tests;
