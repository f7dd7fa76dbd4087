//! Audit sinks: how far each took the log, and what comes after that. Delivering is for the edge.

use crate::kernel::{Decision, Engine, Error};
use crate::rows::audit::decode;
use crate::rows::{self, AuditSinkRow};
use wardein_domain::{AuditEntry, SinkName};
use wardein_port::{Change, Table};

impl Engine {
    /// Entries of the whole log from number `from` on, in order, without gaps, at most `limit`. They are for a sink that the owner
    /// of the machine set: no caller reads them, and it is not on record, or each delivery would have an entry to deliver.
    pub async fn entries_for_sink(&self, from: u64, limit: usize) -> Result<Vec<(u64, AuditEntry)>, Error> {
        let entries = self.store.audit(from.max(1), limit).await?;
        entries.into_iter().map(|(number, value)| Ok((number, decode(&value)?))).collect()
    }

    /// The number of the last entry of the log; 0 before the first.
    pub async fn last_entry(&self) -> Result<u64, Error> {
        Ok(self.store.head().await?.last_audit)
    }

    /// The number of the last entry that a sink took; 0 for a new one, which begins with the first entry. It is stored beside the
    /// log, so that a backup has both of one moment.
    pub async fn sink_position(&self, sink: &SinkName) -> Result<u64, Error> {
        let found: Option<(u64, AuditSinkRow)> =
            rows::load(&*self.store, Table::AuditSink, sink.as_str().as_bytes()).await?;
        Ok(found.map(|(_, row)| row.taken).unwrap_or_default())
    }

    /// Notes that a sink took all entries up to number `taken`. It never goes back: of two nodes that deliver while the upkeep
    /// passes from one to the other, the later number counts.
    pub async fn note_sink_position(&self, sink: &SinkName, taken: u64) -> Result<(), Error> {
        let key = sink.as_str().as_bytes();
        self.transact(|tx| {
            let found: Option<(u64, AuditSinkRow)> = tx.row(Table::AuditSink, key)?;
            let (version, before) = found.map_or((None, 0), |(version, row)| (Some(version), row.taken));
            let mut change = Change::default();
            if taken <= before {
                return Ok(Decision::unchanged(()));
            }
            change.put(Table::AuditSink, key.to_vec(), version, rows::encode(&AuditSinkRow { taken })?);
            Ok(Decision::new(change, ()))
        })
        .await
    }
}
