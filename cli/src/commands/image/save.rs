use clap::{ArgAction, Parser};
use minidock_engine::{ArchiveFormat, Engine};

use crate::commands::Do;
use crate::commands::export::into;
use crate::values::ValueError;

/// Flags of `minidock save`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Save {
    /// Write docker's list of images too, or OCI's alone: docker or oci (docker)
    #[arg(long, value_name = "FORMAT", default_value = "docker", value_parser = format)]
    format: ArchiveFormat,
    /// Write to this file rather than to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    images: Vec<String>,
}

fn format(text: &str) -> Result<ArchiveFormat, ValueError> {
    match text {
        "docker" | "docker-archive" => Ok(ArchiveFormat::Docker),
        "oci" | "oci-archive" => Ok(ArchiveFormat::Oci),
        _ => Err(ValueError::new("must be docker or oci")),
    }
}

impl Do for Save {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        into(self.output, |output| Ok(engine.save_images(&self.images, self.format, output)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::tests::check;

    #[test]
    fn formats() {
        check(
            format,
            &[("docker", ArchiveFormat::Docker), ("oci-archive", ArchiveFormat::Oci)],
            &[("tar", "must be docker or oci")],
        );
    }
}
