//! Invitations: a token, good once and not for long, by which who has it gets an operator's certificate for a key that it makes itself.
//!
//! A token is an id of 8 bytes and a secret of 32. What verifies the secret is stored, and not the secret. A token that is not
//! good has one answer, whatever the reason; a caller that comes again with the right one and the key that was certified, because
//! the answer was lost, hears that again.

use super::answers::Answer;
use super::operators::{Operator, Terms};
use super::scope::is_own;
use crate::approve::Ask;
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::kernel::record::{self, Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, InvitationRow, IssuerRow, OperatorRow, RedeemedRow};
use wardein_crypto::{Digest, MacKey, Secret, SecretBytes, Tag};
use wardein_domain::{
    Actor, AuditEntry, Call, ErrorCode, Event, FieldName, Fields, GuardedDeed, OperatorName, Outcome,
    Principal, Reason, Role, Seconds, Target, TenantId,
};
use wardein_pki::{Csr, Validity};
use wardein_port::{Change, Table};

/// An invitation to be made: whom its token makes.
#[derive(Debug, Clone)]
pub struct InvitationOrder {
    /// Its role.
    pub role: Role,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub name: OperatorName,
    /// Seconds for which the certificate is valid, from when it is fetched.
    pub validity: u64,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
    /// Seconds for which the token is good.
    pub lifetime: u64,
}

/// An invitation that was made.
pub struct Invitation {
    /// What it is revoked by.
    pub id: InvitationId,
    /// What it is redeemed with. It is given out this once.
    pub token: SecretBytes,
    /// Unix seconds until which it may be redeemed.
    pub expires_at: u64,
}

/// The name of an invitation, which is no secret.
pub type InvitationId = [u8; 8];

impl Engine {
    /// Makes a token that is good for one certificate of this operator. What may be invited is what may be issued.
    pub async fn invite_operator(
        &self,
        caller: &Caller,
        order: InvitationOrder,
    ) -> Result<Invitation, Error> {
        let InvitationOrder { role, tenant, name, validity, quota, lifetime } = &order;
        self.may_issue(caller, *role, tenant.as_ref(), name, *validity, *quota)?;
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(lifetime) {
            let message = format_args!("is {lifetime}; it takes {MIN_LIFETIME} to {MAX_LIFETIME} seconds");
            return Err(Error::wrong("lifetime", message));
        }
        let name_key = rows::operator_name_key(*role, tenant.as_ref(), name);
        let ask = role.is_guarded().then(|| {
            Ask::new(GuardedDeed::IssueAdministrator, tenant.as_ref())
                .with("how", "invitation")
                .with("role", role)
                .with("name", name)
                .with("validity", format_args!("{validity}s"))
                .with("lifetime", format_args!("{lifetime}s"))
        });
        self.transact_by(caller, |tx| {
            self.require_free(tx, &name_key)?;
            let (id, secret): (InvitationId, Secret<32>) = (tx.draw().public()?, tx.draw().hidden()?);
            let mut token = SecretBytes::with_capacity(TOKEN_LEN);
            token.extend(&id);
            token.extend(secret.expose());
            let expires = self.time().plus(Seconds::new(*lifetime));
            let row = InvitationRow {
                tag: MacKey::new(secret).tag(&id).0,
                role: *role,
                tenant: tenant.clone(),
                name: name.clone(),
                validity: Seconds::new(*validity),
                quota: *quota,
                made: self.time(),
                expires,
                restored_at: self.authority.restored_at,
                by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
                revoked: None,
                redeemed: None,
            };
            let mut change = Change::default();
            self.open_invitations(tx, tenant.as_ref())?.add(id, expires, tenant.as_ref(), &mut change)?;
            change.insert(Table::Invitation, id.to_vec(), rows::encode(&row)?);
            let entry = self.entry(caller, Event::OperatorInvited, target(&row), Outcome::Done);
            let entry = of(entry, &id, &row).with(FieldName::Expires, expires.get());
            change.record(&entry.with(FieldName::Quota, *quota))?;
            let decision = Decision::new(change, Invitation { id, token, expires_at: expires.get() });
            match &ask {
                Some(ask) => self.approved(caller, tx, ask, decision),
                None => Ok(decision),
            }
        })
        .await
    }

