use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::expand::{Budget, Expander};
use super::instruction::{Instruction, Step};
use super::{Error, Graph, MAX_ENVIRONMENT, resolve};

/// The variables of a stage while its instructions are gone through, one after the other.
///
/// A stage that begins with an image begins with [`Scope::new`] and the image's environment; one
/// that begins with another stage goes on with a clone of that one's, as it was at its end.
///
/// `ENV` wins over `ARG`; an `ARG` has the value that the caller gives, else its default, else
/// what an `ARG` before the first `FROM` has.
#[derive(Debug, Clone)]
pub struct Scope {
    file: String,
    escape: char,
    environment: Vec<(String, String)>,
    /// Where each name is in the environment.
    index: HashMap<String, usize>,
    arguments: BTreeMap<String, Option<String>>,
    /// Of the caller.
    given: Arc<BTreeMap<String, String>>,
    /// What an `ARG` without a default can have: those before the first `FROM`, and the platforms.
    globals: Arc<BTreeMap<String, String>>,
    budget: Budget,
    /// Of all names and values, in bytes.
    size: usize,
}

/// Arguments that programs see without a declaration, and histories do not.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Whether an argument needs no declaration.
pub(super) fn is_predefined(name: &str) -> bool {
    PREDEFINED.contains(&name)
}

impl Scope {
    /// The scope of a stage that begins with an image, or with nothing.
    #[must_use]
    pub fn new(graph: &Graph, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut scope = Self {
            file: graph.file.clone(),
            escape: graph.escape,
            environment: Vec::new(),
            index: HashMap::new(),
            arguments: BTreeMap::new(),
            given: Arc::clone(&graph.given),
            globals: Arc::clone(&graph.globals),
            budget: Budget::default(),
            size: 0,
        };
        for (name, value) in environment {
            scope.set(name, value);
        }
        scope
    }

    /// The image's environment as it is now, in order.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The declared arguments that have a value and are no variables of the environment: what
    /// a history shows of them, and what a cache has to know.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        let declared = self.arguments.iter().filter(|(name, _)| !self.index.contains_key(*name));
        declared.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
    }

    /// What a program of `RUN` sees: the environment, the arguments, and the proxies that the
    /// caller gives.
    #[must_use]
    pub fn run_environment(&self) -> Vec<(String, String)> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let proxies = PREDEFINED.iter().filter(|name| {
            !self.index.contains_key(**name) && !self.arguments.contains_key(**name)
        });
        let proxies = proxies.filter_map(|name| Some((*name, self.given.get(*name)?.as_str())));
        let mut all = self.environment.clone();
        all.extend(self.arguments().map(owned));
        all.extend(proxies.map(owned));
        all
    }

    /// An instruction with the values of its variables put in, and checked. What it declares is
    /// known to the next.
    ///
    /// # Errors
    /// A variable's form is wrong or it must not be empty, a value is not what the instruction
    /// takes, or the values are too large: 1 MiB at any time, 32 MiB over all instructions.
    pub fn expand(&mut self, step: &Step) -> Result<Instruction, Error> {
        let mut budget = self.budget.clone();
        let expanded = {
            let lookup = |name: &str| self.value(name);
            let mut expander =
                Expander { lookup: &lookup, escape: self.escape, budget: &mut budget };
            resolve::instruction(&step.instruction, &mut expander)
        };
        self.budget = budget;
        let error = |message| Error::new(&self.file, step.line, &step.text, message);
        let expanded = match expanded.map_err(error)? {
            Instruction::Env(pairs) => {
                for (name, value) in pairs.clone() {
                    self.set(name, value);
                }
                Instruction::Env(pairs)
            }
            Instruction::Arg(declared) => Instruction::Arg(self.declare(declared)),
            other => other,
        };
        if self.size > MAX_ENVIRONMENT {
            let message = format!("the variables are larger than {MAX_ENVIRONMENT} bytes together");
            return Err(Error::new(&self.file, step.line, &step.text, message));
        }
        Ok(expanded)
    }

    fn value(&self, name: &str) -> Option<&str> {
        match self.index.get(name).and_then(|at| self.environment.get(*at)) {
            Some((_, value)) => Some(value),
            None => self.arguments.get(name)?.as_deref(),
        }
    }

    fn set(&mut self, name: String, value: String) {
        let next = self.environment.len();
        let at = *self.index.entry(name.clone()).or_insert(next);
        self.size += value.len();
        match self.environment.get_mut(at) {
            Some(pair) => {
                self.size -= pair.1.len();
                pair.1 = value;
            }
            None => {
                self.size += name.len();
                self.environment.push((name, value));
            }
        }
    }

    /// The arguments with the values that they have now.
    fn declare(
        &mut self,
        declared: Vec<(String, Option<String>)>,
    ) -> Vec<(String, Option<String>)> {
        let mut known = Vec::new();
        for (name, default) in declared {
            let given = self.given.get(&name).cloned();
            let value = given.or(default).or_else(|| self.globals.get(&name).cloned());
            let value = value.or_else(|| self.arguments.get(&name).cloned().flatten());
            let size = |value: &Option<String>| value.as_ref().map_or(0, String::len);
            self.size += size(&value);
            match self.arguments.insert(name.clone(), value.clone()) {
                Some(before) => self.size -= size(&before),
                None => self.size += name.len(),
            }
            known.push((name, value));
        }
        known
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
