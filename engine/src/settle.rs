//! What the caller has left open, decided by what the host allows.

use crate::containers::Config;
use crate::host::Host;
use crate::{Error, NetworkMode, RunOptions, user_mode};

/// The number of processes of a hardened container: enough for a service, few enough that several
/// of them leave the host its own.
const HARDENED_PIDS: i64 = 512;

/// The same options with nothing open but `--userns`, which depends on more than facts.
/// `may_limit`: there are control groups to set limits in.
pub(crate) fn settle(
    options: &RunOptions,
    host: &Host,
    may_limit: bool,
) -> Result<RunOptions, Error> {
    let mut settled = options.clone();
    settled.network = Some(network(options, host)?);
    harden(&mut settled, may_limit)?;
    Ok(settled)
}

/// The same for a container that runs, in which nothing is decided any more.
pub(crate) fn settled(config: &Config) -> Result<RunOptions, Error> {
    let mut settled = config.options.clone();
    settled.network = Some(config.network());
    // Whether there could be limits is of no matter: they are set.
    harden(&mut settled, false)?;
    Ok(settled)
}

fn harden(settled: &mut RunOptions, may_limit: bool) -> Result<(), Error> {
    if settled.hardened {
        if settled.privileged {
            return Err(Error::new("--hardened and --privileged are opposites"));
        }
        settled.no_new_privileges = true;
        settled.read_only = true;
        if may_limit {
            settled.resources.pids.get_or_insert(HARDENED_PIDS);
        }
    }
    Ok(())
}

fn network(options: &RunOptions, host: &Host) -> Result<NetworkMode, Error> {
    if host.rootless {
        return user_mode::settle(options, (&host.user_modes, host.leads_out));
    }
    match options.network() {
        NetworkMode::UserMode(mode) => {
            Err(Error::new(format!("cannot use {mode}: it connects containers without root"))
                .hint("use --network bridge"))
        }
        mode => Ok(mode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;

    fn settled(rootless: bool, change: impl FnOnce(&mut RunOptions)) -> Result<RunOptions, Error> {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        change(&mut options);
        settle(&options, &Host { rootless, ..Host::for_tests() }, !rootless)
    }

    #[test]
    fn without_root_there_is_no_bridge() {
        let network = |rootless| settled(rootless, |_| {}).unwrap().network;
        assert_eq!(network(false), Some(NetworkMode::bridge()));
        assert_eq!(network(true), Some(NetworkMode::None));
        let asked = |rootless| settled(rootless, |run| run.network = Some(NetworkMode::bridge()));
        assert!(asked(false).is_ok() && asked(true).is_err());
        let pasta = Some(NetworkMode::UserMode(crate::UserMode::Pasta));
        assert!(settled(false, |run| run.network = pasta).is_err());
    }

    #[test]
    fn hardened_means_several_options_at_once() {
        let run = settled(false, |run| run.hardened = true).unwrap();
        assert!(run.no_new_privileges && run.read_only);
        assert_eq!(run.resources.pids, Some(HARDENED_PIDS));
        let own = settled(false, |run| {
            run.hardened = true;
            run.resources.pids = Some(7);
        });
        assert_eq!(own.unwrap().resources.pids, Some(7));
        assert_eq!(settled(true, |run| run.hardened = true).unwrap().resources.pids, None);
        assert!(settled(false, |run| (run.hardened, run.privileged) = (true, true)).is_err());
    }
}
