//! From tokens to a template, with Go's words for what is wrong.

use super::functions::Function;
use super::lex::{Kind, Token, lex};
use super::literal;
use super::node::{Branch, BranchKind, Command, Node, Number, Operand, Pipe, Term};
use crate::format::quote::quote;

/// How deep parentheses and blocks may nest, both together.
const DEEPEST: usize = 100;

/// What ends a list of nodes.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    End,
    Else,
    /// `{{else if}}` or `{{else with}}`, of which the `if` is still to be read.
    Chain(BranchKind),
}

enum Step {
    Node(Node),
    Ended(Ended),
}

/// Parses a template; the error names its line.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let variables = vec!["$".to_owned()];
    let mut parser =
        Parser { text, tokens: lex(text), next: 0, seen: 0, variables, depth: 0, loops: 0 };
    let mut nodes = Vec::new();
    while parser.peek_word().kind != Kind::Eof {
        match parser.step()? {
            Step::Node(node) => nodes.push(node),
            Step::Ended(Ended::End) => return Err(parser.error("unexpected {{end}}")),
            Step::Ended(_) => return Err(parser.error("unexpected {{else}}")),
        }
    }
    Ok(nodes)
}

struct Parser<'a> {
    text: &'a str,
    /// Never empty; the last one is read again and again.
    tokens: Vec<Token<'a>>,
    next: usize,
    /// The last token looked at, where an error is.
    seen: usize,
    variables: Vec<String>,
    depth: usize,
    /// The `{{range}}` blocks that are open.
    loops: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Token<'a> {
        self.seen = self.next.min(self.tokens.len() - 1);
        self.tokens[self.seen].clone()
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next = self.seen + 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn peek_word(&mut self) -> Token<'a> {
        self.skip_space();
        self.peek()
    }

    fn advance_word(&mut self) -> Token<'a> {
        self.skip_space();
        self.advance()
    }

    fn error(&self, message: impl AsRef<str>) -> String {
        let before = &self.text[..self.tokens[self.seen].at];
        let line = before.matches('\n').count() + 1;
        format!("template: :{line}: {}", message.as_ref())
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> String {
        match token.kind {
            Kind::Error => self.error(&token.text),
            _ => self.error(format!("unexpected {token} in {context}")),
        }
    }

    fn expect_close(&mut self, context: &str) -> Result<(), String> {
        match self.advance_word() {
            token if token.kind == Kind::Close => Ok(()),
            token => Err(self.unexpected(&token, context)),
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self.error(format!("blocks and parentheses nest deeper than {DEEPEST}"))),
            false => Ok(()),
        }
    }

    /// A text or an action.
    fn step(&mut self) -> Result<Step, String> {
        let token = self.advance_word();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(token.text.into_owned()))),
            Kind::Open => self.action(),
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Step, String> {
        let token = self.peek_word();
        if token.kind != Kind::Keyword {
            return Ok(Step::Node(Node::Print(self.pipeline("command", Kind::Close)?)));
        }
        self.advance_word();
        if let Some(kind) = BranchKind::of(&token.text) {
            return Ok(Step::Node(Node::Branch(self.branch(kind)?)));
        }
        match &*token.text {
            "end" => {
                self.expect_close("end")?;
                Ok(Step::Ended(Ended::End))
            }
            "else" => Ok(Step::Ended(self.otherwise()?)),
            word @ ("break" | "continue") if self.loops == 0 => {
                Err(self.error(format!("{{{{{word}}}}} outside {{{{range}}}}")))
            }
            "break" => {
                self.expect_close("{{break}}")?;
                Ok(Step::Node(Node::Break))
            }
            "continue" => {
                self.expect_close("{{continue}}")?;
                Ok(Step::Node(Node::Continue))
            }
            word => Err(self.error(format!("{{{{{word}}}}} is not supported"))),
        }
    }

    fn otherwise(&mut self) -> Result<Ended, String> {
        let token = self.peek_word();
        match BranchKind::of(&token.text) {
            Some(kind) if token.kind == Kind::Keyword && kind != BranchKind::Range => {
                Ok(Ended::Chain(kind))
            }
            _ => self.expect_close("else").map(|()| Ended::Else),
        }
    }

    /// Behind `{{if`, up to the braces of its `{{end}}`.
    fn branch(&mut self, kind: BranchKind) -> Result<Branch, String> {
        self.deeper()?;
        let outer = self.variables.len();
        let pipe = self.pipeline(kind.keyword(), Kind::Close)?;
        self.loops += usize::from(kind == BranchKind::Range);
        let (body, ended) = self.list()?;
        self.loops -= usize::from(kind == BranchKind::Range);
        let otherwise = match ended {
            Ended::End => Vec::new(),
            Ended::Chain(chained) if chained == kind => {
                self.advance_word();
                vec![Node::Branch(self.branch(kind)?)]
            }
            _ => match self.list()? {
                (nodes, Ended::End) => nodes,
                _ => return Err(self.error("expected end; found {{else}}")),
            },
        };
        self.variables.truncate(outer);
        self.depth -= 1;
        Ok(Branch { kind, pipe, body, otherwise })
    }

    fn list(&mut self) -> Result<(Vec<Node>, Ended), String> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.step()? {
                Step::Node(node) => nodes.push(node),
                Step::Ended(ended) => return Ok((nodes, ended)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    /// Commands up to a closing token, which is read too.
    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, String> {
        let at = self.peek_word().at;
        let (variables, assigns) = self.declarations(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek_word();
            if token.kind == end {
                self.advance();
                break;
            }
            let Some(first) = self.operand()? else {
                return Err(self.unexpected(&token, context));
            };
            commands.push(self.command(token.at, first)?);
        }
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            let first = &command.first.term;
            let is_value = matches!(first, Term::Dot | Term::Nil | Term::Bool(_));
            if is_value || matches!(first, Term::Number { .. } | Term::Text { .. }) {
                let stage = index + 1;
                return Err(self.error(format!("non executable command in pipeline stage {stage}")));
            }
        }
        Ok(Pipe { at, variables, assigns, commands })
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool), String> {
        let mut variables = Vec::new();
        loop {
            let start = self.next;
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok((variables, false));
            }
            self.advance();
            let sign = self.peek_word();
            let is_comma = sign.kind == Kind::Other && sign.text == ",";
            if !is_comma && !matches!(sign.kind, Kind::Assign | Kind::Declare) {
                // An argument.
                self.next = start;
                return Ok((variables, false));
            }
            self.advance();
            variables.push(variable.text.clone().into_owned());
            self.variables.push(variable.text.into_owned());
            if !is_comma {
                return Ok((variables, sign.kind == Kind::Assign));
            }
            if context != "range" || variables.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            let next = self.peek_word().kind;
            if !matches!(next, Kind::Variable | Kind::Close | Kind::RightParen) {
                return Err(self.error("range can only initialize variables"));
            }
        }
    }

    /// The arguments of a command, and the bar behind it.
    fn command(&mut self, at: usize, first: Operand) -> Result<Command, String> {
        let mut arguments = Vec::new();
        loop {
            match self.peek().kind {
                Kind::Space => {
                    self.advance();
                    arguments.extend(self.operand()?);
                }
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.advance();
                    break;
                }
                _ => {
                    let token = self.advance();
                    return Err(self.unexpected(&token, "operand"));
                }
            }
        }
        Ok(Command { at, first, arguments })
    }

    /// A term with the fields behind it.
    fn operand(&mut self) -> Result<Option<Operand>, String> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        let chain_at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.advance().text.trim_start_matches('.').to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        match &mut operand.term {
            Term::Field(first) | Term::Variable { fields: first, .. } => first.append(&mut fields),
            Term::Function(_) | Term::Pipe(_) | Term::Chain { .. } => {
                let of = Box::new(operand);
                return Ok(Some(Operand { at: chain_at, term: Term::Chain { of, fields } }));
            }
            _ => {
                let what = quote(&operand.to_string());
                return Err(self.error(format!("unexpected . after term {what}")));
            }
        }
        operand.at = chain_at;
        Ok(Some(operand))
    }

    /// A value, a name or a pipeline in parentheses; nothing at a token that begins none of them.
    fn term(&mut self) -> Result<Option<Operand>, String> {
        let token = self.peek_word();
        let text = &*token.text;
        let term = match token.kind {
            Kind::Identifier => match Function::of(text) {
                Some(function) => Term::Function(function),
                None => return Err(self.error(format!("function {text:?} not defined"))),
            },
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Bool => Term::Bool(text == "true"),
            Kind::Field => Term::Field(vec![text.trim_start_matches('.').to_owned()]),
            Kind::Variable if !self.variables.iter().any(|name| name == text) => {
                return Err(self.error(format!("undefined variable {text:?}")));
            }
            Kind::Variable => Term::Variable { name: text.to_owned(), fields: Vec::new() },
            Kind::Number | Kind::Char | Kind::String | Kind::RawString => self.literal(&token)?,
            Kind::LeftParen => {
                self.advance();
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Operand { at: token.at, term: Term::Pipe(Box::new(pipe)) }));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(Operand { at: token.at, term }))
    }

    fn literal(&self, token: &Token<'_>) -> Result<Term, String> {
        let written = token.text.clone().into_owned();
        let term = match token.kind {
            Kind::Number => {
                literal::number(&token.text).map(|value| Term::Number { written, value })
            }
            Kind::Char => literal::character(&token.text)
                .map(|value| Term::Number { written, value: Number::Integer(value) }),
            _ => literal::string(&token.text).map(|value| Term::Text { written, value }),
        };
        term.map_err(|message| self.error(message))
    }
}
