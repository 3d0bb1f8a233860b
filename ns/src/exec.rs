use std::ffi::{CStr, CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::{Error, sys};

#[allow(unsafe_code)]
#[path = "exec/sys.rs"]
mod look;

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

    /// The system calls that [`Exec::check`] may make.
    pub const CHECK_SYSCALLS: &[&str] = &["openat2", "fstat", "newfstatat", "read", "close"];

    /// Looks for magic links (`proc(5)`, such as `/proc/self/exe`) on the way to the program, or to
    /// the interpreter that a script names. Right before its exec this process is still a copy of
    /// its parent, so that such a link would lead to the parent's own program: whoever executes
    /// that from inside a container holds on to a file of the host (CVE-2019-5736). Child-safe.
    ///
    /// What changes between this and the exec is not seen.
    ///
    /// # Errors
    /// `ELOOP` for a magic link. Everything else that may be wrong is for the exec to say.
    pub fn check(&self) -> io::Result<()> {
        self.candidates.iter().try_for_each(|candidate| check(candidate))
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

/// How many scripts may be the interpreters of one another: the kernel takes no more.
const INTERPRETERS: usize = 5;

/// How much of a script's first line the kernel looks at, `BINPRM_BUF_SIZE`.
const HEAD: usize = 256;

fn check(program: &CStr) -> io::Result<()> {
    let mut head = [0; HEAD];
    let mut name = [0; HEAD];
    let mut next = program;
    for _ in 0..=INTERPRETERS {
        match look::read_head(next, &mut head) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(error),
            // Not there, no regular file, or nothing that this user may read.
            Err(_) => return Ok(()),
            Ok(length) => match interpreter(head.get(..length).unwrap_or_default(), &mut name) {
                Some(interpreter) => next = interpreter,
                None => return Ok(()),
            },
        }
    }
    Ok(())
}

/// The program that a script's first line names, as the kernel reads it.
fn interpreter<'a>(head: &[u8], name: &'a mut [u8; HEAD]) -> Option<&'a CStr> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = head.strip_prefix(b"#!")?;
    let start = line.iter().position(|byte| !blank(byte))?;
    let word = line.get(start..)?;
    let end = word.iter().position(|byte| blank(byte) || matches!(byte, b'\n' | 0));
    let word = word.get(..end.unwrap_or(word.len()))?;
    *name = [0; HEAD];
    name.get_mut(..word.len())?.copy_from_slice(word);
    CStr::from_bytes_until_nul(name).ok().filter(|name| !name.is_empty())
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
    fn a_script_names_its_interpreter() {
        let mut name = [0; HEAD];
        for (head, expected) in [
            (&b"#!/bin/sh\nx"[..], Some("/bin/sh")),
            (b"#! \t/bin/sh -e\n", Some("/bin/sh")),
            (b"#!/proc/self/exe", Some("/proc/self/exe")),
            (b"#!/bin/sh\r\n", Some("/bin/sh\r")),
            (b"#!\n", None),
            (b"#!", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            let found = interpreter(head, &mut name).map(|name| name.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn magic_links_are_no_programs() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name).display().to_string();
        let checked = |program: &str| {
            let exec = Exec::new(&[program], &[] as &[&str], OsStr::new("/bin")).unwrap();
            exec.check().map_err(|error| error.raw_os_error())
        };
        std::os::unix::fs::symlink("/proc/self/exe", place("link")).unwrap();
        std::fs::write(place("script"), "#!/proc/self/exe --help\n").unwrap();
        std::fs::write(place("indirect"), format!("#! {}\n", place("script"))).unwrap();
        std::fs::write(place("plain"), "#!/bin/sh\n").unwrap();
        for bad in ["link", "script", "indirect"] {
            assert_eq!(checked(&place(bad)), Err(Some(libc::ELOOP)), "{bad}");
        }
        for good in [&place("plain"), &place("missing"), "sh", "/bin/sh", "/dev/null", "/"] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let error = Exec::new(&["a\0b"], &[] as &[&str], OsStr::new("/bin")).unwrap_err();
        assert!(error.to_string().contains("NUL"), "{error}");
    }
}
