//! `RUN --mount`.

use super::error::did_you_mean;
use super::expand::Expander;
use super::words;

/// What a `RUN` sees besides the file system of its stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// Files of the context, of a stage or of an image. What is written is thrown away.
    Bind {
        /// Where it is seen; relative to the working directory.
        target: String,
        /// A path in what is mounted.
        source: String,
        /// A stage or an image instead of the context ([`super::Graph::origin`]).
        from: Option<String>,
        /// Whether it can be written to.
        writable: bool,
    },
    /// A directory that stays for the next build.
    Cache {
        /// What it is found by again; its target, unless it is named.
        id: String,
        /// Where it is seen; relative to the working directory.
        target: String,
        /// A path in what it begins with.
        source: String,
        /// A stage or an image that it begins with.
        from: Option<String>,
        /// Whether it cannot be written to.
        readonly: bool,
        /// Who else can use it meanwhile.
        sharing: Sharing,
        /// The directory's permissions.
        mode: u32,
        /// The directory's owner.
        uid: u32,
        /// The directory's group.
        gid: u32,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Where it is seen; relative to the working directory.
        target: String,
        /// How much can be written, in bytes.
        size: Option<u64>,
    },
    /// A file or a variable that leaves no trace in the image.
    Secret {
        /// What the caller calls it.
        id: String,
        /// The file in which it is seen.
        target: Option<String>,
        /// The variable in which it is seen.
        env: Option<String>,
        /// Whether it is an error that the caller has none.
        required: bool,
        /// The file's permissions.
        mode: u32,
        /// The file's owner.
        uid: u32,
        /// The file's group.
        gid: u32,
    },
}

/// Who can use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Everybody, with a directory of its own.
    Private,
    /// One after the other.
    Locked,
}

/// A mount's options as they were written, with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MountSpec(Vec<(&'static str, Option<String>)>);

/// Names of options; those after the first of a row are its other names.
const OPTIONS: [&[&str]; 14] = [
    &["type"],
    &["target", "dst", "destination"],
    &["source", "src"],
    &["from"],
    &["id"],
    &["readonly", "ro"],
    &["readwrite", "rw"],
    &["sharing"],
    &["mode"],
    &["uid"],
    &["gid"],
    &["size"],
    &["required"],
    &["env"],
];

/// What each type takes, besides its type and target.
const TYPES: [(&str, &[&str]); 5] = [
    ("bind", &["source", "from", "readonly", "readwrite"]),
    ("cache", &["source", "from", "id", "readonly", "readwrite", "sharing", "mode", "uid", "gid"]),
    ("tmpfs", &["size"]),
    ("secret", &["source", "id", "required", "mode", "uid", "gid", "env"]),
    ("ssh", &["id", "required", "mode", "uid", "gid"]),
];

/// Options that stand alone.
const SWITCHES: [&str; 3] = ["readonly", "readwrite", "required"];

