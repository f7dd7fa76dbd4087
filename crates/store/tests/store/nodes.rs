//! Several nodes on one database, and one that is to be alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wardein_port::{
    Change, CommitError, Committed, Indexed, Numbered, Outcome, Projection, RowKey, Store, Table,
};
use wardein_store::OpenError;
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_testkit::{Postgres, block_on};

use crate::postgresql::{END_WRITERS, Heard, address, commit, insert, made, name_of, open};

/// What another node wrote last is not taken for what became of the first group of this one.
#[test]
fn a_node_begins_with_no_group_of_another() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let (store, other) = (open(&at), open(&at));
    for key in 1..=3 {
        assert_eq!(commit(&store, insert(Table::Tenant, key)), Ok(key));
    }
    let groups = server.sql(name_of(&url), "SELECT last_group FROM wardein.nodes ORDER BY 1");
    assert_eq!(groups.split_whitespace().collect::<Vec<_>>(), ["0", "3"]);
    server.sql(name_of(&url), END_WRITERS);
    assert_eq!(commit(&other, insert(Table::Tenant, 4)), Ok(4));
    assert_eq!(commit(&store, insert(Table::Tenant, 5)), Ok(5));
}

/// Not a test: a process that is a node, and says for how long it knows everything, and how far it has heard. Without its variable it
/// does nothing.
#[test]
fn holder() {
    let Ok(url) = std::env::var(HELD) else { return };
    let store = open(&address(&url));
    let heard = Arc::new(Heard::default());
    let following: Arc<dyn Projection> = heard.clone();
    store.follow(&following);
    loop {
        let is_current = store.current().is_ok();
        let last = heard.0.lock().unwrap().values().max().copied().unwrap_or_default();
        println!("node {is_current} {last}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn hold(url: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nodes::holder", "--nocapture", "--test-threads=1"])
        .env(HELD, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a node says, line by line: whether it knows everything, and how far it has heard.
fn lines(node: &mut std::process::Child) -> impl Iterator<Item = (bool, u64)> + use<> {
    let said = BufReader::new(node.stdout.take().unwrap()).lines();
    said.map_while(Result::ok).filter_map(|line| {
        let mut words = line.strip_prefix("node ")?.split(' ');
        Some((words.next()? == "true", words.next()?.parse().ok()?))
    })
}

#[test]
fn one_that_must_be_alone_waits_for_all_nodes_and_a_removed_one_ends() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let mut holding = hold(&url);
    // Read to the end: one that nobody listens to cannot write, and ends.
    let mut said = lines(&mut holding);
    assert_eq!(said.next(), Some((true, 0)));
    let status = postgres::status(&at).unwrap();
    let [node] = &status.nodes[..] else { panic!("{status:?}") };
    assert_eq!((node.name.as_str(), node.release.as_str()), ("a test", env!("CARGO_PKG_VERSION")));
    assert!(matches!(PostgresStore::open(&at, "another", Sharing::Alone), Err(OpenError::Locked(_))));
    assert!(!postgres::remove(&at, "of no node").unwrap());
    assert!(postgres::remove(&at, &node.id).unwrap());
    assert!(said.last().is_some());
    let ended = holding.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("not among those that use the database"), "{said}");
    let alone = PostgresStore::open(&at, "another", Sharing::Alone).unwrap();
    assert!(matches!(PostgresStore::open(&at, "a test", Sharing::Shared), Err(OpenError::Locked(_))));
    drop(alone);
    drop(open(&at));
}

/// A machine that stood still for longer than the bound says so, until it has heard of all that was decided meanwhile.
#[test]
fn a_node_that_stood_still_does_not_answer_before_it_knows_everything() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let mut holding = hold(&url);
    let mut lines = lines(&mut holding);
    assert_eq!(lines.next(), Some((true, 0)));
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &holding.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(6));
    let store = open(&at);
    for key in 1..=600 {
        assert_eq!(commit(&store, insert(Table::Tenant, key)), Ok(key));
    }
    signal("-CONT");
    // What it had said and what it was about to say.
    let mut said = lines.skip_while(|(_, heard)| *heard == 0).skip(1);
    let (is_current, heard) = said.find(|(is_current, _)| *is_current).unwrap();
    assert_eq!((is_current, heard), (true, 600));
    holding.kill().unwrap();
    holding.wait().unwrap();
}

