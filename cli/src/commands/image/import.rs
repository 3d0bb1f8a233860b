use std::fs::File;
use std::io::{self, Read};

use anyhow::anyhow;
use clap::{ArgAction, Parser};
use minidock_engine::{Engine, ImportOptions};

use crate::commands::Do;
use crate::exit::UsageError;
use crate::output;
use crate::values::in_words;

/// Flags of `minidock import`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Import {
    /// Change what its containers are to be by an instruction of a Dockerfile, such as CMD ["sh"]
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Note this in its history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Say that it is for this operating system and processor (this machine's)
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The archive, and the image's name.
    words: Vec<String>,
}

impl Do for Import {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let source = self.words.first().map_or("-", String::as_str);
        if ["http://", "https://"].iter().any(|scheme| source.starts_with(scheme)) {
            let message = "cannot import from the network: download it, and name the file";
            return Err(UsageError::failed(message).into());
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let options = ImportOptions {
            name: self.words.get(1).cloned(),
            changes: self.change.clone(),
            // Docker reads a file for its engine, which sees the bytes alone.
            message: given(&self.message).unwrap_or_else(|| "Imported from -".to_owned()),
            platform: given(&self.platform),
        };
        let id = engine.import_image(open(source)?, &options)?;
        output::print(&format!("{id}\n"))
    }
}

/// A file, or standard input.
pub(super) fn open(path: &str) -> anyhow::Result<Box<dyn Read + Send>> {
    if path == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(io::Error::from_raw_os_error(nix::errno::Errno::EISDIR as i32)),
        false => Ok(file),
    });
    let opened = opened.map_err(|error| anyhow!("open {path}: {}", in_words(&error)))?;
    Ok(Box::new(opened))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_told_as_docker_does() {
        let message = |path: &str| open(path).err().map(|error| error.to_string());
        assert_eq!(message("/nosuch").unwrap(), "open /nosuch: no such file or directory");
        assert_eq!(message("/").unwrap(), "open /: is a directory");
        assert_eq!(message("/dev/null"), None);
    }
}
