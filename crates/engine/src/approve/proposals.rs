//! Proposals: looking at them, approving and rejecting them, and their end.

use super::ask::{is_within, may_decide};
use crate::access::operators::Issuer;
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::rows::{self, OpenProposalsRow, OperatorRow, PersonRow, ProposalRow, ProposalStateRow};
use wardein_domain::{
    Actor, AuditEntry, ErrorCode, Event, FieldName, GuardedDeed, Outcome, Principal, Reason, Target, TenantId,
};
use wardein_pki::CLOCK_SKEW;
use wardein_port::{Change, Table};

/// The name of a proposal.
pub type ProposalId = [u8; 8];

/// A proposal on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// What is to be done.
    pub deed: GuardedDeed,
    /// In which tenant; none for a deed of the authority.
    pub tenant: Option<TenantId>,
    /// All that it depends on: names and values.
    pub asked: Vec<(String, String)>,
    /// SHA-256 over all of that: what is approved.
    pub digest: [u8; 32],
    /// Who proposed it.
    pub by: Issuer,
    /// Unix seconds at which that was.
    pub made_at: u64,
    /// Unix seconds until which it can be approved and carried out.
    pub expires_at: u64,
    /// What became of it.
    pub state: ProposalState,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalState {
    /// It waits for another person.
    Open,
    /// It waits for who proposed it.
    Approved {
        /// Who approved it.
        by: Issuer,
        /// In Unix seconds.
        at: u64,
    },
    /// It was rejected, or taken back.
    Rejected {
        /// By whom.
        by: Issuer,
        /// In Unix seconds.
        at: u64,
        /// Why.
        reason: Reason,
    },
    /// It was carried out.
    CarriedOut {
        /// Who had approved it.
        approved_by: Issuer,
        /// In Unix seconds.
        at: u64,
    },
    /// It is over, or was made before the authority was restored from a backup.
    Expired,
}

impl Engine {
    /// The proposals that wait, of a tenant; without one, of all that the caller may see. What they ask is left out. The size of a page
    /// counts tenants, each of which has at most a hundred.
    pub async fn list_proposals(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Proposal>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        let prefix =
            tenant.as_ref().map_or_else(Vec::new, |tenant| rows::tenant_operator_prefix(Some(tenant)));
        let restored_at = self.authority.restored_at;
        let found = self
            .page(Table::OpenProposals, &prefix, &page, |_, value| {
                let row: OpenProposalsRow = rows::decode(Table::OpenProposals, value)?;
                Ok((row.restored_at == restored_at).then_some(row.open))
            })
            .await?;
        let mut listed = Paged { items: Vec::new(), next: found.next };
        for open in found.items.into_iter().flatten().filter(|open| open.expires >= self.time()) {
            let row: Option<(u64, ProposalRow)> = rows::load(&*self.store, Table::Proposal, &open.id).await?;
            // It ended in between.
            let Some((_, row)) = row else { continue };
            listed.items.push(Proposal { asked: Vec::new(), ..self.proposal(open.id, &row) });
        }
        Ok(listed)
    }

    /// One proposal, with all that it asks.
    pub async fn get_proposal(&self, caller: &Caller, id: ProposalId) -> Result<Proposal, Error> {
        self.look(|tx| {
            let (_, row) = visible(tx, caller, &id)?;
            Ok(self.proposal(id, &row))
        })
        .await
    }