/// The same in one process, whose database stops answering.
#[test]
fn a_node_whose_database_does_not_answer_says_that_it_may_not_know() {
    let Some(mut server) = Postgres::start() else { return };
    let (_, at) = made(&server);
    let store = open(&at);
    assert_eq!(store.current(), Ok(()));
    server.stop();
    let patience = Instant::now() + Duration::from_secs(30);
    let why = loop {
        match store.current() {
            Err(why) => break why,
            Ok(()) => assert!(Instant::now() < patience),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(why.contains("what other nodes decided is not known"), "{why}");
    server.restart(&[]);
    while store.current().is_err() {
        assert!(Instant::now() < patience + Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The row that all writers want.
const CONTENDED: [u8; 8] = [0xff; 8];

/// Adds one to the contended row, as often as it takes.
fn count_up(store: &PostgresStore) -> Result<u64, CommitError> {
    loop {
        let key = RowKey { table: Table::Profile, key: CONTENDED.to_vec() };
        let row = block_on(store.load(&[key])).map_err(|error| CommitError::Unavailable(error.0))?.remove(0);
        let mut change = Change::default();
        match row {
            None => change.insert(Table::Profile, CONTENDED.to_vec(), 1_u64.to_be_bytes().to_vec()),
            Some(row) => {
                let next = u64::from_be_bytes(*row.value.first_chunk().unwrap()) + 1;
                change.update(Table::Profile, CONTENDED.to_vec(), row.version, next.to_be_bytes().to_vec());
            }
        }
        change.audit.push(b"counted".to_vec());
        change.index.push(Indexed { key: b"counter".to_vec(), entry: Numbered::Here(0) });
        match commit(store, change) {
            Err(CommitError::Conflict { .. }) => {}
            other => return other,
        }
    }
}

/// What was projected, one after the other.
#[derive(Default)]
struct InOrder(Mutex<Vec<(u64, Vec<u8>)>>);

impl Projection for InOrder {
    fn project(&self, committed: &Committed) -> Result<(), String> {
        let mut all = self.0.lock().unwrap();
        if all.last().is_some_and(|(last, _)| *last >= committed.revision) {
            return Err(format!("{} came after {:?}", committed.revision, all.last()));
        }
        all.extend(committed.rows.iter().map(|row| (committed.revision, row.key.clone())));
        Ok(())
    }

    fn recovered(&self) {}
}

/// Three nodes write the same rows and others, while their connections are ended: each hears of everything in order, and nothing is
/// lost, done twice or counted twice.
#[test]
fn several_nodes_write_at_once_and_each_hears_of_all_in_order() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let nodes: Vec<_> = (0..3).map(|_| open(&at)).collect();
    let heard: Vec<_> = nodes.iter().map(|_| Arc::new(InOrder::default())).collect();
    for (node, heard) in nodes.iter().zip(&heard) {
        node.follow(&(Arc::clone(heard) as Arc<dyn Projection>));
    }
    let is_over = AtomicBool::new(false);
    let outcomes: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let is_over = &is_over;
        let write = |(node, store)| {
            scope.spawn(move || {
                let mut outcomes = Vec::new();
                for n in 0_u64.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (key, outcome) = match n % 2 {
                        0 => (0, count_up(store)),
                        _ => ((node << 32) + n, commit(store, insert(Table::Tenant, (node << 32) + n))),
                    };
                    outcomes.push((key, outcome));
                }
                outcomes
            })
        };
        let writers: Vec<_> = (1_u64..).zip(&nodes).chain((11..).zip(&nodes)).map(write).collect();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(200));
            server.sql(name_of(&url), END_WRITERS);
        }
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let last = commit(&nodes[0], insert(Table::Tenant, 1)).unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    for heard in &heard {
        while heard.0.lock().unwrap().last().is_none_or(|(at, _)| *at < last) {
            assert!(Instant::now() < patience, "a node does not hear of the last commit");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let is_done =
        |wanted: bool| outcomes.iter().filter(move |(key, outcome)| outcome.is_ok() && (*key == 0) == wanted);
    let in_doubt =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Err(CommitError::Unknown(_)))).count() as u64;
    let rows = block_on(nodes[1].scan(Table::Tenant, b"", None, usize::MAX)).unwrap();
    let there: BTreeMap<Vec<u8>, u64> = rows.into_iter().map(|(key, row)| (key, row.version)).collect();
    for (key, outcome) in is_done(false) {
        assert_eq!(there.get(key.to_be_bytes().as_slice()), outcome.as_ref().ok());
    }
    let counter = RowKey { table: Table::Profile, key: CONTENDED.to_vec() };
    let counter = block_on(nodes[2].load(&[counter])).unwrap().remove(0).unwrap();
    let (counted, counts) =
        (u64::from_be_bytes(*counter.value.first_chunk().unwrap()), is_done(true).count() as u64);
    println!("{} changes, {counts} counts, {in_doubt} in doubt", there.len());
    assert!(there.len() > 50 && counts > 50, "{} {counts}", there.len());
    assert!((counts..=counts + in_doubt).contains(&counted), "{counts} {in_doubt} {counted}");
    let first = heard[0].0.lock().unwrap().clone();
    for other in &heard[1..] {
        assert_eq!(*other.0.lock().unwrap(), first, "all heard the same, in the same order");
    }
    assert_eq!(first.len() as u64, there.len() as u64 + counted);
    block_on(nodes[0].verify()).unwrap();
    let entries = block_on(nodes[0].audit(1, usize::MAX)).unwrap();
    assert_eq!(entries.len() as u64, there.len() as u64 + counted);
    let of_counter = block_on(nodes[0].audit_of(b"counter", 1, usize::MAX)).unwrap();
    assert_eq!(of_counter.len() as u64, counted, "the index knows what each node wrote");
}

/// One that was killed left its row. The same node takes its place once it has missed its beats, and another directory's stays.
#[test]
fn a_node_that_starts_again_takes_the_place_of_its_former_process() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let left = "INSERT INTO wardein.nodes (name, release, is_alone, seen) VALUES
                ('here:/a, process 1', '0', false, clock_timestamp() - interval '3 s'),
                ('here:/b, process 2', '0', false, clock_timestamp() - interval '3 s')";
    server.sql(name_of(&url), left);
    let store = named(&at, "here:/a, process 3").unwrap();
    let mut names: Vec<_> = postgres::status(&at).unwrap().nodes.into_iter().map(|node| node.name).collect();
    names.sort();
    assert_eq!(names, ["here:/a, process 3", "here:/b, process 2"]);
    // One that lives has its directory for itself.
    assert!(matches!(named(&at, "here:/a, process 4"), Err(OpenError::Locked(_))));
    drop(store);
    named(&at, "here:/a, process 4").unwrap();
}

