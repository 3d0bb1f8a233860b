//! Nodes as a tree of lines.

use super::nodes::Node;
use crate::output::escaped;

/// One behind the other, with an empty line between those that have something below.
pub(super) fn draw(nodes: &[Node]) -> String {
    let mut text = String::new();
    let mut last_was_tree = false;
    for node in nodes {
        let is_tree = !node.next.is_empty();
        if !text.is_empty() && (is_tree || last_was_tree) {
            text.push('\n');
        }
        last_was_tree = is_tree;
        text.push_str(&format!("{}\n", escaped(&node.head.text)));
        below(node, "", &mut text);
    }
    text
}

fn below(node: &Node, indent: &str, text: &mut String) {
    let count = node.details.len() + node.next.len();
    let branch =
        |at: usize| if at + 1 == count { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    for (at, line) in node.details.iter().enumerate() {
        text.push_str(&format!("{indent}{}{}\n", branch(at).0, escaped(&line.text)));
    }
    for (at, edge) in (node.details.len()..).zip(&node.next) {
        let (sign, deeper) = branch(at);
        text.push_str(&format!("{indent}{sign}{}\n", escaped(&edge.to.head.text)));
        below(&edge.to, &format!("{indent}{deeper}"), text);
    }
}