    /// Takes an invitation back, unless somebody has redeemed it.
    pub async fn revoke_invitation(
        &self,
        caller: &Caller,
        id: InvitationId,
        reason: Reason,
    ) -> Result<(), Error> {
        self.transact_by(caller, |tx| {
            let unknown = || {
                let message = format_args!("there is no invitation {}", hex(&id));
                Error::new(ErrorCode::InvitationUnknown, message)
            };
            let (version, mut row): (u64, InvitationRow) =
                tx.row(Table::Invitation, &id)?.ok_or_else(unknown)?;
            if !is_own(&caller.principal, row.tenant.as_ref()) {
                return Err(unknown().into());
            }
            if let Some(RedeemedRow { serial, .. }) = &row.redeemed {
                let message =
                    format_args!("it was redeemed, for the operator with serial {serial}; revoke that");
                return Err(Error::new(ErrorCode::InvitationRedeemed, message).into());
            }
            let mut change = Change::default();
            if row.revoked.is_none() {
                self.open_invitations(tx, row.tenant.as_ref())?.remove(&id, &mut change)?;
                row.revoked = Some((self.time(), reason.clone()));
                change.update(Table::Invitation, id.to_vec(), version, rows::encode(&row)?);
                let entry = self.entry(caller, Event::InvitationRevoked, target(&row), Outcome::Done);
                change.record(&of(entry, &id, &row).with(FieldName::Reason, &reason))?;
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Certifies the key of a request for who has a token that is good, once. The answer is that of [`Engine::issue_operator`].
    pub async fn redeem_invitation(
        &self,
        call: &Call,
        token: &[u8],
        csr: &[u8],
    ) -> Result<(String, Operator), Error> {
        let (id, key) = parse(token).ok_or_else(invalid)?;
        // Before anything else is read: who has no token gets no request parsed and no signature verified.
        self.look(|tx| invitation(tx, &id, &key).map(|_| ())).await?;
        let csr = Csr::parse(csr).map_err(|error| Error::new(error.code(), error))?;
        self.may_certify()?;
        let redeemed = self.transact(|tx| self.decide_redemption(tx, call, (&id, &key), &csr)).await?;
        self.hand_over_with(redeemed, |tx, issued, change| {
            let (version, mut row) = invitation(tx, &id, &key)?;
            if let Some(redeemed) = &mut row.redeemed {
                redeemed.certificate = issued.der().to_vec();
            }
            change.update(Table::Invitation, id.to_vec(), version, rows::encode(&row)?);
            Ok(())
        })
        .await
    }

    fn decide_redemption(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        (id, key): (&InvitationId, &MacKey),
        csr: &Csr,
    ) -> Result<Decision<Answer>, Stop> {
        let (version, mut row) = invitation(tx, id, key)?;
        let digest = Digest::of(&csr.public_key().spki()).0;
        if let Some(redeemed) = &row.redeemed {
            let of: Option<(u64, OperatorRow)> = tx.row(Table::Operator, redeemed.serial.as_bytes())?;
            // What was prepared and given up was certified for nobody: the same key may come again.
            let is_given_up = redeemed.key == digest
                && redeemed.certificate.is_empty()
                && of.is_none_or(|(_, operator)| operator.revoked.is_some());
            if !is_given_up {
                return self.decide_second(tx, call, id, (version, row), &digest);
            }
        }
        let now = self.time();
        // One that was made before the authority was restored may have been redeemed after its backup.
        let is_open = row.revoked.is_none()
            && (row.made..=row.expires).contains(&now)
            && row.restored_at == self.authority.restored_at;
        let by: Option<(u64, OperatorRow)> = tx.row(Table::Operator, row.by.serial.as_bytes())?;
        let by = by.filter(|(_, by)| is_open && by.is_valid(now));
        let (by_version, by) = by.ok_or_else(invalid)?;

        tx.reserve_operator(&self.memory, &row.tenant, now)?;
        let longest = self.infrastructure_validity(row.validity.get())?;
        let end = if by.role == Role::Admin { u64::MAX } else { by.not_after.get() };
        let validity =
            Validity::new(longest.not_before(), longest.not_after().min(end)).map_err(Error::internal)?;
        let serial = new_serial(tx.draw())?;
        let InvitationRow { role, tenant, name, quota, .. } = row.clone();
        let name_key = rows::operator_name_key(role, tenant.as_ref(), &name);
        let mut change = Change::default();
        change.writes.push(self.claim_name(tx, &name_key, serial)?);
        change.check(Table::Operator, row.by.serial.as_bytes().to_vec(), by_version);
        // The one who invited answers for it; where it came from is where the token came from.
        let inviter = Caller { principal: by.principal(row.by.serial), call: call.clone() };
        let terms = Terms {
            csr,
            principal: Principal { role, tenant, name, serial },
            validity,
            quota,
            event: Event::InvitationRedeemed,
            fields: Fields::default().with(FieldName::Invitation, hex(id)),
        };
        let (certified, operator) = self.put_operator(&inviter, &terms, &mut change)?;
        let certificate = match &certified {
            Certified::Signed(issued) => issued.der().to_vec(),
            Certified::Prepared(_) => Vec::new(),
        };
        self.open_invitations(tx, row.tenant.as_ref())?.remove(id, &mut change)?;
        row.redeemed = Some(RedeemedRow { serial, key: digest, certificate, is_contested: false });
        change.update(Table::Invitation, id.to_vec(), version, rows::encode(&row)?);
        Ok(Decision::new(change, Answer::Now(certified, operator)))
    }

    /// The token comes again: with the key that was certified it is the same caller, who did not hear the answer. With another, two
    /// have it.
    fn decide_second(
        &self,
        tx: &Tx<'_>,
        call: &Call,
        id: &InvitationId,
        (version, mut row): (u64, InvitationRow),
        key: &[u8; 32],
    ) -> Result<Decision<Answer>, Stop> {
        let redeemed = row.redeemed.as_mut().ok_or_else(invalid)?;
        if redeemed.key == *key {
            let operator: Option<(u64, OperatorRow)> = tx.row(Table::Operator, redeemed.serial.as_bytes())?;
            let operator = operator.filter(|(_, operator)| operator.is_valid(self.time()));
            let is_complete = !redeemed.certificate.is_empty();
            let (_, operator) = operator.filter(|_| is_complete).ok_or_else(invalid)?;
            let (der, serial) = (redeemed.certificate.clone(), redeemed.serial);
            let used = self.memory.enrolled_by(&serial);
            return Ok(Decision::unchanged(Answer::Again(der, operator.operator(serial, used))));
        }
        let mut change = Change::default();
        if !redeemed.is_contested {
            redeemed.is_contested = true;
            let serial = redeemed.serial;
            change.update(Table::Invitation, id.to_vec(), version, rows::encode(&row)?);
            let (now_ms, event) = (self.clock.now_ms(), Event::InvitationRedeemed);
            let outcome = Outcome::refused(ErrorCode::InvitationInvalid);
            let entry = record::entry(now_ms, Actor::System, event, Target::Operator(serial), outcome, call);
            change.record(&of(entry, id, &row))?;
        }
        Ok(Decision::refused(change, invalid()))
    }

    /// Forgets invitations that were over some time ago: nobody who redeemed one still waits for the answer.
    pub(crate) async fn forget_invitations(&self) -> Result<(), Error> {
        let before = self.now().saturating_sub(KEPT);
        self.forget_rows(Table::Invitation, |value| {
            let row: InvitationRow = rows::decode(Table::Invitation, value)?;
            let was_taken_back = row.revoked.is_some_and(|(at, _)| at.get() < before);
            Ok(was_taken_back || row.expires.get() < before)
        })
        .await
    }
}

/// The row of an invitation, for who has its secret. One that is not there takes as long.
fn invitation(tx: &Tx<'_>, id: &InvitationId, key: &MacKey) -> Result<(u64, InvitationRow), Stop> {
    let found: Option<(u64, InvitationRow)> = tx.row(Table::Invitation, id)?;
    let tag = Tag(found.as_ref().map_or([0; 32], |(_, row)| row.tag));
    let verified = key.verify(id, &tag);
    Ok(found.filter(|_| verified.is_ok()).ok_or_else(invalid)?)
}

fn parse(token: &[u8]) -> Option<(InvitationId, MacKey)> {
    let (id, secret) = token.split_first_chunk()?;
    Some((*id, MacKey::new(Secret::copied_from(secret.try_into().ok()?))))
}

/// One answer for every token that is not good.
fn invalid() -> Error {
    let message = "the invitation is not good: it is unknown, used, revoked or over; have another one made";
    Error::new(ErrorCode::InvitationInvalid, message)
}

fn target(row: &InvitationRow) -> Target {
    row.tenant.clone().map_or(Target::Authority, Target::Tenant)
}

fn of(entry: AuditEntry, id: &InvitationId, row: &InvitationRow) -> AuditEntry {
    let InvitationRow { role, tenant, name, .. } = row;
    let operator = Actor::Operator { role: *role, tenant: tenant.clone(), name: name.clone() };
    let entry = entry.with(FieldName::Invitation, hex(id)).with(FieldName::Operator, operator);
    match tenant {
        Some(tenant) => entry.in_tenant(tenant),
        None => entry,
    }
}

/// An id and a secret.
const TOKEN_LEN: usize = 8 + 32;

/// The shortest that a token is good: a minute.
const MIN_LIFETIME: u64 = 60;

/// The longest: a week.
const MAX_LIFETIME: u64 = 7 * 86_400;

/// Seconds for which an invitation that is over is kept: a day.
const KEPT: u64 = 86_400;
