//! PostgreSQL as it fails: connections that are ended, a server that dies, a commit whose answer is lost, other nodes, roles and servers
//! that are not as they must be.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wardein_port::{
    Change, CommitError, Committed, Feed, Indexed, Numbered, Outcome, Projection, RowKey, Store, Table,
};
use wardein_store::OpenError;
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_testkit::{Postgres, block_on};

fn address(url: &str) -> Address {
    Address::parse(url, None, None).unwrap()
}

fn made(server: &Postgres) -> (String, Address) {
    let url = server.database();
    postgres::create(&address(&url), None).unwrap();
    let at = address(&url);
    (url, at)
}

fn open(at: &Address) -> PostgresStore {
    PostgresStore::open(at, "a test", Sharing::Shared).unwrap()
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

fn insert(table: Table, key: u64) -> Change {
    let mut change = Change::default();
    change.insert(table, key.to_be_bytes().to_vec(), key.to_be_bytes().to_vec());
    change.audit.push(key.to_be_bytes().to_vec());
    change
}

fn commit(store: &PostgresStore, change: Change) -> Outcome {
    block_on(wardein_testkit::commit(store, change))
}

/// What was projected, by key.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<Vec<u8>, u64>>);

impl Projection for Heard {
    fn project(&self, committed: &Committed) -> Result<(), String> {
        let mut heard = self.0.lock().unwrap();
        for row in &committed.rows {
            heard.insert(row.key.clone(), committed.revision);
        }
        Ok(())
    }

    fn recovered(&self) {}
}

/// Inserts tenants one after the other while `meanwhile` does its worst, and compares what was said with what is there.
fn nothing_is_lost_or_done_twice(
    store: &PostgresStore,
    for_long: Duration,
    meanwhile: impl FnMut() + Send,
) -> [usize; 3] {
    let heard = Arc::new(Heard::default());
    let following: Arc<dyn Projection> = heard.clone();
    store.follow(&following);
    let is_over = AtomicBool::new(false);
    let mut meanwhile = meanwhile;
    let outcomes: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let (store, is_over) = (store, &is_over);
        let writers: Vec<_> = (0..4_u64)
            .map(|writer| {
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for n in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = (writer << 32) + n;
                        let outcome = commit(store, insert(Table::Tenant, key));
                        if outcome.is_err() {
                            // As an upkeep does.
                            drop(store.writable());
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        outcomes.push((key, outcome));
                    }
                    outcomes
                })
            })
            .collect();
        let begun = Instant::now();
        while begun.elapsed() < for_long {
            meanwhile();
        }
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let patience = Instant::now() + Duration::from_secs(20);
    while store.writable().is_err() {
        assert!(Instant::now() < patience, "{:?}", store.writable());
        std::thread::sleep(Duration::from_millis(50));
    }
    commit(store, insert(Table::Serial, 0)).unwrap();
    let rows = block_on(store.scan(Table::Tenant, b"", None, usize::MAX)).unwrap();
    let there: BTreeMap<Vec<u8>, u64> = rows.into_iter().map(|(key, row)| (key, row.version)).collect();
    let mut counts = [0; 3];
    for (key, outcome) in &outcomes {
        let found = there.get(key.to_be_bytes().as_slice());
        match outcome {
            Ok(revision) => assert_eq!(found, Some(revision), "it was acknowledged"),
            Err(CommitError::Unknown(_)) => {}
            Err(CommitError::Unavailable(_)) => assert_eq!(found, None, "it was said not to be applied"),
            Err(error) => panic!("{error}"),
        }
        let place = match outcome {
            Ok(_) => 0,
            Err(CommitError::Unknown(_)) => 1,
            Err(_) => 2,
        };
        counts[place] += 1;
    }
    assert_eq!(*heard.0.lock().unwrap(), there, "what was projected is what is there");
    block_on(store.verify()).unwrap();
    let entries = block_on(store.audit(1, usize::MAX)).unwrap();
    assert_eq!(entries.len(), there.len() + 1);
    counts
}

const END_WRITERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                           WHERE datname = current_database() AND application_name = 'wardein'";

#[test]
fn a_connection_that_is_ended_loses_nothing_and_is_made_again() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let store = open(&at);
    let mut ended = 0;
    let counts = nothing_is_lost_or_done_twice(&store, Duration::from_secs(4), || {
        ended += server.sql(name_of(&url), END_WRITERS).trim().parse::<usize>().unwrap();
        std::thread::sleep(Duration::from_millis(30));
    });
    let [done, unknown, refused] = counts;
    println!("{ended} connections ended: {done} changes done, {unknown} unknown, {refused} refused");
    assert!(ended > 20 && done > 20, "{ended} {counts:?}");
    assert_eq!(unknown, 0, "the server is there to say what became of them");
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_was_acknowledged() {
    let Some(mut server) = Postgres::start() else { return };
    let (_, at) = made(&server);
    let store = open(&at);
    let mut crashes = 0;
    let counts = nothing_is_lost_or_done_twice(&store, Duration::from_secs(6), || {
        std::thread::sleep(Duration::from_millis(700));
        server.crash();
        crashes += 1;
    });
    let [done, unknown, refused] = counts;
    println!("{crashes} crashes: {done} changes done, {unknown} unknown, {refused} refused");
    assert!(crashes > 1 && done > 20, "{crashes} {counts:?}");
}

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

