use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::expand::{Budget, Expander};
use super::file::StageText;
use super::instruction::{Instruction, Parsed, Step};
use super::names::{Names, Origin, reference};
use super::{Dockerfile, Error, MAX_INSTRUCTIONS, MAX_TEXT, arguments, lines, read};
use crate::Reference;
use crate::manifest::Platform;

/// What a build is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--target`: the name or number of a stage; the last, if nothing is given.
    pub target: Option<String>,
    /// `--build-arg`.
    pub arguments: BTreeMap<String, String>,
    /// What the image is for.
    pub platform: Platform,
    /// What the build runs on.
    pub build_platform: Platform,
}

/// The stages of a file, and what they need of one another.
///
/// A stage takes only from stages before it, so that there are no circles.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) file: String,
    pub(super) escape: char,
    pub(super) given: Arc<BTreeMap<String, String>>,
    pub(super) globals: Arc<BTreeMap<String, String>>,
    stages: Vec<Stage>,
    names: Names,
    target: usize,
    notes: Vec<String>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// From 0, in the order of the file.
    pub number: usize,
    /// In lower case.
    pub name: Option<String>,
    /// The line of its `FROM`.
    pub line: usize,
    /// What it begins with.
    pub base: Base,
    /// What it is built for.
    pub platform: Platform,
    /// Its instructions, after the triggers of the stage that it begins with. Those of an image are
    /// not known here ([`Graph::trigger`]).
    pub steps: Vec<Step>,
    /// The stages that have to be built before, directly.
    pub needs: BTreeSet<usize>,
    /// The images that it takes files from.
    pub images: BTreeSet<Reference>,
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing at all.
    Scratch,
    /// An image.
    Image(Reference),
    /// Another stage.
    Stage(usize),
}

impl Graph {
    /// Puts the stages together.
    ///
    /// # Errors
    /// The target is no stage, two stages have the same name, a `FROM` is no image, or something
    /// is taken from a stage that is not defined yet.
    pub fn new(file: &Dockerfile, options: &Options) -> Result<Self, Error> {
        let mut budget = Budget::default();
        let globals = arguments::globals(file, options, &mut budget)?;
        let names = Names::of(file)?;
        let mut stages: Vec<Stage> = Vec::new();
        let mut room = Room { steps: MAX_INSTRUCTIONS, bytes: MAX_TEXT };
        for (number, text) in file.stages.iter().enumerate() {
            let error = |message: String| Error::new(&file.name, text.line, &text.text, message);
            let lookup = |name: &str| globals.get(name).map(String::as_str);
            let mut expander =
                Expander { lookup: &lookup, escape: file.escape, budget: &mut budget };
            let (base, platform) =
                begin(text, &names, &stages, options, &mut expander).map_err(error)?;
            let steps = steps(file, text, &base, &mut room)?;
            let mut stage = Stage {
                number,
                name: text.from.name.clone(),
                line: text.line,
                base,
                platform,
                steps,
                needs: BTreeSet::new(),
                images: BTreeSet::new(),
            };
            stage
                .connect(&names)
                .map_err(|(line, text, message)| Error::new(&file.name, line, &text, message))?;
            stages.push(stage);
        }
        Ok(Self {
            target: names.target(&file.name, options.target.as_deref())?,
            names,
            notes: arguments::notes(file, options),
            file: file.name.clone(),
            escape: file.escape,
            given: Arc::new(options.arguments.clone()),
            globals: Arc::new(globals),
            stages,
        })
    }

    /// All stages of the file, by number.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage that is asked for.
    #[must_use]
    pub fn target(&self) -> usize {
        self.target
    }

    /// What has no effect, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The stages that the target needs, itself included. Those of one wave need none of each
    /// other's and can be built at once, after all waves before.
    #[must_use]
    pub fn waves(&self) -> Vec<Vec<usize>> {
        let mut needed = BTreeSet::from([self.target]);
        // Whatever a stage needs has a smaller number.
        for stage in self.stages.iter().rev() {
            if needed.contains(&stage.number) {
                needed.extend(&stage.needs);
            }
        }
        let mut waves: Vec<Vec<usize>> = Vec::new();
        let mut wave_of = BTreeMap::new();
        for stage in self.stages.iter().filter(|stage| needed.contains(&stage.number)) {
            let before = stage.needs.iter().filter_map(|need| wave_of.get(need)).max();
            let wave = before.map_or(0, |before: &usize| before + 1);
            wave_of.insert(stage.number, wave);
            match waves.get_mut(wave) {
                Some(stages) => stages.push(stage.number),
                None => waves.push(vec![stage.number]),
            }
        }
        waves
    }

    /// What a `--from`, or the `from` of a mount, means in a stage.
    ///
    /// # Errors
    /// It is no image and no stage before this one.
    pub fn origin(&self, stage: usize, from: &str) -> Result<Origin, Error> {
        self.names.origin(stage, from).map_err(|message| {
            let line = self.stages.get(stage).map_or(0, |stage| stage.line);
            Error::new(&self.file, line, "", message)
        })
    }

