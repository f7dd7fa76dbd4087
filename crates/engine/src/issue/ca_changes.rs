//! How one CA of devices follows another: made and published ahead, switched to, retired; or distrusted, when its key leaked.
//!
//! Each of these rests on the authority's row, and writes it again. So no two are made on one state of things, and no key is sealed
//! under a version of the root key that is being left.

use crate::approve::Ask;
use crate::issue::apart::apart;
use crate::issue::ca_keys::NewCaKey;
use crate::issue::cas::Ca;
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::keep::clock::ca_not_valid;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::project::KnownCa;
use crate::rows::{self, AUTHORITY, AuthorityRow, CaKeyColumn, IssuingCaRow, Link, RuleRow, RuleScope};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, VerifyingKey};
use wardein_domain::{
    AuditEntry, CaId, CaState, ErrorCode, Event, FieldName, GuardedDeed, KeyPurposes, Outcome, Reason,
    RevocationReason, Target, TenantId, UnixSeconds,
};
use wardein_pki::{INTERMEDIATE_LIFETIME, Root, RootCa, SubjectKey, Validity};
use wardein_port::{Change, Table};

/// The CA to be made.
#[derive(Debug, Clone)]
pub struct CaOrder {
    /// Whose devices it is to certify; none: of all tenants that have no CA of their own.
    pub tenant: Option<TenantId>,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// Whether it is published ahead, to follow the active one. Otherwise it issues at once, where there is none.
    pub is_next: bool,
}

/// The end of a CA that is distrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrusted {
    /// The CA.
    pub ca: Ca,
    /// The one that certifies its devices from now on; none where none could be made.
    pub successor: Option<Ca>,
}

/// Who changes CAs: an operator, or the authority by itself.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    Operator(&'a Caller),
    Schedule,
}

impl Engine {
    /// Makes a CA.
    pub async fn create_ca(&self, caller: &Caller, order: CaOrder) -> Result<Ca, Error> {
        if let Some(tenant) = &order.tenant {
            self.require_tenant(caller, tenant)?;
        }
        self.make_ca(By::Operator(caller), order).await
    }

    /// Has the next CA issue, and the active one retire. The same again changes nothing.
    pub async fn switch_ca(&self, caller: &Caller, id: CaId) -> Result<Ca, Error> {
        self.switch_to(By::Operator(caller), id).await
    }

    /// Ends a CA that issues no more, once all that it issued has expired, or one that never issued: its key is erased.
    pub async fn retire_ca(&self, caller: &Caller, id: CaId) -> Result<Ca, Error> {
        self.end_ca(By::Operator(caller), id).await
    }

