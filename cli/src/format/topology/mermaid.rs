//! A graph as a flowchart of mermaid's.

use std::fmt::Write;

use super::graph::Graph;
use crate::output::escaped;

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    // Writing to a String cannot fail.
    for (number, point) in graph.points.iter().enumerate() {
        let lines: Vec<_> = point.lines.iter().map(|line| escape(&line.text)).collect();
        let class = if point.is_missing() { ":::missing" } else { "" };
        let _ = writeln!(text, "    n{number}[\"{}\"]{class}", lines.join("<br/>"));
    }
    for (from, to, missing) in &graph.edges {
        let line = if *missing { "-. MISSING .-" } else { "---" };
        let _ = writeln!(text, "    n{from} {line} n{to}");
    }
    text.push_str("    classDef missing stroke:red,color:red,stroke-dasharray:5 5\n");
    text
}

/// All but what surely means nothing to mermaid, nor to Markdown or HTML within its quotes, is
/// written by its number.
fn escape(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " .,:/-()".contains(letter);
    escaped(text).chars().fold(String::new(), |mut line, letter| {
        match plain(letter) {
            true => line.push(letter),
            false => line.push_str(&format!("#{};", u32::from(letter))),
        }
        line
    })
}
