//! The tables, who may do what with them, and what the server must be like.

use std::path::Path;

use tokio_postgres::{Client, Row as Record};
use wardein_port::StoreError;

use super::words;
use crate::moving::{MARKED, Mark};
use crate::open::OpenError;

/// Makes the tables where there are none, or brings those of an earlier release to the present form, and lets `role` use them, if one is
/// named. It needs the role that owns them, or may create in the database. The same again changes nothing but what the role may.
pub(super) async fn create(client: &mut Client, at: &Path, role: Option<&str>) -> Result<(), OpenError> {
    let failed = |error: tokio_postgres::Error| OpenError::failed(at, words(&error));
    require(client, at).await?;
    let all = client.transaction().await.map_err(failed)?;
    all.batch_execute("CREATE SCHEMA IF NOT EXISTS wardein").await.map_err(failed)?;
    if !is_there(all.client(), at).await? {
        all.batch_execute(TABLES).await.map_err(failed)?;
        all.batch_execute(SECOND).await.map_err(failed)?;
    } else if format(all.client(), at).await? == 1 {
        let leased =
            all.query_typed_one(LEASED, &[]).await.and_then(|record| record.try_get::<_, Option<bool>>(0));
        if leased.map_err(failed)? == Some(true) {
            return Err(OpenError::Locked(at.to_owned()));
        }
        all.batch_execute(SECOND).await.map_err(failed)?;
    }
    // Nodes of the release before go on beside these.
    all.batch_execute(COLUMNS).await.map_err(failed)?;
    if let Some(role) = role {
        // An identifier (PostgreSQL, "Identifiers and Key Words").
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        all.batch_execute(&GRANTS.replace("{role}", &role)).await.map_err(failed)?;
    }
    all.commit().await.map_err(failed)
}

/// Refuses a database that is not one of ours, or of a later release, or not to be opened, and a server that cannot keep what it
/// acknowledges.
pub(super) async fn inspect(client: &Client, at: &Path) -> Result<(), OpenError> {
    find(client, at).await?.map_or(Ok(()), |mark| Err(mark.refusal(at)))
}

/// The same, where one that is not to be opened is what is looked for: its mark.
pub(super) async fn find(client: &Client, at: &Path) -> Result<Option<Mark>, OpenError> {
    let failed = |error| OpenError::failed(at, words(&error));
    require(client, at).await?;
    if !is_there(client, at).await? {
        return Err(OpenError::failed(at, "it has no tables of Wardein; run `wardein db init` first"));
    }
    let format = format(client, at).await?;
    match u32::try_from(format) {
        Ok(format @ (FORMAT | MARKED_FORMAT)) => {
            let columns = client.query_typed_one(HAS_COLUMNS, &[]).await;
            if !columns.and_then(|record| record.try_get(0)).map_err(failed)? {
                let why = "its tables are of an earlier release; run `wardein db init` again, while nodes of that release serve or not";
                return Err(OpenError::failed(at, why));
            }
            if format == FORMAT {
                return Ok(None);
            }
            let mark = client.query_typed_one("SELECT coalesce(moving, '') FROM wardein.head", &[]).await;
            let mark: Vec<u8> = mark.and_then(|record| record.try_get(0)).map_err(failed)?;
            let damaged = |error: StoreError| OpenError::Damaged { path: at.to_owned(), what: error.0 };
            Mark::decode(&mark).map(Some).map_err(damaged)
        }
        Ok(1) => Err(OpenError::failed(
            at,
            "its tables are of an earlier release; stop that, and run `wardein db init` again",
        )),
        Ok(found) if found > FORMAT => Err(OpenError::Newer { path: at.to_owned(), found, known: FORMAT }),
        _ => Err(OpenError::Damaged { path: at.to_owned(), what: format!("there is no format {format}") }),
    }
}

