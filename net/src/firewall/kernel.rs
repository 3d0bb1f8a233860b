//! The firewall in the kernel: made, changed, put back and looked at. Each change is one batch.

use std::collections::HashSet;

use crate::nft::{Change, Connection, Element, Error, Expr, Rule};

use super::{Firewall, skeleton};

/// How often a removal is tried that others' removals get in the way of.
const TRIES: usize = 10;

impl Firewall {
    /// Makes the skeleton where there is none; true when it was made. Processes that try at the
    /// same time make one.
    ///
    /// # Errors
    /// What [`Connection::commit`] says. `EEXIST` when one of the two tables is there without the
    /// other: [`Firewall::replace`] puts that right.
    pub fn ensure(&self, connection: &mut Connection) -> Result<bool, Error> {
        match connection.commit(&self.skeleton()) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::EEXIST) => {
                let tables = connection.tables()?;
                let whole = [&self.inet, &self.bridge].iter().all(|table| tables.contains(table));
                if whole { Ok(false) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Adds elements, all or none; those that are there are fine.
    ///
    /// # Errors
    /// [`Error::Refused`]: `ENOENT` when the tables are missing, `EEXIST` when a port is published
    /// already or a range of ports overlaps another, which Linux 6.1 does not notice.
    pub fn apply(&self, connection: &mut Connection, elements: &[Element]) -> Result<(), Error> {
        let add: Vec<_> = elements.iter().cloned().map(Change::AddElement).collect();
        connection.commit(&add)
    }

    /// Removes elements. Those that are missing are fine, and one that has other data, such as a
    /// port that is somebody else's by now, stays.
    ///
    /// # Errors
    /// What [`Connection::has`] and [`Connection::commit`] say.
    pub fn remove(&self, connection: &mut Connection, elements: &[Element]) -> Result<(), Error> {
        let (sets, once) = (self.sets(), elements.iter().collect::<HashSet<_>>());
        let mut result = Ok(());
        for _ in 0..TRIES {
            let mut delete = Vec::new();
            for &element in &once {
                let of =
                    sets.iter().find(|set| set.table == element.table && set.name == element.set);
                if let Some(set) = of
                    && connection.has(set, element)?
                {
                    delete.push(Change::DeleteElement(element.clone()));
                }
            }
            result = connection.commit(&delete);
            match &result {
                // Somebody else has removed one in between.
                Err(error) if error.is_missing() => {}
                _ => break,
            }
        }
        result
    }

    /// Makes everything anew, in one step for every packet: the skeleton, and these elements
    /// alone. Connections that exist go on.
    ///
    /// # Errors
    /// What [`Connection::commit`] says.
    pub fn replace(&self, connection: &mut Connection, elements: &[Element]) -> Result<(), Error> {
        let mut changes = self.removal();
        changes.extend(self.skeleton());
        changes.extend(elements.iter().cloned().map(Change::AddElement));
        connection.commit(&changes)
    }

    /// Removes both tables; missing ones are fine.
    ///
    /// # Errors
    /// What [`Connection::commit`] says.
    pub fn delete(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.commit(&self.removal())
    }

    /// A table that is made first can be deleted whether or not it was there.
    fn removal(&self) -> Vec<Change> {
        let both = [Change::AddTable, Change::DeleteTable];
        let change =
            |make: fn(_) -> Change| [&self.inet, &self.bridge].map(|table| make(table.clone()));
        both.into_iter().flat_map(change).collect()
    }

    /// The elements that there are; none where the tables are missing.
    ///
    /// # Errors
    /// What [`Connection::elements`] says.
    pub fn present(&self, connection: &mut Connection) -> Result<Vec<Element>, Error> {
        let mut all = Vec::new();
        for set in self.sets() {
            match connection.elements(&set) {
                Ok(elements) => all.extend(elements),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Those of `wanted` that there are not, or with other data; all where the tables are missing.
    ///
    /// # Errors
    /// What [`Connection::elements`] says.
    pub fn missing(
        &self,
        connection: &mut Connection,
        wanted: &[Element],
    ) -> Result<Vec<Element>, Error> {
        let present: HashSet<_> = self.present(connection)?.into_iter().collect();
        Ok(wanted.iter().filter(|element| !present.contains(element)).cloned().collect())
    }

    /// Whether no rule of the skeleton is missing, by their number alone: what costs a start next to
    /// nothing. Somebody may have flushed a table, and left it and its sets.
    ///
    /// # Errors
    /// What [`Connection::uses`] says.
    pub fn has_rules(&self, connection: &mut Connection) -> Result<bool, Error> {
        let rules = skeleton::rules(&self.inet, &self.bridge);
        let chains = skeleton::chains(&self.inet, &self.bridge);
        for table in [&self.inet, &self.bridge] {
            let uses = connection.uses(table)?;
            let of_table = rules.iter().filter(|rule| rule.table == *table);
            for chain in chains.iter().filter(|chain| chain.table == *table) {
                let jump = Expr::Jump(chain.name.clone());
                let counts =
                    |rule: &&Rule| rule.chain == chain.name || rule.expressions.contains(&jump);
                let expected = of_table.clone().filter(counts).count();
                let found = uses.iter().find(|(name, _)| *name == chain.name);
                if found.is_none_or(|(_, found)| (*found as usize) < expected) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether the skeleton is there, with all its sets and chains, and as many rules in each as
    /// belong there.
    ///
    /// # Errors
    /// What [`Connection::tables`] and its like say.
    pub fn intact(&self, connection: &mut Connection) -> Result<bool, Error> {
        let tables = connection.tables()?;
        for table in [&self.inet, &self.bridge] {
            if !tables.contains(table) {
                return Ok(false);
            }
        }
        for set in skeleton::sets(&self.inet, &self.bridge) {
            if !connection.sets(&set.table)?.contains(&set.name) {
                return Ok(false);
            }
        }
        let rules = skeleton::rules(&self.inet, &self.bridge);
        for chain in skeleton::chains(&self.inet, &self.bridge) {
            let of_chain = |rule: &&Rule| rule.table == chain.table && rule.chain == chain.name;
            if !connection.chains(&chain.table)?.contains(&chain.name)
                || connection.rules(&chain)? != rules.iter().filter(of_chain).count()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
