//! Everything that was acknowledged is there, and every change is there whole or not at all.

use std::collections::HashMap;
use std::path::Path;

use super::victim::{Ack, TASKS, key, number, options, value};
use wardein_port::{Feed, Head, Table};
use wardein_store::Kind;
use wardein_testkit::{block_on, get};

/// The last change of each task that was acknowledged, and the last revision.
#[derive(Default, Clone)]
pub(crate) struct Acknowledged {
    changes: HashMap<u8, u64>,
    /// What was acknowledged at a moment that does not count.
    maybe: HashMap<u8, u64>,
    revision: u64,
    /// Whether the disk failed: a change whose outcome was then unknown may have been made.
    is_disk_faulty: bool,
}

impl Acknowledged {
    /// Nothing yet, by a disk that fails or does not.
    pub(crate) fn by_disk(is_disk_faulty: bool) -> Self {
        Self { is_disk_faulty, ..Self::default() }
    }

    /// Takes in what was acknowledged, in its order.
    pub(crate) fn count(&mut self, now: Vec<Ack>) {
        for (task, n, revision) in now {
            let last = self.changes.entry(task).or_insert(0);
            let next = *last + 1;
            assert!(n == next || self.is_disk_faulty && n == next + 1, "a change was made twice or skipped");
            assert!(revision > self.revision, "a revision was given twice, or too late");
            (*last, self.revision) = (n, revision);
        }
    }

    /// How many changes were acknowledged.
    pub(crate) fn count_all(&self) -> u64 {
        self.changes.values().sum()
    }

    /// Takes in what was acknowledged while the power was cut.
    pub(crate) fn maybe(&mut self, now: Vec<Ack>) {
        self.maybe = now.into_iter().map(|(task, n, _)| (task, n)).collect();
    }
}

/// Everything acknowledged is there; what is there beyond is whole. `acknowledged` becomes what is there.
pub(crate) fn verify(kind: Kind, path: &Path, acknowledged: &mut Acknowledged) {
    wardein_store::verify(kind, path, &options()).unwrap();
    let store = wardein_store::open(kind, path, &options()).unwrap();
    // The revisions at which each change was made, from the rows that it inserted.
    let mut revisions = HashMap::new();
    for task in 0..TASKS {
        let counter = block_on(get(&*store, Table::Device, &[task])).unwrap();
        let n = counter.as_ref().map_or(0, |row| number(&row.value));
        let known = acknowledged.changes.get(&task).copied().unwrap_or(0);
        assert!(n >= known, "task {task}: {known} was acknowledged, {n} is there");
        let asked = acknowledged.maybe.get(&task).copied().unwrap_or(known).max(known) + 1;
        let unknown = u64::from(acknowledged.is_disk_faulty);
        assert!(n <= asked + unknown, "task {task} has one change under way at most");
        let rows = block_on(store.scan(Table::Certificate, &[task], None, usize::MAX)).unwrap();
        assert_eq!(rows.len() as u64, n);
        assert_eq!(counter.as_ref().map(|row| row.version), rows.last().map(|(_, row)| row.version));
        assert_eq!(counter.map(|row| row.value), (n > 0).then(|| value(task, n)));
        assert!(rows.is_sorted_by(|(_, one), (_, next)| one.version < next.version));
        for (at, (found, row)) in (1..).zip(rows) {
            assert_eq!((found, &row.value), (key(task, at), &value(task, at)));
            assert_eq!(revisions.insert(row.version, (task, at)), None, "a revision was given twice");
        }
        acknowledged.changes.insert(task, n);
    }
    acknowledged.maybe.clear();
    let changes = revisions.len() as u64;
    assert_eq!(block_on(store.head()), Ok(Head { revision: changes, last_audit: changes }));
    assert!((1..=changes).all(|revision| revisions.contains_key(&revision)), "revisions have no gaps");
    acknowledged.revision = changes;
    for (number, (seq, entry)) in (1..).zip(block_on(store.audit(1, usize::MAX)).unwrap()) {
        assert_eq!(seq, number);
        let (task, n) = revisions[&number];
        assert_eq!(entry, key(task, n), "entries are in commit order");
    }
    let Feed::Since(feed) = block_on(store.feed(0, usize::MAX)).unwrap() else { panic!("it is truncated") };
    assert_eq!(feed.len() as u64, changes);
    for (number, committed) in (1..).zip(feed) {
        let named: Vec<_> = committed.rows.iter().map(|row| (row.table, &row.key[..])).collect();
        assert_eq!((committed.revision, named), (number, vec![(Table::Device, &[revisions[&number].0][..])]));
    }
}
