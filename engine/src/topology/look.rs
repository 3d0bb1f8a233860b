//! Looks at a container's network while its first process is held.

use std::time::Duration;

use minidock_net::{LinkName, Session, Side};
use minidock_ns::Process;

use super::rules::Rules;
use super::wires::{Sight, Sights};
use super::{Attachment, Topology, Wires, Wiring, namespaces, server};
use crate::containers::Config;
use crate::endpoints::{self, Endpoint, Endpoints};
use crate::networks::Networks;
use crate::{
    ContainerId, Engine, Error, Kind, NetworkMode, adrift, control, joining, survivor, user_mode,
};

impl Engine {
    /// What a container's network really is: as the kernel has it, beside what is written down of it.
    ///
    /// # Errors
    /// The container is gone, or is just being started; what is written down cannot be understood;
    /// the kernel does not tell: that takes root.
    pub fn topology(&self, id: &ContainerId) -> Result<Topology, Error> {
        let config = control::config(self, id)?;
        let wiring = wiring(self, &config)?;
        Ok(Topology { id: config.id, name: config.name, wiring })
    }
}

fn wiring(engine: &Engine, config: &Config) -> Result<Wiring, Error> {
    let directory = engine.state.container(&config.id);
    let Some(process) = survivor::executing(&directory)? else {
        return match control::process(engine, &config.id)? {
            None => Ok(Wiring::NotRunning),
            Some(_) if !directory.exists() => Err(adrift::refused(engine, &config.id)),
            Some(_) => {
                let message = format!("container {} is being started", config.id);
                Err(Error::new(message).hint("try again"))
            }
        };
    };
    let mode = config.network();
    let looked = match mode {
        NetworkMode::Host => Ok(Wiring::Host),
        NetworkMode::None => Ok(Wiring::None),
        NetworkMode::UserMode(mode) => {
            let connector = user_mode::find(&directory)?;
            Ok(Wiring::UserMode(mode, connector.map(|process| process.pid())))
        }
        NetworkMode::Container(other) => Ok(Wiring::Container(other)),
        NetworkMode::Joined(_) => look(engine, &config.id, &process).map(Box::new).map(Wiring::Own),
    };
    // What was seen of one that has ended is no network, and what has failed has failed for that.
    match process.wait(Some(Duration::ZERO))? {
        true => Ok(Wiring::NotRunning),
        false => looked,
    }
}

fn look(engine: &Engine, id: &ContainerId, process: &Process) -> Result<Wires, Error> {
    let directory = engine.state.container(id);
    // Or what is just being connected would seem to be missing.
    let Some(_lock) = endpoints::lock(&directory)? else {
        let message = format!("container {id} is not running");
        return Err(Error::new(message).kind(Kind::NotRunning));
    };
    let endpoints = Endpoints::read(&directory)?.unwrap_or_default();
    let session = Session::new(Some(joining::namespace(process)?))?;
    let sights = Sights {
        host: Sight::of(&session, Side::Host)?,
        container: Sight::of(&session, Side::Container)?,
    };
    let names = engine.containers.all_names()?;
    let mut rules = Rules::look(&engine.state.firewall()?, id, &endpoints)?;
    let mut attachments = Vec::new();
    for endpoint in &endpoints.list {
        let mut attachment = sights.attachment(id, (&endpoints, endpoint), &names);
        let veth = LinkName::veth_of(id.as_str(), endpoint.number);
        attachment.rules = rules.take(&veth, endpoint);
        describe(engine, endpoint, &mut attachment)?;
        attachments.push(attachment);
    }
    Ok(Wires {
        pid: process.pid(),
        namespaces: namespaces::of(process)?,
        devices: sights.others(&attachments),
        attachments,
        strays: rules.rest(),
    })
}

/// Adds the network itself, and who serves its names.
fn describe(
    engine: &Engine,
    endpoint: &Endpoint,
    attachment: &mut Attachment,
) -> Result<(), Error> {
    let network = match Networks::of(engine).find(&endpoint.network) {
        Ok(network) if network.id == endpoint.network_id => network,
        // Another one that has its name since.
        Ok(_) => return Ok(()),
        Err(error) if error.what() == Kind::NoSuchNetwork => return Ok(()),
        Err(error) => return Err(error),
    };
    attachment.described = true;
    // As with docker, there are none on the default one.
    if !network.is_default() {
        attachment.server = Some(server::of(engine, &network, endpoint)?);
    }
    Ok(())
}
