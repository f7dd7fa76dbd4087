//! Bearer tokens (RFC 6750): with one a program of a platform makes calls that can show no client certificate.
//!
//! A token is an id of 8 bytes and a secret of 32. What verifies the secret is stored, and not the secret. It is an identity's: it does what
//! that may, and ends with it. A token that is not good has one answer, whatever the reason.

use super::operators::{Issuer, MAX_VALIDITY, MIN_VALIDITY, in_its_tenant};
use super::scope::is_own;
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::rows::{self, BearerTokenRow, BearerTokensRow, IssuerRow, OperatorRow};
use std::collections::HashSet;
use wardein_crypto::{MacKey, Secret, SecretBytes, Tag};
use wardein_domain::{
    Actor, ErrorCode, Event, FieldName, Outcome, Principal, Reason, Role, Seconds, Serial, Target, TenantId,
};
use wardein_port::{Change, Table};

/// The name of a bearer token, which is not a secret.
pub type BearerTokenId = [u8; 8];

/// A bearer token on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerToken {
    /// Its name.
    pub id: BearerTokenId,
    /// The serial of the identity that it is bound to.
    pub serial: Serial,
    /// Who that is: role, tenant and name.
    pub operator: String,
    /// Unix seconds at which it was made.
    pub made_at: u64,
    /// Unix seconds until which it is good.
    pub expires_at: u64,
    /// Who made it.
    pub by: Issuer,
}

/// A bearer token that was made.
pub struct MadeBearerToken {
    /// What is on record.
    pub on_record: BearerToken,
    /// What calls are made with, 40 bytes. It is given out this once.
    pub token: SecretBytes,
}

/// The identity of a platform, as a decision finds it, and its tokens.
struct Bound {
    principal: Principal,
    operator_version: u64,
    operator: OperatorRow,
    key: Vec<u8>,
    version: Option<u64>,
    row: BearerTokensRow,
}

impl Engine {
    /// Makes a token for the identity of a platform, good for so many seconds; it ends with the identity at the latest.
    pub async fn create_bearer_token(
        &self,
        caller: &Caller,
        serial: Serial,
        lifetime: u64,
    ) -> Result<MadeBearerToken, Error> {
        if !(MIN_VALIDITY..=MAX_VALIDITY).contains(&lifetime) {
            let message = format_args!("is {lifetime}; it takes {MIN_VALIDITY} to {MAX_VALIDITY} seconds");
            return Err(Error::wrong("lifetime", message));
        }
        self.transact_by(caller, |tx| {
            let mut bound = self.bound(tx, caller, serial)?;
            let now = self.time();
            if bound.principal.role != Role::Platform {
                let message = format_args!("{} is not a platform; a bearer token is", bound.principal);
                return Err(Error::wrong("serial", message).into());
            }
            if !bound.operator.is_valid(now) {
                let message = "is of an identity that was revoked or has expired";
                return Err(Error::wrong("serial", message).into());
            }
            bound.row.tokens.retain(|token| token.is_good(now, self.authority.restored_at));
            if bound.row.tokens.len() >= MAX_OF_ONE {
                let message = format_args!(
                    "{} has {MAX_OF_ONE} tokens already; revoke one that is not needed, or wait until one ends",
                    bound.principal
                );
                return Err(Error::new(ErrorCode::BearerTokenQuota, message).into());
            }
            let (id, secret): (BearerTokenId, Secret<32>) = (tx.draw().public()?, tx.draw().hidden()?);
            let mut token = SecretBytes::with_capacity(TOKEN_LEN);
            token.extend(&id);
            token.extend(secret.expose());
            let made = BearerTokenRow {
                id,
                tag: MacKey::new(secret).tag(&id).0,
                made: now,
                expires: now.plus(Seconds::new(lifetime)).min(bound.operator.not_after),
                restored_at: self.authority.restored_at,
                by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
            };
            let mut change = Change::default();
            // An identity that is revoked at the same time gets none.
            change.check(Table::Operator, serial.as_bytes().to_vec(), bound.operator_version);
            bound.row.tokens.push(made.clone());
            let entry = self.entry(
                caller,
                Event::BearerTokenCreated,
                Target::Operator(serial),
                Outcome::Done,
            );
            let entry = entry
                .with(FieldName::Operator, Actor::from(&bound.principal))
                .with(FieldName::BearerToken, hex(&id))
                .with(FieldName::Expires, made.expires.get());
            change.record(&in_its_tenant(entry, &bound.principal))?;
            let on_record = made.listed(&bound.principal);
            bound.put(&mut change)?;
            Ok(Decision::new(change, MadeBearerToken { on_record, token }))
        })
        .await
    }

