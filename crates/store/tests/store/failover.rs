//! A database on another timeline: where a node ran meanwhile and all is there, it goes on; otherwise nobody does before a human said so.

use std::time::{Duration, Instant};

use wardein_port::{CommitError, Head, Store, Table};
use wardein_store::OpenError;
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_testkit::{Postgres, block_on};

use crate::postgresql::{commit, insert, made, name_of, open};

fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn starts(at: &Address, sharing: Sharing) -> Result<(), OpenError> {
    PostgresStore::open(at, "another", sharing).map(drop)
}

#[test]
fn a_node_that_ran_goes_on_after_a_promotion_and_lets_others_start() {
    let Some(mut server) = Postgres::start() else { return };
    let (_, at) = made(&server);
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    let before = postgres::status(&at).unwrap();
    assert!(before.is_confirmed && before.place.as_ref().unwrap().ends_with("/1"), "{before:?}");
    for (round, timeline) in [(2, "/2"), (3, "/3")] {
        server.promote();
        until("the node goes on", || store.writable().is_ok());
        assert_eq!(commit(&store, insert(Table::Tenant, round)), Ok(round));
        until("it puts the timeline on record", || postgres::status(&at).unwrap().is_confirmed);
        let found = postgres::status(&at).unwrap();
        assert!(found.place.as_ref().unwrap().ends_with(timeline), "{found:?}");
        starts(&at, Sharing::Shared).unwrap();
    }
    assert!(!postgres::confirm(&at).unwrap(), "there is nothing to confirm");
}

#[test]
fn nobody_starts_on_a_timeline_that_is_not_on_record_until_it_is_confirmed() {
    let Some(mut server) = Postgres::start() else { return };
    let (_, at) = made(&server);
    assert_eq!(commit(&open(&at), insert(Table::Tenant, 1)), Ok(1));
    server.promote();
    for sharing in [Sharing::Shared, Sharing::Alone] {
        let refused = starts(&at, sharing).unwrap_err();
        assert!(matches!(refused, OpenError::Unconfirmed { .. }), "{refused}");
        assert!(refused.to_string().contains("confirm-failover"), "{refused}");
    }
    assert!(!postgres::status(&at).unwrap().is_confirmed);
    assert!(postgres::confirm(&at).unwrap());
    assert_eq!(commit(&open(&at), insert(Table::Tenant, 2)), Ok(2));
    assert!(!postgres::confirm(&at).unwrap());
}

#[test]
fn where_something_that_was_acknowledged_is_missing_nobody_goes_on_but_a_restore() {
    let Some(mut server) = Postgres::start() else { return };
    let (url, at) = made(&server);
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    server.copy();
    until("the node goes on", || store.writable().is_ok());
    assert_eq!(commit(&store, insert(Table::Tenant, 2)), Ok(2));
    server.put_back();
    server.promote();
    until("it is said in the database", || {
        // Which is what has it try again.
        let is_down = store.writable().is_err();
        is_down && server.sql(name_of(&url), "SELECT contested IS NOT NULL FROM wardein.head").trim() == "t"
    });
    let refused = commit(&store, insert(Table::Tenant, 3));
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    for sharing in [Sharing::Shared, Sharing::Alone] {
        let refused = starts(&at, sharing).unwrap_err();
        assert!(matches!(refused, OpenError::Contested { .. }), "{refused}");
    }
    assert!(matches!(postgres::confirm(&at), Err(OpenError::Contested { .. })), "it is known to be missing");
    // The node that missed it never goes on; one that ran and missed nothing does not either.
    until("the others are thought gone", || starts(&at, Sharing::Restoring).is_ok());
    let restoring = PostgresStore::open(&at, "a restore", Sharing::Restoring).unwrap();
    assert_eq!(commit(&restoring, insert(Table::Tenant, 9)), Ok(2));
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(commit(&restoring, insert(Table::Tenant, 10)), Ok(3), "it does not mind what is missing");
    drop(restoring);
    postgres::settle(&at).unwrap();
    drop(store);
    let store = open(&at);
    assert_eq!(block_on(store.head()).unwrap(), Head { revision: 3, last_audit: 3 });
}

#[test]
fn what_a_node_knew_of_is_missed_also_where_others_have_written_since() {
    let Some(server) = Postgres::start() else { return };
    let (url, at) = made(&server);
    let store = open(&at);
    for key in 1..=3 {
        assert_eq!(commit(&store, insert(Table::Tenant, key)), Ok(key));
    }
    // As though its last group had been lost, and another node had written more.
    let lost =
        "UPDATE wardein.nodes SET last_group = 2; UPDATE wardein.head SET revision = 9, last_audit = 9;
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wardein'";
    server.sql(name_of(&url), lost);
    until("it is said in the database", || {
        let is_down = store.writable().is_err();
        is_down && server.sql(name_of(&url), "SELECT contested FROM wardein.head").contains("group 3")
    });
    assert!(commit(&store, insert(Table::Tenant, 4)).is_err());
    // Another one that runs hears of it.
    let server_says = "UPDATE wardein.head SET contested = NULL, revision = 3, last_audit = 3";
    server.sql(name_of(&url), server_says);
    drop(store);
    let store = open(&at);
    server.sql(name_of(&url), "UPDATE wardein.head SET contested = 'another node missed 7'");
    until("it does not go on", || store.writable().is_err_and(|why| why.contains("another node missed 7")));
    server.sql(name_of(&url), "UPDATE wardein.head SET contested = NULL");
    until("it goes on", || store.writable().is_ok());
}

#[test]
fn a_server_that_does_not_say_where_it_is_is_judged_by_what_is_there() {
    let Some(server) = Postgres::start() else { return };
    let (url, at) = made(&server);
    // As a service need not let anybody ask.
    server.sql(name_of(&url), "CREATE ROLE service LOGIN");
    postgres::create(&at, Some("service")).unwrap();
    let none = "REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC";
    server.sql(name_of(&url), none);
    let at = crate::postgresql::address(&server.url("service", name_of(&url)));
    let store = open(&at);
    assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
    let found = postgres::status(&at).unwrap();
    assert_eq!((found.place, found.is_confirmed), (None, true));
    server.sql(name_of(&url), "UPDATE wardein.head SET revision = 0");
    until("it misses what it knew", || store.writable().is_err());
    until("and says so", || store.writable().is_err() && postgres::status(&at).unwrap().missing.is_some());
}
