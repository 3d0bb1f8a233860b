use std::ptr;

use clap::{ArgAction, Parser};
use minidock_engine::{ContainerId, Engine, Kind};
use serde_json::Value;

use super::network::{self, Entry};
use super::{Do, image};
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
    /// Look for this alone: container, network or image
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    r#type: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    names: Vec<String>,
}

/// What docker's types are that are no structures.
static SHAPE: Shape<'static> = Shape {
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
            None | Some("" | "container" | "image" | "network") => {}
            Some(other) => {
                let message = format!(
                    "unknown type: {other:?}: must be \"container\", \"image\" or \"network\""
                );
                return Err(UsageError::failed(message).into());
            }
        }
        if self.tree {
            return self.draw(engine);
        }
        let (mut things, mut shapes, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for name in &self.names {
            match self.look(engine, name) {
                Ok((thing, shape)) => {
                    things.push(thing);
                    shapes.push(shape);
                }
                Err(error) => failures.push(error),
            }
        }
        // Things of one kind are told of in its words.
        let shape = match shapes.split_first() {
            Some((first, rest)) if rest.iter().all(|shape| ptr::eq(*shape, *first)) => first,
            _ => &SHAPE,
        };
        let text = inspect(&things, self.format.as_deref(), shape)?;
        // Docker's template inspector ends its output, also when that is nothing.
        let text = if text.is_empty() { "\n".to_owned() } else { text };
        output::print(&text)?;
        Ok(failures.iter().map(exit::complain).max().unwrap_or(0))
    }
}

impl Inspect {
    /// A container, or a network when there is no container of that name, or an image when there is
    /// neither; and how it is told of.
    fn look(
        &self,
        engine: &Engine,
        name: &str,
    ) -> anyhow::Result<(Value, &'static Shape<'static>)> {
        let kind = self.r#type.as_deref().filter(|kind| !kind.is_empty());
        let is_wanted = |one: &str| kind.is_none_or(|kind| kind == one);
        let missing =
            |error: &minidock_engine::Error, of: Kind| kind.is_none() && error.what() == of;
        if is_wanted("container") {
            match engine.find(name) {
                Err(error) if missing(&error, Kind::NoSuchContainer) => {}
                found => return Ok((self.container(engine, &found?)?, &SHAPE)),
            }
        }
        if is_wanted("network") {
            match Entry::find(engine, name) {
                Err(error) if missing(&error, Kind::NoSuchNetwork) => {}
                found => {
                    return Ok((
                        network::inspect::look(engine, &found?)?,
                        &network::inspect::SHAPE,
                    ));
                }
            }
        }
        match engine.image(name) {
            Err(error) if missing(&error, Kind::NoSuchImage) => {
                Err(UsageError::failed(format!("No such object: {name}")).into())
            }
            found => Ok((image::inspect::describe(&found?), &image::inspect::SHAPE)),
        }
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
