//! Concurrent writes and reads.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use wardein_port::{Change, CommitError, Expect, Feed, Head, Table};

use super::{
    Fixture, T, at_once, audit, block_on, commit, commit_of, conflict, done, get, last_audit, on_threads,
    put, read, row, scan,
};

/// Changes that are handed in together succeed and fail each for itself.
pub fn a_conflict_refuses_only_its_change(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, T, b"there", Expect::Absent, b"").unwrap();
    // Handed in at once, so that a store that groups has good and bad ones in a group. Every third clashes.
    let outcomes = at_once(90, |n| {
        let mut change = Change::default();
        change.insert(T, vec![b'a', n as u8], vec![n as u8]);
        if n % 3 == 0 {
            change.insert(T, b"there".to_vec(), vec![]);
        }
        change.audit.push(vec![n as u8]);
        commit_of(&store, change)
    });
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let bad = n % 3 == 0;
        match outcome {
            Ok(_) => assert!(!bad),
            refused => assert_eq!(refused, if bad { conflict(T, b"there") } else { Ok(0) }),
        }
        assert_eq!(read(&store, T, &[b'a', n as u8]).unwrap().is_some(), !bad);
    }
    let mut entries: Vec<u8> = audit(&store, 1, 100).into_iter().map(|(_, entry)| entry[0]).collect();
    entries.sort_unstable();
    assert_eq!(entries, (0..90).filter(|n| n % 3 != 0).collect::<Vec<u8>>());
}

/// Many tasks on many threads that retry on conflict lose no update.
pub fn no_increment_is_lost(fixture: &impl Fixture) {
    const TASKS: u64 = 16;
    const TIMES: u64 = 25;
    let store = fixture.open();
    put(&store, T, b"sum", Expect::Absent, &0_u64.to_be_bytes()).unwrap();
    on_threads(TASKS, |_| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..TIMES {
                loop {
                    let row = get(&*store, T, b"sum").await.unwrap().unwrap();
                    let sum = u64::from_be_bytes(row.value.try_into().unwrap());
                    let mut change = Change::default();
                    change.update(T, b"sum".to_vec(), row.version, (sum + 1).to_be_bytes().to_vec());
                    change.audit.push(vec![]);
                    match commit(&*store, change).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    });
    assert_eq!(read(&store, T, b"sum"), row(1 + TASKS * TIMES, &(TASKS * TIMES).to_be_bytes()));
    assert_eq!(last_audit(&store), TASKS * TIMES);
}

/// Of many inserts of one key one wins.
pub fn one_wins_an_insert(fixture: &impl Fixture) {
    let store = fixture.open();
    for round in 0..10_u8 {
        let outcomes = at_once(32, |n| {
            let mut change = Change::default();
            change.insert(Table::Serial, vec![round], vec![n as u8]);
            commit_of(&store, change)
        });
        let winners: Vec<_> = (0..32).filter(|n| outcomes[usize::from(*n)].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(read(&store, Table::Serial, &[round]), row(u64::from(round) + 1, &[winners[0]]));
    }
}

/// The outcome of a change does not depend on its caller: it may be gone by then, or its runtime may.
pub fn dropped_callers_change_nothing(fixture: &impl Fixture) {
    let store = fixture.open();
    block_on(async {
        for n in 0..200_u64 {
            let mut change = Change::default();
            change.insert(T, n.to_be_bytes().to_vec(), b"v".to_vec());
            change.audit.push(n.to_be_bytes().to_vec());
            let outcome = commit(&*store, change);
            if n % 3 == 0 {
                outcome.await.unwrap();
            }
        }
    });
    // A change behind them all is applied, and so were they.
    put(&store, Table::Tenant, b"last", Expect::Absent, b"").unwrap();
    let rows = scan(&store, T, b"", 1000);
    let expected: Vec<_> = (0..200_u64).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
    let entries = audit(&store, 1, 1000);
    assert_eq!(entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), expected);
}

/// Neither reading nor writing needs a runtime of some kind.
pub fn any_executor_will_do(fixture: &impl Fixture) {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn park_on<F: Future>(future: F) -> F::Output {
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            std::thread::park();
        }
    }
    let store = fixture.open();
    let mut change = Change::default();
    change.insert(Table::Tenant, b"k".to_vec(), b"v".to_vec());
    change.audit.push(b"entry".to_vec());
    assert_eq!(park_on(async { commit(&*store, change).await }), Ok(1));
    assert_eq!(park_on(get(&*store, Table::Tenant, b"k")), row(1, b"v"));
    assert_eq!(park_on(store.scan(Table::Tenant, b"", None, 9)).unwrap().len(), 1);
    assert_eq!(park_on(store.audit(1, 9)), Ok(vec![(1, b"entry".to_vec())]));
    assert_eq!(park_on(store.head()), Ok(Head { revision: 1, last_audit: 1 }));
    assert!(matches!(park_on(store.feed(0, 9)), Ok(Feed::Since(commits)) if commits.len() == 1));
}

