//! The gate before a guarded deed: open where no second person is needed, or one has approved exactly this.

use super::Ask;
use super::proposals::{ProposalId, about, of};
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Detail, Engine, Error, Stop, Tx};
use crate::rows::{self, ApprovalPolicyRow, OperatorRow, PersonRow, ProposalRow, ProposalStateRow};
use wardein_domain::{Actor, ErrorCode, Event, FieldName, Outcome, Seconds, Serial, TenantId};
use wardein_port::{Change, Table};

/// Whether a deed may be done now.
pub(crate) enum Gate {
    /// It may, in a change that settles the approval.
    Open(Approval),
    /// It may not: what is written of that, and the refusal.
    Closed(Change, Error),
}

/// That a deed may be done. It is settled in the change that does the deed, so that it is good once, and only while what it rests on holds.
#[must_use = "a deed that does not settle its approval could be done again"]
pub(crate) struct Approval {
    /// The policies that were looked at.
    policies: Vec<(Vec<u8>, u64)>,
    /// What another person approved; none where nobody had to.
    spent: Option<Spent>,
}

/// What an approval does to the rows.
struct Spent {
    change: Change,
}

/// What the policies say of a deed.
struct Guards {
    /// For how long a proposal lives; none where the deed is not guarded.
    lifetime: Option<Seconds>,
    policies: Vec<(Vec<u8>, u64)>,
}

impl Engine {
    /// A decision about a guarded deed, as it is if that may be done, with the approval settled. Otherwise the decision is dropped, and the
    /// deed is proposed. A decision that alters nothing needs nobody.
    pub(crate) fn approved<T>(
        &self,
        caller: &Caller,
        tx: &mut Tx<'_>,
        ask: &Ask,
        decision: Decision<T>,
    ) -> Result<Decision<T>, Stop> {
        if decision.change.is_empty() || decision.answer.is_err() {
            return Ok(decision);
        }
        match self.approval_gate(caller, tx, ask)? {
            Gate::Closed(change, error) => Ok(Decision::refused(change, error)),
            Gate::Open(approval) => {
                let mut decision = decision;
                approval.settle(&mut decision.change);
                Ok(decision)
            }
        }
    }

    /// Whether `caller` may do what is asked now. What it may not is proposed by this, once.
    pub(crate) fn approval_gate(&self, caller: &Caller, tx: &mut Tx<'_>, ask: &Ask) -> Result<Gate, Stop> {
        let Guards { lifetime, policies } = self.guards(tx, ask)?;
        let Some(lifetime) = lifetime else {
            return Ok(Gate::Open(Approval { policies, spent: None }));
        };
        let open = self.open_proposals(tx, ask.tenant.as_ref())?;
        let digest = ask.digest();
        let Some(id) = open.find(&caller.principal, &digest) else {
            let id: ProposalId = tx.draw().public()?;
            let row = ProposalRow {
                deed: ask.deed,
                tenant: ask.tenant.clone(),
                digest,
                asked: ask.fields.clone(),
                by: PersonRow::from(&caller.principal),
                made: self.time(),
                expires: self.time().plus(lifetime),
                restored_at: self.authority.restored_at,
                state: ProposalStateRow::Open,
            };
            let mut change = Change::default();
            open.add(self, tx, id, &row, &mut change)?;
            change.insert(Table::Proposal, id.to_vec(), rows::encode(&row)?);
            let entry = self.entry(caller, Event::ProposalMade, about(&row), Outcome::Done);
            let entry = row.asked.iter().fold(of(entry, &hex(&id), &row), |entry, field| {
                entry.with(FieldName::Asked, format!("{}={}", field.name, field.value))
            });
            change.record(&entry.with(FieldName::Expires, row.expires.get()))?;
            return Ok(Gate::Closed(change, required(&id, &row)));
        };
        let found: Option<(u64, ProposalRow)> = tx.row(Table::Proposal, &id)?;
        let (version, row) = found.ok_or_else(|| rows::damaged(Table::OpenProposals, "names no proposal"))?;
        let ProposalStateRow::Approved { by: approver, .. } = &row.state else {
            return Ok(Gate::Closed(Change::default(), required(&id, &row)));
        };
        let mut change = Change::default();
        let (key, entry) =
            (id.to_vec(), |event| of(self.entry(caller, event, about(&row), Outcome::Done), &hex(&id), &row));
        // Their rows decide, and must be as they are when this is committed.
        let (mut is_good, people) = (true, [approver.serial, row.by.serial]);
        for serial in people {
            match self.unrevoked_version(tx, &serial)? {
                Some(version) => change.check(Table::Operator, serial.as_bytes().to_vec(), version),
                None => is_good = false,
            }
        }
        let approver = approver.clone();
        if !is_good {
            // An approval by somebody who was revoked since is none; nor does a proposal live on under a name that another person may have.
            let mut change = Change::default();
            let reopened =
                ProposalRow { state: ProposalStateRow::Open, by: (&caller.principal).into(), ..row.clone() };
            change.update(Table::Proposal, key, version, rows::encode(&reopened)?);
            let lapsed = entry(Event::ApprovalLapsed);
            change.record(&lapsed.with(FieldName::Approver, Actor::from(&approver.principal())))?;
            return Ok(Gate::Closed(change, required(&id, &row)));
        }
        let state = ProposalStateRow::CarriedOut { approved_by: approver.clone(), at: self.time() };
        let done = ProposalRow { state, ..row.clone() };
        change.update(Table::Proposal, key, version, rows::encode(&done)?);
        open.remove(self, tx, &id, &mut change)?;
        let carried_out = entry(Event::ProposalCarriedOut);
        change.record(&carried_out.with(FieldName::Approver, Actor::from(&approver.principal())))?;
        Ok(Gate::Open(Approval { policies, spent: Some(Spent { change }) }))
    }

