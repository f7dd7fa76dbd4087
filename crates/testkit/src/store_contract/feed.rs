//! The feed, and its followers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wardein_port::{Change, Committed, Expect, Feed, FeedRow, Projection, Store, Table};

use super::{Fixture, T, at_once, block_on, commit, delete, done, put, revision};

/// It has the rows of tables that authorize, of each commit in order, as they are now; proofs add nothing.
pub fn the_feed_is_what_authorizes_in_commit_order(fixture: &impl Fixture) {
    let mut store = fixture.open();
    assert_eq!(since(&store, 0), []);
    let mut change = Change::default();
    change.insert(Table::Tenant, b"t".to_vec(), b"first".to_vec());
    change.insert(T, b"c".to_vec(), b"certificate".to_vec());
    change.insert(Table::Device, b"d".to_vec(), vec![7; 9000]);
    change.insert(Table::Device, b"e".to_vec(), b"".to_vec());
    assert_eq!(done(&store, change), Ok(1));
    let mut proof = Change::default();
    proof.insert(Table::Spent, b"s".to_vec(), b"".to_vec());
    proof.insert(Table::DeviceHot, b"d".to_vec(), b"hot".to_vec());
    proof.check(Table::Device, b"d".to_vec(), 1);
    proof.audit.push(b"proof".to_vec());
    assert_eq!(done(&store, proof), Ok(2));
    assert_eq!(put(&store, Table::Tenant, b"t", Expect::Version(1), b"second"), Ok(3));
    assert!(put(&store, Table::Tenant, b"t", Expect::Version(1), b"refused").is_err());
    let mut change = Change::default();
    change.delete(Table::Device, b"d".to_vec(), 1);
    assert_eq!(done(&store, change), Ok(4));
    let expected = vec![
        committed(
            1,
            vec![
                row(Table::Tenant, b"t", Some(b"second")),
                row(Table::Device, b"d", None),
                row(Table::Device, b"e", Some(b"")),
            ],
        ),
        committed(3, vec![row(Table::Tenant, b"t", Some(b"second"))]),
        committed(4, vec![row(Table::Device, b"d", None)]),
    ];
    for _ in 0..2 {
        assert_eq!(since(&store, 0), expected);
        assert_eq!(since(&store, 1), expected[1..]);
        assert_eq!(since(&store, 2), expected[1..], "after a commit that has no part in it");
        assert_eq!(since(&store, 4), []);
        assert_eq!(since(&store, u64::MAX), [], "after all that will be");
        drop(store);
        store = fixture.open();
    }
    for table in Table::ALL {
        let revision = put(&store, table, b"of each table", Expect::Absent, b"v").unwrap();
        let found = since(&store, revision - 1).len();
        assert_eq!(found, usize::from(table.authorizes()), "{table:?}");
    }
}

/// A page has as many commits as requested, each whole.
pub fn the_feed_is_read_page_by_page(fixture: &impl Fixture) {
    let store = fixture.open();
    for n in 0..30_u8 {
        let mut change = Change::default();
        for key in 0..=n % 5 {
            change.insert(Table::Device, vec![n, key], vec![n]);
        }
        done(&store, change).unwrap();
    }
    assert_eq!(block_on(store.feed(0, 0)), Ok(Feed::Since(vec![])));
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let Feed::Since(page) = block_on(store.feed(after, 7)).unwrap() else { panic!("truncated") };
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = last.revision;
        seen.extend(page);
    }
    assert_eq!(seen, since(&store, 0));
    let rows: Vec<_> = seen.iter().map(|committed| committed.rows.len()).collect();
    assert_eq!(rows, (0..30).map(|n| 1 + n % 5).collect::<Vec<_>>());
}

/// A follower hears of each commit that authorizes, once, in commit order, with the values of that commit, and before the caller
/// does.
pub fn followers_hear_each_commit_once_before_its_caller(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, Table::Tenant, b"before", Expect::Absent, b"v").unwrap();
    let (heard, other) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
    let following: [Arc<dyn Projection>; 2] = [heard.clone(), other.clone()];
    following.iter().for_each(|projection| store.follow(projection));
    let outcomes = at_once(150, |n| {
        let mut change = Change::default();
        match n % 3 {
            0 => change.insert(Table::Device, vec![n as u8], vec![n as u8]),
            1 => change.insert(T, vec![n as u8], vec![n as u8]),
            _ => change.insert(Table::Tenant, b"before".to_vec(), b"refused".to_vec()),
        }
        let (store, heard) = (Arc::clone(&store), Arc::clone(&heard));
        async move {
            let outcome = commit(&*store, change).await;
            let is_known = outcome.as_ref().is_ok_and(|revision| heard.revisions().contains(revision));
            (outcome, is_known)
        }
    });
    for (n, (outcome, is_known)) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), n % 3 < 2);
        assert_eq!(*is_known, n % 3 == 0, "it is projected before its caller hears of it");
    }
    assert_eq!(heard.revisions().len(), 50);
    assert!(heard.revisions().is_sorted_by(|one, next| one < next));
    assert_eq!(*heard.0.lock().unwrap(), since(&store, 1), "as the feed says");
    // A projection is of its commit, though the row has changed again.
    let version = put(&store, Table::Tenant, b"twice", Expect::Absent, b"one").unwrap();
    put(&store, Table::Tenant, b"twice", Expect::Version(version), b"two").unwrap();
    let last = heard.0.lock().unwrap()[50..].to_vec();
    let values: Vec<_> = last.into_iter().map(|committed| committed.rows[0].value.clone()).collect();
    assert_eq!(values, [Some(b"one".to_vec()), Some(b"two".to_vec())]);
    assert_eq!(heard.revisions(), other.revisions());
    // Nobody follows any more when the last handle is gone.
    let [_, gone] = following;
    let kept = Arc::downgrade(&gone);
    drop((gone, other));
    assert!(kept.upgrade().is_none());
    put(&store, Table::Tenant, b"later", Expect::Absent, b"v").unwrap();
    assert_eq!(heard.revisions().len(), 53);
}

