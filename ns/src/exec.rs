use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::{Error, sys};

/// A program to execute, with everything laid out as `execve(2)` wants it.
#[derive(Debug)]
pub struct Exec {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    argument_pointers: Vec<*const c_char>,
    environment: Vec<CString>,
    environment_pointers: Vec<*const c_char>,
}

impl Exec {
    /// Prepares to run `arguments[0]` with exactly this environment (`NAME=value` entries).
    ///
    /// A name without a slash is looked for in `path`, the value of a `PATH` variable
    /// (`execvp(3)`): in the root file system that the process has at the moment of the exec.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no program, or a string contains a NUL byte.
    pub fn new<A: AsRef<OsStr>, E: AsRef<OsStr>>(
        arguments: &[A],
        environment: &[E],
        path: &OsStr,
    ) -> Result<Self, Error> {
        let program = arguments.first().map(AsRef::as_ref).unwrap_or_default();
        let candidates = candidates(program, path)
            .into_iter()
            .map(|candidate| c_string("program", &candidate))
            .collect::<Result<_, _>>()?;
        let arguments = c_strings("argument", arguments)?;
        let environment = c_strings("environment entry", environment)?;
        Ok(Self {
            argument_pointers: pointers(&arguments),
            environment_pointers: pointers(&environment),
            candidates,
            arguments,
            environment,
        })
    }

    /// Replaces the process (`execve(2)`). Child-safe. Returns only when that failed: with
    /// `ENOENT` when no candidate exists, with `EACCES` when one exists that may not be executed.
    #[must_use]
    pub fn run(&self) -> io::Error {
        let mut result = io::Error::from_raw_os_error(libc::ENOENT);
        for candidate in &self.candidates {
            let error = sys::execve(candidate, &self.argument_pointers, &self.environment_pointers);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                // Like a shell: an unusable file does not end the search, but is what is reported
                // when nothing better is found.
                Some(libc::EACCES) => result = error,
                _ => return error,
            }
        }
        result
    }

    /// The arguments, the program's name first.
    #[must_use]
    pub fn arguments(&self) -> &[CString] {
        &self.arguments
    }

    /// The environment.
    #[must_use]
    pub fn environment(&self) -> &[CString] {
        &self.environment
    }
}

fn candidates(program: &OsStr, path: &OsStr) -> Vec<Vec<u8>> {
    let program = program.as_bytes();
    if program.is_empty() || program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    path.as_bytes()
        .split(|byte| *byte == b':')
        .map(|directory| match directory {
            // An empty entry of PATH means the working directory.
            [] => [b"./", program].concat(),
            _ => [directory, b"/", program].concat(),
        })
        .collect()
}

fn c_string(what: &'static str, bytes: &[u8]) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| Error::Invalid {
        what,
        value: String::from_utf8_lossy(bytes).into_owned(),
        why: "contains a NUL byte",
    })
}

fn c_strings<S: AsRef<OsStr>>(what: &'static str, strings: &[S]) -> Result<Vec<CString>, Error> {
    strings.iter().map(|string| c_string(what, string.as_ref().as_bytes())).collect()
}

/// The pointers stay valid when the vector of strings moves: they point to the strings' heap.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_in_path() {
        let found = candidates(OsStr::new("ls"), OsStr::new("/bin::/usr/bin"));
        assert_eq!(found, [&b"/bin/ls"[..], b"./ls", b"/usr/bin/ls"]);
    }

    #[test]
    fn a_name_with_a_slash_is_taken_as_it_is() {
        assert_eq!(candidates(OsStr::new("./a"), OsStr::new("/bin")), [b"./a"]);
        assert_eq!(candidates(OsStr::new(""), OsStr::new("/bin")), [b""]);
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let error = Exec::new(&["a\0b"], &[] as &[&str], OsStr::new("/bin")).unwrap_err();
        assert!(error.to_string().contains("NUL"), "{error}");
    }
}
