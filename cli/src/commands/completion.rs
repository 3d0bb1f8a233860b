use clap::{ArgAction, Parser};
use clap_complete::Shell;
use minidock_engine::Engine;

use super::Do;
use crate::exit::UsageError;
use crate::output;
use crate::tree::tree;

/// Flags of `minidock completion`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Completion {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(value_name = "SHELL")]
    shell: Vec<String>,
}

impl Do for Completion {
    fn run(self, _: &Engine) -> anyhow::Result<u8> {
        let shell = self.shell.first().map_or("", String::as_str);
        let script = script(shell).ok_or_else(|| {
            let message =
                format!("there is no completion for {shell}: only for bash, fish and zsh");
            UsageError::failed(message)
        })?;
        output::print(&script)
    }
}

/// What a shell reads to complete commands and flags.
fn script(shell: &str) -> Option<String> {
    let shell = match shell {
        "bash" => Shell::Bash,
        "fish" => Shell::Fish,
        "zsh" => Shell::Zsh,
        _ => return None,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree(), "minidock", &mut script);
    String::from_utf8(script).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_know_every_command_and_flag() {
        for shell in ["bash", "fish", "zsh"] {
            let script = script(shell).unwrap();
            let words = ["cidfile", "no-trunc", "verbose", "prune", "systemd", "root"];
            for word in words.iter().chain(&["run", "completion"]) {
                assert!(script.contains(word), "{shell}: {word}");
            }
            // Those are refused, or for nobody to type.
            for hidden in ["volumes-from", "monitor", "failpoints"] {
                assert!(!script.contains(hidden), "{shell}: {hidden}");
            }
        }
        assert_eq!(script("powershell"), None);
    }
}
