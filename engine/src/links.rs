//! The network's part of a start: links, settings, and what the firewall lets pass.

use std::fs::File;

use minidock_net::nft::Connection;
use minidock_net::{Family, Flows, Op, Session, Setting, Side};

use crate::failpoints::failpoint;
use crate::plan::{Forward, Names, OlderFlows, Rules};
use crate::{Engine, Error, endpoints, name_server, reload};

/// What the steps are done with.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) session: Option<Session>,
    /// Opened when it is needed.
    pub(crate) rules: Option<Connection>,
    /// This process holds the lock on a container's networks: putting all back would wait for it.
    pub(crate) locked: bool,
}

impl Links {
    /// With a session that has the container's namespace already.
    pub(crate) fn attached(session: Session) -> Self {
        Self { session: Some(session), rules: None, locked: true }
    }

    /// One change of links, addresses, routes or settings. A pair is the first one that needs the
    /// container's namespace: that of the process `new`, whose number is its own.
    pub(crate) fn run(&mut self, new: Option<u32>, op: &Op) -> Result<(), Error> {
        let session = self.session(op)?;
        if let (Op::Veth(_), Some(pid)) = (op, new) {
            let path = format!("/proc/{pid}/ns/net");
            let namespace = File::open(&path).map_err(|error| Error::io("open", path, &error))?;
            session.attach(namespace.into())?;
        }
        match (op, session.run(op)) {
            // The namespace of its last run has outlived it, with another container in it or by a
            // descriptor that somebody has of it.
            (Op::Veth(veth), Err(error)) if error.errno() == Some(libc::EEXIST) => {
                session.delete_link(&veth.host)?;
                Ok(session.run(op)?)
            }
            (_, done) => Ok(done?),
        }
    }

    /// Adds elements to the firewall, and makes it where there is none.
    ///
    /// One that is missing although containers need it, or has lost its rules, was wiped by somebody:
    /// all of it comes back.
    pub(crate) fn allow(&mut self, engine: &Engine, rules: &Rules) -> Result<(), Error> {
        let firewall = &rules.firewall;
        let elements: Vec<_> = rules.elements().cloned().collect();
        let connection = match &mut self.rules {
            Some(connection) => connection,
            none => none.insert(Connection::open()?),
        };
        match firewall.apply(connection, &elements) {
            Err(error) if error.is_missing() => {
                if self.locked {
                    return Err(missing());
                }
                match firewall.ensure(connection) {
                    Ok(false) => {}
                    Ok(true) if !endpoints::were_there(engine)? => {}
                    // One table without the other, too.
                    Ok(true) => reload::reload(engine)?,
                    Err(error) if error.errno() == Some(libc::EEXIST) => reload::reload(engine)?,
                    Err(error) => return Err(error.into()),
                }
                firewall.apply(connection, &elements)?;
            }
            applied => applied?,
        }
        // The tables may be there without their rules.
        match firewall.has_rules(connection)? {
            true => Ok(()),
            false if self.locked => Err(missing()),
            false => reload::reload(engine),
        }
    }

    /// What was sent to ports of UDP before they were published does not go where it went any more.
    pub(crate) fn forget(&mut self, older: &OlderFlows) -> Result<(), Error> {
        if older.0.is_empty() {
            return Ok(());
        }
        let Some(mut flows) = Flows::open()? else { return Ok(()) };
        let session = self.session.as_ref().ok_or_else(|| no_connection(older))?;
        let own = session.addresses(Side::Host)?;
        let own: Vec<_> = own.iter().map(|found| found.address.address()).collect();
        flows.forget(|flow| older.takes((flow.protocol, flow.original.destination), &own))?;
        Ok(())
    }

    /// Everybody else's packets are shut out first, and it is written down that it was us.
    pub(crate) fn forward(&mut self, engine: &Engine, forward: &Forward) -> Result<(), Error> {
        let Forward { family, closed, marker } = forward;
        File::create(marker).map_err(|error| Error::path("write", marker, &error))?;
        self.allow(engine, closed)?;
        let (side, setting) = (Side::Host, Setting::Forwarding(*family));
        let op = Op::Set { side, setting, value: 1 };
        let session = self.session(&op)?;
        if *family == Family::V6 {
            keep_routers(session)?;
        }
        Ok(session.run(&op)?)
    }

    fn session(&mut self, op: &Op) -> Result<&mut Session, Error> {
        self.session.as_mut().ok_or_else(|| no_connection(op))
    }
}

fn no_connection(step: &dyn std::fmt::Display) -> Error {
    Error::new(format!("cannot {step}: no connection"))
}

fn missing() -> Error {
    Error::new("the firewall of networks is missing").hint("minidock network reload makes it anew")
}

/// A host that passes IPv6 on does not listen to routers any more, and would lose its own routes,
/// unless its links are told to listen even then.
fn keep_routers(session: &Session) -> Result<(), Error> {
    for link in session.links(Side::Host)? {
        let (side, setting) = (Side::Host, Setting::AcceptRa(link.name));
        // Its IPv6 may be switched off, or the link gone meanwhile.
        if session.setting(side, &setting).is_ok_and(|listens| listens == 1) {
            session.run(&Op::Set { side, setting, value: 2 })?;
        }
    }
    Ok(())
}

/// Writes down a container's names, and sees to it that somebody serves them.
pub(crate) fn serve(engine: &Engine, names: &Names) -> Result<(), Error> {
    let Names { network, record, gateways } = names;
    name_server::enlist(engine, network, record)?;
    failpoint!("launch-enlisted");
    name_server::ensure(engine, network, gateways)
}
