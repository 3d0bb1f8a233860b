//! Programs that keep credentials: `docker-credential-NAME`, of which docker's files name one.
//!
//! They are the only programs that are executed here. A caller who names none in these files
//! executes none.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a helper could not do.
#[derive(Debug, thiserror::Error)]
#[error("docker-credential-{name} {verb}: {cause}")]
pub struct HelperError {
    name: String,
    verb: &'static str,
    cause: HelperErrorCause,
}

#[derive(Debug, thiserror::Error)]
enum HelperErrorCause {
    #[error("not the name of a program")]
    Name,
    #[error("cannot be executed: {0}")]
    Execute(io::Error),
    #[error("{0}")]
    Talk(io::Error),
    #[error("gave no answer within {} s", .0.as_secs())]
    Time(Duration),
    #[error("its answer is larger than {MAX_OUTPUT} bytes")]
    Large,
    #[error("its answer is not understood: {0}")]
    Answer(serde_json::Error),
    #[error("failed: {0}")]
    Failed(String),
}

/// No token is so long.
const MAX_OUTPUT: u64 = 256 * 1024;
/// It may ask somebody for the key to its store.
const LIMIT: Duration = Duration::from_secs(60);

/// The helper of this name, as docker's files call it: `pass`, `secretservice`.
#[derive(Debug)]
pub(super) struct Helper<'a> {
    name: &'a str,
    /// Where it is, if not in a directory of PATH.
    dir: Option<&'a Path>,
    limit: Duration,
}

/// What helpers take and give. The names are docker's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Kept {
    #[serde(default, rename = "ServerURL")]
    pub(super) server_url: String,
    pub(super) username: String,
    pub(super) secret: String,
}

impl<'a> Helper<'a> {
    pub(super) fn new(name: &'a str, dir: Option<&'a Path>) -> Self {
        Self { name, dir, limit: LIMIT }
    }

    /// What it keeps for a server, if it keeps something.
    pub(super) fn get(&self, server: &str) -> Result<Option<Kept>, HelperError> {
        let verb = "get";
        let (success, output) = self.run(verb, server.as_bytes())?;
        if success {
            let answer = serde_json::from_slice(&output);
            return answer.map(Some).map_err(|why| self.error(verb, HelperErrorCause::Answer(why)));
        }
        let text = String::from_utf8_lossy(&output);
        // The only way in which they say so.
        match text.contains("credentials not found") {
            true => Ok(None),
            false => {
                Err(self.error(verb, HelperErrorCause::Failed(super::error::clean(&text, 200))))
            }
        }
    }

    pub(super) fn store(&self, kept: &Kept) -> Result<(), HelperError> {
        let verb = "store";
        let input = serde_json::to_vec(kept)
            .map_err(|why| self.error(verb, HelperErrorCause::Talk(why.into())))?;
        self.change(verb, &input)
    }

    /// What is not there is no error.
    pub(super) fn erase(&self, server: &str) -> Result<(), HelperError> {
        match self.get(server)? {
            Some(_) => self.change("erase", server.as_bytes()),
            None => Ok(()),
        }
    }

    fn change(&self, verb: &'static str, input: &[u8]) -> Result<(), HelperError> {
        let (success, output) = self.run(verb, input)?;
        let text = super::error::clean(&String::from_utf8_lossy(&output), 200);
        match success {
            true => Ok(()),
            false => Err(self.error(verb, HelperErrorCause::Failed(text))),
        }
    }

    fn error(&self, verb: &'static str, cause: HelperErrorCause) -> HelperError {
        HelperError { name: super::error::clean(self.name, 100), verb, cause }
    }

