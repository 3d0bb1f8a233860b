use clap::{ArgAction, Parser};
use minidock_engine::{Engine, ImageConfig, ImageDetails};
use serde_json::{Map, Value, json};

use crate::commands::Do;
use crate::exit;
use crate::format::inspect::inspect;
use crate::format::template::{GoType, Shape};
use crate::output;

/// Flags of `minidock image inspect`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct ImageInspect {
    /// Show this of each: json, or a template
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    images: Vec<String>,
}

/// What docker's types are that are no structures.
pub(crate) static SHAPE: Shape<'static> = Shape {
    root: GoType::Record,
    name: "",
    fields: &[
        ("Cmd", GoType::List),
        ("Config", GoType::Pointer),
        ("Data", GoType::Map),
        ("Entrypoint", GoType::List),
        ("Env", GoType::List),
        ("ExposedPorts", GoType::Map),
        ("Healthcheck", GoType::Pointer),
        ("Labels", GoType::Map),
        ("Layers", GoType::List),
        ("OnBuild", GoType::List),
        ("RepoDigests", GoType::List),
        ("RepoTags", GoType::List),
        ("Shell", GoType::List),
        ("Volumes", GoType::Map),
    ],
};

/// What Go writes for a moment that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Do for ImageInspect {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let (mut things, mut failures) = (Vec::new(), Vec::new());
        for name in &self.images {
            match engine.image(name) {
                Ok(image) => things.push(describe(&image)),
                Err(error) => failures.push(error.into()),
            }
        }
        let text = inspect(&things, self.format.as_deref(), &SHAPE)?;
        // Docker's template inspector ends its output, also when that is nothing.
        let text = if text.is_empty() { "\n".to_owned() } else { text };
        output::print(&text)?;
        Ok(failures.iter().map(exit::complain).max().unwrap_or(0))
    }
}

/// An image as docker describes it.
pub(crate) fn describe(details: &ImageDetails) -> Value {
    let (summary, image) = (&details.summary, &details.image);
    let names = |names: &[minidock_engine::Reference]| -> Vec<String> {
        names.iter().map(minidock_engine::Reference::familiar).collect()
    };
    let mut value = json!({
        "Id": image.id.to_string(),
        "RepoTags": names(&summary.references),
        "RepoDigests": names(&summary.digests),
        "Comment": image.config.history.last().and_then(|step| step.comment.clone()).unwrap_or_default(),
        "Created": image.config.created.as_deref().unwrap_or(NEVER),
        "Author": image.config.author.as_deref().unwrap_or_default(),
        "Config": config(&image.config),
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": summary.size,
        "GraphDriver": {"Data": layers(details), "Name": "overlay"},
        "RootFS": {"Type": image.config.rootfs.kind, "Layers": image.config.rootfs.diff_ids},
        "Metadata": {"LastTagTime": NEVER},
    });
    if let Some(variant) = &image.config.variant {
        value["Variant"] = variant.as_str().into();
    }
    value
}

/// The layers as the kernel has them: the uppermost, and those below it.
fn layers(details: &ImageDetails) -> Value {
    let paths = details.layers.iter().rev().map(|layer| layer.path.display().to_string());
    let paths: Vec<String> = paths.collect();
    let mut data = Map::new();
    if let Some((upper, lower)) = paths.split_first() {
        data.insert("UpperDir".to_owned(), upper.as_str().into());
        if !lower.is_empty() {
            data.insert("LowerDir".to_owned(), lower.join(":").into());
        }
    }
    data.into()
}

/// What its containers are to be. Docker leaves out little of what an image does not say.
fn config(image: &ImageConfig) -> Value {
    let config = &image.config;
    let mut value = json!({
        "Hostname": config.hostname,
        "Domainname": "",
        "User": config.user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": (!config.env.is_empty()).then_some(&config.env),
        "Cmd": config.cmd,
        "Image": "",
        "Volumes": null,
        "WorkingDir": config.working_dir,
        "Entrypoint": config.entrypoint,
        "OnBuild": (!config.on_build.is_empty()).then_some(&config.on_build),
        "Labels": (!config.labels.is_empty()).then_some(&config.labels),
    });
    // What it does say, in the same words.
    if let (Value::Object(known), Value::Object(said)) = (&mut value, json!(config)) {
        known.extend(said.into_iter().filter(|(_, value)| !value.is_null()));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_what_docker_s_does() {
        let mut image = ImageConfig::default();
        let empty = config(&image);
        for (field, expected) in [
            ("User", json!("")),
            ("Cmd", Value::Null),
            ("Labels", Value::Null),
            ("Volumes", Value::Null),
            ("Tty", json!(false)),
        ] {
            assert_eq!(empty[field], expected, "{field}");
        }
        assert_eq!(empty.get("ExposedPorts"), None);
        image.config.cmd = Some(vec!["sh".to_owned()]);
        image.config.exposed_ports.insert("80/tcp".to_owned());
        image.config.volumes.insert("/data".to_owned());
        image.config.other.insert("Tty".to_owned(), json!(true));
        let full = config(&image);
        for (field, expected) in [
            ("Cmd", json!(["sh"])),
            ("ExposedPorts", json!({"80/tcp": {}})),
            ("Volumes", json!({"/data": {}})),
            ("Tty", json!(true)),
        ] {
            assert_eq!(full[field], expected, "{field}");
        }
    }
}
