//! Which words of an instruction have variables, and what their values must be.

use super::expand::Expander;
use super::instruction::{Add, Copy, FileSource, Files, Instruction, Run};
use super::values;
use crate::Digest;

type Pairs = Vec<(String, String)>;

/// The instruction with its values. Programs and triggers stay as they are: the shell, and a later
/// build, put the variables in.
pub(super) fn instruction(
    instruction: &Instruction,
    expander: &mut Expander<'_, '_>,
) -> Result<Instruction, String> {
    let filled = |name: &str, text: String| match text.is_empty() {
        true => Err(format!("the argument of {name} is empty")),
        false => Ok(text),
    };
    Ok(match instruction {
        Instruction::Add(add) => Instruction::Add(self::add(add, expander)?),
        Instruction::Copy(copy) => Instruction::Copy(Copy {
            files: files(&copy.files, expander)?,
            from: copy.from.clone(),
            parents: copy.parents,
        }),
        Instruction::Arg(declared) => Instruction::Arg(arguments(declared, expander)?),
        Instruction::Env(pairs) => Instruction::Env(self::pairs("ENV", pairs, expander)?),
        Instruction::Label(pairs) => Instruction::Label(self::pairs("LABEL", pairs, expander)?),
        Instruction::Expose(words) => {
            let mut ports = Vec::new();
            for word in expander.words(&words.join(" "))? {
                ports.extend(values::ports(&word, expander.budget)?);
            }
            Instruction::Expose(ports)
        }
        Instruction::Stopsignal(text) => {
            let signal = expander.word(text)?;
            values::signal(&signal)?;
            Instruction::Stopsignal(signal)
        }
        Instruction::User(text) => Instruction::User(filled("USER", expander.word(text)?)?),
        Instruction::Workdir(text) => {
            Instruction::Workdir(filled("WORKDIR", expander.word(text)?)?)
        }
        Instruction::Volume(words) => {
            let words = words.iter().map(|word| filled("VOLUME", expander.word(word)?));
            Instruction::Volume(words.collect::<Result<_, _>>()?)
        }
        Instruction::Run(run) => {
            let mounts = run.specs.iter().map(|spec| spec.read(expander));
            Instruction::Run(Run { mounts: mounts.collect::<Result<_, _>>()?, ..run.clone() })
        }
        Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Healthcheck(_)
        | Instruction::Maintainer(_)
        | Instruction::Onbuild(_)
        | Instruction::Shell(_) => instruction.clone(),
    })
}

fn name(instruction: &str, text: &str, expander: &mut Expander<'_, '_>) -> Result<String, String> {
    let name = expander.word(text)?;
    match name.is_empty() || name.contains('=') {
        true => Err(format!("{instruction} cannot have {name:?} as a name")),
        false => Ok(name),
    }
}

/// Names and values of `ARG`.
pub(super) fn arguments(
    declared: &[(String, Option<String>)],
    expander: &mut Expander<'_, '_>,
) -> Result<Vec<(String, Option<String>)>, String> {
    let pairs = declared.iter().map(|(key, default)| {
        let default = default.as_ref().map(|text| expander.word(text)).transpose()?;
        Ok((name("ARG", key, expander)?, default))
    });
    pairs.collect()
}

fn pairs(
    instruction: &str,
    pairs: &[(String, String)],
    expander: &mut Expander<'_, '_>,
) -> Result<Pairs, String> {
    let pairs = pairs.iter().map(|(key, value)| match instruction {
        "ENV" => Ok((name(instruction, key, expander)?, expander.word(value)?)),
        _ => Ok((expander.word(key)?, expander.word(value)?)),
    });
    pairs.collect()
}

fn add(add: &Add, expander: &mut Expander<'_, '_>) -> Result<Add, String> {
    let checksum = add.checksum.as_ref().map(|text| expander.word(text)).transpose()?;
    if let Some(text) = &checksum {
        let error = |error: crate::InvalidDigest| format!("--checksum: {error}");
        text.parse::<Digest>().map_err(error)?;
    }
    Ok(Add { checksum, files: files(&add.files, expander)?, ..add.clone() })
}

fn files(files: &Files, expander: &mut Expander<'_, '_>) -> Result<Files, String> {
    let mut sources = Vec::new();
    for source in &files.sources {
        sources.push(match source {
            FileSource::Path(text) => match expander.word(text)? {
                path if path.is_empty() => return Err(format!("the source {text} is empty")),
                path => FileSource::Path(path),
            },
            FileSource::Text(heredoc) => {
                let mut heredoc = heredoc.clone();
                heredoc.content = match heredoc.expand {
                    true => expander.heredoc(&heredoc.text())?,
                    false => heredoc.text(),
                };
                (heredoc.expand, heredoc.strip_tabs) = (false, false);
                FileSource::Text(heredoc)
            }
        });
    }
    let destination = expander.word(&files.destination)?;
    if destination.is_empty() {
        return Err(format!("the destination {} is empty", files.destination));
    }
    let is_directory = matches!(destination.rsplit('/').next(), Some("" | "." | ".."));
    if sources.len() > 1 && !is_directory {
        return Err(format!(
            "the destination of several sources is a directory and ends with /: {destination}/"
        ));
    }
    let mut optional = |text: &Option<String>| match text {
        Some(text) => expander.word(text).map(Some),
        None => Ok(None),
    };
    let (chown, chmod) = (optional(&files.chown)?, optional(&files.chmod)?);
    let exclude = files.exclude.iter().map(|pattern| expander.word(pattern));
    let exclude = exclude.collect::<Result<_, _>>()?;
    Ok(Files { sources, destination, chown, chmod, link: files.link, exclude })
}
