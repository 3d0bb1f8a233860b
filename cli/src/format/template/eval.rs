//! Carries a template out, with Go's words for what does not fit.

use std::fmt::Display;

use serde_json::Value;

use super::datum::Datum;
use super::functions::{self, Function, Parameter};
use super::node::{Branch, BranchKind, Command, Node, Number, Operand, Pipe, Term};
use super::{GoType, Shape, fields};

/// What comes next in a `{{range}}`.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Outcome<T> = Result<T, String>;

/// The text, as far as it came, and what stopped it.
pub(super) fn render<'d>(
    text: &str,
    nodes: &[Node],
    data: &'d Value,
    shape: &'d Shape<'d>,
) -> (String, Outcome<()>) {
    let root = Datum::borrowed(data, shape.root);
    let variables = vec![("$", root.clone())];
    let mut eval = Eval { text, shape, variables, at: (0, &""), out: String::new() };
    let outcome = eval.list(&root, nodes).map(|_| ());
    (eval.out, outcome)
}

/// A command that is being carried out, or an operand like a command without arguments.
#[derive(Clone, Copy)]
struct Call<'t> {
    first: &'t Operand,
    arguments: &'t [Operand],
    /// Where the whole is, for errors of functions.
    whole: (usize, &'t dyn Display),
}

struct Eval<'t, 'd> {
    text: &'t str,
    shape: &'d Shape<'d>,
    variables: Vec<(&'t str, Datum<'d>)>,
    /// Where the evaluation is, for errors.
    at: (usize, &'t dyn Display),
    out: String,
}

impl<'t, 'd> Eval<'t, 'd> {
    fn fail<T>(&self, message: impl Display) -> Outcome<T> {
        let (at, context) = self.at;
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(at, |newline| at - newline - 1);
        Err(format!("template: :{line}:{column}: executing \"\" at <{context}>: {message}"))
    }

    fn wrong_count<T>(&self, name: &str, want: impl Display, got: usize) -> Outcome<T> {
        self.fail(format!("wrong number of args for {name}: want {want} got {got}"))
    }

    /// Errors are about this operand until the next one.
    fn mark(&mut self, operand: &'t Operand) {
        self.at = match &operand.term {
            Term::Pipe(pipe) => (pipe.at, &**pipe),
            _ => (operand.at, operand),
        };
    }

