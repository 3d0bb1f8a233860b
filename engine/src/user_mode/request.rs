//! Asking slirp4netns for ports, at its socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::Connector;
use super::command::SOCKET;
use crate::Error;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for all of them, one after the other. `state` is the container's state directory.
pub(super) fn all(connector: &Connector, state: &File) -> Result<(), Error> {
    // The name of a socket may not be long.
    let path = format!("/proc/self/fd/{}/{SOCKET}", state.as_raw_fd());
    connector.requests.iter().try_for_each(|request| {
        let answer = ask(&path, request).map_err(|error| {
            let late = io::Error::other(format!("it has not answered for {PATIENCE:?}"));
            let error = if error.kind() == io::ErrorKind::WouldBlock { late } else { error };
            Error::io("ask", format!("{} for a port", connector.mode), &error)
        })?;
        understand(&answer).map_err(|why| {
            Error::new(format!("cannot publish a port: {} says: {why}", connector.mode))
        })
    })
}

fn ask(path: &str, request: &str) -> io::Result<String> {
    let mut socket = UnixStream::connect(path)?;
    // It answers at once, unless it is stopped: a start is not to wait for that for ever.
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(request.as_bytes())?;
    // It answers when nothing more can come.
    socket.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// `{"return": {…}}`, or `{"error": {"desc": "…"}}`.
fn understand(answer: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    match (value.get("error"), value.get("return")) {
        (None, Some(_)) => Ok(()),
        (Some(error), _) => {
            let why = error.get("desc").and_then(Value::as_str).map(str::to_owned);
            Err(why.unwrap_or_else(|| error.to_string()).escape_debug().to_string())
        }
        (None, None) => Err(answer.escape_debug().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        assert_eq!(understand(r#"{"return": {"id": 1}}"#), Ok(()));
        let refused = r#"{"error": {"desc": "bad request: add_hostfwd: in use"}}"#;
        assert_eq!(understand(refused), Err("bad request: add_hostfwd: in use".to_owned()));
        for other in ["{}", "", "{\"error\": 1}", "\u{1b}"] {
            assert!(understand(other).is_err(), "{other}");
        }
    }
}