/// A commit that waits for a standby which never answers is there; then its connection is ended.
#[test]
fn a_commit_whose_answer_was_lost_is_looked_up() {
    let Some(server) = Postgres::start() else { return };
    let (url, at) = made(&server);
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    let set = |names: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    set("nobody");
    let outcome = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| commit(&store, insert(Table::Tenant, 2)));
        let is_waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let patience = Instant::now() + Duration::from_secs(20);
        while server.sql("postgres", is_waiting).trim() == "0" {
            assert!(Instant::now() < patience, "no commit waits");
            std::thread::sleep(Duration::from_millis(20));
        }
        server.sql(name_of(&url), END_WRITERS);
        set("");
        waiting.join().unwrap()
    });
    assert_eq!(outcome, Ok(2));
    assert_eq!(commit(&store, insert(Table::Tenant, 3)), Ok(3));
    assert!(matches!(block_on(store.feed(0, 9)), Ok(Feed::Since(commits)) if commits.len() == 3));
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
        .args(["--exact", "postgresql::holder", "--nocapture", "--test-threads=1"])
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

#[test]
fn the_role_that_serves_can_change_no_audit_entry_and_no_table() {
    let Some(server) = Postgres::shared() else { return };
    let (url, at) = made(server);
    let name = name_of(&url);
    let role = format!("serves_{name}");
    server.sql(name, &format!("CREATE ROLE {role} LOGIN"));
    postgres::create(&at, Some(&role)).unwrap();
    let store = open(&address(&server.url(&role, name)));
    commit(&store, insert(Table::Tenant, 1)).unwrap();
    for refused in [
        "UPDATE wardein.audit SET entry = ''",
        "DELETE FROM wardein.audit",
        "TRUNCATE wardein.audit",
        "TRUNCATE wardein.rows",
        "UPDATE wardein.audit_index SET more = ''",
        "DELETE FROM wardein.audit_index",
        "DELETE FROM wardein.head",
        "ALTER TABLE wardein.rows ADD COLUMN more int",
        "DROP TABLE wardein.feed",
    ] {
        let tried = format!(
            "SET ROLE {role};
             DO $$ BEGIN {}; RAISE EXCEPTION 'it was allowed';
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;",
            refused
        );
        server.sql(name, &tried);
    }
}

#[test]
fn a_database_that_is_not_ours_or_cannot_keep_what_it_is_given_is_refused() {
    let Some(mut server) = Postgres::start() else { return };
    let refused =
        |at: &Address| PostgresStore::open(at, "a test", Sharing::Shared).err().unwrap().to_string();
    let empty = address(&server.database());
    assert!(refused(&empty).contains("run `wardein db init` first"), "{}", refused(&empty));
    let (url, at) = made(&server);
    drop(open(&at));
    postgres::create(&at, None).unwrap();
    server.sql(name_of(&url), "UPDATE wardein.head SET format = 3");
    assert!(matches!(
        PostgresStore::open(&at, "a test", Sharing::Shared),
        Err(OpenError::Newer { found: 3, .. })
    ));
    server.sql(name_of(&url), "UPDATE wardein.head SET format = 2");
    let nobody = address(&server.url("nobody_of_that_name", name_of(&url)));
    assert!(refused(&nobody).contains("does not exist"), "{}", refused(&nobody));
    for setting in ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] {
        server.restart(&[setting]);
        let name = setting.split('=').next().unwrap();
        assert!(refused(&at).contains(&format!("set {name} = on")), "{}", refused(&at));
    }
    server.restart(&[]);
    drop(open(&at));
}

/// `localhost` is who the certificate is for.
#[test]
fn a_server_is_spoken_to_over_tls_if_its_ca_is_the_one_that_was_named_and_its_name_the_one_in_the_url() {
    let Some(mut server) = Postgres::start() else { return };
    let (url, at) = made(&server);
    drop(open(&at));
    let (port, ca) = server.over_tls();
    let (_, other) = Postgres::start().unwrap().over_tls();
    let url = |host: &str| format!("postgresql://postgres@{host}:{port}/{}", name_of(&url));
    let status =
        |host: &str, ca: &[u8]| postgres::status(&Address::parse(&url(host), None, Some(ca)).unwrap());
    status("localhost", &ca).unwrap();
    for (host, ca) in [("localhost", &other), ("127.0.0.1", &ca)] {
        let refused = status(host, ca).unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{host}: {refused}");
    }
    let at = Address::parse(&url("localhost"), None, Some(&ca)).unwrap();
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    let encrypted = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'wardein'";
    assert_eq!(server.sql("postgres", encrypted).trim(), "t");
}

const HELD: &str = "WARDEIN_TEST_HELD";
