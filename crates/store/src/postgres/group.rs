//! What a group of changes comes to, judged in memory against the versions that its rows have.

use std::collections::HashMap;

use wardein_port::{Change, CommitError, Expect, Head, Others, Outcome, Table};

use crate::age::Age;
use crate::postings::Filing;

/// The rows that a group reads or writes, each with its version.
pub(super) type Found<'g> = HashMap<Named<'g>, u64>;

/// The name of a row.
pub(super) type Named<'g> = (Table, &'g [u8]);

/// What a group comes to.
#[derive(Debug, Default)]
pub(super) struct Judged<'g> {
    /// One for each change.
    pub(super) outcomes: Vec<Outcome>,
    /// How far the store is after it.
    pub(super) head: Head,
    pub(super) inserted: Written<'g>,
    pub(super) updated: Written<'g>,
    pub(super) deleted: (Vec<i16>, Vec<&'g [u8]>),
    /// Audit entries, which follow the last one before.
    pub(super) entries: Vec<&'g [u8]>,
    pub(super) feed: Fed<'g>,
    others: u64,
    pub(super) filing: Filing<'g>,
}

/// Rows, by column.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written<'g> {
    pub(super) tables: Vec<i16>,
    pub(super) keys: Vec<&'g [u8]>,
    pub(super) versions: Vec<i64>,
    pub(super) values: Vec<&'g [u8]>,
}

/// Entries of the feed, by column.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fed<'g> {
    pub(super) revisions: Vec<i64>,
    pub(super) places: Vec<i32>,
    pub(super) tables: Vec<i16>,
    pub(super) keys: Vec<&'g [u8]>,
    pub(super) times: Vec<i64>,
}

/// A row as the changes so far leave it.
#[derive(Clone, Copy)]
struct Cell<'g> {
    is_stored: bool,
    version: Option<u64>,
    /// None where none of them wrote it.
    written: Option<Option<&'g [u8]>>,
}

