use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;
use crate::exit::UsageError;
use crate::output;
use crate::values::network;

/// Arguments of `minidock port`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Port {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    words: Vec<String>,
}

impl Do for Port {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let name = self.words.first().map_or("", String::as_str);
        let info = engine.inspect(&engine.find(name)?)?;
        let mut published = info.connections.published;
        published.sort_by_key(|one| (one.container, one.protocol, one.host.is_ipv6(), one.host));
        let Some(wanted) = self.words.get(1).filter(|port| !port.is_empty()) else {
            let lines = published
                .iter()
                .map(|one| format!("{}/{} -> {}\n", one.container, one.protocol, one.host));
            return output::print(&lines.collect::<String>());
        };
        let failed = |why: String| Err(UsageError::failed(why).into());
        let (port, protocol) = match network::private_port(wanted) {
            Ok(port) => port,
            Err(error) => return failed(error.to_string()),
        };
        let own = published
            .iter()
            .filter(|one| (one.container, one.protocol.to_string()) == (port, protocol.clone()));
        let lines: String = own.map(|one| format!("{}\n", one.host)).collect();
        match lines.is_empty() {
            true => failed(format!("Error: No public port '{wanted}' published for {name}")),
            false => output::print(&lines),
        }
    }
}
