use std::io::{self, BufWriter, IsTerminal};
use std::path::PathBuf;

use clap::{ArgAction, Parser};
use minidock_engine::{ContainerId, CopyOptions, Engine};

use super::Do;
use crate::caller::Caller;
use crate::exit::UsageError;
use crate::format::human;
use crate::output;

/// Flags of `minidock cp`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Cp {
    /// Keep owners
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link at SRC_PATH leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Say nothing when it is done
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    paths: Vec<String>,
}

/// What an argument names.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Stream,
    Host(&'a str),
    Container(&'a str, &'a str),
}

/// Docker's rule: what begins like a path is one of the host, whatever colons it has.
fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        _ if text == "-" => Place::Stream,
        _ if text.starts_with(['/', '.']) => Place::Host(text),
        Some((container, path)) if !container.is_empty() => Place::Container(container, path),
        _ => Place::Host(text),
    }
}

impl Do for Cp {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let [from, to] = self.paths.as_slice() else { return Ok(0) };
        match (place(from), place(to)) {
            (Place::Container(name, path), Place::Stream) => {
                if io::stdout().is_terminal() {
                    let message =
                        "cowardly refusing to write an archive to a terminal. Redirect it";
                    return Err(UsageError::failed(message).into());
                }
                let output = BufWriter::new(io::stdout().lock());
                engine.archive(&engine.find(name)?, (path.as_ref(), self.follow_link), output)?;
            }
            (Place::Stream, Place::Container(name, path)) => {
                let input = io::stdin().lock();
                engine.extract(&engine.find(name)?, (path.as_ref(), self.archive), input)?;
            }
            (Place::Container(name, path), Place::Host(local)) => {
                let options = self.options(path.into(), host(local)?);
                self.tell(engine.copy_out(&engine.find(name)?, &options)?, local);
            }
            (Place::Host(local), Place::Container(name, path)) => {
                let options = self.options(host(local)?, path.into());
                let id: ContainerId = engine.find(name)?;
                self.tell(engine.copy_into(&id, &options)?, to);
            }
            (Place::Container(..), Place::Container(..)) => {
                let message = "copying between containers is not supported";
                return Err(UsageError::failed(message).into());
            }
            _ => {
                let message = "must specify at least one container source";
                return Err(UsageError::failed(message).into());
            }
        }
        Ok(0)
    }
}

impl Cp {
    fn options(&self, from: PathBuf, to: PathBuf) -> CopyOptions {
        CopyOptions { from, to, keep_owner: self.archive, follow: self.follow_link }
    }

    fn tell(&self, bytes: u64, to: &str) {
        if !self.quiet {
            let (size, to) = (human::short_size(bytes), output::one_line(to));
            output::complain(&format!("Successfully copied {size} to {to}\n"));
        }
    }
}

/// A path of the host as seen from its root. How it ends means something.
fn host(path: &str) -> Result<PathBuf, UsageError> {
    let absolute = Caller::current().absolute(path.as_ref());
    let absolute = absolute.map_err(|error| UsageError::failed(error.to_string()))?;
    let end = match path {
        "." => "/.",
        path if path.ends_with("/.") => "/.",
        path if path.ends_with('/') => "/",
        _ => "",
    };
    let absolute = absolute.components().collect::<PathBuf>();
    let mut text = absolute.into_os_string();
    text.push(end);
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_places() {
        for (text, expected) in [
            ("-", Place::Stream),
            ("web:/etc", Place::Container("web", "/etc")),
            ("web:", Place::Container("web", "")),
            ("web:a:b", Place::Container("web", "a:b")),
            ("./web:x", Place::Host("./web:x")),
            ("/web:x", Place::Host("/web:x")),
            (":x", Place::Host(":x")),
            ("file", Place::Host("file")),
        ] {
            assert_eq!(place(text), expected, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_path_stays() {
        for (path, expected) in
            [("/a/b/.", "/a/b/."), ("/a/", "/a/"), ("/a/./b", "/a/b"), ("/", "//"), ("/.", "//.")]
        {
            assert_eq!(host(path).unwrap().to_str(), Some(expected), "{path}");
        }
        assert!(host(".").unwrap().to_str().unwrap().ends_with("/."));
        assert!(!host("x").unwrap().to_str().unwrap().ends_with('/'));
    }
}
