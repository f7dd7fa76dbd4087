//! What is done to a store while no engine serves it, for the audit log.

use crate::keep::clock::stored_clock_of;
use crate::keep::found::commit;
use crate::kernel::Error;
use crate::kernel::record::{self, Recording};
use crate::rows::AUTHORITY;
use std::sync::Arc;
use wardein_domain::{Event, FieldName};
use wardein_port::{Change, Clock, RowKey, Store, Table};

/// Something that is done to a store by a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreDeed {
    /// All of it is moved, from a kind of store into another.
    Moved {
        /// The kind that it is moved from.
        from: String,
        /// The kind that it is moved into.
        to: String,
    },
    /// The timeline that its database is on is put on record by a human's word.
    FailoverConfirmed {
        /// The timeline; none where the server does not tell.
        timeline: Option<String>,
    },
}

/// Puts that on record, in that store, before it is done. Nothing is written where no authority was founded in it.
pub async fn record_store_deed(store: &dyn Store, clock: impl Clock, deed: &StoreDeed) -> Result<(), Error> {
    let key = RowKey { table: Table::Authority, key: AUTHORITY.to_vec() };
    if store.load(&[key]).await?.pop().flatten().is_none() {
        return Ok(());
    }
    let now_ms = stored_clock_of(store, Arc::new(clock)).await?.now_ms();
    let entry = match deed {
        StoreDeed::Moved { from, to } => {
            record::of_system(now_ms, Event::StoreMoved).changed(FieldName::Store, from, to)
        }
        StoreDeed::FailoverConfirmed { timeline } => {
            let entry = record::of_system(now_ms, Event::FailoverConfirmed);
            timeline.iter().fold(entry, |entry, timeline| entry.with(FieldName::Timeline, timeline))
        }
    };
    let mut change = Change::default();
    change.record(&entry)?;
    commit(store, change).await?;
    Ok(())
}
