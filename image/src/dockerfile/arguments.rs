//! The arguments of a build that are declared before its first stage, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::expand::{Budget, Expander};
use super::instruction::Instruction;
use super::scope::is_predefined;
use super::{Dockerfile, Error, Options, resolve};

/// The variables that a `FROM` knows: the `ARG`s before the first one, and the platforms.
pub(super) fn globals(
    file: &Dockerfile,
    options: &Options,
    budget: &mut Budget,
) -> Result<BTreeMap<String, String>, Error> {
    let mut values = BTreeMap::new();
    for (prefix, platform) in [("TARGET", &options.platform), ("BUILD", &options.build_platform)] {
        values.insert(format!("{prefix}PLATFORM"), platform.to_string());
        values.insert(format!("{prefix}OS"), platform.os.clone());
        values.insert(format!("{prefix}ARCH"), platform.architecture.clone());
        values.insert(format!("{prefix}VARIANT"), platform.variant.clone().unwrap_or_default());
    }
    let stage = options.target.as_deref().unwrap_or("default");
    values.insert("TARGETSTAGE".to_owned(), stage.to_owned());
    // The caller's word comes first.
    let given: Vec<_> =
        values.keys().filter(|name| options.arguments.contains_key(*name)).cloned().collect();
    for name in given {
        values.extend(options.arguments.get(&name).map(|value| (name, value.clone())));
    }
    for step in &file.globals {
        let Instruction::Arg(declared) = &step.instruction else { continue };
        for argument in declared {
            let lookup = |name: &str| values.get(name).map(String::as_str);
            let mut expander = Expander { lookup: &lookup, escape: file.escape, budget };
            let expanded = resolve::arguments(std::slice::from_ref(argument), &mut expander)
                .map_err(|message| Error::new(&file.name, step.line, &step.text, message))?;
            for (name, default) in expanded {
                let value = options.arguments.get(&name).cloned().or(default);
                values.extend(value.map(|value| (name, value)));
            }
        }
    }
    Ok(values)
}

/// What was read, and arguments that nothing declares.
pub(super) fn notes(file: &Dockerfile, options: &Options) -> Vec<String> {
    let steps = file.globals.iter().chain(file.stages.iter().flat_map(|stage| &stage.steps));
    let declared: BTreeSet<&str> = steps
        .filter_map(|step| match &step.instruction {
            Instruction::Arg(declared) => Some(declared.iter().map(|(name, _)| name.as_str())),
            _ => None,
        })
        .flatten()
        .collect();
    let unused = options
        .arguments
        .keys()
        .filter(|name| !declared.contains(name.as_str()) && !is_predefined(name));
    let unused =
        unused.map(|name| format!("the build argument {name} is not used: no ARG declares it"));
    file.notes.iter().cloned().chain(unused).collect()
}
