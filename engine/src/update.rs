//! Other limits and another restart policy for a container that exists.

use minidock_cgroup::{Bound, Cgroup, Limits, Mode, Stats};

use crate::containers::Config;
use crate::{
    ContainerId, Engine, Error, Resources, RestartPolicy, RunOptions, adrift, control, lower,
    rename, spec,
};

/// What changes; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// Limits. Throttles of devices cannot be changed.
    pub resources: Resources,
    /// The restart policy.
    pub restart: Option<RestartPolicy>,
}

/// Changes what is written down, and the groups of a container that runs. When the kernel refuses
/// it, what is written down stays as it was.
pub(crate) fn update(engine: &Engine, id: &ContainerId, update: &Update) -> Result<(), Error> {
    engine.state.prepare()?;
    let _changing = engine.containers.lock(id)?;
    let before = control::config(engine, id)?;
    let (after, limits) = changed(&before, update)?;
    // A start from here on has the new limits; one before it has a group that they are set in.
    rename::describe_anew(engine, &after)?;
    let set = match control::process(engine, id)? {
        Some(_) if limits != Limits::default() => set(engine, id, &limits),
        _ => Ok(()),
    };
    set.or_else(|error| {
        // It may have ended meanwhile: then there is nothing to set.
        if control::process(engine, id)?.is_none() {
            return Ok(());
        }
        rename::describe_anew(engine, &before)?;
        Err(error)
    })
}

/// The new description, and the limits that differ.
fn changed(before: &Config, update: &Update) -> Result<(Config, Limits), Error> {
    check(before, update)?;
    let mut after = before.clone();
    let resources = &mut after.options.resources;
    merge(resources, &update.resources);
    let mut differs = update.resources.clone();
    if update.resources.memory.is_some() || update.resources.memory_swap.is_some() {
        // The two are checked against one another, also by the kernel.
        (differs.memory, differs.memory_swap) = (resources.memory, resources.memory_swap);
    }
    // What holds when nothing is said was decided when it was made.
    let limits = |resources: &Resources| {
        let options = RunOptions {
            resources: resources.clone(),
            ..RunOptions::new(before.options.source.clone())
        };
        lower::limits(&spec::limits(&options)?)
    };
    limits(resources)?;
    let limits = limits(&differs)?;
    if let Some(restart) = update.restart {
        after.options.lifecycle.restart = restart;
    }
    Ok((after, limits))
}

/// Docker's rules and words.
fn check(before: &Config, update: &Update) -> Result<(), Error> {
    let (old, new) = (&before.options.resources, &update.resources);
    let removed = before.options.lifecycle.auto_remove;
    let refused = match () {
        () if removed && update.restart.is_some_and(|policy| policy != RestartPolicy::No) => {
            "Restart policy cannot be updated because AutoRemove is enabled for the container"
        }
        () if new.cpus.is_some() && old.cpu_period.is_some() => {
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set."
        }
        () if new.cpus.is_some() && old.cpu_quota.is_some() => {
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set."
        }
        () if new.cpu_quota.is_some() && old.cpus.is_some() => {
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set."
        }
        () if new.cpu_period.is_some() && old.cpus.is_some() => {
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set."
        }
        () if is_above_swap(old, new) => {
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time"
        }
        () => return Ok(()),
    };
    Err(Error::new(refused))
}

fn is_above_swap(old: &Resources, new: &Resources) -> bool {
    let swap = old.memory_swap.and_then(|swap| u64::try_from(swap).ok()).filter(|swap| *swap > 0);
    new.memory_swap.is_none() && new.memory.zip(swap).is_some_and(|(memory, swap)| memory > swap)
}

fn merge(all: &mut Resources, new: &Resources) {
    fn take<T: Clone>(old: &mut Option<T>, new: &Option<T>) {
        if new.is_some() {
            old.clone_from(new);
        }
    }
    take(&mut all.memory, &new.memory);
    take(&mut all.memory_swap, &new.memory_swap);
    take(&mut all.memory_reservation, &new.memory_reservation);
    take(&mut all.cpus, &new.cpus);
    take(&mut all.cpu_quota, &new.cpu_quota);
    take(&mut all.cpu_period, &new.cpu_period);
    take(&mut all.cpu_shares, &new.cpu_shares);
    take(&mut all.cpuset_cpus, &new.cpuset_cpus);
    take(&mut all.cpuset_mems, &new.cpuset_mems);
    take(&mut all.pids, &new.pids);
    take(&mut all.blkio_weight, &new.blkio_weight);
}

