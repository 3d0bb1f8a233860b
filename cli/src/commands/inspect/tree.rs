use minidock_engine::Engine;

use super::Inspect;
use crate::exit::{self, UsageError};
use crate::format::topology::{Drawing, draw};
use crate::output;

impl Inspect {
    /// Draws the containers that there are; the others are told.
    pub(super) fn draw(&self, engine: &Engine) -> anyhow::Result<u8> {
        let how = self.drawing()?;
        let (mut all, mut code) = (Vec::new(), 0);
        for name in &self.names {
            match engine.find(name).and_then(|id| engine.topology(&id)) {
                Ok(topology) => all.push(topology),
                Err(error) => code = code.max(exit::complain(&error.into())),
            }
        }
        // A graph of nothing would look like one of nobody's network.
        if !all.is_empty() {
            output::print(&draw(&all, how))?;
        }
        Ok(code)
    }

    fn drawing(&self) -> Result<Drawing, UsageError> {
        let other = match self.r#type.as_deref() {
            Some("network") => "--type network",
            _ if self.size => "--size",
            _ => "",
        };
        if !other.is_empty() {
            let message = format!("{other} cannot be used with --tree, which draws containers");
            return Err(UsageError::failed(message));
        }
        Drawing::of(self.format.as_deref()).ok_or_else(|| {
            let format = self.format.as_deref().unwrap_or_default();
            let message =
                format!("unknown format: {format:?}: --tree knows \"dot\" and \"mermaid\"");
            UsageError::failed(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn drawing(line: &str) -> Result<Drawing, String> {
        let parsed = Inspect::try_parse_from(line.split(' ')).unwrap();
        assert!(parsed.tree);
        parsed.drawing().map_err(|error| error.to_string())
    }

    #[test]
    fn a_tree_is_text_or_a_graph() {
        assert_eq!(drawing("--tree web"), Ok(Drawing::Text));
        assert_eq!(drawing("--tree -f dot web"), Ok(Drawing::Dot));
        assert_eq!(drawing("--tree --format mermaid --type container web"), Ok(Drawing::Mermaid));
        let other = drawing("--tree -f {{.Id}} web").unwrap_err();
        assert_eq!(other, "unknown format: \"{{.Id}}\": --tree knows \"dot\" and \"mermaid\"");
        for flag in ["--size", "--type network"] {
            let refused = drawing(&format!("--tree {flag} web")).unwrap_err();
            assert_eq!(
                refused,
                format!("{flag} cannot be used with --tree, which draws containers")
            );
        }
    }
}
