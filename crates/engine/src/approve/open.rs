//! The proposals of a tenant that wait: how many there may be, and the list of them.
//!
//! One row names them, so that each decision that makes one, or ends one, rests on the others: the same call twice at a time makes one
//! proposal, and one approval is spent once.

use super::proposals::{ProposalId, about};
use crate::kernel::record::{self, Recording, hex};
use crate::kernel::{Detail, Engine, Error, Stop, Tx};
use crate::rows::{self, OpenProposalRow, OpenProposalsRow, ProposalRow};
use wardein_domain::{Actor, Call, ErrorCode, Event, Outcome, Principal, TenantId};
use wardein_port::{Change, Table};

/// The most proposals of a tenant that wait; as many of the authority.
const MAX_OPEN: usize = 100;

/// The most of one person there.
pub(super) const MAX_OF_ONE: usize = 16;

/// The proposals of a tenant, or of the authority, that wait, as a decision finds them.
pub(super) struct Open {
    key: Vec<u8>,
    version: Option<u64>,
    row: OpenProposalsRow,
    /// What is over, and not on record as that yet.
    over: Vec<ProposalId>,
}

impl Engine {
    /// Those that wait now, the oldest first.
    pub(super) fn open_proposals(&self, tx: &Tx<'_>, tenant: Option<&TenantId>) -> Result<Open, Stop> {
        let key = rows::tenant_operator_prefix(tenant);
        let found: Option<(u64, OpenProposalsRow)> = tx.row(Table::OpenProposals, &key)?;
        let (version, row) = found.unzip();
        let restored_at = self.authority.restored_at;
        // What was made before the authority was restored may have been carried out since the backup: it is good no more.
        let mut row = row
            .filter(|row| row.restored_at == restored_at)
            .unwrap_or(OpenProposalsRow { restored_at, open: Vec::new() });
        let (now, mut over) = (self.time(), Vec::new());
        row.open.retain(|open| {
            let waits = open.expires >= now;
            if !waits {
                over.push(open.id);
            }
            waits
        });
        Ok(Open { key, version, row, over })
    }
}

impl Open {
    /// That person's proposal of exactly this.
    pub(super) fn find(&self, by: &Principal, digest: &[u8; 32]) -> Option<ProposalId> {
        let is_it = |open: &&OpenProposalRow| open.by == by.name && open.digest == *digest;
        self.row.open.iter().find(is_it).map(|open| open.id)
    }

    /// Whether something is over that is not on record as that.
    pub(super) fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Adds one, unless there are as many as there may be.
    pub(super) fn add(
        mut self,
        engine: &Engine,
        tx: &Tx<'_>,
        id: ProposalId,
        row: &ProposalRow,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let by = row.by.principal();
        let of_one = self.row.open.iter().filter(|open| open.by == by.name).count();
        if self.row.open.len() >= MAX_OPEN || of_one >= MAX_OF_ONE {
            let message = format_args!(
                "{} proposals wait, {of_one} of them of {}; at most {MAX_OPEN} may, and {MAX_OF_ONE} of one person",
                self.row.open.len(),
                by.name
            );
            let whose = row
                .tenant
                .as_ref()
                .map_or_else(|| "authority".to_owned(), |tenant| format!("tenant {tenant}"));
            return Err(Error::new(ErrorCode::ProposalQuota, message).with(Detail::Quota(whose)).into());
        }
        self.row.open.push(OpenProposalRow { id, by: by.name, digest: row.digest, expires: row.expires });
        self.put(engine, tx, change)
    }

    /// Removes one that was rejected or carried out.
    pub(super) fn remove(
        mut self,
        engine: &Engine,
        tx: &Tx<'_>,
        id: &ProposalId,
        change: &mut Change,
    ) -> Result<(), Stop> {
        self.row.open.retain(|open| open.id != *id);
        self.put(engine, tx, change)
    }

    /// Writes the list, and puts on record what is over.
    pub(super) fn put(self, engine: &Engine, tx: &Tx<'_>, change: &mut Change) -> Result<(), Stop> {
        for id in &self.over {
            let row: Option<(u64, ProposalRow)> = tx.row(Table::Proposal, id)?;
            let Some((_, row)) = row else { continue };
            let (now_ms, event) = (engine.clock.now_ms(), Event::ProposalExpired);
            let call = Call::default();
            let entry = record::entry(now_ms, Actor::System, event, about(&row), Outcome::Done, &call);
            change.record(&super::proposals::of(entry, &hex(id), &row))?;
        }
        match (self.row.open.is_empty(), self.version) {
            (true, None) => {}
            (true, Some(version)) => change.delete(Table::OpenProposals, self.key, version),
            (false, version) => {
                change.put(Table::OpenProposals, self.key, version, rows::encode(&self.row)?);
            }
        }
        Ok(())
    }
}
