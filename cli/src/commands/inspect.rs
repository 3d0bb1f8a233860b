use clap::{ArgAction, Parser};
use minidock_engine::{ContainerId, Engine, Kind};
use serde_json::Value;

use super::Do;
use super::network::{self, Entry};
use crate::exit::{self, UsageError};
use crate::format::inspect::inspect;
use crate::format::template::{GoType, Shape};
use crate::output;

mod config;
mod container;
mod host;
mod tree;

/// Flags of `minidock inspect`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Inspect {
    /// Show this of each: json, or a template
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show how much their layers hold
    #[arg(short, long)]
    size: bool,
    /// Draw the network of containers as the kernel has it; with -f dot or -f mermaid as a graph
    #[arg(long)]
    tree: bool,
    /// Look for this alone: container or network
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    r#type: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    names: Vec<String>,
}

/// What docker's types are that are no structures.
const SHAPE: Shape<'static> = Shape {
    root: GoType::Record,
    name: "",
    fields: &[
        ("Args", GoType::List),
        ("Binds", GoType::List),
        ("CapAdd", GoType::List),
        ("CapDrop", GoType::List),
        ("Cmd", GoType::List),
        ("Config", GoType::Record),
        ("Devices", GoType::List),
        ("Dns", GoType::List),
        ("Entrypoint", GoType::List),
        ("Env", GoType::List),
        ("ExecIDs", GoType::List),
        ("ExtraHosts", GoType::List),
        ("Health", GoType::Pointer),
        ("Healthcheck", GoType::Pointer),
        ("Labels", GoType::Map),
        ("Mounts", GoType::List),
        ("Networks", GoType::Map),
        ("PortBindings", GoType::Map),
        ("Ports", GoType::Map),
        ("SecurityOpt", GoType::List),
        ("Sysctls", GoType::Map),
        ("Tmpfs", GoType::Map),
        ("Ulimits", GoType::List),
        ("Volumes", GoType::Map),
    ],
};

impl Do for Inspect {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        match self.r#type.as_deref() {
            None | Some("" | "container" | "network") => {}
            Some(other) => {
                let message =
                    format!("unknown type: {other:?}: must be \"container\" or \"network\"");
                return Err(UsageError::failed(message).into());
            }
        }
        if self.tree {
            return self.draw(engine);
        }
        let (mut things, mut networks, mut failures) = (Vec::new(), 0, Vec::new());
        for name in &self.names {
            match self.look(engine, name) {
                Ok((thing, is_network)) => {
                    things.push(thing);
                    networks += usize::from(is_network);
                }
                Err(error) => failures.push(error),
            }
        }
        let shape = if networks == things.len() { &network::inspect::SHAPE } else { &SHAPE };
        let text = inspect(&things, self.format.as_deref(), shape)?;
        // Docker's template inspector ends its output, also when that is nothing.
        let text = if text.is_empty() { "\n".to_owned() } else { text };
        output::print(&text)?;
        Ok(failures.iter().map(exit::complain).max().unwrap_or(0))
    }
}

impl Inspect {
    /// A container, or a network when there is no container of that name; and whether it is one.
    fn look(&self, engine: &Engine, name: &str) -> anyhow::Result<(Value, bool)> {
        let kind = self.r#type.as_deref().filter(|kind| !kind.is_empty());
        if kind == Some("network") {
            return Ok((network::inspect::look(engine, &Entry::find(engine, name)?)?, true));
        }
        let id = match engine.find(name) {
            Err(error) if error.what() == Kind::NoSuchContainer && kind.is_none() => {
                let found = Entry::find(engine, name).map_err(|error| match error.what() {
                    Kind::NoSuchNetwork => {
                        UsageError::failed(format!("No such object: {name}")).into()
                    }
                    _ => anyhow::Error::from(error),
                });
                return Ok((network::inspect::look(engine, &found?)?, true));
            }
            found => found?,
        };
        Ok((self.container(engine, &id)?, false))
    }

    fn container(&self, engine: &Engine, id: &ContainerId) -> anyhow::Result<Value> {
        let info = engine.inspect(id)?;
        exit::warn_of(&info);
        let mut thing = container::describe(&info);
        if self.size {
            let (own, all) = engine.size(&info)?;
            thing["SizeRw"] = own.into();
            thing["SizeRootFs"] = all.into();
        }
        Ok(thing)
    }
}
