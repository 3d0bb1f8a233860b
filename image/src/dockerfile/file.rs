use super::instruction::{FromLine, Instruction, Parsed, Step};
use super::{Error, MAX_STAGES, lines, read};

/// A file that was read: every instruction, flag and form in it is one that is known.
///
/// What depends on variables is checked later, when they have values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    pub(super) name: String,
    pub(super) escape: char,
    pub(super) notes: Vec<String>,
    /// The `ARG`s before the first `FROM`.
    pub(super) globals: Vec<Step>,
    pub(super) stages: Vec<StageText>,
}

/// A stage as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StageText {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) from: FromLine,
    pub(super) steps: Vec<Step>,
}

impl Dockerfile {
    /// Reads a file. `name` is what errors call it.
    ///
    /// # Errors
    /// It is larger than 1 MiB, not UTF-8, has more than 500 stages or 10,000 instructions, or one of them is
    /// not as the Dockerfile reference has it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let lines = lines::read(name, bytes)?;
        let (escape, notes) = (lines.escape, lines.notes);
        let (mut globals, mut stages) = (Vec::new(), Vec::<StageText>::new());
        let mut last = (0, String::new());
        for lines::Line { number: line, text, heredocs } in lines.lines {
            let error = |message: String| Error::new(name, line, &text, message);
            let parsed = read::instruction(&text, &heredocs, escape).map_err(error)?;
            last = (line, text.clone());
            let full = stages.len() == MAX_STAGES;
            match (parsed, stages.last_mut()) {
                (Parsed::From(_), _) if full => {
                    let message = format!("there are more than {MAX_STAGES} stages");
                    return Err(Error::new(name, line, &text, message));
                }
                (Parsed::From(from), _) => {
                    stages.push(StageText { line, text, from, steps: Vec::new() });
                }
                (Parsed::Instruction(instruction), Some(stage)) => {
                    stage.steps.push(Step { line, text, instruction });
                }
                (Parsed::Instruction(instruction @ Instruction::Arg(_)), None) => {
                    globals.push(Step { line, text, instruction });
                }
                (Parsed::Instruction(_), None) => {
                    return Err(Error::new(name, line, &text, "only ARG can stand before FROM"));
                }
            }
        }
        match stages.is_empty() {
            true => Err(Error::new(name, last.0, &last.1, "there is no FROM in the file")),
            false => Ok(Self { name: name.to_owned(), escape, notes, globals, stages }),
        }
    }

    /// What was read and has no effect, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