    fn list(&mut self, dot: &Datum<'d>, nodes: &'t [Node]) -> Outcome<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Print(pipe) => {
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        self.out.push_str(&value.printed());
                    }
                    Flow::On
                }
                Node::Branch(branch) => self.branch(dot, branch)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, dot: &Datum<'d>, branch: &'t Branch) -> Outcome<Flow> {
        let outer = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let flow = match branch.kind {
            BranchKind::Range => self.range(dot, branch, value)?,
            _ if !value.is_true() => self.list(dot, &branch.otherwise)?,
            BranchKind::If => self.list(dot, &branch.body)?,
            BranchKind::With => self.list(&value, &branch.body)?,
        };
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn range(&mut self, dot: &Datum<'d>, branch: &'t Branch, value: Datum<'d>) -> Outcome<Flow> {
        let Some(elements) = value.elements() else {
            return self.fail(format!("range can't iterate over {}", value.shown()));
        };
        if elements.is_empty() {
            return self.list(dot, &branch.otherwise);
        }
        let outer = self.variables.len();
        for (key, element) in elements {
            match branch.pipe.variables.as_slice() {
                [] => (),
                [name] => self.assign(name, element.clone())?,
                [first, second, ..] => {
                    self.assign(first, key)?;
                    self.assign(second, element.clone())?;
                }
            }
            let flow = self.list(&element, &branch.body)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn assign(&mut self, name: &str, value: Datum<'d>) -> Outcome<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, variable)) => *variable = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn pipe(&mut self, dot: &Datum<'d>, pipe: &'t Pipe) -> Outcome<Datum<'d>> {
        self.at = (pipe.at, pipe);
        let mut last = None;
        for command in &pipe.commands {
            let Command { at, first, arguments } = command;
            let call = Call { first, arguments, whole: (*at, command) };
            last = Some(self.call(dot, call, last)?.unboxed());
        }
        let value = last.unwrap_or(Datum::Nothing);
        for name in &pipe.variables {
            match pipe.assigns {
                true => self.assign(name, value.clone())?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    /// A command whose last argument may come from the command before it.
    fn call(
        &mut self,
        dot: &Datum<'d>,
        call: Call<'t>,
        last: Option<Datum<'d>>,
    ) -> Outcome<Datum<'d>> {
        if !matches!(call.first.term, Term::Pipe(_)) {
            self.mark(call.first);
        }
        let (receiver, fields) = match &call.first.term {
            Term::Function(function) => return self.function(dot, call, *function, last),
            Term::Field(fields) => (dot.clone(), fields),
            Term::Chain { of, fields } => (self.operand(dot, of)?, fields),
            Term::Variable { name, fields } if !fields.is_empty() => (self.variable(name)?, fields),
            term => {
                if !call.arguments.is_empty() || last.is_some() {
                    let what = call.first.bare();
                    return self.fail(format!("can't give argument to non-function {what}"));
                }
                return self.value(dot, term);
            }
        };
        self.chain(dot, receiver, fields, (call.arguments, last))
    }

    fn value(&mut self, dot: &Datum<'d>, term: &'t Term) -> Outcome<Datum<'d>> {
        match term {
            Term::Dot => Ok(dot.clone()),
            Term::Bool(value) => Ok(Datum::made(*value)),
            Term::Number { value: Number::Integer(value), .. } => Ok(Datum::made(*value)),
            Term::Number { value: Number::Float(value), .. } => Ok(Datum::made(*value)),
            Term::Text { value, .. } => Ok(Datum::made(value.as_str())),
            Term::Variable { name, .. } => self.variable(name),
            Term::Pipe(pipe) => self.pipe(dot, pipe),
            Term::Nil | Term::Function(_) | Term::Field(_) | Term::Chain { .. } => {
                self.fail("nil is not a command")
            }
        }
    }

    fn variable(&self, name: &str) -> Outcome<Datum<'d>> {
        match self.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    /// An operand by itself.
    fn operand(&mut self, dot: &Datum<'d>, operand: &'t Operand) -> Outcome<Datum<'d>> {
        self.mark(operand);
        match operand.term {
            Term::Nil => Ok(Datum::Nothing),
            _ => {
                let whole: (usize, &dyn Display) = (operand.at, operand);
                self.call(dot, Call { first: operand, arguments: &[], whole }, None)
            }
        }
    }

    /// Fields of fields; the last one may be a method with arguments.
    fn chain(
        &mut self,
        dot: &Datum<'d>,
        mut receiver: Datum<'d>,
        names: &'t [String],
        (arguments, last): (&'t [Operand], Option<Datum<'d>>),
    ) -> Outcome<Datum<'d>> {
        let count = arguments.len() + usize::from(last.is_some());
        for (index, name) in names.iter().enumerate() {
            let count = if index + 1 == names.len() { count } else { 0 };
            if fields::is_method(&receiver, name, count) {
                if count != 1 {
                    return self.wrong_count(name, 1, count);
                }
                let argument = match (arguments, last) {
                    ([argument, ..], _) => self.argument(dot, Parameter::Text, argument)?,
                    (_, last) => self.checked(Parameter::Text, last.unwrap_or(Datum::Nothing))?,
                };
                return Ok(fields::call_method(&receiver, name, argument.value()));
            }
            let previous = index.checked_sub(1).and_then(|index| names.get(index));
            receiver = match fields::field(&receiver, name, previous, self.shape) {
                Ok(_) if matches!(receiver, Datum::Nothing) => Datum::Nothing,
                Ok(_) if count > 0 && receiver.go() == GoType::Row => {
                    return self.wrong_count(name, 0, count);
                }
                Ok(_) if count > 0 => {
                    return self.fail(format!("{name} is not a method but has arguments"));
                }
                Ok(value) => value,
                Err(message) => return self.fail(message),
            };
        }
        Ok(receiver)
    }

    /// Evaluates the arguments and calls the function.
    fn function(
        &mut self,
        dot: &Datum<'d>,
        call: Call<'t>,
        function: Function,
        last: Option<Datum<'d>>,
    ) -> Outcome<Datum<'d>> {
        let name = function.name();
        let in_header = self.shape.root == GoType::Header;
        let (parameters, others) = function.parameters(in_header);
        let (want, got) = (parameters.len(), call.arguments.len() + usize::from(last.is_some()));
        if got < want || (got > want && !others) {
            let least = if others { "at least " } else { "" };
            return self.wrong_count(name, format!("{least}{want}"), got);
        }
        let mut values = Vec::new();
        for (index, operand) in call.arguments.iter().enumerate() {
            let parameter = parameters.get(index).copied().unwrap_or(Parameter::Any);
            let value = self.argument(dot, parameter, operand)?;
            if function.stops_at(value.is_true()) {
                return Ok(value);
            }
            values.push(value);
        }
        if let Some(last) = last {
            let parameter = parameters.get(values.len()).copied().unwrap_or(Parameter::Any);
            values.push(self.checked(parameter, last)?);
        }
        match functions::call(function, &values, in_header) {
            Ok(value) => Ok(value),
            Err(message) => {
                self.at = call.whole;
                self.fail(format!("error calling {name}: {message}"))
            }
        }
    }

    /// An argument for a parameter. Constants must fit as they are written.
    fn argument(
        &mut self,
        dot: &Datum<'d>,
        parameter: Parameter,
        operand: &'t Operand,
    ) -> Outcome<Datum<'d>> {
        self.mark(operand);
        match (parameter, &operand.term) {
            (Parameter::Any, _) | (Parameter::Text, Term::Text { .. }) => {
                self.operand(dot, operand)
            }
            (Parameter::Texts, Term::Nil) => Ok(Datum::Nothing),
            (parameter, Term::Nil) => {
                self.fail(format!("cannot assign nil to {}", parameter.type_name()))
            }
            (Parameter::Integer, Term::Number { value, .. }) if value.integer().is_some() => {
                Ok(value.integer().map_or(Datum::Nothing, Datum::made))
            }
            (parameter, Term::Bool(_) | Term::Number { .. } | Term::Text { .. }) => {
                self.fail(match parameter {
                    Parameter::Integer => format!("expected integer; found {operand}"),
                    Parameter::Texts => {
                        format!("can't handle {operand} for arg of type []string")
                    }
                    _ => format!("expected string; found {operand}"),
                })
            }
            _ => {
                let value = self.operand(dot, operand)?;
                self.checked(parameter, value)
            }
        }
    }

    /// A value for a parameter.
    fn checked(&self, parameter: Parameter, value: Datum<'d>) -> Outcome<Datum<'d>> {
        let name = parameter.type_name();
        match (&value, value.value()) {
            _ if parameter.takes(value.value()) => Ok(value),
            (Datum::Nothing, _) => self.fail(format!("invalid value; expected {name}")),
            (_, Value::Null) => {
                self.fail(format!("wrong type for value; expected {name}; got interface {{}}"))
            }
            _ => {
                let got = value.type_name();
                self.fail(format!("wrong type for value; expected {name}; got {got}"))
            }
        }
    }
}
