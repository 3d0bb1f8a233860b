use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Descriptor, Index};

/// What an image is made for: `os/architecture[/variant]`, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// Its generation, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system; Windows alone knows it.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have; Windows alone knows it.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "crate::json::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: it is os/architecture[/variant], such as linux/amd64")]
pub struct InvalidPlatform(String);

/// An image that there is not for the platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no image for {wanted}, only for {existing}")]
pub struct NoMatch {
    /// What was asked for.
    pub wanted: String,
    /// What there is, between commas.
    pub existing: String,
}

/// More of a name than any platform needs.
const MAX_PART: usize = 64;

impl Platform {
    /// A platform in Go's words, whatever it was called: `x86_64` is `amd64`.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase() {
            os if os == "macos" => "darwin".to_owned(),
            os => os,
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.map(str::to_ascii_lowercase).filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
            ("aarch64", variant) => ("arm64", variant),
            ("i386" | "i686" | "x86", _) => ("386", None),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("loongarch64", variant) => ("loong64", variant),
            ("powerpc64le", variant) => ("ppc64le", variant),
            (other, variant) => (other, variant),
        };
        Self {
            os,
            variant: variant.map(str::to_owned),
            architecture: architecture.to_owned(),
            os_version: None,
            os_features: Vec::new(),
        }
    }

    /// That of this machine.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            architecture => architecture,
        };
        Self::new("linux", architecture, None)
    }

    /// Whether an image that says it is for `other` does: that of the same generation, of an older
    /// one, or one that does not say of which.
    #[must_use]
    pub fn takes(&self, other: &Self) -> bool {
        let says_nothing = other.variant.is_none()
            && (&other.os, &other.architecture) == (&self.os, &self.architecture);
        says_nothing || self.candidates().contains(&other.normalized())
    }

    fn normalized(&self) -> Self {
        Self::new(&self.os, &self.architecture, self.variant.as_deref())
    }

    /// What runs here, the best first: an older generation of the same processor does too.
    fn candidates(&self) -> Vec<Self> {
        let wanted = self.normalized();
        let generation = |name: &str| name.strip_prefix('v')?.parse::<u8>().ok();
        let newest = wanted.variant.as_deref().and_then(generation);
        let oldest = match (wanted.architecture.as_str(), newest) {
            ("arm", Some(_)) => 5,
            ("amd64", Some(_)) => 1,
            _ => return vec![wanted],
        };
        let newest = newest.unwrap_or(oldest);
        let variants = (oldest..=newest).rev().map(|generation| format!("v{generation}"));
        let of = |variant: String| Self::new(&wanted.os, &wanted.architecture, Some(&variant));
        variants.map(of).collect()
    }
}

impl Index {
    /// The manifest for a platform, by docker's rules: that of the same generation, or of the next
    /// older one. Signatures and other things that are for no platform are not looked at. One
    /// manifest that does not say what it is for is taken when it is the only one.
    ///
    /// # Errors
    /// There is none; the error names those that there are.
    pub fn select(&self, wanted: &Platform) -> Result<&Descriptor, NoMatch> {
        let images = || self.manifests.iter().filter(|found| !found.is_attestation());
        let of = |candidate: &Platform| {
            images().find(|found| {
                found.platform.as_ref().is_some_and(|found| found.normalized() == *candidate)
            })
        };
        if let Some(found) = wanted.candidates().iter().find_map(of) {
            return Ok(found);
        }
        let mut all = images();
        match (all.next(), all.next()) {
            (Some(only), None) if only.platform.is_none() => Ok(only),
            _ => {
                let existing = images().filter_map(|found| found.platform.as_ref());
                let existing = existing.map(|found| found.normalized().to_string());
                let existing = match existing.collect::<Vec<_>>() {
                    none if none.is_empty() => "platforms that it does not name".to_owned(),
                    some => some.join(", "),
                };
                Err(NoMatch { wanted: wanted.to_string(), existing })
            }
        }
    }
}

