//! A build without a builder: what it would do, in lines.

use std::collections::BTreeMap;

use minidock_image::dockerfile::{
    Base, Command, Dockerfile, Error, FileSource, Files, Graph, Healthcheck, Instruction, Mount,
    Options, Run, RunCommand, Scope, Stage,
};

/// What is asked for.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    pub(crate) target: Option<&'a str>,
    pub(crate) arguments: &'a [(&'a str, &'a str)],
}

pub(crate) fn graph(text: &[u8], asked: &Asked<'_>) -> Result<Graph, Error> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Graph::new(
        &Dockerfile::parse("Dockerfile", text)?,
        &Options {
            target: asked.target.map(str::to_owned),
            arguments: asked.arguments.iter().map(owned).collect(),
            platform: "linux/arm64".parse().unwrap(),
            build_platform: "linux/amd64".parse().unwrap(),
        },
    )
}

/// The lines of the stages that are needed, in their order.
pub(crate) fn render(text: &[u8], asked: &Asked<'_>) -> Result<Vec<String>, Error> {
    let graph = graph(text, asked)?;
    let mut scopes = BTreeMap::<usize, Scope>::new();
    let mut lines = Vec::new();
    for (wave, number) in graph
        .waves()
        .into_iter()
        .enumerate()
        .flat_map(|(at, w)| w.into_iter().map(move |n| (at, n)))
    {
        let stage = &graph.stages()[number];
        lines.push(format!("{wave}: {}", begin(stage)));
        let mut scope = match &stage.base {
            Base::Stage(parent) => scopes[parent].clone(),
            Base::Scratch => Scope::new(&graph, []),
            Base::Image(_) => Scope::new(&graph, [("PATH".to_owned(), "/bin".to_owned())]),
        };
        for step in &stage.steps {
            lines.push(line(&scope.expand(step)?));
        }
        scopes.insert(number, scope);
    }
    Ok(lines)
}

/// Compares the lines with those of a text, whose indentation means nothing.
#[track_caller]
pub(crate) fn check(text: &str, asked: &Asked<'_>, expected: &str) {
    let lines = render(text.as_bytes(), asked).unwrap_or_else(|error| panic!("{error}"));
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(lines, expected);
}

fn begin(stage: &Stage) -> String {
    let base = match &stage.base {
        Base::Scratch => "scratch".to_owned(),
        Base::Image(image) => image.familiar(),
        Base::Stage(number) => format!("stage {number}"),
    };
    let name = stage.name.as_deref().unwrap_or("-");
    format!("{name} = {base} {} {:?}", stage.platform, stage.needs)
}

fn line(instruction: &Instruction) -> String {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>()
    };
    match instruction {
        Instruction::Add(add) => format!("ADD{}", files(&add.files)),
        Instruction::Copy(copy) => {
            let from = copy.from.iter().map(|from| format!(" from={from}")).collect::<String>();
            format!("COPY{from}{}", files(&copy.files))
        }
        Instruction::Arg(declared) => {
            let one = |(name, value): &(String, Option<String>)| match value {
                Some(value) => format!(" {name}={value}"),
                None => format!(" {name}"),
            };
            format!("ARG{}", declared.iter().map(one).collect::<String>())
        }
        Instruction::Cmd(command) => format!("CMD {}", program(command)),
        Instruction::Entrypoint(command) => format!("ENTRYPOINT {}", program(command)),
        Instruction::Env(list) => format!("ENV{}", pairs(list)),
        Instruction::Label(list) => format!("LABEL{}", pairs(list)),
        Instruction::Expose(ports) => format!("EXPOSE {}", ports.join(" ")),
        Instruction::Healthcheck(Healthcheck::None) => "HEALTHCHECK NONE".to_owned(),
        Instruction::Healthcheck(Healthcheck::Cmd { command, interval, retries, .. }) => {
            format!("HEALTHCHECK {interval:?} {retries:?} {}", program(command))
        }
        Instruction::Maintainer(text) => format!("MAINTAINER {text}"),
        Instruction::Onbuild(text) => format!("ONBUILD {text}"),
        Instruction::Run(run) => self::run(run),
        Instruction::Shell(words) => format!("SHELL {words:?}"),
        Instruction::Stopsignal(text) => format!("STOPSIGNAL {text}"),
        Instruction::User(text) => format!("USER {text}"),
        Instruction::Volume(words) => format!("VOLUME {words:?}"),
        Instruction::Workdir(text) => format!("WORKDIR {text}"),
    }
}

fn program(command: &Command) -> String {
    match command {
        Command::Exec(words) => format!("{words:?}"),
        Command::Shell(text) => format!("sh {text}"),
    }
}

fn files(files: &Files) -> String {
    let mut text = String::new();
    for (name, value) in [("chown", &files.chown), ("chmod", &files.chmod)] {
        text.extend(value.iter().map(|value| format!(" {name}={value}")));
    }
    if files.link {
        text.push_str(" link");
    }
    for source in &files.sources {
        text.push_str(&match source {
            FileSource::Path(path) => format!(" {path}"),
            FileSource::Text(heredoc) => format!(" {}:{:?}", heredoc.name, heredoc.text()),
        });
    }
    format!("{text} -> {}", files.destination)
}

fn run(run: &Run) -> String {
    let mut text = "RUN".to_owned();
    for mount in &run.mounts {
        text.push_str(&match mount {
            Mount::Bind { target, source, from, .. } => {
                format!(" bind({} {source} {target})", from.as_deref().unwrap_or("-"))
            }
            Mount::Cache { id, target, sharing, .. } => {
                format!(" cache({id} {target} {sharing:?})")
            }
            Mount::Tmpfs { target, size } => format!(" tmpfs({target} {size:?})"),
            Mount::Secret { id, target, env, .. } => format!(" secret({id} {target:?} {env:?})"),
        });
    }
    match &run.command {
        RunCommand::Exec(words) => format!("{text} {words:?}"),
        RunCommand::Shell(script) => format!("{text} sh {script}").replace('\n', "⏎"),
        RunCommand::Script { name, text: file } => format!("{text} script {name} {file:?}"),
    }
}