async fn format(client: &Client, at: &Path) -> Result<i32, OpenError> {
    let failed = |error| OpenError::failed(at, words(&error));
    let head = client.query_typed_one("SELECT format FROM wardein.head", &[]).await.map_err(failed)?;
    head.try_get(0).map_err(failed)
}

async fn is_there(client: &Client, at: &Path) -> Result<bool, OpenError> {
    let failed = |error| OpenError::failed(at, words(&error));
    let there = "SELECT to_regclass('wardein.head') IS NOT NULL";
    client.query_typed_one(there, &[]).await.and_then(|record| record.try_get(0)).map_err(failed)
}

async fn require(client: &Client, at: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::failed(at, words(&error));
    let record = client.query_typed_one(SETTINGS, &[]).await.map_err(failed)?;
    let settings = Settings::of(&record).map_err(failed)?;
    settings.judge().map_or(Ok(()), |why| Err(OpenError::failed(at, why)))
}

struct Settings {
    version: i32,
    is_standby: bool,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
}

impl Settings {
    fn of(record: &Record) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            version: record.try_get(0)?,
            is_standby: record.try_get(1)?,
            fsync: record.try_get(2)?,
            full_page_writes: record.try_get(3)?,
            synchronous_commit: record.try_get(4)?,
        })
    }

    /// What is wrong with the server, and what to do.
    fn judge(&self) -> Option<String> {
        let version = self.version / 10_000;
        if version < OLDEST {
            return Some(format!("it is PostgreSQL {version}; {OLDEST} or later is needed"));
        }
        if self.is_standby {
            return Some("it is a standby, which takes no writes; name the primary".to_owned());
        }
        let off = [
            ("fsync", &self.fsync),
            ("full_page_writes", &self.full_page_writes),
            ("synchronous_commit", &self.synchronous_commit),
        ];
        off.into_iter().find(|(_, value)| *value == "off").map(|(name, _)| {
            format!("{name} is off, so that what it acknowledged could be lost; set {name} = on")
        })
    }
}

const SETTINGS: &str = "SELECT current_setting('server_version_num')::int4, pg_is_in_recovery(), current_setting('fsync'), \
                        current_setting('full_page_writes'), current_setting('synchronous_commit')";

/// `head` has one row: how far the store is, and which node has the upkeep until when, by the database's clock. `nodes` has a row for each
/// process that uses it: when it was last seen, how far it follows, which of its groups was the last, and how far its clock is ahead. What is in
/// `value` is sealed, and does not compress.
const TABLES: &str = "
    CREATE TABLE wardein.head (
        id int2 PRIMARY KEY DEFAULT 1 CHECK (id = 1), format int4 NOT NULL,
        revision int8 NOT NULL DEFAULT 0, last_audit int8 NOT NULL DEFAULT 0, truncated int8 NOT NULL DEFAULT 0
    );
    INSERT INTO wardein.head (format) VALUES (1);
    CREATE TABLE wardein.rows (
        tbl int2 NOT NULL, key bytea NOT NULL, version int8 NOT NULL, value bytea NOT NULL, PRIMARY KEY (tbl, key)
    );
    ALTER TABLE wardein.rows ALTER COLUMN value SET STORAGE EXTERNAL;
    CREATE TABLE wardein.audit (seq int8 PRIMARY KEY, entry bytea NOT NULL);
    CREATE TABLE wardein.audit_index (
        key bytea NOT NULL, n int8 NOT NULL, first int8 NOT NULL, more bytea NOT NULL, PRIMARY KEY (key, n)
    );
    CREATE TABLE wardein.feed (
        revision int8 NOT NULL, n int4 NOT NULL, tbl int2 NOT NULL, key bytea NOT NULL, at_ms int8 NOT NULL,
        PRIMARY KEY (revision, n)
    );
";

