//! What the tests of several parts need.

use super::*;

/// Built on amd64 for arm64.
pub(super) fn graph(
    text: &str,
    arguments: &[(&str, &str)],
    target: Option<&str>,
) -> Result<Graph, Error> {
    let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Graph::new(
        &Dockerfile::parse("Dockerfile", text.as_bytes())?,
        &Options {
            target: target.map(str::to_owned),
            arguments: arguments.collect(),
            platform: "linux/arm64".parse().unwrap(),
            build_platform: "linux/amd64".parse().unwrap(),
        },
    )
}

/// A build without a builder: the expanded instructions of the target and of what it needs, in the
/// order in which they would be done, and the scopes at the end.
pub(super) fn expanded(graph: &Graph) -> Result<(Vec<Instruction>, Scope), Error> {
    let path = ("PATH".to_owned(), "/bin".to_owned());
    let mut scopes = std::collections::BTreeMap::<usize, Scope>::new();
    let mut all = Vec::new();
    for number in graph.waves().concat() {
        let stage = &graph.stages()[number];
        let mut scope = match &stage.base {
            Base::Stage(parent) => scopes[parent].clone(),
            Base::Image(_) => Scope::new(graph, [path.clone()]),
            Base::Scratch => Scope::new(graph, []),
        };
        for step in &stage.steps {
            all.push(scope.expand(step)?);
        }
        scopes.insert(number, scope);
    }
    Ok((all, scopes.remove(&graph.target()).unwrap()))
}

/// What a file of one stage becomes, without its `ARG`s.
pub(super) fn instructions(text: &str, arguments: &[(&str, &str)]) -> Vec<Instruction> {
    let (all, _) = expanded(&graph(text, arguments, None).unwrap()).unwrap();
    all.into_iter().filter(|one| !matches!(one, Instruction::Arg(_))).collect()
}
