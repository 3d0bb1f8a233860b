//! The flows that the kernel keeps account of (conntrack), and forgetting those that lead to an
//! address or a port that somebody else gets.
//!
//! A packet of a flow that is known passes no rule of address translation any more, and is accepted
//! as what goes on: a container that gets the address of one that has ended would get its packets,
//! and what is sent to a port that is published meanwhile would go on to where it went before.

mod flow;
mod kernel;

use std::net::{IpAddr, Ipv4Addr};

use crate::nfnetlink::kernel::{ACK, CONNTRACK, DUMP};
use crate::nfnetlink::wire::{Attributes, Head, find};
use crate::nfnetlink::{Error, Socket};

use kernel as k;

pub use flow::{Flow, Path};

/// The account of one network namespace: that of the thread that has opened it
/// (the kernel's `include/uapi/linux/netfilter/nfnetlink_conntrack.h`).
#[derive(Debug)]
pub struct Flows {
    socket: Socket,
}

/// A removal by a filter is new; to an older kernel it is one of a flow that is half described.
const UNFILTERED: [i32; 2] = [libc::EINVAL, libc::EOPNOTSUPP];

impl Flows {
    /// Opens a socket, and asks whether there is anything. Nothing where no flow is known, or the
    /// kernel cannot be asked: without the module `nf_conntrack_netlink`, which it loads itself
    /// where it can.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Transport`]; [`Error::Request`]: `EPERM` without
    /// `CAP_NET_ADMIN`.
    pub fn open() -> Result<Option<Self>, Error> {
        let mut socket = match Socket::open() {
            Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => return Ok(None),
            opened => opened?,
        };
        let head = Head::new((CONNTRACK, k::GET_STATS), ACK, 0);
        let operation = "count the flows that are known";
        let counted = socket.ask(operation, head, &Attributes::default(), |message| {
            let bytes = find(message.attributes(), k::STATS_ENTRIES)?;
            Some(u32::from_be_bytes(*bytes.first_chunk()?))
        });
        match counted {
            // Nobody is there to take the message.
            Err(error) if [Some(libc::EINVAL), Some(libc::EOPNOTSUPP)].contains(&error.errno()) => {
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(counts) => Ok(counts.iter().any(|count| *count > 0).then_some(Self { socket })),
        }
    }

    /// All flows of IPv4 and IPv6. It takes as long as the kernel's table is large, milliseconds.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Transport`].
    pub fn list(&mut self) -> Result<Vec<Flow>, Error> {
        self.list_of(k::ANY)
    }

    fn list_of(&mut self, family: u8) -> Result<Vec<Flow>, Error> {
        let head = Head::new((CONNTRACK, k::GET), DUMP, family);
        self.socket.dump("list the flows", head, &Attributes::default(), Flow::read)
    }

    /// Forgets the flows from and to these addresses, translated ones among them: those whose first
    /// packet, or whose answers, come from there.
    ///
    /// # Errors
    /// As [`Flows::list`].
    pub fn forget_addresses(&mut self, addresses: &[IpAddr]) -> Result<(), Error> {
        let mut unfiltered = Vec::new();
        for address in addresses {
            match address {
                IpAddr::V4(four) if self.forget_filtered(*four)? => {}
                // What the kernel's filter says of IPv6 addresses is the opposite of what it should
                // be, up to Linux 6.18 at least.
                _ => unfiltered.push(*address),
            }
        }
        if unfiltered.is_empty() {
            return Ok(());
        }
        let only_six = unfiltered.iter().all(IpAddr::is_ipv6);
        let family = if only_six { k::IPV6 } else { k::ANY };
        self.forget_of(family, |flow| flow.concerns(&unfiltered)).map(drop)
    }

    /// Those of which one direction comes from an address. The kernel looks for them itself, in a
    /// hundredth of the time that a list takes; false where it cannot.
    fn forget_filtered(&mut self, address: Ipv4Addr) -> Result<bool, Error> {
        let operation = format!("forget the flows from {address}");
        for side in [k::ORIGINAL, k::REPLY] {
            let mut body = Attributes::default();
            body.nested(side, |tuple| {
                tuple.nested(k::TUPLE_ADDRESSES, |addresses| {
                    addresses.bytes(k::V4_SOURCE, &address.octets());
                });
            });
            body.nested(k::FILTER, |filter| {
                filter.bytes(side, &k::BY_SOURCE.to_ne_bytes());
            });
            let head = Head::new((CONNTRACK, k::DELETE), ACK, k::IPV4);
            match self.socket.ask(&operation, head, &body, |_| None::<()>) {
                Err(error) if error.errno().is_some_and(|no| UNFILTERED.contains(&no)) => {
                    return Ok(false);
                }
                done => drop(done?),
            }
        }
        Ok(true)
    }

    /// Forgets the flows that `chosen` takes, and says how many there were. They are listed for it.
    ///
    /// # Errors
    /// As [`Flows::list`].
    pub fn forget(&mut self, chosen: impl Fn(&Flow) -> bool) -> Result<usize, Error> {
        self.forget_of(k::ANY, chosen)
    }

    fn forget_of(&mut self, family: u8, chosen: impl Fn(&Flow) -> bool) -> Result<usize, Error> {
        let mut forgotten = 0;
        for flow in self.list_of(family)?.iter().filter(|flow| chosen(flow)) {
            let (head, body) = flow.removal();
            let operation = format!("forget the flow {flow}");
            match self.socket.ask(&operation, head, &body, |_| None::<()>) {
                // It has ended by itself.
                Err(error) if error.is_missing() => {}
                done => {
                    done?;
                    forgotten += 1;
                }
            }
        }
        Ok(forgotten)
    }
}
