use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use minidock_engine::DEFAULT_STATE;

use crate::values::{ValueError, in_words};

/// What a command line means different things in: the caller's directory and environment.
#[derive(Debug)]
pub(crate) struct Caller {
    directory: Result<PathBuf, String>,
    environment: HashMap<OsString, OsString>,
    is_root: bool,
}

impl Caller {
    pub(crate) fn current() -> Self {
        let directory = env::current_dir().map_err(|error| in_words(&error));
        let is_root = nix::unistd::geteuid().is_root();
        Self { directory, environment: env::vars_os().collect(), is_root }
    }

    /// Nobody in particular: what a command line says then, it says everywhere.
    pub(crate) fn nobody() -> Self {
        let directory = Err("nobody has one".to_owned());
        Self { directory, environment: HashMap::new(), is_root: true }
    }

    /// A path as seen from the caller's directory. `..` stays: what it means is for the kernel to
    /// say, which knows the symbolic links.
    pub(crate) fn absolute(&self, path: &Path) -> Result<PathBuf, ValueError> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        match &self.directory {
            Ok(directory) => Ok(directory.join(path).components().collect()),
            Err(why) => Err(ValueError::new(format!("no current directory: {why}"))),
        }
    }

    /// A variable of the environment, unless it is empty or missing.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.environment
            .get(name.as_ref() as &std::ffi::OsStr)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    /// Where images and volumes are kept, and what running containers need: root's places, or those
    /// of the XDG Base Directory Specification.
    pub(crate) fn places(&self) -> (PathBuf, PathBuf) {
        if self.is_root {
            return ("/var/lib/minidock".into(), DEFAULT_STATE.into());
        }
        let home = self.path("HOME").unwrap_or_else(|| "/".into());
        let data = self.path("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
        let root = data.join("minidock");
        let state = match self.path("XDG_RUNTIME_DIR") {
            Some(runtime) => runtime.join("minidock"),
            // No other place is known to be the caller's alone.
            None => root.join("run"),
        };
        (root, state)
    }

    /// `NAME=value` as the caller has it.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>, ValueError> {
        match self.environment.get(name.as_ref() as &std::ffi::OsStr) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(value) => Ok(Some(format!("{name}={value}"))),
                None => Err(ValueError::new(format!("the value of {name} is not valid UTF-8"))),
            },
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(environment: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        Self {
            directory: Ok("/home/me".into()),
            environment: environment.iter().map(pair).collect(),
            is_root: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn relative_paths_start_at_the_callers_directory() {
        let caller = Caller::for_tests(&[]);
        for (path, absolute) in [
            ("./src", "/home/me/src"),
            (".", "/home/me"),
            ("../x", "/home/me/../x"),
            ("/x/../y", "/x/../y"),
        ] {
            assert_eq!(caller.absolute(Path::new(path)).unwrap(), Path::new(absolute));
        }
    }

    #[test]
    fn without_a_directory_only_absolute_paths_work() {
        let gone = Err("gone".to_owned());
        let caller = Caller { directory: gone, ..Caller::for_tests(&[]) };
        assert!(caller.absolute(Path::new("/x")).is_ok());
        let error = caller.absolute(Path::new("x")).unwrap_err();
        assert_eq!(error.to_string(), "no current directory: gone");
    }

    #[test]
    fn everybody_has_places_of_their_own() {
        let places = |is_root, environment: &[(&str, &str)]| {
            let caller = Caller { is_root, ..Caller::for_tests(environment) };
            let (root, state) = caller.places();
            (root.display().to_string(), state.display().to_string())
        };
        let pair = |root: &str, state: &str| (root.to_owned(), state.to_owned());
        let home = ("HOME", "/home/me");
        assert_eq!(places(true, &[home]), pair("/var/lib/minidock", "/run/minidock"));
        let root = "/home/me/.local/share/minidock";
        assert_eq!(places(false, &[home]), pair(root, &format!("{root}/run")));
        let runtime = ("XDG_RUNTIME_DIR", "/run/user/1000");
        assert_eq!(places(false, &[home, runtime]), pair(root, "/run/user/1000/minidock"));
        let data = ("XDG_DATA_HOME", "/data");
        assert_eq!(places(false, &[data, runtime]).0, "/data/minidock");
    }

    #[test]
    fn a_variable_is_copied_or_nothing() {
        let mut caller = Caller::for_tests(&[("A", "1"), ("EMPTY", "")]);
        assert_eq!(caller.variable("A").unwrap().as_deref(), Some("A=1"));
        assert_eq!(caller.variable("EMPTY").unwrap().as_deref(), Some("EMPTY="));
        assert_eq!(caller.variable("B").unwrap(), None);
        assert_eq!(caller.path("EMPTY"), None);
        caller.environment.insert("RAW".into(), OsString::from_vec(vec![0xff]));
        assert_eq!(
            caller.variable("RAW").unwrap_err().to_string(),
            "the value of RAW is not valid UTF-8"
        );
    }
}
