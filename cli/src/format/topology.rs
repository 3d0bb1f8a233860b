//! What `inspect --tree` prints: the networks of containers as a tree, or as a graph for graphviz or
//! mermaid. All of them are drawn from the same nodes.

use minidock_engine::Topology;

mod dot;
mod graph;
mod mermaid;
mod nodes;
mod text;
mod words;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// Lines and branches.
    Text,
    /// What `dot(1)` takes.
    Dot,
    /// A flowchart of mermaid's.
    Mermaid,
}

impl Drawing {
    /// What `--format` names; nothing when it names none.
    pub(crate) fn of(flag: Option<&str>) -> Option<Self> {
        match flag.unwrap_or_default() {
            "" => Some(Self::Text),
            "dot" => Some(Self::Dot),
            "mermaid" => Some(Self::Mermaid),
            _ => None,
        }
    }
}

/// Draws containers; what they share is in a graph once.
pub(crate) fn draw(all: &[Topology], how: Drawing) -> String {
    let nodes: Vec<_> = all.iter().map(nodes::of).collect();
    match how {
        Drawing::Text => text::draw(&nodes),
        Drawing::Dot => dot::draw(&graph::of(&nodes)),
        Drawing::Mermaid => mermaid::draw(&graph::of(&nodes)),
    }
}
