//! Where the database is: which cluster of PostgreSQL, and on which timeline. Both are on record in the database itself.
//!
//! A timeline begins where a standby is promoted, and where a database is put back to an earlier moment: the one has all that was
//! acknowledged, or nearly, and the other has not. Who knows which: a node that ran meanwhile. It compares what it knows with what is there.
//! Where all is there, it puts the timeline on record and goes on; nobody need be asked. Where something is missing, it says so in the
//! database, and from then on no node goes on. A process that starts knows nothing of before, and does not start on a timeline that is not
//! on record.

use std::path::Path;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use wardein_port::Head;

use super::words;
use crate::open::OpenError;

/// What is on record, and what is so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The place on record; none before the first start.
    pub(super) recorded: Option<String>,
    /// How far the database was when that was put on record.
    pub(super) placed: Head,
    /// What a node knew and did not find.
    pub(super) contested: Option<String>,
    /// The place; none where the server does not tell.
    pub(super) here: Option<String>,
}

/// What a node that ran makes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on, here.
    Same,
    /// It goes on where all that it knows is there, and then puts this place on record.
    Another(String),
    /// It does not go on: that is missing.
    Missing(String),
    /// It does not go on: a node found that missing.
    Contested(String),
}

impl Found {
    /// By a node that was at `place` and knew so far before it looked at anything else.
    pub(super) fn judge(&self, place: Option<&str>, known: Head) -> Verdict {
        if let Some(why) = &self.contested {
            return Verdict::Contested(format!("{why}; only `wardein restore --in-place` goes on from here"));
        }
        match &self.here {
            Some(here) if self.recorded.as_ref() != Some(here) => Verdict::Another(here.clone()),
            // Another node put it on record, which knew less.
            Some(here)
                if place != Some(here)
                    && (self.placed.revision < known.revision
                        || self.placed.last_audit < known.last_audit) =>
            {
                Verdict::Missing(format!("{known:?} was known, and {:?} was found", self.placed))
            }
            Some(_) | None => Verdict::Same,
        }
    }
}

/// What is on record, and what is so.
pub(super) async fn look(client: &Client) -> Result<Found, Error> {
    let record =
        match client.query_typed_one(&format!("SELECT {RECORD}, {HERE} FROM wardein.head"), &[]).await {
            // A service that is PostgreSQL need not have what a server says of itself.
            Err(error) if error.code().is_some_and(is_not_told) => {
                client.query_typed_one(&format!("SELECT {RECORD}, NULL FROM wardein.head"), &[]).await?
            }
            record => record?,
        };
    let number = |at| record.try_get(at).map(i64::cast_unsigned);
    Ok(Found {
        recorded: record.try_get(0)?,
        placed: Head { revision: number(1)?, last_audit: number(2)? },
        contested: record.try_get(3)?,
        here: record.try_get(4)?,
    })
}

/// Lets a process start: on the place on record, or on the first one, which it puts there.
pub(super) async fn admit(client: &Client, at: &Path) -> Result<Option<String>, OpenError> {
    let failed = |error: Error| OpenError::failed(at, words(&error));
    let found = look(client).await.map_err(failed)?;
    if let Some(missing) = found.contested {
        return Err(OpenError::Contested { path: at.to_owned(), missing });
    }
    match (found.recorded, found.here) {
        (None, Some(here)) => {
            record(client, None, &here).await.map_err(failed)?;
            Ok(Some(here))
        }
        (Some(was), Some(is)) if was != is => Err(OpenError::Unconfirmed { path: at.to_owned(), was, is }),
        (_, here) => Ok(here),
    }
}

/// Puts a place on record in which all was found that the caller knew, where `before` is still there.
pub(super) async fn record(client: &Client, before: Option<&str>, here: &str) -> Result<(), Error> {
    let sql = "UPDATE wardein.head SET place = $1, placed_revision = revision, placed_audit = last_audit
               WHERE place IS NOT DISTINCT FROM $2 AND contested IS NULL";
    client.execute_typed(sql, &[(&here, Type::TEXT), (&before, Type::TEXT)]).await.map(|_| ())
}

/// Puts on record what a node knew and did not find.
pub(super) async fn contest(client: &Client, missing: &str) -> Result<(), Error> {
    let sql = "UPDATE wardein.head SET contested = $1 WHERE contested IS NULL";
    client.execute_typed(sql, &[(&missing, Type::TEXT)]).await.map(|_| ())
}

/// Puts the place on record, whatever was missing there.
pub(super) async fn settle(client: &Client) -> Result<(), Error> {
    let found = look(client).await?;
    let sql = "UPDATE wardein.head SET place = $1, placed_revision = revision, placed_audit = last_audit, contested = NULL";
    client.execute_typed(sql, &[(&found.here, Type::TEXT)]).await.map(|_| ())
}

fn is_not_told(code: &SqlState) -> bool {
    [
        &SqlState::UNDEFINED_FUNCTION,
        &SqlState::INSUFFICIENT_PRIVILEGE,
        &SqlState::FEATURE_NOT_SUPPORTED,
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
    ]
    .contains(&code)
}

const RECORD: &str = "place, coalesce(placed_revision, 0), coalesce(placed_audit, 0), contested";

/// The cluster's identifier, and the timeline that is written: the first eight digits of the name of a file of its log (PostgreSQL,
/// "WAL Internals"). What the control file says of it is that of the last checkpoint.
const HERE: &str = "(SELECT system_identifier::text FROM pg_control_system()) || '/'
                    || ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4::text";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ran_meanwhile_goes_on_where_all_that_it_knew_is_there() {
        let head = |revision, last_audit| Head { revision, last_audit };
        let found = |recorded: &str, here: Option<&str>, placed| Found {
            recorded: Some(recorded.into()),
            placed,
            contested: None,
            here: here.map(Into::into),
        };
        let known = head(5, 9);
        let at = found("a/2", Some("a/2"), head(5, 9));
        assert_eq!(at.judge(Some("a/2"), head(7, 12)), Verdict::Same, "it has gone on since");
        assert_eq!(at.judge(Some("a/1"), known), Verdict::Same, "another node put it on record");
        for more in [head(6, 9), head(5, 10)] {
            assert!(matches!(at.judge(Some("a/1"), more), Verdict::Missing(_)), "which knew less");
        }
        let moved = found("a/1", Some("a/2"), head(1, 1));
        assert_eq!(moved.judge(Some("a/1"), known), Verdict::Another("a/2".into()));
        assert_eq!(found("a/1", None, head(1, 1)).judge(None, known), Verdict::Same, "it is not told");
        let contested = Found { contested: Some("revision 5".into()), ..at };
        let Verdict::Contested(why) = contested.judge(Some("a/2"), known) else { panic!() };
        assert!(why.contains("revision 5") && why.contains("--in-place"), "{why}");
    }
}