    /// Revokes a token: it is refused from the answer on.
    pub async fn revoke_bearer_token(
        &self,
        caller: &Caller,
        serial: Serial,
        id: BearerTokenId,
        reason: Reason,
    ) -> Result<(), Error> {
        self.transact_by(caller, |tx| {
            let mut bound = self.bound(tx, caller, serial)?;
            let is_there = bound.row.tokens.iter().any(|token| token.id == id);
            if !is_there {
                let message = format_args!(
                    "there is no bearer token {} of the operator with serial {serial}",
                    hex(&id)
                );
                return Err(Error::new(ErrorCode::BearerTokenUnknown, message).into());
            }
            let mut change = Change::default();
            self.take_tokens_back(caller, &mut bound, &reason, |token| token.id == id, &mut change)?;
            bound.put(&mut change)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// The tokens of a tenant's platforms that are good; without a tenant of all that the caller may see. The size of a page counts
    /// identities.
    pub async fn list_bearer_tokens(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<BearerToken>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        let prefix =
            tenant.as_ref().map_or_else(Vec::new, |tenant| rows::tenant_operator_prefix(Some(tenant)));
        let (now, restored_at) = (self.time(), self.authority.restored_at);
        let found = self
            .page(Table::BearerTokens, &prefix, &page, |key, value| {
                let damaged = || rows::damaged(Table::BearerTokens, "has a damaged key");
                let serial = rows::parse_tenant_operator_key(key).ok_or_else(damaged)?;
                let mut row: BearerTokensRow = rows::decode(Table::BearerTokens, value)?;
                row.tokens.retain(|token| token.is_good(now, restored_at));
                Ok((!row.tokens.is_empty()).then_some((serial, row.tokens)))
            })
            .await?;
        let mut listed = Paged { items: Vec::new(), next: found.next };
        for (serial, tokens) in found.items {
            let row: Option<(u64, OperatorRow)> =
                rows::load(&*self.store, Table::Operator, serial.as_bytes()).await?;
            let (_, row) = row.ok_or_else(|| rows::damaged(Table::BearerTokens, "names no operator"))?;
            // They ended with it.
            if row.is_valid(now) {
                let principal = row.principal(serial);
                listed.items.extend(tokens.iter().map(|token| token.listed(&principal)));
            }
        }
        Ok(listed)
    }

    /// Whose token it is, and its id. Whether that operator may still call is for [`Engine::authenticate`] to say.
    pub async fn bearer(&self, token: &[u8]) -> Result<(Principal, BearerTokenId), Error> {
        let (id, key) = parse(token).ok_or_else(invalid)?;
        let known = self.memory.bearer_token(&id);
        // One that is not there takes as long.
        let tag = known.as_ref().map_or(Tag([0; 32]), |known| Tag(known.tag.0));
        let verified = key.verify(&id, &tag);
        let known = known.filter(|known| {
            verified.is_ok()
                && known.expires >= self.time()
                && known.restored_at == self.authority.restored_at
        });
        let serial = known.ok_or_else(invalid)?.serial;
        if let Some(known) = self.memory.operator(&serial) {
            return Ok((known.principal, id));
        }
        // It was revoked, or has expired: which of the two is said to who has the token.
        let row: Option<(u64, OperatorRow)> =
            rows::load(&*self.store, Table::Operator, serial.as_bytes()).await?;
        let (_, row) = row.ok_or_else(Error::not_on_record)?;
        Ok((row.principal(serial), id))
    }

    /// Takes back the tokens that those operators made.
    pub(super) async fn revoke_tokens_made_by(
        &self,
        caller: &Caller,
        makers: &HashSet<Serial>,
        reason: &Reason,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::BearerTokens, b"", after.as_deref(), Page::MAX).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, row) in page {
                let row: BearerTokensRow = rows::decode(Table::BearerTokens, &row.value)?;
                let is_theirs = |token: &BearerTokenRow| makers.contains(&token.by.serial);
                let Some(serial) = rows::parse_tenant_operator_key(&key) else { continue };
                if !row.tokens.iter().any(is_theirs) {
                    continue;
                }
                self.transact_by(caller, |tx| {
                    let mut bound = self.bound(tx, caller, serial)?;
                    let mut change = Change::default();
                    self.take_tokens_back(caller, &mut bound, reason, is_theirs, &mut change)?;
                    bound.put(&mut change)?;
                    Ok(Decision::new(change, ()))
                })
                .await?;
            }
        }
    }