fn named(at: &Address, name: &str) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(at, name, Sharing::Shared)
}

#[test]
fn the_upkeep_is_one_nodes_and_passes_to_another() {
    let Some(server) = Postgres::shared() else { return };
    let (_, at) = made(server);
    let (first, second) = (open(&at), open(&at));
    assert_eq!((first.keeps(), second.keeps()), (true, false));
    assert!(!second.is_alone());
    drop(first);
    let patience = Instant::now() + Duration::from_secs(20);
    while !second.keeps() || !second.is_alone() {
        assert!(Instant::now() < patience, "{} {}", second.keeps(), second.is_alone());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A database of the release before, in which one process at a time had a lease.
#[test]
fn a_database_of_the_first_format_is_brought_to_the_second_while_nobody_has_it() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    drop(store);
    let run = |sql: &str| server.sql(name_of(&url), sql);
    run("ALTER TABLE wardein.head DROP COLUMN keeper, DROP COLUMN kept_until, ADD COLUMN holder uuid, ADD COLUMN holder_name text,
             ADD COLUMN held_until timestamptz, ADD COLUMN last_group int8 NOT NULL DEFAULT 0;
         DROP TABLE wardein.nodes;
         UPDATE wardein.head SET format = 1, held_until = clock_timestamp() + interval '10 s'");
    let refused = named(&at, "a test").err().unwrap().to_string();
    assert!(refused.contains("run `wardein db init` again"), "{refused}");
    assert!(matches!(postgres::create(&at, None), Err(OpenError::Locked(_))));
    run("UPDATE wardein.head SET held_until = clock_timestamp()");
    postgres::create(&at, None).unwrap();
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 2)), Ok(2));
    block_on(store.verify()).unwrap();
}

const HELD: &str = "WARDEIN_TEST_HELD";
