//! What a container's process is.

use minidock_engine::{Explain, PullPolicy, RestartPolicy};

use super::{ValueError, is_restricted_name};

/// `--name`. Empty: one is generated.
pub(crate) fn name(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || is_restricted_name(text) {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!(
        "invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// `-w`. Empty: the image's.
pub(crate) fn workdir(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!(
        "the working directory '{text}' is invalid, it needs to be an absolute path"
    )))
}

/// `--pull`.
pub(crate) fn pull(text: &str) -> Result<PullPolicy, ValueError> {
    match text {
        "" | "missing" => Ok(PullPolicy::Missing),
        "always" => Ok(PullPolicy::Always),
        "never" => Ok(PullPolicy::Never),
        _ => Err(ValueError::new(format!(
            "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

/// `--restart`.
pub(crate) fn restart(text: &str) -> Result<RestartPolicy, ValueError> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    match (name, count) {
        ("" | "no", None) => Ok(RestartPolicy::No),
        ("always", None) => Ok(RestartPolicy::Always),
        ("unless-stopped", None) => Ok(RestartPolicy::UnlessStopped),
        ("on-failure", None) => Ok(RestartPolicy::OnFailure(0)),
        ("on-failure", Some(count)) => match count.parse() {
            Ok(count) => Ok(RestartPolicy::OnFailure(count)),
            Err(_) => Err(ValueError::new("maximum retry count must be an integer")),
        },
        ("no" | "always" | "unless-stopped", Some(_)) => Err(ValueError::new(
            "maximum retry count cannot be used with restart policy 'no', 'always' or 'unless-stopped'",
        )),
        _ => Err(ValueError::new(format!(
            "unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        ))),
    }
}

/// A signal by name or number.
pub(crate) fn signal(text: &str) -> Result<i32, ValueError> {
    let unknown = || ValueError::new(format!("invalid signal: {text}"));
    minidock_engine::signal_number(text).ok_or_else(unknown)
}

/// `--label`; without a value it is empty.
pub(crate) fn label(text: &str) -> Result<(String, String), ValueError> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key.is_empty() {
        true => Err(ValueError::new(format!("invalid label '{text}': empty name"))),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

/// `--explain`.
pub(crate) fn explain(text: &str) -> Result<Explain, ValueError> {
    match text {
        "text" => Ok(Explain::Text),
        "json" => Ok(Explain::Json),
        "sh" => Ok(Explain::Shell),
        _ => Err(ValueError::new("must be one of \"text\", \"json\" or \"sh\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn names() {
        let bad = |name| {
            format!("invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        };
        check(
            name,
            &[("web", "web".to_owned()), ("", String::new())],
            &[("-bad", &bad("-bad")), ("a/b", &bad("a/b")), ("x", &bad("x"))],
        );
    }

    #[test]
    fn directories_are_absolute() {
        check(
            workdir,
            &[("/x", "/x".to_owned()), ("", String::new())],
            &[(
                "relative",
                "the working directory 'relative' is invalid, it needs to be an absolute path",
            )],
        );
    }

    #[test]
    fn words() {
        check(
            pull,
            &[
                ("always", PullPolicy::Always),
                ("missing", PullPolicy::Missing),
                ("never", PullPolicy::Never),
            ],
            &[(
                "maybe",
                "invalid pull option: 'maybe': must be one of \"always\", \"missing\" or \"never\"",
            )],
        );
        check(
            explain,
            &[("text", Explain::Text), ("json", Explain::Json), ("sh", Explain::Shell)],
            &[("xml", "must be one of \"text\", \"json\" or \"sh\"")],
        );
    }
}