    fn take_tokens_back(
        &self,
        caller: &Caller,
        bound: &mut Bound,
        reason: &Reason,
        which: impl Fn(&BearerTokenRow) -> bool,
        change: &mut Change,
    ) -> Result<(), Error> {
        let (taken, kept) = std::mem::take(&mut bound.row.tokens).into_iter().partition(which);
        bound.row.tokens = kept;
        let taken: Vec<BearerTokenRow> = taken;
        for token in taken {
            let target = Target::Operator(bound.principal.serial);
            let entry = self
                .entry(caller, Event::BearerTokenRevoked, target, Outcome::Done)
                .with(FieldName::Operator, Actor::from(&bound.principal))
                .with(FieldName::BearerToken, hex(&token.id))
                .with(FieldName::Reason, reason);
            change.record(&in_its_tenant(entry, &bound.principal))?;
        }
        Ok(())
    }

    /// The identity of that serial, if it is the caller's to see, and its tokens.
    fn bound(&self, tx: &Tx<'_>, caller: &Caller, serial: Serial) -> Result<Bound, Stop> {
        let unknown = || {
            let message = format_args!("there is no operator {serial}");
            Error::new(ErrorCode::OperatorUnknown, message).about("wardein.v1.Operator", serial)
        };
        let (operator_version, operator): (u64, OperatorRow) =
            tx.row(Table::Operator, serial.as_bytes())?.ok_or_else(unknown)?;
        let principal = operator.principal(serial);
        if !is_own(&caller.principal, principal.tenant.as_ref()) {
            return Err(unknown().into());
        }
        let key = rows::tenant_operator_key(&principal);
        let found: Option<(u64, BearerTokensRow)> = tx.row(Table::BearerTokens, &key)?;
        let (version, row) = found.map_or_else(Default::default, |(version, row)| (Some(version), row));
        Ok(Bound { principal, operator_version, operator, key, version, row })
    }
}

impl Bound {
    fn put(self, change: &mut Change) -> Result<(), Error> {
        change.put(Table::BearerTokens, self.key, self.version, rows::encode(&self.row)?);
        Ok(())
    }
}

impl BearerTokenRow {
    fn listed(&self, principal: &Principal) -> BearerToken {
        BearerToken {
            id: self.id,
            serial: principal.serial,
            operator: principal.to_string(),
            made_at: self.made.get(),
            expires_at: self.expires.get(),
            by: Issuer { serial: self.by.serial, name: self.by.name.clone() },
        }
    }
}

fn parse(token: &[u8]) -> Option<(BearerTokenId, MacKey)> {
    let (id, secret) = token.split_first_chunk()?;
    Some((*id, MacKey::new(Secret::copied_from(secret.try_into().ok()?))))
}

/// One answer for every token that is not good.
fn invalid() -> Error {
    let message = "the bearer token is not good: it is unknown, revoked or over; have another one made";
    Error::new(ErrorCode::BearerTokenInvalid, message)
}

/// An id and a secret.
const TOKEN_LEN: usize = 8 + 32;

/// The most good tokens of one identity: enough for each of its programs to have its own, and another while one is changed.
const MAX_OF_ONE: usize = 8;