    /// What the policy of the authority and that of the tenant say of a deed: either guards it.
    fn guards(&self, tx: &Tx<'_>, ask: &Ask) -> Result<Guards, Stop> {
        let mut guards = Guards { lifetime: None, policies: Vec::new() };
        let scopes: [Option<&TenantId>; 2] = [None, ask.tenant.as_ref()];
        for scope in &scopes[..if ask.tenant.is_some() { 2 } else { 1 }] {
            let key = rows::tenant_operator_prefix(*scope);
            let found: Option<(u64, ApprovalPolicyRow)> = tx.row(Table::ApprovalPolicy, &key)?;
            let Some((version, row)) = found else { continue };
            let policy = row.policy()?;
            guards.policies.push((key, version));
            if policy.guards(ask.deed) {
                let shortest =
                    guards.lifetime.map_or(policy.lifetime(), |other| other.min(policy.lifetime()));
                guards.lifetime = Some(shortest);
            }
        }
        Ok(guards)
    }

    /// The version of the row of an operator that was not revoked. That its certificate may have ended is no objection: it was good when it
    /// was used.
    pub(super) fn unrevoked_version(&self, tx: &Tx<'_>, serial: &Serial) -> Result<Option<u64>, Stop> {
        let row: Option<(u64, OperatorRow)> = tx.row(Table::Operator, serial.as_bytes())?;
        Ok(row.filter(|(_, row)| row.revoked.is_none()).map(|(version, _)| version))
    }
}

impl Approval {
    /// Has a change rest on the approval, and spend it.
    pub(crate) fn settle(self, change: &mut Change) {
        for (key, version) in self.policies {
            // A change of the policy itself rests on it by writing it.
            let is_written =
                |write: &wardein_port::Write| write.table == Table::ApprovalPolicy && write.key == key;
            if !change.writes.iter().any(is_written) {
                change.check(Table::ApprovalPolicy, key, version);
            }
        }
        if let Some(Spent { change: spent }) = self.spent {
            let entries = change.audit.len();
            change.checks.extend(spent.checks);
            change.writes.extend(spent.writes);
            change.audit.extend(spent.audit);
            change.index.extend(spent.index.into_iter().map(|mut indexed| {
                if let wardein_port::Numbered::Here(place) = &mut indexed.entry {
                    *place += entries;
                }
                indexed
            }));
        }
    }
}

fn required(id: &ProposalId, row: &ProposalRow) -> Error {
    let message = format_args!(
        "{} needs a second person: proposal {} waits for approval until Unix second {}; once another administrator has \
         approved it, make the same call again",
        row.deed,
        hex(id),
        row.expires.get()
    );
    Error::new(ErrorCode::ApprovalRequired, message).with(Detail::Proposal(*id))
}