    /// Approves a proposal, whose digest says what the caller looked at. Who proposed it carries it out by the same call. Approving what
    /// is approved changes nothing.
    pub async fn approve_proposal(
        &self,
        caller: &Caller,
        id: ProposalId,
        digest: [u8; 32],
    ) -> Result<Proposal, Error> {
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &id)?;
            if row.digest != digest {
                let message = "is not that of the proposal; look at it again";
                return Err(Error::wrong("digest", message).into());
            }
            self.require_decider(caller, &row)?;
            self.require_independent(tx, caller, &row)?;
            match self.proposal(id, &row).state {
                ProposalState::Open => {}
                ProposalState::Approved { .. } => {
                    // There is no commit that would check the caller.
                    self.operator_version(tx, &caller.principal)?;
                    return Ok(Decision::unchanged(self.proposal(id, &row)));
                }
                state => return Err(closed(&id, &state).into()),
            }
            let mut change = Change::default();
            // Who proposed it and was revoked since has nothing approved any more.
            let of_proposer = self.unrevoked_version(tx, &row.by.serial)?;
            let version_of_proposer = of_proposer.ok_or_else(|| {
                let message = "the operator who proposed it was revoked; reject it";
                Error::new(ErrorCode::ProposalClosed, message)
            })?;
            change.check(Table::Operator, row.by.serial.as_bytes().to_vec(), version_of_proposer);
            row.state =
                ProposalStateRow::Approved { by: PersonRow::from(&caller.principal), at: self.time() };
            change.update(Table::Proposal, id.to_vec(), version, rows::encode(&row)?);
            let entry = self.entry(caller, Event::ProposalApproved, about(&row), Outcome::Done);
            change.record(&of(entry, &hex(&id), &row))?;
            Ok(Decision::new(change, self.proposal(id, &row)))
        })
        .await
    }

    /// Rejects a proposal, also one that is approved and not carried out yet; or takes back one's own. Rejecting it again changes nothing.
    pub async fn reject_proposal(
        &self,
        caller: &Caller,
        id: ProposalId,
        reason: Reason,
    ) -> Result<Proposal, Error> {
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &id)?;
            self.require_decider(caller, &row)?;
            match self.proposal(id, &row).state {
                ProposalState::Open | ProposalState::Approved { .. } => {}
                ProposalState::Rejected { .. } => {
                    self.operator_version(tx, &caller.principal)?;
                    return Ok(Decision::unchanged(self.proposal(id, &row)));
                }
                state => return Err(closed(&id, &state).into()),
            }
            row.state = ProposalStateRow::Rejected {
                by: PersonRow::from(&caller.principal),
                at: self.time(),
                reason: reason.clone(),
            };
            let mut change = Change::default();
            change.update(Table::Proposal, id.to_vec(), version, rows::encode(&row)?);
            self.open_proposals(tx, row.tenant.as_ref())?.remove(self, tx, &id, &mut change)?;
            let entry = self.entry(caller, Event::ProposalRejected, about(&row), Outcome::Done);
            change.record(&of(entry, &hex(&id), &row).with(FieldName::Reason, &reason))?;
            Ok(Decision::new(change, self.proposal(id, &row)))
        })
        .await
    }

    /// How many proposals wait, of all tenants and of the authority.
    pub async fn count_proposals(&self) -> Result<u64, Error> {
        let (mut after, mut count): (Option<Vec<u8>>, u64) = (None, 0);
        loop {
            let page = self.store.scan(Table::OpenProposals, b"", after.as_deref(), Page::MAX).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(last.clone());
            for (_, row) in &page {
                let row: OpenProposalsRow = rows::decode(Table::OpenProposals, &row.value)?;
                if row.restored_at == self.authority.restored_at {
                    let waits = row.open.iter().filter(|open| open.expires >= self.time());
                    count += waits.count() as u64;
                }
            }
        }
    }

    /// Puts on record which proposals are over, and forgets those that have been for a while.
    pub(crate) async fn expire_proposals(&self) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::OpenProposals, b"", after.as_deref(), Page::MAX).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, _) in &page {
                let text = std::str::from_utf8(key).unwrap_or_default().trim_end_matches('\0');
                let tenant =
                    if text.is_empty() { None } else { Some(rows::word::<TenantId>("tenant", text)?) };
                self.transact(|tx| {
                    let mut change = Change::default();
                    let open = self.open_proposals(tx, tenant.as_ref())?;
                    if open.has_over() {
                        open.put(self, tx, &mut change)?;
                    }
                    Ok(Decision::new(change, ()))
                })
                .await?;
            }
        }
        let before = self.now().saturating_sub(KEPT);
        self.forget_rows(Table::Proposal, |value| {
            let row: ProposalRow = rows::decode(Table::Proposal, value)?;
            Ok(row.expires.get() < before)
        })
        .await
    }

    fn proposal(&self, id: ProposalId, row: &ProposalRow) -> Proposal {
        let is_over = row.expires < self.time() || row.restored_at != self.authority.restored_at;
        let state = match &row.state {
            ProposalStateRow::Open | ProposalStateRow::Approved { .. } if is_over => ProposalState::Expired,
            ProposalStateRow::Open => ProposalState::Open,
            ProposalStateRow::Approved { by, at } => ProposalState::Approved { by: who(by), at: at.get() },
            ProposalStateRow::Rejected { by, at, reason } => {
                ProposalState::Rejected { by: who(by), at: at.get(), reason: reason.clone() }
            }
            ProposalStateRow::CarriedOut { approved_by, at } => {
                ProposalState::CarriedOut { approved_by: who(approved_by), at: at.get() }
            }
        };
        Proposal {
            id,
            deed: row.deed,
            tenant: row.tenant.clone(),
            asked: row.asked.iter().map(|field| (field.name.clone(), field.value.clone())).collect(),
            digest: row.digest,
            by: who(&row.by),
            made_at: row.made.get(),
            expires_at: row.expires.get(),
            state,
        }
    }

    /// Who could not have called it does not decide it.
    fn require_decider(&self, caller: &Caller, row: &ProposalRow) -> Result<(), Error> {
        if may_decide(row.deed, row.tenant.as_ref(), &caller.principal) {
            return Ok(());
        }
        let message = format_args!("role {} does not decide about {}", caller.principal.role, row.deed);
        Err(Error::new(ErrorCode::RoleInsufficient, message))
    }

    /// Refuses who proposed it, under whichever certificate, and whom that person had made since: of issuers, each is looked at whose
    /// operator was issued after the proposal.
    fn require_independent(&self, tx: &Tx<'_>, caller: &Caller, row: &ProposalRow) -> Result<(), Stop> {
        let proposer = row.by.principal();
        if caller.principal.is_same_person(&proposer) {
            let message = format_args!("{} proposed it; another person approves it", proposer.name);
            return Err(Error::new(ErrorCode::ApproverNotIndependent, message).into());
        }
        let mut serial = caller.principal.serial;
        for _ in 0..MAX_ISSUERS {
            let found: Option<(u64, OperatorRow)> = tx.row(Table::Operator, serial.as_bytes())?;
            let (_, operator) = found.ok_or_else(Error::not_on_record)?;
            // Certificates are valid from a while before they are issued.
            let issued_at = operator.not_before.get().saturating_add(CLOCK_SKEW);
            let Some(issuer) = operator.issued_by.filter(|_| issued_at >= row.made.get()) else {
                return Ok(());
            };
            let of_issuer: Option<(u64, OperatorRow)> = tx.row(Table::Operator, issuer.serial.as_bytes())?;
            let (_, of_issuer) = of_issuer.ok_or_else(Error::not_on_record)?;
            if of_issuer.principal(issuer.serial).is_same_person(&proposer) {
                break;
            }
            serial = issuer.serial;
        }
        let message = format_args!(
            "{} was issued by {} since it was proposed; another person approves it",
            caller.principal.name, proposer.name
        );
        Err(Error::new(ErrorCode::ApproverNotIndependent, message).into())
    }
}