    /// A trigger that the image of a stage has, as an instruction of that stage.
    ///
    /// # Errors
    /// It cannot be read, is not allowed as a trigger, or takes from a stage that the stage does
    /// not need otherwise: nothing says that it is built.
    pub fn trigger(&self, stage: usize, expression: &str) -> Result<Step, Error> {
        let line = self.stages.get(stage).map_or(0, |stage| stage.line);
        let step = trigger("ONBUILD of the image", line, expression, '\\')?;
        let error = |message: String| Error::new("ONBUILD of the image", line, expression, message);
        for from in step.origins() {
            let needs = self.stages.get(stage).map(|stage| &stage.needs);
            match self.origin(stage, from)? {
                Origin::Stage(other) if !needs.is_some_and(|needs| needs.contains(&other)) => {
                    return Err(error(format!("it takes from the stage {from}, which is unknown")));
                }
                _ => (),
            }
        }
        Ok(step)
    }
}

impl Step {
    /// The stages and images that it takes from.
    fn origins(&self) -> Vec<&str> {
        match &self.instruction {
            Instruction::Copy(copy) => copy.from.as_deref().into_iter().collect(),
            Instruction::Run(run) => run.specs.iter().filter_map(|spec| spec.from()).collect(),
            _ => Vec::new(),
        }
    }
}

impl Stage {
    /// Notes what it needs.
    fn connect(&mut self, names: &Names) -> Result<(), (usize, String, String)> {
        if let Base::Stage(parent) = self.base {
            self.needs.insert(parent);
        }
        for step in &self.steps {
            let error = |message: String| (step.line, step.text.clone(), message);
            for from in step.origins() {
                match names.origin(self.number, from).map_err(error)? {
                    Origin::Stage(stage) => drop(self.needs.insert(stage)),
                    Origin::Image(image) => drop(self.images.insert(image)),
                    Origin::Scratch if matches!(step.instruction, Instruction::Copy(_)) => {
                        return Err(error("there is nothing to copy in scratch".to_owned()));
                    }
                    Origin::Scratch => (),
                }
            }
        }
        Ok(())
    }
}

/// What a stage begins with, and its platform.
fn begin(
    text: &StageText,
    names: &Names,
    stages: &[Stage],
    options: &Options,
    expander: &mut Expander<'_, '_>,
) -> Result<(Base, Platform), String> {
    let image = expander.word(&text.from.image)?;
    if image.is_empty() {
        return Err(format!("the image {} is empty", text.from.image));
    }
    // The names of later stages are those of images here.
    let parent = names.named(&image).filter(|parent| *parent < stages.len());
    let platform = match &text.from.platform {
        Some(platform) => {
            expander.word(platform)?.parse().map_err(|e| format!("--platform: {e}"))?
        }
        None => match parent.and_then(|parent| stages.get(parent)) {
            Some(parent) => parent.platform.clone(),
            None => options.platform.clone(),
        },
    };
    let base = match parent {
        Some(parent) => Base::Stage(parent),
        None if image == "scratch" => Base::Scratch,
        None => Base::Image(reference(&image)?),
    };
    Ok((base, platform))
}

/// What triggers may still add: a file names its own text as often as it likes.
struct Room {
    steps: usize,
    bytes: usize,
}

/// The instructions of a stage, after the triggers of the stage that it begins with.
fn steps(
    file: &Dockerfile,
    text: &StageText,
    base: &Base,
    room: &mut Room,
) -> Result<Vec<Step>, Error> {
    let parent = match base {
        Base::Stage(parent) => file.stages.get(*parent),
        _ => None,
    };
    let mut steps = Vec::new();
    for step in parent.iter().flat_map(|stage| &stage.steps) {
        let Instruction::Onbuild(expression) = &step.instruction else { continue };
        let left = (room.steps.checked_sub(1)).zip(room.bytes.checked_sub(expression.len()));
        (room.steps, room.bytes) = left.ok_or_else(|| {
            let message = "the instructions of ONBUILD are too many or too large together";
            Error::new(&file.name, text.line, &text.text, message)
        })?;
        steps.push(trigger(&file.name, step.line, expression, file.escape)?);
    }
    steps.extend(text.steps.iter().cloned());
    Ok(steps)
}

fn trigger(file: &str, number: usize, expression: &str, escape: char) -> Result<Step, Error> {
    let line = lines::read_one(file, expression, escape)?;
    let error = |message: &str| Error::new(file, number, expression, message);
    match read::instruction(&line.text, &line.heredocs, escape) {
        Ok(Parsed::Instruction(Instruction::Onbuild(_) | Instruction::Maintainer(_)))
        | Ok(Parsed::From(_)) => Err(error("the instruction is not allowed as a trigger")),
        Ok(Parsed::Instruction(instruction)) => {
            Ok(Step { line: number, text: line.text, instruction })
        }
        Err(message) => Err(error(&message)),
    }
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
