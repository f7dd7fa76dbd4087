//! The contract, kept by all stores.

use std::sync::Arc;

use tempfile::TempDir;
use wardein_port::Store;
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_store::{Kind, Options};
use wardein_testkit::Postgres;
use wardein_testkit::store_contract::Fixture;

struct Place {
    directory: TempDir,
    kind: Kind,
}

impl Place {
    fn new(kind: Kind) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), kind }
    }
}

impl Fixture for Place {
    fn open(&self) -> Arc<dyn Store> {
        // A small cache, so that groups spill.
        let options = Options { cache: 1 << 20, ..Options::default() };
        wardein_store::open(self.kind, &self.directory.path().join(self.kind.file_name()), &options).unwrap()
    }
}

#[test]
fn sqlite_holds_a_moment_and_sled_says_that_it_cannot() {
    for (kind, has_one) in [(Kind::Sqlite, true), (Kind::Sled, false)] {
        assert_eq!(Place::new(kind).open().snapshot().unwrap().is_some(), has_one);
    }
}

mod sqlite {
    use super::*;
    wardein_testkit::store_contract_tests!(Some(Place::new(Kind::Sqlite)));
}

mod sled {
    use super::*;
    wardein_testkit::store_contract_tests!(Some(Place::new(Kind::Sled)));
}

/// A database of its own.
struct Database(Address);

impl Database {
    fn new() -> Option<Self> {
        let address = Address::parse(&Postgres::shared()?.database(), None, None).unwrap();
        postgres::create(&address, None).unwrap();
        Some(Self(address))
    }
}

impl Fixture for Database {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open(&self.0, "the contract", Sharing::Shared).unwrap())
    }
}

mod postgresql {
    use super::*;
    wardein_testkit::store_contract_tests!(Database::new());
}
