//! A graph in graphviz's language.

use std::fmt::Write;

use super::graph::Graph;
use crate::output::escaped;

const MISSING: &str = "color=red, fontcolor=red, style=dashed";

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = String::from("graph minidock {\n    rankdir=LR;\n    node [shape=box];\n");
    // Writing to a String cannot fail.
    for (number, point) in graph.points.iter().enumerate() {
        let lines: Vec<_> = point.lines.iter().map(|line| escape(&line.text)).collect();
        let style = if point.is_missing() { format!(", {MISSING}") } else { String::new() };
        let _ = writeln!(text, "    n{number} [label=\"{}\"{style}];", lines.join("\\n"));
    }
    for (from, to, missing) in &graph.edges {
        let style =
            if *missing { format!(" [label=\"MISSING\", {MISSING}]") } else { String::new() };
        let _ = writeln!(text, "    n{from} -- n{to}{style};");
    }
    text.push_str("}\n");
    text
}

/// Within double quotes: neither the end of them, nor a sequence that begins with a backslash, nor
/// the name of a character of HTML's, which graphviz would read there too.
fn escape(text: &str) -> String {
    escaped(text).replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}