/// The names of all rows that a group rests on or writes, each once, in order.
pub(super) fn names(group: &[Change]) -> Vec<Named<'_>> {
    let checks = group.iter().flat_map(|change| &change.checks).map(|check| (check.table, &check.key[..]));
    let writes = group.iter().flat_map(|change| &change.writes).map(|write| (write.table, &write.key[..]));
    let mut names: Vec<Named<'_>> = checks.chain(writes).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl<'g> Judged<'g> {
    /// Judges the changes in order, each after those before it. `head` is how far the store is, and `others` how many commits of other
    /// nodes to tables that authorize it has, as this node counts them.
    pub(super) fn of(group: &'g [Change], found: &Found<'g>, head: Head, others: u64, age: &mut Age) -> Self {
        let mut judged = Self { head, others, ..Self::default() };
        let mut cells = HashMap::new();
        for change in group {
            let outcome = judged.judge(change, found, &mut cells, age);
            judged.outcomes.push(outcome);
        }
        for ((table, key), Cell { is_stored, version, written }) in cells {
            match (written, version) {
                (Some(Some(value)), Some(version)) => {
                    let rows = if is_stored { &mut judged.updated } else { &mut judged.inserted };
                    rows.tables.push(table as i16);
                    rows.keys.push(key);
                    rows.versions.push(version.cast_signed());
                    rows.values.push(value);
                }
                (Some(_), _) if is_stored => {
                    judged.deleted.0.push(table as i16);
                    judged.deleted.1.push(key);
                }
                _ => {}
            }
        }
        judged
    }

    fn judge(
        &mut self,
        change: &'g Change,
        found: &Found<'g>,
        cells: &mut HashMap<Named<'g>, Cell<'g>>,
        age: &mut Age,
    ) -> Outcome {
        if change.is_empty() {
            return Ok(self.head.revision);
        }
        let cell = |cells: &HashMap<Named<'g>, Cell<'g>>, name: Named<'g>| {
            let stored = found.get(&name).copied();
            let unwritten = Cell { is_stored: stored.is_some(), version: stored, written: None };
            cells.get(&name).copied().unwrap_or(unwritten)
        };
        let conflict = |(table, key): Named<'g>| Err(CommitError::Conflict { table, key: key.to_vec() });
        if let Some(Others { heard, most, row }) = &change.others
            && self.others.saturating_sub(*heard) > *most
        {
            return conflict((row.table, &row.key));
        }
        for check in &change.checks {
            let name = (check.table, &check.key[..]);
            if cell(cells, name).version != Some(check.version) {
                return conflict(name);
            }
        }
        for write in &change.writes {
            let name = (write.table, &write.key[..]);
            let expected = match write.expect {
                Expect::Absent => None,
                Expect::Version(version) => Some(version),
            };
            if cell(cells, name).version != expected {
                return conflict(name);
            }
        }
        let revision = self.head.revision + 1;
        for write in &change.writes {
            // That a row is absent is asserted, and nothing written.
            if (write.expect, &write.value) == (Expect::Absent, &None) {
                continue;
            }
            let name = (write.table, &write.key[..]);
            let value = write.value.as_deref();
            let next = Cell { version: value.map(|_| revision), written: Some(value), ..cell(cells, name) };
            cells.insert(name, next);
        }
        self.filing.add(change, self.head.last_audit);
        self.entries.extend(change.audit.iter().map(Vec::as_slice));
        self.head = Head { revision, last_audit: self.head.last_audit + change.audit.len() as u64 };
        age.pass(change.at_ms);
        for (place, write) in (0..).zip(change.writes.iter().filter(|write| write.table.authorizes())) {
            self.feed.revisions.push(revision.cast_signed());
            self.feed.places.push(place);
            self.feed.tables.push(write.table as i16);
            self.feed.keys.push(&write.key);
            self.feed.times.push(age.note().cast_signed());
        }
        Ok(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_port::RowKey;

    const T: Table = Table::Certificate;

    fn change(make: impl FnOnce(&mut Change)) -> Change {
        let mut change = Change::default();
        make(&mut change);
        change
    }

    #[test]
    fn a_row_that_comes_and_goes_in_a_group_is_written_as_the_last_change_leaves_it() {
        let group = [
            change(|c| c.delete(T, b"a".to_vec(), 3)),
            change(|c| c.insert(T, b"a".to_vec(), b"again".to_vec())),
            change(|c| c.insert(T, b"b".to_vec(), b"new".to_vec())),
            change(|c| c.update(T, b"b".to_vec(), 13, b"newer".to_vec())),
            change(|c| c.delete(T, b"b".to_vec(), 14)),
            change(|c| c.insert(T, b"a".to_vec(), b"refused".to_vec())),
            change(|c| c.check(T, b"a".to_vec(), 12)),
            change(|c| c.check(T, b"a".to_vec(), 3)),
        ];
        let found = Found::from([((T, &b"a"[..]), 3)]);
        let head = Head { revision: 10, last_audit: 7 };
        let judged = Judged::of(&group, &found, head, 0, &mut Age::default());
        let conflict = Err(CommitError::Conflict { table: T, key: b"a".to_vec() });
        let done = [11, 12, 13, 14, 15].map(Ok);
        assert_eq!(judged.outcomes[..5], done);
        assert_eq!(judged.outcomes[5..], [conflict.clone(), Ok(16), conflict]);
        assert_eq!(judged.updated.keys, [b"a"]);
        assert_eq!((judged.updated.versions, judged.updated.values), (vec![12], vec![&b"again"[..]]));
        assert_eq!((judged.inserted, judged.deleted), (Written::default(), (vec![], vec![])));
        assert_eq!(judged.head, Head { revision: 16, last_audit: 7 });
    }

    #[test]
    fn what_others_may_have_made_wrong_is_decided_again() {
        let resting = |most| {
            change(|c| {
                c.audit.push(b"entry".to_vec());
                let row = RowKey { table: Table::Operator, key: b"station".to_vec() };
                c.others = Some(Others { heard: 5, most, row });
            })
        };
        let group = [resting(2), resting(3)];
        let judged = Judged::of(&group, &Found::new(), Head::default(), 8, &mut Age::default());
        let conflict = CommitError::Conflict { table: Table::Operator, key: b"station".to_vec() };
        assert_eq!(judged.outcomes, [Err(conflict), Ok(1)]);
    }

    #[test]
    fn a_refused_change_leaves_no_trace_and_absence_writes_nothing() {
        let refused = change(|c| {
            c.insert(Table::Tenant, b"t".to_vec(), b"v".to_vec());
            c.delete(T, b"missing".to_vec(), 1);
            c.audit.push(b"never".to_vec());
        });
        let mut absent = change(|c| c.audit.push(b"entry".to_vec()));
        absent.writes.push(wardein_port::Write {
            table: T,
            key: b"none".to_vec(),
            expect: Expect::Absent,
            value: None,
        });
        let group = [refused, absent, Change::default()];
        let judged = Judged::of(&group, &Found::new(), Head::default(), 0, &mut Age::default());
        assert!(judged.outcomes[0].is_err());
        assert_eq!(judged.outcomes[1..], [Ok(1), Ok(1)]);
        assert_eq!((judged.inserted, judged.updated), (Written::default(), Written::default()));
        assert_eq!((judged.feed, judged.deleted), (Fed::default(), (vec![], vec![])));
        assert_eq!((judged.entries, judged.head), (vec![&b"entry"[..]], Head { revision: 1, last_audit: 1 }));
    }
}
