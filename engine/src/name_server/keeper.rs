use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use minidock_net::names::EndpointId;
use minidock_ns::Process;

use super::{Served, is_enlisted, served, start};
use crate::endpoints::{Changes, Endpoints};
use crate::{ContainerId, Engine, Error, Network};

/// After how long it is looked again for a server that could not be started or has died again, the
/// second time; each time twice as long. The first time it is looked at once.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// One that has served for so long has died for the first time.
const LASTING: Duration = Duration::from_secs(10);

/// The name servers of a container's networks, as whoever is in charge of it sees them. None of them
/// is its own: it ends with the last container of its network, and starts anew by the first one
/// that sees that it has died.
#[derive(Debug)]
pub(crate) struct Keeper<'a> {
    engine: &'a Engine,
    id: Option<EndpointId>,
    kept: Vec<Kept>,
    /// Where it is told when the container has joined a network or left one.
    changes: Option<Changes>,
    /// The container's directory.
    directory: PathBuf,
    /// Why one could not be started.
    failure: Option<Error>,
    /// Why it is not known on which networks the container is.
    unknown: Option<Error>,
}

#[derive(Debug)]
struct Kept {
    network: Network,
    gateways: Vec<IpAddr>,
    /// And since when it is known.
    server: Option<(Process, Instant)>,
    /// When it is looked for; nothing while there is one, or the container is not on the network.
    next: Option<Instant>,
    /// Until the look after the next one.
    pause: Duration,
}

impl<'a> Keeper<'a> {
    /// For a container that has just been started, and the networks that it will join.
    pub(crate) fn of(engine: &'a Engine, id: &ContainerId) -> Self {
        let mut keeper = Self::new(engine, id, &[]);
        // It runs, and is not to end for a failure.
        match Changes::of(&keeper.directory) {
            Ok(changes) => keeper.changes = changes,
            Err(error) => keeper.unknown = Some(error),
        }
        keeper.note_networks();
        keeper
    }

    /// For one that is on these networks.
    pub(crate) fn new(engine: &'a Engine, id: &ContainerId, networks: &[Served]) -> Self {
        let kept = networks.iter().cloned().map(|(network, gateways)| Kept::new(network, gateways));
        // An id of a container is one of an endpoint.
        let (id, directory) = (id.as_str().parse().ok(), engine.state.container(id));
        Self {
            engine,
            id,
            kept: kept.collect(),
            changes: None,
            directory,
            failure: None,
            unknown: None,
        }
    }

    /// When there is something to do, whatever is readable.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.kept.iter().filter_map(|kept| kept.next).min()
    }

    /// What polls as readable when there is something to do.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let servers = self.kept.iter().filter_map(|kept| Some(kept.server.as_ref()?.0.as_fd()));
        servers.chain(self.changes.as_ref().map(AsFd::as_fd))
    }

    /// Does whatever there is to do now. Waits for nothing but the start of a server.
    pub(crate) fn look(&mut self) {
        match self.changes.as_mut().map_or(Ok(false), Changes::take) {
            Ok(true) => self.note_networks(),
            Ok(false) => {}
            Err(error) => (self.changes, self.unknown) = (None, Some(error)),
        }
        let Some(id) = &self.id else { return };
        for kept in &mut self.kept {
            match kept.look(self.engine, id) {
                Ok(()) => {}
                // The first error is the one to tell, and all is well when it serves again.
                Err(error) => drop(self.failure.get_or_insert(error)),
            }
        }
        if self.kept.iter().all(|kept| kept.next.is_none()) {
            self.failure = None;
        }
    }

    /// The networks that the container is on now.
    fn note_networks(&mut self) {
        let endpoints = match Endpoints::read(&self.directory) {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                self.unknown = Some(error);
                return;
            }
        };
        let (served, unknown) = served(self.engine, &endpoints);
        self.unknown = unknown;
        let list = &endpoints.list;
        self.kept.retain(|kept| list.iter().any(|one| one.network_id == kept.network.id));
        let now = Some(Instant::now());
        for (network, gateways) in served {
            match self.kept.iter_mut().find(|kept| kept.network.id == network.id) {
                Some(kept) if kept.server.is_none() => kept.next = now,
                Some(_) => {}
                None => self.kept.push(Kept::new(network, gateways)),
            }
        }
    }

    /// Why names have not been served until now.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take().or(self.unknown.take())
    }
}

impl Kept {
    fn new(network: Network, gateways: Vec<IpAddr>) -> Self {
        let (next, pause) = (Some(Instant::now()), Duration::ZERO);
        Self { network, gateways, server: None, next, pause }
    }

    fn look(&mut self, engine: &Engine, id: &EndpointId) -> Result<(), Error> {
        let now = Instant::now();
        if let Some((server, since)) = &self.server {
            if !server.wait(Some(Duration::ZERO))? {
                return Ok(());
            }
            // One that dies again and again is not to keep the host busy.
            if now.saturating_duration_since(*since) >= LASTING {
                self.pause = Duration::ZERO;
            }
            self.server = None;
            self.later(now);
        }
        if self.next.is_none_or(|next| next > now) {
            return Ok(());
        }
        self.later(now);
        if !is_enlisted(engine, &self.network, id)? {
            self.next = None;
        } else if let Some(server) = start::attempt(engine, &self.network, &self.gateways)? {
            (self.server, self.next) = (Some((server, now)), None);
        }
        Ok(())
    }

    fn later(&mut self, now: Instant) {
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
    }
}
