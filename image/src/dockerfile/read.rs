//! From the text of an instruction to what it says.

use super::error::did_you_mean;
use super::flags::Flags;
use super::health;
use super::heredoc::Heredoc;
use super::instruction::{
    Add, Command, Copy, FileSource, Files, FromLine, Instruction, Parsed, Run, RunCommand,
    RunNetwork,
};
use super::lines::command;
use super::mount::MountSpec;
use super::words;

const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads one instruction.
pub(super) fn instruction(
    text: &str,
    heredocs: &[Heredoc],
    escape: char,
) -> Result<Parsed, String> {
    let (word, arguments) = command(text);
    let name = word.to_ascii_uppercase();
    if !INSTRUCTIONS.contains(&name.as_str()) {
        let shown: String = word.chars().take(40).collect();
        let hint = did_you_mean(word, &INSTRUCTIONS);
        return Err(format!("unknown instruction {shown}{hint}"));
    }
    let read = match name.as_str() {
        "FROM" => return from(arguments).map(Parsed::From),
        "ADD" => Instruction::Add(add(arguments, heredocs)?),
        "COPY" => Instruction::Copy(copy(arguments, heredocs)?),
        "RUN" => Instruction::Run(run(arguments, heredocs)?),
        "HEALTHCHECK" => Instruction::Healthcheck(health::read(arguments)?),
        "ONBUILD" => Instruction::Onbuild(onbuild(arguments, heredocs, escape)?),
        _ => simple(&name, arguments, escape)?,
    };
    Ok(Parsed::Instruction(read))
}

/// The instructions without flags.
fn simple(name: &str, arguments: &str, escape: char) -> Result<Instruction, String> {
    let (_, rest) = Flags::read(name, &[], arguments)?;
    let rest = rest.trim();
    if rest.is_empty() {
        return Err(format!("{name} needs an argument"));
    }
    let text = || rest.to_owned();
    Ok(match name {
        "ARG" => Instruction::Arg(arg(rest, escape)?),
        "CMD" => Instruction::Cmd(form(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(form(rest)?),
        "ENV" => Instruction::Env(pairs(name, rest, escape)?),
        "EXPOSE" => Instruction::Expose(rest.split_whitespace().map(str::to_owned).collect()),
        "LABEL" => Instruction::Label(pairs(name, rest, escape)?),
        "MAINTAINER" => Instruction::Maintainer(text()),
        "SHELL" => match words::json(rest)? {
            Some(words) if words.is_empty() => {
                return Err("SHELL needs a program".to_owned());
            }
            Some(words) => Instruction::Shell(words),
            None => return Err("SHELL takes a JSON array: [\"program\", \"argument\"]".to_owned()),
        },
        "STOPSIGNAL" => Instruction::Stopsignal(text()),
        "USER" => Instruction::User(text()),
        "VOLUME" => Instruction::Volume(list(rest)?),
        "WORKDIR" => Instruction::Workdir(text()),
        other => return Err(format!("unknown instruction {other}")),
    })
}

/// The exec form or the shell form.
pub(super) fn form(text: &str) -> Result<Command, String> {
    Ok(match words::json(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_owned()),
    })
}

/// A JSON array, or words; at least one, and none empty.
fn list(text: &str) -> Result<Vec<String>, String> {
    let words = match words::json(text)? {
        Some(words) => words,
        None => text.split_whitespace().map(str::to_owned).collect(),
    };
    match words.is_empty() || words.iter().any(String::is_empty) {
        true => Err("an empty name in the list".to_owned()),
        false => Ok(words),
    }
}

/// Words whose quotes are closed.
fn closed(text: &str, escape: char) -> Result<Vec<&str>, String> {
    match words::split(text, escape) {
        (words, true) => Ok(words),
        _ => Err("a quote is not closed".to_owned()),
    }
}

fn arg(text: &str, escape: char) -> Result<Vec<(String, Option<String>)>, String> {
    let words = closed(text, escape)?.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => Err("ARG has no name before the =".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word.to_owned(), None)),
    });
    words.collect()
}

/// `NAME=value …`, or the old form `NAME value with spaces`.
fn pairs(name: &str, text: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = words::split(text, escape).0;
    if !words.first().is_some_and(|word| word.contains('=')) {
        let (key, value) = command(text);
        return match value.is_empty() {
            true => Err(format!("{name} needs a name and a value: {name} {key}=value")),
            false => Ok(vec![(key.to_owned(), value.to_owned())]),
        };
    }
    let pairs = closed(text, escape)?.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => Err(format!("{name} has no name before the =")),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("there is no = in {word:?}: {name} takes NAME=value")),
    });
    pairs.collect()
}

fn from(arguments: &str) -> Result<FromLine, String> {
    let (mut flags, rest) = Flags::read("FROM", &["platform"], arguments)?;
    let platform = flags.one("platform")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words.as_slice() {
        [image] => (image, None),
        [image, word, name] if word.eq_ignore_ascii_case("AS") => (image, Some(*name)),
        [] => return Err("FROM needs an image".to_owned()),
        _ => return Err("FROM takes an image, or IMAGE AS NAME".to_owned()),
    };
    Ok(FromLine { image: (*image).to_owned(), name: name.map(stage_name).transpose()?, platform })
}

/// Names that mean something else already.
const RESERVED: [&str; 2] = ["scratch", "context"];

fn stage_name(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Err(format!(
            "invalid name of a stage {text:?}: it begins with a letter and has letters, digits, - _ ."
        ));
    }
    match RESERVED.contains(&name.as_str()) {
        true => Err(format!("the name {text} is reserved: a stage cannot have it")),
        false => Ok(name),
    }
}

