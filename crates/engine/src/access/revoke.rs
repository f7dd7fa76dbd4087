//! Revoking an operator, alone or with everything that it issued.

use super::operators::{each_operator, in_its_tenant};
use super::scope::is_own;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, OperatorRow};
use std::collections::{HashMap, HashSet};
use wardein_domain::{
    Actor, ErrorCode, Event, FieldName, Outcome, Principal, Reason, Role, Seconds, Serial, Target,
    UnixSeconds,
};
use wardein_port::{Change, Table};

/// For how much longer at least one administrator must be valid, so that there is time to issue another: 7 days.
const ADMINISTRATOR_LEFT: Seconds = Seconds::new(7 * 86_400);

/// Rows written in one commit.
const GROUP: usize = 500;

/// What is revoked in one go, and by whom.
struct Revoking<'a> {
    caller: &'a Caller,
    /// The operator that was named.
    named: Serial,
    reason: Reason,
    at: UnixSeconds,
    /// All that is revoked, so far and in this step.
    all: HashSet<Serial>,
    /// How many were issued by the named one, by what it issued, and so on; none where they were not asked for.
    issued: Option<u64>,
}

impl Engine {
    /// Revokes an operator: it is refused from the answer on. With what it issued if that is asked for: what that issued goes too,
    /// and so on, and the bearer tokens that they made. The answer is how many were revoked; those that had been revoked before do not count.
    ///
    /// Issuers go before what they issued, some hundred a commit: what is cut short is completed by asking again.
    pub async fn revoke_operator(
        &self,
        caller: &Caller,
        serial: Serial,
        reason: Reason,
        with_issued: bool,
    ) -> Result<u64, Error> {
        // Before anything is read for it: is there such an operator, and may the caller see it?
        self.look(|tx| visible(tx, caller, serial).map(|_| ())).await?;
        let (all, issued) = (HashSet::new(), None);
        let mut revoking = Revoking { caller, named: serial, reason, at: self.time(), all, issued };
        let mut revoked = 0;
        loop {
            let below = if with_issued { self.issued_by(serial).await? } else { Vec::new() };
            let mut step = vec![serial];
            step.extend(below);
            step.retain(|serial| revoking.all.insert(*serial));
            // Nothing that was issued in the meantime: the issuers are revoked, and issue no more.
            if step.is_empty() {
                // Tokens that they made in the meantime. Who revoked itself could have made none since.
                if !revoking.all.contains(&caller.principal.serial) {
                    self.revoke_tokens_made_by(caller, &revoking.all, &revoking.reason).await?;
                }
                return Ok(revoked);
            }
            if with_issued && revoking.issued.is_none() {
                revoking.issued = Some(step.len() as u64 - 1);
            }
            if with_issued {
                self.revoke_tokens_made_by(caller, &revoking.all, &revoking.reason).await?;
            }
            // The caller needs its own identity to the end.
            step.sort_by_key(|serial| *serial == caller.principal.serial);
            for group in step.chunks(GROUP) {
                revoked +=
                    self.transact_by(caller, |tx| self.decide_revocation(tx, &revoking, group)).await?;
            }
            if !with_issued {
                return Ok(revoked);
            }
        }
    }

    fn decide_revocation(
        &self,
        tx: &mut Tx<'_>,
        revoking: &Revoking<'_>,
        group: &[Serial],
    ) -> Result<Decision<u64>, Stop> {
        let Revoking { caller, named, reason, at, issued, .. } = revoking;
        let (mut change, mut revoked, mut takes_administrator) = (Change::default(), 0, false);
        for serial in group {
            let (version, mut row, principal) = visible(tx, caller, *serial)?;
            if row.revoked.is_some() {
                continue;
            }
            takes_administrator |= row.role == Role::Admin && row.is_valid(*at);
            row.revoked = Some((*at, reason.clone()));
            change.update(Table::Operator, serial.as_bytes().to_vec(), version, rows::encode(&row)?);
            let entry = self.entry(caller, Event::OperatorRevoked, Target::Operator(*serial), Outcome::Done);
            let mut entry =
                entry.with(FieldName::Operator, Actor::from(&principal)).with(FieldName::Reason, reason);
            if serial != named {
                entry = entry.with(FieldName::RevokedWith, *named);
            } else if let Some(issued) = issued {
                entry = entry.with(FieldName::WithIssued, *issued);
            }
            change.record(&in_its_tenant(entry, &principal))?;
            revoked += 1;
        }
        if takes_administrator {
            let (left, version) = self.administrator_left(tx, revoking)?;
            // Of two that are revoked at the same time, each rests on the other's row: one of the two is decided again.
            change.check(Table::Operator, left.as_bytes().to_vec(), version);
        }
        Ok(Decision::new(change, revoked))
    }

    /// An administrator that stays for a while, and the version of its row.
    fn administrator_left(&self, tx: &Tx<'_>, revoking: &Revoking<'_>) -> Result<(Serial, u64), Stop> {
        let until = self.clock.latest().plus(ADMINISTRATOR_LEFT);
        for serial in self.memory.administrators(until) {
            if revoking.all.contains(&serial) {
                continue;
            }
            // The row decides: memory of this node may not have heard of a revocation at another.
            let row = tx.row::<OperatorRow>(Table::Operator, serial.as_bytes())?;
            if let Some((version, row)) = row
                && row.role == Role::Admin
                && row.is_valid(until)
            {
                return Ok((serial, version));
            }
        }
        let message = "no administrator that is valid for another seven days would be left; issue one first \
                       (wardein operator issue --role admin)";
        Err(Error::new(ErrorCode::LastAdministrator, message).into())
    }

    /// What an operator issued, what that issued, and so on: issuers before what they issued.
    async fn issued_by(&self, serial: Serial) -> Result<Vec<Serial>, Error> {
        let mut issued: HashMap<Serial, Vec<Serial>> = HashMap::new();
        each_operator(&*self.store, |serial, row| {
            if let Some(issuer) = row.issued_by {
                issued.entry(issuer.serial).or_default().push(serial);
            }
        })
        .await?;
        let (mut all, mut at) = (vec![serial], 0);
        while let Some(issuer) = all.get(at) {
            // Nobody issues two issuers of the same operator, nor its own.
            all.extend(issued.remove(issuer).unwrap_or_default());
            at += 1;
        }
        Ok(all.split_off(1))
    }
}

/// The row of an operator that is the caller's to revoke, with its version.
fn visible(tx: &Tx<'_>, caller: &Caller, serial: Serial) -> Result<(u64, OperatorRow, Principal), Stop> {
    let unknown = || {
        let message = format_args!("there is no operator {serial}");
        Error::new(ErrorCode::OperatorUnknown, message).about("wardein.v1.Operator", serial)
    };
    let (version, row): (u64, OperatorRow) =
        tx.row(Table::Operator, serial.as_bytes())?.ok_or_else(unknown)?;
    let principal = row.principal(serial);
    if !is_own(&caller.principal, principal.tenant.as_ref()) {
        return Err(unknown().into());
    }
    Ok((version, row, principal))
}