/// The row of a proposal that is the caller's to see, with its version.
fn visible(tx: &Tx<'_>, caller: &Caller, id: &ProposalId) -> Result<(u64, ProposalRow), Stop> {
    let found: Option<(u64, ProposalRow)> = tx.row(Table::Proposal, id)?;
    let seen = found.filter(|(_, row)| is_within(&caller.principal, row.tenant.as_ref()));
    Ok(seen.ok_or_else(|| {
        Error::new(ErrorCode::ProposalUnknown, format_args!("there is no proposal {}", hex(id)))
            .about("wardein.v1.Proposal", hex(id))
    })?)
}

fn closed(id: &ProposalId, state: &ProposalState) -> Error {
    let how = match state {
        ProposalState::Rejected { .. } => "was rejected",
        ProposalState::CarriedOut { .. } => "was carried out",
        ProposalState::Open | ProposalState::Approved { .. } | ProposalState::Expired => "is over",
    };
    let message = format_args!("proposal {} {how}; if it is wanted, propose it again", hex(id));
    Error::new(ErrorCode::ProposalClosed, message)
}

fn who(person: &PersonRow) -> Issuer {
    let principal = person.principal();
    Issuer { serial: principal.serial, name: Principal::to_string(&principal) }
}

/// The target of an entry about a proposal.
pub(super) fn about(row: &ProposalRow) -> Target {
    row.tenant.clone().map_or(Target::Authority, Target::Tenant)
}

/// What every entry about a proposal says.
pub(super) fn of(entry: AuditEntry, id: &str, row: &ProposalRow) -> AuditEntry {
    let entry = entry
        .with(FieldName::Proposal, id)
        .with(FieldName::GuardedDeed, row.deed)
        .with(FieldName::Proposer, Actor::from(&row.by.principal()))
        .with(FieldName::ProposalDigest, hex(&row.digest));
    match &row.tenant {
        Some(tenant) => entry.in_tenant(tenant),
        None => entry,
    }
}

/// So many issuers in a row are looked at.
const MAX_ISSUERS: usize = 64;

/// Seconds for which a proposal that is over is kept: 30 days. The audit log keeps its entries.
const KEPT: u64 = 30 * 86_400;