impl Descriptor {
    /// Whether it tells of another image, how that was built or who has signed it.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        let unknown = |of: &Platform| of.os == "unknown" && of.architecture == "unknown";
        self.platform.as_ref().is_some_and(unknown)
            || self.annotations.contains_key("vnd.docker.reference.type")
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let is_part = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            !part.is_empty() && part.len() <= MAX_PART && part.bytes().all(known)
        };
        let parts = text.split('/').take(4).collect::<Vec<_>>();
        if !parts.iter().all(|part| is_part(part)) {
            return Err(InvalidPlatform(text.chars().take(200).collect()));
        }
        match *parts.as_slice() {
            [os] if matches!(os, "linux" | "windows" | "darwin" | "macos" | "freebsd") => {
                let host = Self::host();
                Ok(Self::new(os, &host.architecture, host.variant.as_deref()))
            }
            [architecture] => Ok(Self::new("linux", architecture, None)),
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(InvalidPlatform(text.chars().take(200).collect())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn index(platforms: &[&str]) -> Index {
        let manifests = platforms.iter().map(|platform| Descriptor {
            platform: (!platform.is_empty()).then(|| {
                let mut parts = platform.split('/').map(str::to_owned);
                Platform {
                    os: parts.next().unwrap(),
                    architecture: parts.next().unwrap(),
                    variant: parts.next(),
                    os_version: None,
                    os_features: Vec::new(),
                }
            }),
            ..Descriptor::new(super::super::OCI_MANIFEST, Digest::of(platform.as_bytes()), 1)
        });
        Index::new(manifests.collect())
    }

    fn selected<'a>(platforms: &[&'a str], wanted: &str) -> Option<&'a str> {
        let index = index(platforms);
        let found = index.select(&wanted.parse().unwrap()).ok()?.digest;
        platforms.iter().copied().find(|platform| Digest::of(platform.as_bytes()) == found)
    }

    #[test]
    fn platforms_have_one_name_each() {
        for (text, normalized) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("arm64", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("armel", "linux/arm/v6"),
            ("i686", "linux/386"),
            ("windows/amd64", "windows/amd64"),
            ("riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), normalized, "{text}");
        }
        assert_eq!("linux".parse(), Ok(Platform::host()));
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "linux/amd64/", &"a".repeat(65)] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_older_generation_does_and_a_newer_one_does_not() {
        let all = ["linux/arm/v6", "linux/arm/v7", "linux/amd64", "linux/arm64/v8"];
        assert_eq!(selected(&all, "linux/arm/v7"), Some("linux/arm/v7"));
        assert_eq!(selected(&all, "linux/arm"), Some("linux/arm/v7"));
        assert_eq!(selected(&all, "linux/arm/v8"), Some("linux/arm/v7"));
        assert_eq!(selected(&all, "linux/arm/v6"), Some("linux/arm/v6"));
        assert_eq!(selected(&all, "linux/arm/v5"), None);
        assert_eq!(selected(&["linux/arm/v6"], "linux/arm/v7"), Some("linux/arm/v6"));
        assert_eq!(selected(&["linux/arm"], "linux/arm/v6"), None);
        assert_eq!(selected(&all, "arm64"), Some("linux/arm64/v8"));
        assert_eq!(selected(&all, "linux/amd64/v3"), Some("linux/amd64"));
        assert_eq!(selected(&["linux/amd64/v2"], "linux/amd64"), None);
        assert_eq!(
            selected(&["linux/amd64/v3", "linux/amd64/v2"], "linux/amd64/v2"),
            Some("linux/amd64/v2")
        );
        assert_eq!(selected(&all, "windows/amd64"), None);
    }

    #[test]
    fn what_is_for_no_platform_is_not_chosen() {
        assert_eq!(selected(&["unknown/unknown", "linux/s390x"], "linux/amd64"), None);
        assert_eq!(selected(&["unknown/unknown", ""], "linux/amd64"), Some(""));
        assert_eq!(selected(&["", "linux/s390x"], "linux/amd64"), None);
        assert_eq!(selected(&[], "linux/amd64"), None);
    }

    #[test]
    fn an_error_says_what_there_is() {
        let all = index(&["linux/arm64/v8", "unknown/unknown", "linux/s390x"]);
        let error = all.select(&"amd64".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no image for linux/amd64, only for linux/arm64, linux/s390x"
        );
    }

    #[test]
    fn an_older_generation_does_too() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (wanted, found, takes) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm64", "linux/amd64", false),
            ("linux/amd64", "windows/amd64", false),
        ] {
            assert_eq!(platform(wanted).takes(&platform(found)), takes, "{wanted} {found}");
        }
    }
}
