//! What is asked of nf_tables, and what it answers.

use std::io;

use super::change::{self, Change};
use super::kernel as k;
use super::object::{Chain, Element, Family, Set, Table};
use super::{Error, head, value};
use crate::nfnetlink::kernel as n;
use crate::nfnetlink::wire::{Attributes, Head, Message, Verdict, attributes, find, text};
use crate::nfnetlink::{Socket, TRIES};

/// A socket for nf_tables of the network namespace that the calling thread was in when it was
/// opened.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

impl Connection {
    /// Opens the socket. That needs no privilege; all that is done by it needs `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open()? })
    }

    /// Makes all changes or none, in one step for every packet.
    ///
    /// # Errors
    /// [`Error::Refused`] for the first change that was refused; nothing has changed then.
    /// [`Error::Batch`], [`Error::Transport`].
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut last = Ok(());
        for _ in 0..TRIES {
            last = self.try_commit(changes);
            // Somebody else changed something in between.
            let passing = |errno| [libc::EAGAIN, libc::ERESTART, libc::EINTR].contains(&errno);
            match &last {
                Err(error) if error.errno().is_some_and(passing) => {}
                _ => break,
            }
        }
        last
    }

    fn try_commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(changes.len() * 128);
        let begin = self.socket.next();
        Head::batch(n::BATCH_BEGIN).write(begin, &Attributes::default(), &mut batch);
        for (number, change) in (0_u32..).zip(changes) {
            // A refusal is told for each change. That none was refused is told with the last.
            let flags = if number as usize + 1 == changes.len() { n::ACK } else { 0 };
            change.write(number, flags, self.socket.next(), &mut batch);
        }
        let end = self.socket.next();
        Head::batch(n::BATCH_END).write(end, &Attributes::default(), &mut batch);
        self.socket.send(&batch)?;
        let answers = self.answers()?;
        let Some((sequence, verdict)) = answers.iter().find(|(_, verdict)| verdict.errno != 0)
        else {
            return match answers.iter().any(|(sequence, _)| *sequence == end.wrapping_sub(1)) {
                true => Ok(()),
                false => Err(batch_error(changes, libc::EPROTO, None)),
            };
        };
        // The answer to the message that begins the batch is about all of it.
        let position = (sequence.wrapping_sub(begin) as usize).checked_sub(1);
        let text = verdict.text.clone();
        match position.and_then(|position| Some((position, changes.get(position)?))) {
            Some((position, change)) => Err(Error::Refused {
                change: change.to_string(),
                position,
                text,
                source: io::Error::from_raw_os_error(verdict.errno),
            }),
            None => Err(batch_error(changes, verdict.errno, text)),
        }
    }

    /// All tables of all families that this crate knows.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Transport`].
    pub fn tables(&mut self) -> Result<Vec<Table>, Error> {
        self.socket.dump(
            "list tables",
            head(k::GET_TABLE, n::DUMP, 0),
            &Attributes::default(),
            table,
        )
    }

    /// The names of a table's chains; none where it does not exist.
    ///
    /// # Errors
    /// As [`Connection::tables`].
    pub fn chains(&mut self, of: &Table) -> Result<Vec<String>, Error> {
        let head = head(k::GET_CHAIN, n::DUMP, of.family.number());
        let names = |message: &Message<'_>| {
            let table = find(message.attributes(), k::TABLE)?;
            let name = find(message.attributes(), k::CHAIN_NAME)?;
            (text(table) == of.name).then(|| text(name).into_owned())
        };
        self.socket.dump(&format!("list the chains of table {of}"), head, &change::named(of), names)
    }

    /// How many rules each chain of a table has, with those that jump to it; nothing where the table
    /// does not exist.
    ///
    /// # Errors
    /// As [`Connection::tables`].
    pub fn uses(&mut self, of: &Table) -> Result<Vec<(String, u32)>, Error> {
        let head = head(k::GET_CHAIN, n::DUMP, of.family.number());
        let uses = |message: &Message<'_>| {
            let part = |kind| find(message.attributes(), kind);
            let uses = u32::from_be_bytes(*part(k::CHAIN_USE)?.first_chunk()?);
            let name = text(part(k::CHAIN_NAME)?).into_owned();
            (text(part(k::TABLE)?) == of.name).then_some((name, uses))
        };
        self.socket.dump(&format!("list the chains of table {of}"), head, &change::named(of), uses)
    }

    /// The names of a table's sets and maps.
    ///
    /// # Errors
    /// As [`Connection::tables`]; `ENOENT` where the table does not exist.
    pub fn sets(&mut self, of: &Table) -> Result<Vec<String>, Error> {
        let head = head(k::GET_SET, n::DUMP, of.family.number());
        let names = |message: &Message<'_>| {
            find(message.attributes(), k::SET_NAME).map(|name| text(name).into_owned())
        };
        self.socket.dump(&format!("list the sets of table {of}"), head, &change::named(of), names)
    }

    /// The number of rules in a chain; none where it does not exist.
    ///
    /// # Errors
    /// As [`Connection::tables`].
    pub fn rules(&mut self, of: &Chain) -> Result<usize, Error> {
        let head = head(k::GET_RULE, n::DUMP, of.table.family.number());
        let what = format!("list the rules of chain {} {}", of.table, of.name);
        Ok(self.socket.dump(&what, head, &change::named_chain(of), |_| Some(()))?.len())
    }

    /// The elements of a set or map; those that are not of its types are left out.
    ///
    /// # Errors
    /// As [`Connection::tables`]; `ENOENT` where the table or set does not exist.
    pub fn elements(&mut self, of: &Set) -> Result<Vec<Element>, Error> {
        let head = head(k::GET_ELEMENT, n::DUMP, of.table.family.number());
        let what = format!("list the elements of {} {}", of.table, of.name);
        let lists = |message: &Message<'_>| Some(elements(of, message));
        Ok(self.socket.dump(&what, head, &change::named_set(of), lists)?.concat())
    }

    /// Whether a set or map has exactly this element, with this data.
    ///
    /// # Errors
    /// [`Error::Request`] but for `ENOENT`, which is a no; [`Error::Transport`].
    pub fn has(&mut self, of: &Set, element: &Element) -> Result<bool, Error> {
        let head = head(k::GET_ELEMENT, 0, element.table.family.number());
        let lists = |message: &Message<'_>| Some(elements(of, message));
        match self.socket.ask(
            &format!("look for {element}"),
            head,
            &change::element(element, false),
            lists,
        ) {
            Ok(found) => Ok(found.concat().contains(element)),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn answers(&mut self) -> Result<Vec<(u32, Verdict)>, Error> {
        let mut all = Vec::new();
        self.socket.receive(|message| {
            if message.kind == n::ERROR {
                all.extend(message.verdict().map(|verdict| (message.sequence, verdict)));
            }
        })?;
        Ok(all)
    }
}

fn batch_error(changes: &[Change], errno: i32, text: Option<String>) -> Error {
    let source = io::Error::from_raw_os_error(errno);
    Error::Batch { changes: changes.len(), text, source }
}

fn table(message: &Message<'_>) -> Option<Table> {
    let family = [Family::Inet, Family::Bridge]
        .into_iter()
        .find(|family| Some(family.number()) == message.family())?;
    let name = find(message.attributes(), k::TABLE_NAME)?;
    Some(Table { family, name: text(name).into_owned() })
}

/// The elements that a message lists.
fn elements(set: &Set, message: &Message<'_>) -> Vec<Element> {
    let list = find(message.attributes(), k::ELEMENTS).unwrap_or_default();
    let read = |member: &[u8]| {
        let values = |kind, types: &[_]| {
            let data = find(attributes(member), kind)?;
            value::read(types, find(attributes(data), k::DATA_VALUE)?)
        };
        Some(Element {
            table: set.table.clone(),
            set: set.name.clone(),
            key: values(k::ELEMENT_KEY, &set.key)?,
            end: values(k::ELEMENT_KEY_END, &set.key),
            data: match set.data.is_empty() {
                true => Vec::new(),
                false => values(k::ELEMENT_DATA, &set.data)?,
            },
        })
    };
    attributes(list).filter_map(|(_, member)| read(member)).collect()
}