/// Entries older than 7 days by the time of the changes go, oldest first, and a reader that has not come so far gets to know it.
pub fn a_feed_is_truncated_by_age(fixture: &impl Fixture) {
    let mut store = fixture.open();
    let start = 1_790_000_000_000;
    let at = |ms: u64, table, key: u32| {
        let mut change = Change { at_ms: ms, ..Change::default() };
        change.insert(table, key.to_be_bytes().to_vec(), b"v".to_vec());
        change
    };
    const OLD: u32 = 2500;
    let mut many = at(start, Table::Device, 0);
    (1..OLD).for_each(|key| many.insert(Table::Device, key.to_be_bytes().to_vec(), b"v".to_vec()));
    let first = done(&store, many).unwrap();
    for key in OLD..OLD + 20 {
        done(&store, at(start + u64::from(key), Table::Device, key)).unwrap();
    }
    let last_old = revision(&store);
    // A clock that goes back a little does not mix up the order.
    let kept = done(&store, at(start + 3 * DAY, Table::Tenant, 1)).unwrap();
    done(&store, at(start + DAY, Table::Tenant, 2)).unwrap();
    done(&store, at(start + 7 * DAY - 1, Table::Spent, 1)).unwrap();
    assert_eq!(since(&store, 0).len(), 23, "it is not old enough yet");
    delete(&store, b"no row", Expect::Version(1)).unwrap_err();
    done(&store, at(start + 9 * DAY, Table::Spent, 2)).unwrap();
    // A store that truncates while it rests has to be given rests.
    let patience = Instant::now() + Duration::from_secs(20);
    for key in 3.. {
        match block_on(store.feed(0, 1)).unwrap() {
            Feed::Truncated { up_to } if up_to == last_old => break,
            Feed::Truncated { up_to } => assert!((first..last_old).contains(&up_to)),
            Feed::Since(_) => {}
        }
        assert!(Instant::now() < patience, "it is not truncated");
        done(&store, at(start + 9 * DAY, Table::Spent, key)).unwrap();
    }
    for _ in 0..2 {
        for behind in [0, first, last_old - 1] {
            assert_eq!(block_on(store.feed(behind, 9)), Ok(Feed::Truncated { up_to: last_old }));
        }
        let left: Vec<_> = since(&store, last_old).iter().map(|committed| committed.revision).collect();
        assert_eq!(left, [kept, kept + 1]);
        drop(store);
        store = fixture.open();
    }
}

/// A change without a time makes nothing old.
pub fn a_feed_without_times_is_kept(fixture: &impl Fixture) {
    let store = fixture.open();
    for n in 0..10_u8 {
        put(&store, Table::Tenant, &[n], Expect::Absent, b"v").unwrap();
    }
    let mut change = Change { at_ms: 1_790_000_000_000, ..Change::default() };
    change.insert(Table::Tenant, b"timed".to_vec(), b"v".to_vec());
    done(&store, change).unwrap();
    for n in 0..10_u8 {
        put(&store, Table::Spent, &[n], Expect::Absent, b"").unwrap();
    }
    assert_eq!(since(&store, 0).len(), 11);
}

/// Records its notifications.
#[derive(Default)]
struct Heard(Mutex<Vec<Committed>>);

impl Heard {
    fn revisions(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|committed| committed.revision).collect()
    }
}

impl Projection for Heard {
    fn project(&self, committed: &Committed) -> Result<(), String> {
        self.0.lock().unwrap().push(committed.clone());
        Ok(())
    }

    fn recovered(&self) {
        panic!("nothing failed");
    }
}

fn since(store: &Arc<dyn Store>, after: u64) -> Vec<Committed> {
    match block_on(store.feed(after, usize::MAX)).unwrap() {
        Feed::Since(commits) => commits,
        Feed::Truncated { up_to } => panic!("truncated up to {up_to}"),
    }
}

fn committed(revision: u64, rows: Vec<FeedRow>) -> Committed {
    Committed { revision, rows }
}

fn row(table: Table, key: &[u8], value: Option<&[u8]>) -> FeedRow {
    FeedRow { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }
}

const DAY: u64 = 24 * 60 * 60 * 1000;