    /// Whether it succeeded, and what it wrote.
    fn run(&self, verb: &'static str, input: &[u8]) -> Result<(bool, Vec<u8>), HelperError> {
        let error = |cause| self.error(verb, cause);
        // Without a slash it is looked up in PATH, and nowhere else.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_plain) {
            return Err(error(HelperErrorCause::Name));
        }
        let program = PathBuf::from(format!("docker-credential-{}", self.name));
        let program = self.dir.map_or(program.clone(), |dir| dir.join(&program));
        let mut child = Command::new(program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| error(HelperErrorCause::Execute(why)))?;
        let output = talk(&mut child, input, self.limit);
        // One that has closed its output may still go on: it has had its time.
        let ended = match &output {
            Ok(_) => ended(&mut child, self.limit),
            Err(_) => None,
        };
        if ended.is_none() {
            child.kill().map_err(|why| error(HelperErrorCause::Talk(why)))?;
            child.wait().map_err(|why| error(HelperErrorCause::Talk(why)))?;
        }
        let output = output.map_err(error)?;
        let success = ended.ok_or_else(|| error(HelperErrorCause::Time(self.limit)))?;
        Ok((success, output))
    }
}

/// Gives it `input` and takes its output, up to the end of it.
///
/// The threads are not waited for when the time is over: a child of the helper's may hold the pipes
/// open.
fn talk(child: &mut Child, input: &[u8], limit: Duration) -> Result<Vec<u8>, HelperErrorCause> {
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // One that does not read its input says in its output why, or by its end.
        drop(thread::spawn(move || stdin.write_all(&input)));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    if let Some(stdout) = child.stdout.take() {
        drop(thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output);
            drop(sender.send(read.map(|_| output)));
        }));
    }
    let output = receiver.recv_timeout(limit).map_err(|_| HelperErrorCause::Time(limit))?;
    let output = output.map_err(HelperErrorCause::Talk)?;
    match output.len() as u64 > MAX_OUTPUT {
        true => Err(HelperErrorCause::Large),
        false => Ok(output),
    }
}

/// Whether it has ended well, when it ends in time.
fn ended(child: &mut Child, limit: Duration) -> Option<bool> {
    let step = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if waited < limit => {
                thread::sleep(step);
                waited += step;
            }
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A helper that is this script. A shell writes the file: while we had it open for writing, a
    /// child of another test could hold it open too, and then it could not be executed.
    pub(in super::super) fn install(dir: &Path, name: &str, script: &str) {
        let file = dir.join(format!("docker-credential-{name}"));
        let write = "printf '%s\n' '#!/bin/sh' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let args = ["-c".as_ref(), write.as_ref(), file.as_os_str(), script.as_ref()];
        assert!(Command::new("/bin/sh").args(args).status().unwrap().success());
    }

    #[test]
    fn only_a_plain_name_is_executed() {
        for name in ["", "../x", "a/b", "a b", "a\0b"] {
            let error = Helper::new(name, None).get("host").err().unwrap();
            assert!(error.to_string().ends_with("not the name of a program"), "{error}");
        }
        let missing = Helper::new("of-minidock-s-tests", None).get("host").err().unwrap();
        assert!(missing.to_string().contains("cannot be executed"), "{missing}");
    }

    #[test]
    fn what_a_helper_says_is_bounded_and_understood() {
        let dir = tempfile::tempdir().unwrap();
        let get = |name, script| {
            install(dir.path(), name, script);
            Helper::new(name, Some(dir.path())).get("host.example")
        };
        let echo =
            r#"read -r url; echo "{\"ServerURL\":\"$url\",\"Username\":\"me\",\"Secret\":\"$1\"}""#;
        let kept = get("echo", echo).unwrap().unwrap();
        assert_eq!((kept.server_url.as_str(), kept.username.as_str()), ("host.example", "me"));
        assert_eq!(kept.secret, "get");
        assert!(
            get("none", "echo credentials not found in native keychain; exit 1").unwrap().is_none()
        );
        let error = |name, script| get(name, script).err().unwrap().to_string();
        assert!(error("broken", "echo locked; exit 1").ends_with("failed: locked"));
        assert!(error("odd", "echo hello").contains("not understood"));
        assert!(error("large", "exec cat /dev/zero").contains("larger than 262144 bytes"));
    }

    #[test]
    fn a_helper_that_hangs_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in [("hangs", "exec sleep 1000"), ("closes", "exec >&- sleep 1000")] {
            install(dir.path(), name, script);
            let helper = Helper { name, dir: Some(dir.path()), limit: Duration::from_millis(100) };
            let error = helper.get("host").err().unwrap().to_string();
            assert!(error.contains("no answer within"), "{error}");
        }
    }
}