fn set(engine: &Engine, id: &ContainerId, limits: &Limits) -> Result<(), Error> {
    let none = |id: &ContainerId| {
        Error::new(format!("cannot limit container {id}: it has no control group"))
    };
    let cgroup = control::cgroup(engine, id)?.filter(|cgroup| !cgroup.directories().is_empty());
    let Some(cgroup) = cgroup else { return Err(adrift::or(engine, id, none)?) };
    refuse_to_kill(&cgroup, limits)?;
    cgroup.update(limits).map_err(|error| match &error {
        minidock_cgroup::Error::ControllerAbsent { controller, .. } => {
            Error::new(format!("{error}, or the container was started without such a limit"))
                .hint(format!("stop it, update it and start it again to use {controller}"))
        }
        _ => {
            let hint = error.hint();
            let error = Error::from(error);
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
    })
}

/// Cgroup v1 refuses a limit below what is in use; v2 takes it and kills.
fn refuse_to_kill(cgroup: &Cgroup, limits: &Limits) -> Result<(), Error> {
    if limits.memory.is_none() || !matches!(cgroup.mode(), Mode::V2) {
        return Ok(());
    }
    match in_excess(&cgroup.stats()?, limits) {
        Some((used, most)) => {
            let message = format!(
                "cannot set the memory limit to {most} bytes: {used} are in use, and the kernel \
                 would kill processes"
            );
            Err(Error::new(message).hint("stop processes first, or ask for more"))
        }
        None => Ok(()),
    }
}

/// What is in use beyond the cache that can be dropped, and the limit, when it does not fit.
fn in_excess(stats: &Stats, limits: &Limits) -> Option<(u64, u64)> {
    let most = match (limits.memory_swap, limits.memory?) {
        (Some(Bound::At(most)), _) | (None, Bound::At(most)) => most,
        _ => return None,
    };
    let used = stats.memory_usage?.saturating_sub(stats.memory_inactive_file.unwrap_or(0));
    let used = used.saturating_add(stats.swap_usage.unwrap_or(0));
    (used > most).then_some((used, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    fn config(change: impl FnOnce(&mut RunOptions)) -> Config {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        change(&mut options);
        Config {
            id: ContainerId::random().unwrap(),
            name: "web".to_owned(),
            image: "x".to_owned(),
            created: 1,
            command: Vec::new(),
            stop_signal: 15,
            base: None,
            described: crate::Described::default(),
            options,
        }
    }

    fn resources(change: impl FnOnce(&mut Resources)) -> Update {
        let mut update = Update::default();
        change(&mut update.resources);
        update
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn only_what_changes_is_set_and_memory_goes_with_swap() {
        let before = config(|run| {
            run.resources.memory = Some(64 * MIB);
            run.resources.memory_swap = Some(-1);
            run.resources.cpu_shares = Some(512);
        });
        let (after, limits) = changed(&before, &resources(|r| r.pids = Some(7))).unwrap();
        assert_eq!(limits, Limits { pids: Some(Bound::At(7)), ..Limits::default() });
        assert_eq!(after.options.resources.memory, Some(64 * MIB));
        assert_eq!(after.options.resources.pids, Some(7));
        let more = resources(|r| r.memory = Some(128 * MIB));
        let (_, limits) = changed(&before, &more).unwrap();
        assert_eq!(limits.memory, Some(Bound::At(128 * MIB)));
        assert_eq!((limits.memory_swap, limits.cpu_shares), (Some(Bound::Max), None));
        let swap = resources(|r| r.memory_swap = Some(200 * 1024 * 1024));
        assert_eq!(changed(&before, &swap).unwrap().1.memory, Some(Bound::At(64 * MIB)));
    }

    #[test]
    fn contradictions_are_refused() {
        let fixed = config(|run| {
            run.resources.memory = Some(64 * MIB);
            run.resources.memory_swap = Some(64 * 1024 * 1024);
            run.resources.cpus = Some(1.0);
            run.lifecycle.auto_remove = true;
        });
        let restart = Update { restart: Some(RestartPolicy::Always), ..Update::default() };
        for (update, words) in [
            (resources(|r| r.memory = Some(65 * MIB)), "update the memoryswap at the same time"),
            (resources(|r| r.memory = Some(1)), "Minimum memory limit"),
            (resources(|r| r.memory_swap = Some(1)), "Minimum memoryswap limit"),
            (resources(|r| r.cpu_quota = Some(5000)), "NanoCPUs has already been set"),
            (resources(|r| r.memory_reservation = Some(65 * MIB)), "reservation"),
            (restart, "AutoRemove is enabled"),
        ] {
            let error = changed(&fixed, &update).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let restart = Update { restart: Some(RestartPolicy::Always), ..Update::default() };
        let (after, limits) = changed(&config(|_| {}), &restart).unwrap();
        assert_eq!(after.options.lifecycle.restart, RestartPolicy::Always);
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn memory_in_use_has_to_fit() {
        let mut stats = Stats::default();
        (stats.memory_usage, stats.memory_inactive_file) = (Some(100), Some(40));
        let limits =
            |memory, memory_swap| Limits { memory: Some(memory), memory_swap, ..Limits::default() };
        assert_eq!(in_excess(&stats, &limits(Bound::At(60), None)), None);
        assert_eq!(in_excess(&stats, &limits(Bound::At(59), None)), Some((60, 59)));
        assert_eq!(in_excess(&stats, &limits(Bound::At(30), Some(Bound::At(60)))), None);
        assert_eq!(in_excess(&stats, &limits(Bound::At(30), Some(Bound::Max))), None);
    }
}
