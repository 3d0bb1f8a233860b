//! What a template is made of. Operands, commands and pipelines can be shown as they were written:
//! errors name them.

use std::fmt;

use super::functions::Function;

/// One part of a template, in the order of the text.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Pipe),
    Branch(Branch),
    Break,
    Continue,
}

/// `{{if}}`, `{{with}}` or `{{range}}`, up to its `{{end}}`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) kind: BranchKind,
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BranchKind {
    If,
    With,
    Range,
}

impl BranchKind {
    pub(super) fn of(keyword: &str) -> Option<Self> {
        match keyword {
            "if" => Some(Self::If),
            "with" => Some(Self::With),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

/// `$x := command | command`: the value of each command is the last argument of the next.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Where it begins in the template's text, in bytes; so too below.
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    /// The variables exist already.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A function, field or method with its arguments, or a value alone. Never empty.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) term: Term,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number {
        written: String,
        value: Number,
    },
    Text {
        written: String,
        value: String,
    },
    Function(Function),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`
    Variable {
        name: String,
        fields: Vec<String>,
    },
    Pipe(Box<Pipe>),
    /// `(pipeline).A.B`
    Chain {
        of: Box<Operand>,
        fields: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    /// A float that is a whole number is one, too.
    pub(super) fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(value),
            // Go's numbers end where floats can no longer tell neighbours apart.
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
                format!("{value:.0}").parse().ok()
            }
            Self::Float(_) => None,
        }
    }
}

impl Operand {
    /// As it was written, but for the parentheses around a pipeline.
    pub(super) fn bare(&self) -> String {
        match &self.term {
            Term::Pipe(pipe) => pipe.to_string(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            let separator = if index > 0 { " | " } else { "" };
            write!(f, "{separator}{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.arguments.iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = |f: &mut fmt::Formatter<'_>, fields: &[String]| {
            fields.iter().try_for_each(|field| write!(f, ".{field}"))
        };
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Bool(value) => write!(f, "{value}"),
            Term::Number { written, .. } | Term::Text { written, .. } => f.write_str(written),
            Term::Function(function) => f.write_str(function.name()),
            Term::Field(fields) => chain(f, fields),
            Term::Variable { name, fields } => {
                f.write_str(name)?;
                chain(f, fields)
            }
            Term::Pipe(pipe) => write!(f, "({pipe})"),
            Term::Chain { of, fields } => {
                write!(f, "{of}")?;
                chain(f, fields)
            }
        }
    }
}
