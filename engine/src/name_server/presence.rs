use std::cell::Cell;
use std::io::PipeWriter;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use minidock_net::names::{HostName, RecordZone, Zone};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::Error;

/// Between two looks at the records where the kernel does not tell that they have changed.
const LOOK: Duration = Duration::from_secs(1);

/// The end of a pipe that is open as long as somebody is on the network.
pub(super) type Somebody = Rc<Cell<Option<PipeWriter>>>;

/// The zone of a network, which closes a pipe when nobody is on it any more.
pub(super) struct Presence {
    zone: RecordZone,
    somebody: Somebody,
    /// Runs where there is nothing to watch.
    timer: TimerFd,
}

impl Presence {
    pub(super) fn new(zone: RecordZone, somebody: Somebody) -> Result<Self, Error> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)
            .map_err(|errno| Error::io("make", "a timer", &errno.into()))?;
        let mut presence = Self { zone, somebody, timer };
        presence.look();
        Ok(presence)
    }

    fn look(&mut self) {
        if self.zone.is_empty() {
            drop(self.somebody.take());
        }
        if self.zone.watched().is_none() {
            // Without it the next query will do.
            let _ = self
                .timer
                .set(Expiration::OneShot(TimeSpec::from(LOOK)), TimerSetTimeFlags::empty());
        }
    }
}

impl Zone for Presence {
    fn addresses(&self, asker: IpAddr, name: &str) -> Option<Vec<IpAddr>> {
        self.zone.addresses(asker, name)
    }

    fn name_of(&self, asker: IpAddr, address: IpAddr) -> Option<HostName> {
        self.zone.name_of(asker, address)
    }

    fn serves(&self, asker: IpAddr) -> bool {
        self.zone.serves(asker)
    }

    fn servers(&self, asker: IpAddr) -> Vec<IpAddr> {
        self.zone.servers(asker)
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.zone.watched().or_else(|| Some(self.timer.as_fd()))
    }

    fn refresh(&mut self) {
        self.zone.refresh();
        self.look();
    }
}
