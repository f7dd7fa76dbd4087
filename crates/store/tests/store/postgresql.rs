//! PostgreSQL as it fails: connections that are ended, a server that dies, a commit whose answer is lost, roles and servers that are not as they
//! must be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wardein_port::{Change, CommitError, Committed, Feed, Outcome, Projection, Store, Table};
use wardein_store::OpenError;
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_testkit::{Postgres, block_on};

pub(crate) fn address(url: &str) -> Address {
    Address::parse(url, None, None).unwrap()
}

pub(crate) fn made(server: &Postgres) -> (String, Address) {
    let url = server.database();
    postgres::create(&address(&url), None).unwrap();
    let at = address(&url);
    (url, at)
}

pub(crate) fn open(at: &Address) -> PostgresStore {
    PostgresStore::open(at, "a test", Sharing::Shared).unwrap()
}

pub(crate) fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

pub(crate) fn insert(table: Table, key: u64) -> Change {
    let mut change = Change::default();
    change.insert(table, key.to_be_bytes().to_vec(), key.to_be_bytes().to_vec());
    change.audit.push(key.to_be_bytes().to_vec());
    change
}

pub(crate) fn commit(store: &PostgresStore, change: Change) -> Outcome {
    block_on(wardein_testkit::commit(store, change))
}

/// What was projected, by key.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Mutex<BTreeMap<Vec<u8>, u64>>);

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

pub(crate) const END_WRITERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
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