/// From the first format, in which one process at a time had a lease in `head`, to the second.
const SECOND: &str = "
    ALTER TABLE wardein.head DROP COLUMN IF EXISTS holder, DROP COLUMN IF EXISTS holder_name,
        DROP COLUMN IF EXISTS held_until, DROP COLUMN IF EXISTS last_group,
        ADD COLUMN keeper uuid, ADD COLUMN kept_until timestamptz;
    CREATE TABLE wardein.nodes (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, release text NOT NULL, is_alone bool NOT NULL,
        seen timestamptz NOT NULL DEFAULT clock_timestamp(), revision int8 NOT NULL DEFAULT 0,
        last_group int8 NOT NULL DEFAULT 0, ahead_ms int8 NOT NULL DEFAULT 0
    );
    UPDATE wardein.head SET format = 2;
";

/// Added beside nodes that know nothing of them. `moving` is what a database says of itself that is not to be opened,
/// `place` where it is (`place.rs`), `placed_revision` and `placed_audit` how far it was when that was put on record, and `contested` what
/// a node missed there.
const COLUMNS: &str = "
    ALTER TABLE wardein.head ADD COLUMN IF NOT EXISTS moving bytea,
        ADD COLUMN IF NOT EXISTS place text, ADD COLUMN IF NOT EXISTS placed_revision int8,
        ADD COLUMN IF NOT EXISTS placed_audit int8, ADD COLUMN IF NOT EXISTS contested text;
";

/// Whether they are there.
const HAS_COLUMNS: &str = "SELECT count(*) = 2 FROM pg_attribute
                           WHERE attrelid = 'wardein.head'::regclass AND NOT attisdropped AND attname IN ('moving', 'contested')";

/// Marks the tables, which do not open from then on.
pub(super) const PUT_MARK: &str = "UPDATE wardein.head SET moving = $1, format = format + 1000000";

/// Takes the mark away.
pub(super) const UNMARK: &str =
    "UPDATE wardein.head SET moving = NULL, format = format - 1000000 WHERE moving IS NOT NULL";

/// Whether a process of the release before has its lease.
const LEASED: &str = "SELECT held_until > clock_timestamp() FROM wardein.head";

/// Of the audit log nothing can be changed or taken away; nothing can be emptied, and no table altered.
const GRANTS: &str = "
    REVOKE ALL ON ALL TABLES IN SCHEMA wardein FROM {role};
    GRANT USAGE ON SCHEMA wardein TO {role};
    GRANT SELECT, UPDATE ON wardein.head TO {role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON wardein.rows, wardein.nodes TO {role};
    GRANT SELECT, INSERT ON wardein.audit, wardein.audit_index TO {role};
    GRANT SELECT, INSERT, DELETE ON wardein.feed TO {role};
";

/// The format of the tables, as [`SECOND`] leaves them.
const FORMAT: u32 = 2;

/// The format of tables with a mark.
const MARKED_FORMAT: u32 = MARKED + FORMAT;

/// The oldest release of PostgreSQL that is tried.
const OLDEST: i32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
        let settings = |of: fn(&mut Settings)| {
            let on = || "on".to_owned();
            let mut settings = Settings {
                version: 150_018,
                is_standby: false,
                fsync: on(),
                full_page_writes: on(),
                synchronous_commit: on(),
            };
            of(&mut settings);
            settings.judge().unwrap_or_default()
        };
        assert_eq!(settings(|_| {}), "");
        assert_eq!(settings(|s| s.synchronous_commit = "remote_apply".to_owned()), "");
        assert!(settings(|s| s.fsync = "off".to_owned()).contains("set fsync = on"));
        assert!(settings(|s| s.full_page_writes = "off".to_owned()).contains("set full_page_writes = on"));
        assert!(
            settings(|s| s.synchronous_commit = "off".to_owned()).contains("set synchronous_commit = on")
        );
        assert!(settings(|s| s.is_standby = true).contains("name the primary"));
        assert!(settings(|s| s.version = 140_009).contains("PostgreSQL 14; 15 or later"));
    }
}