impl MountSpec {
    /// Takes the options apart, and checks all that does not depend on variables.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let known: Vec<&str> = OPTIONS.iter().copied().flatten().copied().collect();
        let mut options = Vec::new();
        for field in words::fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (field.as_str(), None),
            };
            let key = key.trim().to_ascii_lowercase();
            let row = OPTIONS.iter().find(|row| row.contains(&key.as_str()));
            let Some(name) = row.and_then(|row| row.first().copied()) else {
                let hint = did_you_mean(&key, &known);
                return Err(format!("--mount knows no option {key:?}{hint}"));
            };
            if value.is_none() && !SWITCHES.contains(&name) {
                return Err(format!("the option {key} of --mount needs a value"));
            }
            if options.iter().any(|(other, _)| *other == name) {
                return Err(format!("the option {key} of --mount is there twice"));
            }
            if name == "from" && value.as_ref().is_some_and(|value| value.contains('$')) {
                return Err("the option from of --mount takes no variables: \
                            name a stage FROM $VARIABLE AS NAME and use that"
                    .to_owned());
            }
            options.push((name, value));
        }
        let spec = Self(options);
        let variable = |(_, value): &(_, Option<String>)| value.iter().any(|v| v.contains('$'));
        if !spec.0.iter().any(variable) {
            spec.check()?;
        }
        Ok(spec)
    }

    /// The stage or image that it takes from.
    pub(super) fn from(&self) -> Option<&str> {
        self.get("from").filter(|from| !from.is_empty())
    }

    /// The mount that is meant, its variables put in.
    pub(super) fn read(&self, expander: &mut Expander<'_, '_>) -> Result<Mount, String> {
        let options = self.0.iter().map(|(name, value)| match value {
            Some(value) if *name != "from" => Ok((*name, Some(expander.word(value)?))),
            other => Ok((*name, other.clone())),
        });
        Self(options.collect::<Result<_, String>>()?).check()?.ok_or_else(|| {
            "--mount=type=ssh cannot be used: no agent is let into a build; \
             use --mount=type=secret for a key"
                .to_owned()
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name)?.1.as_deref()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// `name`, `name=true` or `name=false`.
    fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        let Some((_, value)) = self.0.iter().find(|(other, _)| *other == name) else {
            return Ok(None);
        };
        match value.as_deref() {
            None | Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(format!("the option {name} is true or false, not {other:?}")),
        }
    }

    fn number(&self, name: &str, radix: u32, default: u32) -> Result<u32, String> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let kind = if radix == 8 { "an octal number" } else { "a number" };
        let digits = text.chars().all(|c| c.is_digit(radix));
        let number = u32::from_str_radix(&text, radix).ok().filter(|_| digits);
        let number = number.filter(|number| radix != 8 || *number <= 0o7777);
        number.ok_or_else(|| format!("the option {name} is {kind}, not {text:?}"))
    }

    fn target(&self, kind: &str) -> Result<String, String> {
        self.text("target").ok_or_else(|| format!("--mount=type={kind} needs a target"))
    }

    /// Whether it cannot be written to.
    fn readonly(&self, default: bool) -> Result<bool, String> {
        match (self.switch("readonly")?, self.switch("readwrite")?) {
            (Some(_), Some(_)) => Err("readonly and readwrite exclude one another".to_owned()),
            (Some(readonly), None) => Ok(readonly),
            (None, Some(writable)) => Ok(!writable),
            (None, None) => Ok(default),
        }
    }

    /// The mount, whose values have no variables in them; nothing for `ssh`.
    fn check(&self) -> Result<Option<Mount>, String> {
        let kind = self.get("type").unwrap_or("bind");
        let known = TYPES.iter().find(|(name, _)| *name == kind);
        let Some((_, taken)) = known else {
            let known = TYPES.map(|(name, _)| name);
            let hint = did_you_mean(kind, &known);
            return Err(format!("--mount knows no type {kind:?}{hint}"));
        };
        let foreign = self
            .0
            .iter()
            .find(|(name, _)| !matches!(*name, "type" | "target") && !taken.contains(name));
        if let Some((name, _)) = foreign {
            return Err(format!("--mount=type={kind} takes no option {name}"));
        }
        match kind {
            "cache" => self.cache().map(Some),
            "tmpfs" => {
                let size = self.text("size").map(|text| bytes(&text)).transpose()?;
                Ok(Some(Mount::Tmpfs { target: self.target(kind)?, size }))
            }
            "secret" => self.secret().map(Some),
            "ssh" => {
                self.switch("required")?;
                for (name, radix) in [("mode", 8), ("uid", 10), ("gid", 10)] {
                    self.number(name, radix, 0)?;
                }
                Ok(None)
            }
            _ => Ok(Some(Mount::Bind {
                target: self.target(kind)?,
                source: self.text("source").unwrap_or_else(|| "/".to_owned()),
                from: self.text("from"),
                writable: !self.readonly(true)?,
            })),
        }
    }

    fn cache(&self) -> Result<Mount, String> {
        let target = self.target("cache")?;
        let sharing = match self.get("sharing") {
            None | Some("shared") => Sharing::Shared,
            Some("private") => Sharing::Private,
            Some("locked") => Sharing::Locked,
            Some(other) => {
                return Err(format!("sharing is shared, private or locked, not {other:?}"));
            }
        };
        Ok(Mount::Cache {
            id: self.text("id").unwrap_or_else(|| target.clone()),
            target,
            source: self.text("source").unwrap_or_else(|| "/".to_owned()),
            from: self.text("from"),
            readonly: self.readonly(false)?,
            sharing,
            mode: self.number("mode", 8, 0o755)?,
            uid: self.number("uid", 10, 0)?,
            gid: self.number("gid", 10, 0)?,
        })
    }

    fn secret(&self) -> Result<Mount, String> {
        let (target, env) = (self.text("target"), self.text("env"));
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let id = match (self.text("id"), self.text("source"), &target) {
            (Some(_), Some(_), _) => return Err("id and source are the same".to_owned()),
            (Some(id), None, _) | (None, Some(id), _) => id,
            (None, None, Some(target)) => base(target),
            (None, None, None) => return Err("--mount=type=secret needs an id".to_owned()),
        };
        let target = match (target, &env) {
            (None, None) => Some(format!("/run/secrets/{}", base(&id))),
            (target, _) => target,
        };
        Ok(Mount::Secret {
            id,
            target,
            env,
            required: self.switch("required")?.unwrap_or(false),
            mode: self.number("mode", 8, 0o400)?,
            uid: self.number("uid", 10, 0)?,
            gid: self.number("gid", 10, 0)?,
        })
    }
}

/// `64m`, `1GiB`, `100`.
fn bytes(text: &str) -> Result<u64, String> {
    let error = || format!("the option size is a number such as 64m, not {text:?}");
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or_else(error)?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(error()),
    };
    let number: u64 = number.parse().map_err(|_| error())?;
    number.checked_mul(1 << shift).ok_or_else(error)
}

#[cfg(test)]
#[path = "mount_tests.rs"]
mod tests;