/// Reads beside a writer see whole changes, and time never goes back for them.
pub fn reads_while_writing_see_whole_changes(fixture: &impl Fixture) {
    let store = fixture.open();
    let size = |n: u64| if n.is_multiple_of(2) { 9000 } else { 10 };
    let write = |n: u64, version: Option<u64>| {
        let mut change = Change::default();
        for key in [b"a", b"b"] {
            change.put(T, key.to_vec(), version, vec![n as u8; size(n)]);
        }
        change.audit.push(vec![]);
        done(&store, change).unwrap()
    };
    let mut version = write(1, None);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut last = 0;
                while !is_over.load(Ordering::Acquire) {
                    let row = read(&store, T, b"a").unwrap().unwrap();
                    assert!(row.version >= last, "time went back");
                    last = row.version;
                    assert_eq!(row.value, vec![last as u8; row.value.len()], "a torn value");
                    let rows = scan(&store, T, b"", 10);
                    assert_eq!(rows[0].1, rows[1].1, "a scan is of one moment");
                    let head = block_on(store.head()).unwrap();
                    assert!(head.revision >= last && head.last_audit == head.revision);
                }
            })
        })
        .collect();
    for n in 2..150 {
        version = write(n, Some(version));
        assert_eq!(read(&store, T, b"b"), row(version, &vec![n as u8; size(n)]), "one reads what one wrote");
        assert_eq!(last_audit(&store), n);
    }
    is_over.store(true, Ordering::Release);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

/// A snapshot shows the rows as of its taking, all of them and nothing else, and no commit waits for it. A store that has none
/// says so each time.
pub fn a_snapshot_is_of_one_moment(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    for n in 0..100_u8 {
        change.insert(T, vec![n], vec![n; 3000]);
        change.audit.push(vec![n]);
    }
    change.insert(Table::Tenant, b"t".to_vec(), b"one".to_vec());
    done(&store, change).unwrap();
    let Some(snapshot) = store.snapshot().unwrap() else {
        assert!(store.snapshot().unwrap().is_none());
        return;
    };
    for round in 0..3_u8 {
        let mut change = Change::default();
        for n in 0..50_u8 {
            match round {
                0 => change.update(T, vec![n], 1, b"later".to_vec()),
                1 => change.delete(T, vec![n], 2),
                _ => change.insert(T, vec![n, n], b"new".to_vec()),
            }
            change.audit.push(b"later".to_vec());
        }
        done(&store, change).unwrap();
    }
    assert!(snapshot.held() > 0, "what came since is told");
    let (mut seen, mut after) = (0_u8, None::<Vec<u8>>);
    loop {
        let page = snapshot.scan(T, after.as_deref(), 7).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (key, row) in page {
            assert_eq!((key, row.version, row.value), (vec![seen], 1, vec![seen; 3000]));
            seen += 1;
        }
    }
    assert_eq!(seen, 100);
    assert_eq!(snapshot.scan(Table::Tenant, None, 9).unwrap()[0].1.value, b"one");
    let entries = snapshot.audit(1, 1000).unwrap();
    assert_eq!((entries.len(), entries[99].clone()), (100, (100, vec![99])));
    assert_eq!(snapshot.audit(99, 1).unwrap(), [(99, vec![98])]);
    assert_eq!(last_audit(&store), 250);
    let second = store.snapshot().unwrap().unwrap();
    assert_eq!(second.scan(T, None, 1000).unwrap().len(), 100);
    assert_eq!(second.audit(1, 1000).unwrap().len(), 250);
    drop((snapshot, second));
    put(&store, Table::Tenant, b"u", Expect::Absent, b"").unwrap();
}
