use std::collections::BTreeMap;

use crate::dockerfile::{Base, Dockerfile, Error, Graph, Instruction, Options, Origin, Scope};
use crate::ignore::Ignore;

/// A Dockerfile: what is needed stands before, and what is expanded has no variable left to fail.
pub fn dockerfile(data: &[u8]) {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    if let Err(error) = built(data) {
        assert!(error.line() <= lines && !error.message().is_empty(), "{error}");
    }
}

fn built(data: &[u8]) -> Result<(), Error> {
    let file = Dockerfile::parse("Dockerfile", data)?;
    let Ok(platform) = "linux/amd64".parse::<crate::manifest::Platform>() else { return Ok(()) };
    let options = Options {
        target: None,
        arguments: BTreeMap::from([("A".to_owned(), "$A \"${A}".to_owned())]),
        build_platform: platform.clone(),
        platform,
    };
    let graph = Graph::new(&file, &options)?;
    let waves = graph.waves();
    assert_eq!(waves.last(), Some(&vec![graph.target()]), "the target comes last, and alone");
    let mut scopes = BTreeMap::<usize, Scope>::new();
    for stage in waves.iter().flatten().filter_map(|number| graph.stages().get(*number)) {
        assert!(stage.needs.iter().all(|need| scopes.contains_key(need)), "it is built before");
        let mut scope = match stage.base {
            Base::Stage(parent) => scopes[&parent].clone(),
            _ => Scope::new(&graph, []),
        };
        for step in &stage.steps {
            let instruction = scope.expand(step)?;
            if let Instruction::Copy(copy) = &instruction
                && let Some(from) = &copy.from
                && let Origin::Stage(other) = graph.origin(stage.number, from)?
            {
                assert!(stage.needs.contains(&other));
            }
        }
        scopes.insert(stage.number, scope);
    }
    Ok(())
}

/// A `.dockerignore`, and below it a path: what is below a skipped directory is left out.
pub fn ignore(data: &[u8]) {
    let end = data.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let (text, path) = data.split_at(end);
    let path = path.strip_prefix(b"\n").unwrap_or(path);
    let ignore = match Ignore::parse(".dockerignore", text) {
        Ok(ignore) => ignore,
        Err(error) => return assert!(error.line() > 0 || text.len() > 100_000, "{error}"),
    };
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for at in slashes {
        if ignore.skips(&path[..at]) {
            assert!(ignore.excludes(&path[..at]) && ignore.excludes(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::replay::replay;
    use super::*;

    #[test]
    fn kept_dockerfiles_hold() {
        replay("dockerfile", dockerfile);
    }

    #[test]
    fn kept_ignores_hold() {
        replay("ignore", ignore);
    }
}
