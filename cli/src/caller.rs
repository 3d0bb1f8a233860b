use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::values::{ValueError, in_words};

/// What a command line means different things in: the caller's directory and environment.
#[derive(Debug)]
pub(crate) struct Caller {
    directory: Result<PathBuf, String>,
    environment: HashMap<OsString, OsString>,
}

impl Caller {
    pub(crate) fn current() -> Self {
        let directory = env::current_dir().map_err(|error| in_words(&error));
        Self { directory, environment: env::vars_os().collect() }
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
        let caller = Caller { directory: Err("gone".to_owned()), environment: HashMap::new() };
        assert!(caller.absolute(Path::new("/x")).is_ok());
        let error = caller.absolute(Path::new("x")).unwrap_err();
        assert_eq!(error.to_string(), "no current directory: gone");
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