    /// Revokes everything that a CA signed and will ever sign, and has another one certify its devices, all in one change where the
    /// root's key and those of new CAs are in this process: the next one, which is published already, or one that is made. The same again
    /// changes nothing.
    pub async fn distrust_ca(&self, caller: &Caller, id: CaId, reason: Reason) -> Result<Distrusted, Error> {
        let known = self.known_ca(&id)?;
        let key = match known.state {
            // In another process it is not made before it is needed: it would stay there.
            CaState::Active if !self.signers.makes_keys() => Some(self.new_ca_key(known.algorithm()).await?),
            _ => None,
        };
        let ask = Ask::new(GuardedDeed::DistrustCa, None).with("ca_id", id).with("reason", &reason);
        let decide = |tx: &mut Tx<'_>| -> Result<_, Stop> {
            let known = self.known_ca(&id)?;
            if known.state == CaState::Distrusted {
                return Ok(Decision::unchanged(None));
            }
            let mut change = Change::default();
            let authority = self.rest_on_authority(tx, &mut change)?;
            let now = self.time();
            let rule = RuleRow {
                issued_from: UnixSeconds::default(),
                issued_until: UnixSeconds::new(u64::MAX),
                at: now,
                era: self.clock.era(),
                reason: reason.clone(),
                code: RevocationReason::KeyCompromise,
            };
            self.put_rule(tx, &mut change, &RuleScope::Ca(*id.as_bytes()), rule)?;
            self.put_state(tx, &mut change, &known, CaState::Distrusted)?;
            let entry = self.ca_entry(By::Operator(caller), Event::CaDistrusted, &known);
            change.record(
                &entry
                    .changed(FieldName::State, known.state, CaState::Distrusted)
                    .with(FieldName::Reason, &reason),
            )?;
            if known.state != CaState::Active {
                return Ok(Decision::new(change, None));
            }
            if let Some(next) = self.memory.ca_of(known.tenant.as_ref(), CaState::Next) {
                self.put_state(tx, &mut change, &next, CaState::Active)?;
                let entry = self.ca_entry(By::Operator(caller), Event::CaSwitched, &next);
                change.record(&entry.changed(FieldName::State, CaState::Next, CaState::Active))?;
                return Ok(Decision::new(change, None));
            }
            // Where no successor can be made, the CA is distrusted all the same.
            let Ok(root) = self.open_root(&authority) else {
                return Ok(Decision::new(change, None));
            };
            let Some(key) = key.as_ref().filter(|_| !root.is_external()) else {
                return Ok(Decision::new(change, Some(known.algorithm())));
            };
            let new = NewCa { tenant: known.tenant.clone(), state: CaState::Active, key };
            let mut certified = Change::default();
            if let Ok(Certified::Signed(issued)) = self.certify_ca(tx, &mut certified, &root, &new) {
                change.writes.append(&mut certified.writes);
                self.put_ca(tx, &mut change, By::Operator(caller), &new, issued.der())?;
            }
            Ok(Decision::new(change, None))
        };
        let made = self
            .transact_by(caller, |tx| {
                let decision = decide(tx)?;
                self.approved(caller, tx, &ask, decision)
            })
            .await?;
        if let Some(algorithm) = made {
            let order = CaOrder { tenant: known.tenant.clone(), algorithm, is_next: false };
            // The answer says whether there is one.
            let _ = self.make_ca(By::Operator(caller), order).await;
        }
        let successor = match &known.tenant {
            Some(tenant) => self.memory.issuer(tenant),
            None => self.memory.ca_of(None, CaState::Active),
        };
        Ok(Distrusted { ca: self.known_ca(&id)?.shown(), successor: successor.map(|ca| ca.shown()) })
    }

    pub(super) async fn make_ca(&self, by: By<'_>, order: CaOrder) -> Result<Ca, Error> {
        let CaOrder { tenant, algorithm, is_next } = order;
        let state = if is_next { CaState::Next } else { CaState::Active };
        self.may_make(tenant.as_ref(), state)?;
        // A key in another process stays there, whatever becomes of the CA: what can be known is known before.
        self.store.writable().map_err(|why| Error::new(ErrorCode::StoreUnavailable, why))?;
        let (_, row): (_, AuthorityRow) =
            rows::load(&*self.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
        self.open_root(&row)?;
        let key = self.new_ca_key(algorithm).await?;
        let made = self.certify_new(by, &NewCa { tenant, state, key: &key }).await;
        if let Err(error) = &made {
            let (signers, error) = (self.signers.clone(), error.clone());
            apart("wardein-key", move || key.discard(&*signers, &error)).await?;
        }
        made
    }

    async fn certify_new(&self, by: By<'_>, new: &NewCa<'_>) -> Result<Ca, Error> {
        let state = new.state;
        let prepared = self
            .transact_as(by, |tx| {
                let mut change = Change::default();
                let authority = self.rest_on_authority(tx, &mut change)?;
                self.may_make(new.tenant.as_ref(), state)?;
                let root = self.open_root(&authority)?;
                match self.certify_ca(tx, &mut change, &root, new)? {
                    Certified::Signed(issued) => {
                        self.put_ca(tx, &mut change, by, new, issued.der())?;
                        Ok(Decision::new(change, None))
                    }
                    Certified::Prepared(tbs) => Ok(Decision::new(change, Some((root, tbs)))),
                }
            })
            .await?;
        if let Some((root, tbs)) = prepared {
            self.complete(&root, tbs, |tx, issued, change| {
                self.rest_on_authority(tx, change)?;
                self.may_make(new.tenant.as_ref(), state)?;
                self.put_ca(tx, change, by, new, issued.der())
            })
            .await?;
        }
        Ok(self.known_ca(&new.id())?.shown())
    }

    pub(super) async fn switch_to(&self, by: By<'_>, id: CaId) -> Result<Ca, Error> {
        self.transact_as(by, |tx| {
            let next = self.known_ca(&id)?;
            match next.state {
                CaState::Active => return Ok(Decision::unchanged(())),
                CaState::Next => {}
                state => return Err(not_in_state(&id, state, "only the next CA can be switched to").into()),
            }
            let mut change = Change::default();
            self.rest_on_authority(tx, &mut change)?;
            let mut entry = self.ca_entry(by, Event::CaSwitched, &next).changed(
                FieldName::State,
                CaState::Next,
                CaState::Active,
            );
            if let Some(active) = self.memory.ca_of(next.tenant.as_ref(), CaState::Active) {
                self.put_state(tx, &mut change, &active, CaState::Retiring)?;
                entry = entry.with(FieldName::FormerCa, active.id);
            }
            self.put_state(tx, &mut change, &next, CaState::Active)?;
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(self.known_ca(&id)?.shown())
    }

    pub(super) async fn end_ca(&self, by: By<'_>, id: CaId) -> Result<Ca, Error> {
        self.transact_as(by, |tx| {
            let known = self.known_ca(&id)?;
            match known.state {
                CaState::Retired => return Ok(Decision::unchanged(())),
                CaState::Next => {}
                CaState::Retiring if known.ended_at() < self.now() => {}
                CaState::Retiring => {
                    let until = known.ended_at();
                    let why = format!("certificates of it may be valid until Unix second {until}");
                    return Err(not_in_state(&id, known.state, &why).into());
                }
                CaState::Active => {
                    let why = "switch to another one first";
                    return Err(not_in_state(&id, known.state, why).into());
                }
                CaState::Distrusted => {
                    let why = "it stays so";
                    return Err(not_in_state(&id, known.state, why).into());
                }
            }
            let mut change = Change::default();
            self.rest_on_authority(tx, &mut change)?;
            self.put_state(tx, &mut change, &known, CaState::Retired)?;
            let entry = self.ca_entry(by, Event::CaRetired, &known);
            change.record(&entry.changed(FieldName::State, known.state, CaState::Retired))?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(self.known_ca(&id)?.shown())
    }

    async fn transact_as<T: Send>(
        &self,
        by: By<'_>,
        decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        match by {
            By::Operator(caller) => self.transact_by(caller, decide).await,
            By::Schedule => self.transact(decide).await,
        }
    }

    /// The authority's row. Memory must have taken it in: it is what says which CAs there are.
    pub(super) fn authority_row(&self, tx: &Tx<'_>) -> Result<(u64, AuthorityRow), Stop> {
        let (version, row) = tx.row(Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
        if self.memory.authority_version() < version {
            return Err(Error::contended().into());
        }
        Ok((version, row))
    }

    /// Writes the authority's row again.
    pub(crate) fn rest_on_authority(&self, tx: &Tx<'_>, change: &mut Change) -> Result<AuthorityRow, Stop> {
        let (version, row) = self.authority_row(tx)?;
        change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(&row)?);
        Ok(row)
    }

    pub(super) fn known_ca(&self, id: &CaId) -> Result<Arc<KnownCa>, Error> {
        self.memory.ca(id).ok_or_else(|| {
            let message = format_args!("there is no CA {id}");
            Error::new(ErrorCode::CaUnknown, message).about("wardein.v1.Ca", id)
        })
    }

    /// Refuses a second active or next CA of a tenant, or of the authority, and a next one to follow none.
    fn may_make(&self, tenant: Option<&TenantId>, state: CaState) -> Result<(), Error> {
        let whose = tenant.map_or_else(|| "the authority".to_owned(), |tenant| format!("tenant {tenant}"));
        if let Some(present) = self.memory.ca_of(tenant, state) {
            let message = format_args!("{whose} has a CA that is {state}: {}", present.id);
            return Err(Error::new(ErrorCode::CaExists, message).about("wardein.v1.Ca", present.id));
        }
        if state == CaState::Next && self.memory.ca_of(tenant, CaState::Active).is_none() {
            let message = format_args!("{whose} has no active CA of its own that another one could follow");
            return Err(Error::new(ErrorCode::CaState, message));
        }
        Ok(())
    }

    pub(super) fn open_root(&self, row: &AuthorityRow) -> Result<RootCa, Error> {
        row.open_root(&self.root.ring(), &*self.signers).map_err(|_| {
            let message = "the root's key is not at hand, and no CA can be certified without it";
            Error::new(ErrorCode::RootUnavailable, message)
        })
    }

    fn certify_ca(
        &self,
        tx: &mut Tx<'_>,
        change: &mut Change,
        root: &RootCa,
        new: &NewCa<'_>,
    ) -> Result<Certified<Root>, Error> {
        self.may_certify()?;
        let now = self.now();
        let validity = Validity::starting(now, INTERMEDIATE_LIFETIME)
            .and_then(|validity| validity.within(root.certificate().validity()))
            .map_err(|_| ca_not_valid(now))?;
        let serial = new_serial(tx.draw())?;
        let order = root.further_issuing_order(&new.verifying_key(), self.ca_purposes()?, serial, validity);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"ca"));
        self.certify(root, &order.map_err(Error::internal)?, change)
    }

    /// What a new CA certifies devices for: the same as the first one, as every CA between them. Founding chose it.
    fn ca_purposes(&self) -> Result<KeyPurposes, Error> {
        let cas = self.memory.cas();
        let first = cas.first().ok_or_else(|| Error::internal("the authority has no CA of devices"))?;
        Ok(first.certificate.purposes())
    }

    fn put_ca(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        by: By<'_>,
        new: &NewCa<'_>,
        der: &[u8],
    ) -> Result<(), Stop> {
        let (id, now) = (new.id(), self.time());
        let key = new.key.column(&self.root.ring(), tx.nonce()?, &id)?;
        let (tenant, state) = (new.tenant.clone(), new.state);
        let (der, cross) = (der.to_vec(), Vec::new());
        let row = IssuingCaRow { tenant, state, der, key, made_at: now, since: now, cross };
        change.insert(Table::IssuingCa, id.as_bytes().to_vec(), rows::encode(&row)?);
        let entry = self.entry_of(by, Event::CaMade, (new.tenant.as_ref(), &id));
        Ok(change.record(&entry.with(FieldName::State, state))?)
    }

    /// Puts a CA into another state. The key of one that is retired is erased.
    fn put_state(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        known: &KnownCa,
        state: CaState,
    ) -> Result<(), Stop> {
        let key = known.id.as_bytes();
        let (version, mut row): (u64, IssuingCaRow) =
            tx.row(Table::IssuingCa, key)?.ok_or_else(|| rows::damaged(Table::IssuingCa, "is gone"))?;
        (row.state, row.since) = (state, self.time());
        if state == CaState::Retired {
            row.key = CaKeyColumn::Erased;
        }
        change.update(Table::IssuingCa, key.to_vec(), version, rows::encode(&row)?);
        Ok(())
    }

    pub(super) fn ca_entry(&self, by: By<'_>, event: Event, ca: &KnownCa) -> AuditEntry {
        self.entry_of(by, event, (ca.tenant.as_ref(), &ca.id))
    }

    fn entry_of(&self, by: By<'_>, event: Event, (tenant, id): (Option<&TenantId>, &CaId)) -> AuditEntry {
        let entry = match by {
            By::Operator(caller) => self.entry(caller, event, Target::Authority, Outcome::Done),
            By::Schedule => record::of_system(self.clock.now_ms(), event),
        };
        let entry = entry.with(FieldName::Ca, id);
        match tenant {
            Some(tenant) => AuditEntry { target: Target::Tenant(tenant.clone()), ..entry.in_tenant(tenant) },
            None => entry,
        }
    }
}

/// A CA that is being made.
struct NewCa<'a> {
    tenant: Option<TenantId>,
    state: CaState,
    key: &'a NewCaKey,
}

impl NewCa<'_> {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.signer.verifying_key()
    }

    fn id(&self) -> CaId {
        CaId::new(SubjectKey::from(self.verifying_key()).common_id())
    }
}

fn not_in_state(id: &CaId, state: CaState, why: &str) -> Error {
    Error::new(ErrorCode::CaState, format_args!("CA {id} is {state}: {why}")).about("wardein.v1.Ca", id)
}
