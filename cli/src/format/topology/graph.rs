//! The same nodes as a graph: what is met from several sides is in it once.

use std::collections::HashMap;

use super::nodes::Node;
use super::words::Line;

/// Things and their connections, by the numbers of both ends.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) points: Vec<Point>,
    pub(super) edges: Vec<(usize, usize, bool)>,
}

/// A thing.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) lines: Vec<Line>,
    is_hint: bool,
}

impl Point {
    fn of(node: &Node) -> Self {
        let lines = std::iter::once(&node.head).chain(&node.details).cloned().collect();
        Self { lines, is_hint: node.is_hint }
    }

    /// Whether something is missing here.
    pub(super) fn is_missing(&self) -> bool {
        self.lines.iter().any(|line| line.missing)
    }
}

pub(super) fn of(nodes: &[Node]) -> Graph {
    let (mut graph, mut numbers) = (Graph::default(), HashMap::new());
    for node in nodes {
        add(node, &mut graph, &mut numbers);
    }
    graph
}

fn add(node: &Node, graph: &mut Graph, numbers: &mut HashMap<String, usize>) -> usize {
    let number = *numbers.entry(node.key.clone()).or_insert_with(|| {
        graph.points.push(Point::of(node));
        graph.points.len() - 1
    });
    // Who is met in passing is told by its own container.
    if let Some(point) = graph.points.get_mut(number)
        && point.is_hint
        && !node.is_hint
    {
        *point = Point::of(node);
    }
    for edge in &node.next {
        let to = add(&edge.to, graph, numbers);
        let ends = (number.min(to), number.max(to));
        if !graph.edges.iter().any(|(from, to, _)| (*from, *to) == ends) {
            graph.edges.push((ends.0, ends.1, edge.missing));
        }
    }
    number
}
