//! What holds when many write and read at once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use wardein_engine::port::{Change, CommitError, Expect, Store, Table};

use super::{Fixture, T, at_once, block_on, commit_of, conflict, on_threads, put, row};

/// Changes that are handed in together succeed and fail each for itself.
pub fn a_conflict_refuses_only_its_change(fixture: &impl Fixture) {
    let store = Arc::new(fixture.open());
    put(&*store, T, b"there", Expect::Absent, b"").unwrap();
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
        assert_eq!(outcome, if bad { conflict(T, b"there") } else { Ok(()) });
        assert_eq!(store.get(T, &[b'a', n as u8]).unwrap().is_some(), !bad);
    }
    let mut entries: Vec<u8> = store.audit(1, 100).unwrap().into_iter().map(|(_, entry)| entry[0]).collect();
    entries.sort_unstable();
    assert_eq!(entries, (0..90).filter(|n| n % 3 != 0).collect::<Vec<u8>>());
}

/// Many tasks on many threads that retry on conflict lose no update.
pub fn no_increment_is_lost(fixture: &impl Fixture) {
    const TASKS: u64 = 16;
    const TIMES: u64 = 25;
    let store = Arc::new(fixture.open());
    put(&*store, T, b"sum", Expect::Absent, &0_u64.to_be_bytes()).unwrap();
    on_threads(TASKS, |_| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..TIMES {
                loop {
                    let row = store.get(T, b"sum").unwrap().unwrap();
                    let sum = u64::from_be_bytes(row.value.try_into().unwrap());
                    let mut change = Change::default();
                    change.update(T, b"sum".to_vec(), row.version, (sum + 1).to_be_bytes().to_vec());
                    change.audit.push(vec![]);
                    match store.commit(change).await {
                        Ok(()) => break,
                        Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    });
    assert_eq!(store.get(T, b"sum"), row(1 + TASKS * TIMES, &(TASKS * TIMES).to_be_bytes()));
    assert_eq!(store.last_audit(), Ok(TASKS * TIMES));
}

/// Of many inserts of one key one wins.
pub fn one_wins_an_insert(fixture: &impl Fixture) {
    let store = Arc::new(fixture.open());
    for round in 0..10_u8 {
        let outcomes = at_once(32, |n| {
            let mut change = Change::default();
            change.insert(Table::Serial, vec![round], vec![n as u8]);
            commit_of(&store, change)
        });
        let winners: Vec<_> = (0..32).filter(|n| outcomes[usize::from(*n)].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(Table::Serial, &[round]), row(1, &[winners[0]]));
    }
}

/// A change whose future was dropped is applied whole or not at all.
pub fn dropped_futures_harm_nothing(fixture: &impl Fixture) {
    let store = Arc::new(fixture.open());
    block_on(async {
        for n in 0..200_u64 {
            let mut change = Change::default();
            change.insert(T, n.to_be_bytes().to_vec(), b"v".to_vec());
            change.audit.push(n.to_be_bytes().to_vec());
            let mut future = Box::pin(store.commit(change));
            match n % 3 {
                0 => drop(future),
                // Polled once: it is on its way, and its caller is gone.
                1 => {
                    std::future::poll_fn(|cx| {
                        let _ = future.as_mut().poll(cx);
                        Poll::Ready(())
                    })
                    .await
                }
                _ => assert_eq!(future.await, Ok(())),
            }
        }
    });
    // A change behind them all is applied, and each dropped one whole or not at all.
    put(&*store, Table::Tenant, b"last", Expect::Absent, b"").unwrap();
    let rows = store.scan(T, b"", None, 1000).unwrap();
    let entries = store.audit(1, 1000).unwrap();
    let mut audited: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
    audited.sort();
    assert_eq!(audited, rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    assert!((2..200_u64).step_by(3).all(|n| audited.contains(&n.to_be_bytes().to_vec())));
    assert_eq!(store.last_audit(), Ok(entries.len() as u64));
}

/// Reads beside a writer see whole changes, and time never goes back for them.
pub fn reads_while_writing_see_whole_changes(fixture: &impl Fixture) {
    let store = Arc::new(fixture.open());
    let sizes = |n: u64| if n.is_multiple_of(2) { 9000 } else { 10 };
    let value = |n: u64| vec![n as u8; sizes(n)];
    for key in [b"a", b"b"] {
        put(&*store, T, key, Expect::Absent, &value(1)).unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let row = store.get(T, b"a").unwrap().unwrap();
                    assert!(row.version >= last, "time went back");
                    last = row.version;
                    assert_eq!(row.value, vec![last as u8; row.value.len()], "a torn value");
                    let rows = store.scan(T, b"", None, 10).unwrap();
                    assert_eq!(rows[0].1, rows[1].1, "a scan is of one moment");
                    assert!(store.last_audit().unwrap() + 1 >= last);
                }
            })
        })
        .collect();
    for n in 1..150 {
        let mut change = Change::default();
        change.update(T, b"a".to_vec(), n, value(n + 1));
        change.update(T, b"b".to_vec(), n, value(n + 1));
        change.audit.push(vec![]);
        block_on(store.commit(change)).unwrap();
        assert_eq!(store.get(T, b"b"), row(n + 1, &value(n + 1)), "one reads what one wrote");
        assert_eq!(store.last_audit(), Ok(n));
    }
    done.store(true, Ordering::Release);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

/// A snapshot shows what was there when it was taken, all of it and nothing else, and no commit waits for it. A store that has none
/// says so each time.
pub fn a_snapshot_is_of_one_moment(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    for n in 0..100_u8 {
        change.insert(T, vec![n], vec![n; 3000]);
        change.audit.push(vec![n]);
    }
    change.insert(Table::Tenant, b"t".to_vec(), b"one".to_vec());
    block_on(store.commit(change)).unwrap();
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
        block_on(store.commit(change)).unwrap();
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
    assert_eq!(store.last_audit(), Ok(250));
    let second = store.snapshot().unwrap().unwrap();
    assert_eq!(second.scan(T, None, 1000).unwrap().len(), 100);
    assert_eq!(second.audit(1, 1000).unwrap().len(), 250);
    drop((snapshot, second));
    put(&store, Table::Tenant, b"u", Expect::Absent, b"").unwrap();
}
