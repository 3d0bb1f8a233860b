//! The network's part of a start, up to the lowering: whose it is, and what it will be.

use std::os::fd::{AsFd, AsRawFd};

use super::Start;
use crate::connect::{self, Connected};
use crate::endpoints::{self, Endpoints};
use crate::failpoints::failpoint;
use crate::host::SharedNetwork;
use crate::spec::Container;
use crate::state::Claim;
use crate::{ContainerId, Error, Kind, NetworkMode, RunOptions, control, survivor, user_mode};

impl Start<'_> {
    /// Holds the container whose network it shares.
    pub(super) fn share(&mut self) -> Result<(), Error> {
        let NetworkMode::Container(name) = self.options.network() else { return Ok(()) };
        let id = self.engine.find(&name)?;
        let directory = self.engine.state.container(&id);
        let process = survivor::executing(&directory)?.ok_or_else(|| {
            Error::new(format!("cannot join network of a non running container: {name}"))
                .kind(Kind::NotRunning)
        })?;
        let (id, options) = self.owner_of_network(id)?;
        let on_host = options.network() == NetworkMode::Host;
        let name = || if on_host { self.host.hostname.clone() } else { id.short().to_owned() };
        self.host.shared = Some(SharedNetwork {
            process: process.as_fd().as_raw_fd(),
            hostname: options.hostname.unwrap_or_else(name),
            on_host,
            endpoints: Endpoints::read(&self.engine.state.container(&id))?.unwrap_or_default(),
        });
        self.shared = Some(process);
        // With the network it shares who is who there.
        self.options.add_hosts = options.add_hosts;
        self.options.dns = options.dns;
        self.options.dns_search = options.dns_search;
        self.options.dns_options = options.dns_options;
        Ok(())
    }

    /// The container whose network it is in the end, when one shares another's.
    fn owner_of_network(&self, id: ContainerId) -> Result<(ContainerId, RunOptions), Error> {
        let mut owner = (control::config(self.engine, &id)?.options, id);
        let mut seen = Vec::new();
        while let NetworkMode::Container(name) = owner.0.network() {
            // One that is gone has left its network to those who share it.
            let Ok(next) = self.engine.find(&name) else { break };
            if seen.contains(&next) {
                break;
            }
            seen.push(next.clone());
            owner = (control::config(self.engine, &next)?.options, next);
        }
        Ok((owner.1, owner.0))
    }

    /// The connection to the host's networks, and the places on them that the container would get.
    pub(super) fn connect(&mut self, container: &Container) -> Result<Option<Connected>, Error> {
        if let NetworkMode::UserMode(mode) = self.options.network() {
            self.ports = None;
            let asked = (&self.options, container.described.exposed.as_slice());
            let (ports, network) = user_mode::plan(&self.host, mode, asked)?;
            (self.ports, self.host.user_network) = (Some(ports), Some(network));
            return Ok(None);
        }
        let planned = {
            let named = (self.name.as_str(), &self.options);
            connect::plan(self.engine, named, &container.described.exposed)?
        };
        Ok(planned.map(|(connected, facts)| {
            self.host.network = Some(facts);
            connected
        }))
    }

    /// Takes addresses for good. True when they are others than were planned with.
    pub(super) fn take_addresses(
        &mut self,
        claim: &Claim,
        connected: Option<&mut Connected>,
    ) -> Result<bool, Error> {
        let directory = self.engine.state.container(&claim.record.id);
        if let Some(network) = &self.host.user_network {
            let published = network.published.clone();
            Endpoints { list: Vec::new(), published }.write(&directory)?;
            failpoint!("launch-endpoints");
            return Ok(false);
        }
        let (Some(connected), Some(facts)) = (connected, &mut self.host.network) else {
            if let NetworkMode::Joined(_) = self.options.network() {
                // It has been parted from all of its networks.
                endpoints::open(&directory)?;
            }
            return Ok(false);
        };
        connect::take(connected, facts, &self.options.network(), (&self.id, &directory))
    }
}
