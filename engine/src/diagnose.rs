//! Why a program could not be executed: the errno, and what the file itself says.

use std::path::{Path, PathBuf};

use minidock_fs::{Kind as FileKind, Root};

use crate::error::{Error, Kind};
use crate::plan::Program;

/// Enough for the first line of a script and the head of an ELF file.
const HEAD: usize = 256;

/// No program that is looked at here is larger.
const PROGRAM_LIMIT: u64 = 256 << 20;

/// The root file system in which a program was to be executed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tree<'a> {
    /// Directories of the host, the uppermost layer first.
    At(&'a [PathBuf]),
    /// The root of a container that runs.
    Open(&'a Root),
}

impl Tree<'_> {
    fn find(&self, program: &Program) -> Option<Found> {
        match self {
            Self::At(layers) => Root::of_layers(layers).ok().and_then(|root| find(&root, program)),
            Self::Open(root) => find(root, program),
        }
    }
}

/// A working directory that is not there, or cannot be entered: docker's words, and the exit codes
/// of a program.
pub(crate) fn working_directory(program: &Program, errno: i32) -> Error {
    let directory = program.directory.display();
    let words = crate::error::in_words(&std::io::Error::from_raw_os_error(errno));
    let kind = match errno {
        libc::ENOENT => Kind::NotFound,
        _ => Kind::NotExecutable,
    };
    Error::new(format!("chdir to cwd (\"{directory}\") failed: {words}")).kind(kind)
}

/// Turns the errno of `execve(2)` into docker's words, its exit code and a cause.
pub(crate) fn execution(tree: Tree<'_>, program: &Program, errno: i32) -> Error {
    let name = program.name();
    let found = tree.find(program);
    let error = |kind, why: &str| Error::new(format!("exec: \"{name}\": {why}")).kind(kind);
    match (errno, found) {
        (libc::ENOENT, None) if !name.contains('/') => {
            error(Kind::NotFound, "executable file not found in $PATH")
                .hint(format!("looked for in {}", program.path()))
        }
        (libc::ENOENT | libc::ENOTDIR, None) => {
            error(Kind::NotFound, &format!("stat {name}: no such file or directory"))
        }
        // The file is there: what it needs to run is not.
        (libc::ENOENT, Some(file)) => {
            let error = error(Kind::NotFound, "no such file or directory");
            match file.interpreter() {
                Some(interpreter) if interpreter.ends_with('\r') => error.hint(
                    "its first line ends in a carriage return (CRLF): convert it to Unix line ends",
                ),
                Some(interpreter) => {
                    error.hint(format!("it needs {interpreter}, which the image does not have"))
                }
                None => error.hint("its dynamic linker is not in the image"),
            }
        }
        (libc::EACCES, Some(file)) if file.kind == FileKind::Directory => {
            error(Kind::NotExecutable, "is a directory: permission denied")
        }
        (libc::EACCES, Some(_)) => error(Kind::NotExecutable, "permission denied")
            .hint("the file is not executable by this user, or lies on a noexec mount"),
        (libc::ENOEXEC, Some(file)) => error(Kind::NotExecutable, "exec format error").hint(
            file.format_hint().unwrap_or("it is neither a program nor a script with a #! line"),
        ),
        (errno, _) => {
            let words = crate::error::in_words(&std::io::Error::from_raw_os_error(errno));
            error(Kind::NotExecutable, &words)
        }
    }
}

/// A program that would be a file of the host: `/proc/self/exe` is still the engine's own.
pub(crate) fn magic_link(program: &Program) -> Error {
    let name = program.name();
    Error::new(format!("exec: \"{name}\": leads through a magic link of /proc"))
        .kind(Kind::NotExecutable)
        .hint("name a file of the container, and an interpreter that is one")
}

/// A file that was to be executed.
struct Found {
    kind: FileKind,
    head: Vec<u8>,
}

fn find(root: &Root, program: &Program) -> Option<Found> {
    let name = program.name();
    let candidates: Vec<PathBuf> = match name.contains('/') {
        true => vec![Path::new("/").join(name)],
        false => {
            program.path().split(':').map(|directory| Path::new(directory).join(name)).collect()
        }
    };
    candidates.iter().find_map(|path| {
        let entry = root.lookup(path).ok().flatten()?;
        let head = match entry.kind {
            FileKind::File => root.read_file(path, PROGRAM_LIMIT).unwrap_or_default(),
            _ => Vec::new(),
        };
        Some(Found { kind: entry.kind, head: head.into_iter().take(HEAD).collect() })
    })
}

impl Found {
    /// What stands behind `#!`.
    fn interpreter(&self) -> Option<String> {
        let line = self.head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        Some(line.trim_start().split(' ').next().unwrap_or_default().to_owned())
    }

    /// Another machine's program (`elf(5)`).
    fn format_hint(&self) -> Option<&'static str> {
        let machine = self.head.starts_with(b"\x7fELF").then(|| self.head.get(18..20)).flatten()?;
        Some(match machine {
            [0x3e, 0] => "it is a damaged program for x86_64",
            [0xb7, 0] => "it is a program for aarch64, and this is another machine",
            [0x28, 0] => "it is a program for 32-bit ARM, and this is another machine",
            [0xf3, 0] => "it is a program for RISC-V, and this is another machine",
            _ => "it is a program for another machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn program(name: &str) -> Program {
        Program {
            arguments: vec![name.to_owned()],
            environment: vec!["PATH=/bin:/usr/bin".to_owned()],
            directory: "/".into(),
        }
    }

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("bin")).unwrap();
        std::fs::write(tree.path().join("bin/script"), "#!/no/shell -e\n").unwrap();
        std::fs::write(tree.path().join("bin/crlf"), "#!/bin/sh\r\n").unwrap();
        let arm = [b"\x7fELF".as_slice(), &[0; 14], &[0xb7, 0]].concat();
        std::fs::write(tree.path().join("bin/arm"), arm).unwrap();
        symlink("/etc/passwd", tree.path().join("bin/out")).unwrap();
        tree
    }

    #[test]
    fn a_missing_command_is_127() {
        let error = execution(Tree::At(&[tree().path().into()]), &program("nosuch"), libc::ENOENT);
        assert_eq!(error.to_string(), "exec: \"nosuch\": executable file not found in $PATH");
        assert_eq!(error.exit_code(), 127);
        let error =
            execution(Tree::At(&[tree().path().into()]), &program("/no/such"), libc::ENOENT);
        assert_eq!(error.exit_code(), 127);
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_followed() {
        let error =
            execution(Tree::At(&[tree().path().into()]), &program("/bin/out"), libc::ENOENT);
        assert!(error.to_string().contains("no such file"), "{error}");
    }

    #[test]
    fn the_cause_is_in_the_file() {
        let tree = tree();
        let hint = |name, errno| {
            execution(Tree::At(&[tree.path().into()]), &program(name), errno)
                .advice()
                .unwrap_or_default()
                .to_owned()
        };
        assert!(hint("script", libc::ENOENT).contains("/no/shell"));
        assert!(hint("crlf", libc::ENOENT).contains("CRLF"));
        assert!(hint("arm", libc::ENOEXEC).contains("aarch64"));
    }

    #[test]
    fn a_directory_is_126() {
        let error = execution(Tree::At(&[tree().path().into()]), &program("/bin"), libc::EACCES);
        assert!(error.to_string().contains("is a directory"), "{error}");
        assert_eq!(error.exit_code(), 126);
    }
}
