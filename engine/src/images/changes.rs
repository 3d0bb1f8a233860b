//! What `--change` says of an image, in the words of a Dockerfile.

use minidock_image::config::Config;
use minidock_image::dockerfile::{Command, Dockerfile, Graph, Instruction, Options, Scope};
use minidock_image::manifest::Platform;

use crate::Error;

/// Changes a configuration by instructions: those that make no layer.
pub(super) fn apply(config: &mut Config, changes: &[String]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let invalid = |error: minidock_image::dockerfile::Error| {
        Error::new(format!("invalid change: {}", error.message()))
    };
    let text = format!("FROM scratch\n{}\n", changes.join("\n"));
    let file = Dockerfile::parse("--change", text.as_bytes()).map_err(invalid)?;
    let platform = Platform::host();
    let options = Options {
        target: None,
        arguments: Default::default(),
        platform: platform.clone(),
        build_platform: platform,
    };
    let graph = Graph::new(&file, &options).map_err(invalid)?;
    let [stage] = graph.stages() else {
        return Err(Error::new("invalid change: FROM is not a valid change command"));
    };
    let environment = config.env.iter().map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (name.to_owned(), value.to_owned())
    });
    let mut scope = Scope::new(&graph, environment.collect::<Vec<_>>());
    for step in &stage.steps {
        let instruction = scope.expand(step).map_err(invalid)?;
        set(config, instruction).map_err(|()| {
            let word = step.text.split_whitespace().next().unwrap_or_default();
            Error::new(format!("invalid change: {word} is not a valid change command"))
        })?;
    }
    let variable = |(name, value): &(String, String)| format!("{name}={value}");
    config.env = scope.environment().iter().map(variable).collect();
    Ok(())
}

fn set(config: &mut Config, instruction: Instruction) -> Result<(), ()> {
    match instruction {
        Instruction::Cmd(command) => config.cmd = Some(words(command)),
        Instruction::Entrypoint(command) => config.entrypoint = Some(words(command)),
        // The scope has it.
        Instruction::Env(_) => {}
        Instruction::Expose(ports) => config.exposed_ports.extend(ports),
        Instruction::Label(labels) => config.labels.extend(labels),
        Instruction::Onbuild(text) => config.on_build.push(text),
        Instruction::Stopsignal(signal) => config.stop_signal = Some(signal),
        Instruction::User(user) => config.user = user,
        Instruction::Volume(paths) => config.volumes.extend(paths),
        Instruction::Workdir(path) => config.working_dir = directory(&config.working_dir, &path),
        _ => return Err(()),
    }
    Ok(())
}

fn words(command: Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words,
        Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text],
    }
}

/// A directory as seen from the one before, without `.` and `..`.
fn directory(before: &str, path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    let begin = if path.starts_with('/') { "" } else { before };
    for name in begin.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<Config, String> {
        let mut config = Config::default();
        let changes: Vec<String> = changes.iter().map(|text| (*text).to_owned()).collect();
        apply(&mut config, &changes).map_err(|error| error.to_string()).map(|()| config)
    }

    #[test]
    fn changes_say_what_instructions_say() {
        let config = changed(&[
            "CMD [\"sh\", \"-l\"]",
            "entrypoint exec env",
            "ENV A=1 B=\"two words\"",
            "ENV A=$B",
            "EXPOSE 80 53/udp",
            "LABEL tier=front",
            "USER 1000:1000",
            "VOLUME /data",
            "WORKDIR /a/b",
            "WORKDIR ../c",
            "STOPSIGNAL SIGINT",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap(), ["sh", "-l"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "exec env"]);
        assert_eq!(config.env, ["A=two words", "B=two words"]);
        let ports: Vec<_> = config.exposed_ports.into_iter().collect();
        assert_eq!(ports, ["53/udp", "80/tcp"]);
        assert_eq!(config.labels.get("tier").unwrap(), "front");
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("1000:1000", "/a/c"));
        assert!(config.volumes.contains("/data"));
        assert_eq!(config.stop_signal.unwrap(), "SIGINT");
    }

    #[test]
    fn what_makes_a_layer_is_no_change() {
        for (change, message) in [
            ("RUN true", "invalid change: RUN is not a valid change command"),
            ("COPY a /", "invalid change: COPY is not a valid change command"),
            ("FROM scratch", "invalid change: FROM is not a valid change command"),
        ] {
            assert_eq!(changed(&[change]).unwrap_err(), message);
        }
        assert!(changed(&["NOSUCH x"]).unwrap_err().starts_with("invalid change: "));
    }
}