fn run(arguments: &str, heredocs: &[Heredoc]) -> Result<Run, String> {
    let (mut flags, rest) = Flags::read("RUN", &["mount", "network", "security"], arguments)?;
    let specs =
        flags.all("mount")?.iter().map(|text| MountSpec::new(text)).collect::<Result<_, _>>();
    let network = match flags.one("network")?.as_deref() {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(format!("--network is default, none or host, not {other:?}")),
    };
    let insecure = match flags.one("security")?.as_deref() {
        None | Some("sandbox") => false,
        Some("insecure") => true,
        Some(other) => return Err(format!("--security is sandbox or insecure, not {other:?}")),
    };
    let command = run_command(rest.trim(), heredocs)?;
    Ok(Run { command, mounts: Vec::new(), network, insecure, specs: specs? })
}

/// A heredoc alone is the script; one among words is for the shell, which gets it as it stands.
fn run_command(text: &str, heredocs: &[Heredoc]) -> Result<RunCommand, String> {
    if text.is_empty() {
        return Err("RUN needs a command".to_owned());
    }
    match (heredocs, words::json(text)?) {
        ([], Some(words)) if words.is_empty() => Err("RUN needs a command".to_owned()),
        ([], Some(words)) => Ok(RunCommand::Exec(words)),
        ([], None) => Ok(RunCommand::Shell(text.to_owned())),
        ([heredoc], _) if Heredoc::announced(text).is_some() => {
            let text = heredoc.text();
            Ok(match text.starts_with("#!") {
                true => RunCommand::Script { name: heredoc.name.clone(), text },
                false => RunCommand::Shell(text),
            })
        }
        (heredocs, _) => Ok(RunCommand::Shell(with_heredocs(text, heredocs))),
    }
}

/// The text with its heredocs below it, as they stand in the file.
fn with_heredocs(text: &str, heredocs: &[Heredoc]) -> String {
    let below = heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.content, heredoc.name));
    [text.to_owned()].into_iter().chain(below).collect()
}

fn copy(arguments: &str, heredocs: &[Heredoc]) -> Result<Copy, String> {
    let known = ["from", "chown", "chmod", "link", "parents", "exclude"];
    let (mut flags, rest) = Flags::read("COPY", &known, arguments)?;
    let from = flags.one("from")?;
    if from.as_ref().is_some_and(|from| from.contains('$')) {
        return Err("--from takes no variables: name a stage FROM $VARIABLE AS NAME and use that"
            .to_owned());
    }
    let parents = flags.switch("parents")?.unwrap_or(false);
    let files = files("COPY", &mut flags, rest, heredocs)?;
    if from.is_some() && files.sources.iter().any(|source| matches!(source, FileSource::Text(_))) {
        return Err("a heredoc is not taken from another stage: --from excludes it".to_owned());
    }
    Ok(Copy { files, from, parents })
}

fn add(arguments: &str, heredocs: &[Heredoc]) -> Result<Add, String> {
    let known = ["keep-git-dir", "checksum", "chown", "chmod", "link", "exclude", "unpack"];
    let (mut flags, rest) = Flags::read("ADD", &known, arguments)?;
    Ok(Add {
        checksum: flags.one("checksum")?,
        keep_git_dir: flags.switch("keep-git-dir")?.unwrap_or(false),
        unpack: flags.switch("unpack")?,
        files: files("ADD", &mut flags, rest, heredocs)?,
    })
}

fn files(name: &str, flags: &mut Flags, rest: &str, heredocs: &[Heredoc]) -> Result<Files, String> {
    let mut words = list(rest).map_err(|error| match rest.trim().is_empty() {
        true => format!("{name} needs a source and a destination"),
        false => error,
    })?;
    let destination = words.pop().filter(|_| !words.is_empty());
    let destination =
        destination.ok_or_else(|| format!("{name} needs a source and a destination"))?;
    let is_heredoc = |word: &str| !heredocs.is_empty() && Heredoc::announced(word).is_some();
    if is_heredoc(&destination) {
        return Err(format!("{name} cannot have a heredoc as its destination"));
    }
    let mut texts = heredocs.iter();
    let mut sources = Vec::new();
    for word in words {
        sources.push(match is_heredoc(&word) {
            true => FileSource::Text(named(texts.next())?),
            false => FileSource::Path(word),
        });
    }
    if texts.next().is_some() {
        return Err(format!("{name} has a heredoc that is none of its sources"));
    }
    Ok(Files {
        sources,
        destination,
        chown: flags.one("chown")?,
        chmod: flags.one("chmod")?,
        link: flags.switch("link")?.unwrap_or(false),
        exclude: flags.all("exclude")?,
    })
}

/// A heredoc whose name can be that of a file.
fn named(heredoc: Option<&Heredoc>) -> Result<Heredoc, String> {
    let heredoc = heredoc.ok_or("a heredoc has a quoted space in its name")?;
    match heredoc.name.contains('/') || heredoc.name == "." || heredoc.name == ".." {
        true => Err(format!("a file cannot be called {}", heredoc.name)),
        false => Ok(heredoc.clone()),
    }
}

/// Checked here, and read again when it is triggered.
fn onbuild(arguments: &str, heredocs: &[Heredoc], escape: char) -> Result<String, String> {
    let (_, rest) = Flags::read("ONBUILD", &[], arguments)?;
    let trigger = command(rest).0.to_ascii_uppercase();
    match trigger.as_str() {
        "" => Err("ONBUILD needs an instruction".to_owned()),
        "ONBUILD" => Err("ONBUILD ONBUILD is not allowed".to_owned()),
        "FROM" | "MAINTAINER" => Err(format!("ONBUILD {trigger} is not allowed")),
        _ => {
            instruction(rest, heredocs, escape)?;
            Ok(with_heredocs(rest, heredocs))
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
