//! `minidock login` and `minidock logout`.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::{Context, anyhow, bail};
use clap::{ArgAction, Parser};
use minidock_engine::{DEFAULT_REGISTRY, Engine};
use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{self, LocalFlags, SetArg};

use super::Do;
use crate::exit::UsageError;
use crate::output;

/// Flags of `minidock login`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Login {
    /// Log in as this user
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Take this password, which others on this host may see
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    server: Vec<String>,
}

/// More than any password or token has, in bytes.
const LONGEST: u64 = 64 << 10;
/// What a terminal sends for ^C, ^D, backspace (two kinds), ^U and ^\.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];
const ERASE: u8 = 21;
const QUIT: u8 = 28;

impl Do for Login {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let registry = registry(&self.server);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (user, password) = (given(self.username), given(self.password));
        let password = match (password, self.password_stdin) {
            (Some(_), true) => {
                let why = "--password and --password-stdin are mutually exclusive";
                return Err(UsageError::failed(why).into());
            }
            (None, true) if user.is_none() => {
                let why = "Must provide --username with --password-stdin";
                return Err(UsageError::failed(why).into());
            }
            (None, true) => Some(from_stdin()?),
            (Some(password), false) => {
                let warning =
                    "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n";
                output::complain(warning);
                Some(password)
            }
            (None, false) => None,
        };
        if (user.is_none() || password.is_none()) && !io::stdin().is_terminal() {
            let why = "Cannot perform an interactive login from a non TTY device";
            return Err(UsageError::failed(why).into());
        }
        let user = user.map_or_else(|| asked("Username: "), Ok)?;
        let password = password.map_or_else(|| hidden("Password: "), Ok)?;
        if user.is_empty() || password.is_empty() {
            bail!("username and password are required");
        }
        engine.login(registry, &user, &password)?;
        output::print("Login Succeeded\n")
    }
}

fn registry(server: &[String]) -> &str {
    // As people copy it from their browser.
    let server = server.first().map_or("", String::as_str);
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"));
    match bare.unwrap_or(server).split('/').next().unwrap_or_default() {
        "" | "index.docker.io" => DEFAULT_REGISTRY,
        host => host,
    }
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.context("cannot read the password from standard input")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn asked(prompt: &str) -> anyhow::Result<String> {
    output::print(prompt)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read from the terminal")?;
    Ok(line.trim().to_owned())
}

/// Asks for what nobody is to see. The terminal is as before whatever is typed: its signals are keys
/// meanwhile.
fn hidden(prompt: &str) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let before = termios::tcgetattr(&stdin).context("cannot ask the terminal")?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
    let set = |mode| {
        termios::tcsetattr(&stdin, SetArg::TCSAFLUSH, mode).context("cannot set the terminal")
    };
    set(&silent)?;
    // Only now: who sees it may type.
    let line = output::print(prompt).and_then(|_| line(stdin.lock()));
    set(&before)?;
    output::print("\n")?;
    match line? {
        Typed::Line(line) => String::from_utf8(line).map_err(|_| anyhow!("it is not valid UTF-8")),
        Typed::Signal(signal) => {
            raise(signal).context("cannot end this process")?;
            bail!("interrupted")
        }
    }
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(Vec<u8>),
    Signal(Signal),
}

fn line(input: impl BufRead) -> anyhow::Result<Typed> {
    let mut line = Vec::new();
    for byte in input.take(LONGEST).bytes() {
        match byte.context("cannot read from the terminal")? {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Ok(Typed::Signal(Signal::SIGINT)),
            QUIT => return Ok(Typed::Signal(Signal::SIGQUIT)),
            ERASE => line.clear(),
            byte if BACKSPACE.contains(&byte) => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    Ok(Typed::Line(line))
}

/// Arguments of `minidock logout`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Logout {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    server: Vec<String>,
}

impl Do for Logout {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let registry = registry(&self.server);
        output::print(&match engine.logout(registry)? {
            true => format!("Removing login credentials for {registry}\n"),
            false => format!("Not logged in to {registry}\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_edited_unseen() {
        let typed = |text: &[u8]| line(text).unwrap();
        assert_eq!(typed(b"abc\x7f\x08d\nrest"), Typed::Line(b"ad".to_vec()));
        assert_eq!(typed(b"abc\x15xy\r"), Typed::Line(b"xy".to_vec()));
        assert_eq!(typed(b"ab\x04"), Typed::Line(b"ab".to_vec()));
        assert_eq!(typed(b"ab\x03"), Typed::Signal(Signal::SIGINT));
    }

    #[test]
    fn a_server_is_named_as_people_do() {
        let named = |text: &str| registry(&[text.to_owned()]).to_owned();
        assert_eq!(registry(&[]), "docker.io");
        assert_eq!(named("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(named("localhost:5000"), "localhost:5000");
    }
}
