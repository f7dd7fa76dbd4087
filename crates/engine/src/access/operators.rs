//! Operators: certified for a stated time, and authenticated at every call.

use super::answers::{Answer, OrderKey, Ordered};
use crate::approve::{Ask, Gate};
use crate::issue::authority::pem_of;
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::project::KnownOperator;
use crate::rows::{self, IssuerRow, Link, OperatorRow};
use wardein_crypto::Digest;
use wardein_domain::{
    Actor, AuditEntry, ErrorCode, Event, FieldName, Fields, GuardedDeed, OperatorName, Outcome, Principal,
    Role, Serial, Target, TenantId, UnixSeconds, check_file_name,
};
use wardein_pki::{Csr, Infrastructure, OperatorIdentity, Validity};
use wardein_port::{Change, Expect, RowKey, Store, Table, Write};

/// An operator to be certified.
#[derive(Debug, Clone)]
pub struct OperatorOrder {
    /// Its role.
    pub role: Role,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub name: OperatorName,
    /// A PKCS#10 request, DER; only its key is taken.
    pub csr: Vec<u8>,
    /// Seconds for which the certificate is valid.
    pub validity: u64,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
}

/// What an operator is certified with.
pub(super) struct Terms<'a> {
    pub(super) csr: &'a Csr,
    pub(super) principal: Principal,
    pub(super) validity: Validity,
    /// For stations.
    pub(super) quota: u64,
    /// What it is called in the audit log.
    pub(super) event: Event,
    /// What else is said of it there.
    pub(super) fields: Fields,
}

/// An operator on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Who it is.
    pub principal: Principal,
    /// Unix seconds from which its certificate is valid.
    pub not_before: u64,
    /// Unix seconds until which its certificate is valid.
    pub not_after: u64,
    /// Unix seconds at which it was revoked.
    pub revoked_at: Option<u64>,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
    /// For stations: how many devices it enrolled.
    pub used: u64,
    /// Who issued it; none where the authority itself did, or a release before 0.2.
    pub issued_by: Option<Issuer>,
}

/// The operator that issued another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The serial of its certificate.
    pub serial: Serial,
    /// Role, tenant and name.
    pub name: String,
}

/// The longest that an operator's certificate is valid: 366 days.
pub(crate) const MAX_VALIDITY: u64 = 366 * 86_400;

/// The shortest: a minute.
pub(crate) const MIN_VALIDITY: u64 = 60;

impl Engine {
    /// Whether the operator of a certificate that TLS has verified is still valid: on record, as certified, not revoked, and
    /// its time not over (a connection may outlive it).
    pub async fn authenticate(&self, claimed: &Principal) -> Result<(), Error> {
        self.current()?;
        let judge = |known: &KnownOperator| {
            if known.principal != *claimed {
                return Err(Error::not_on_record());
            }
            if self.time() > known.not_after {
                let message = "the operator's certificate has expired; have another one issued";
                return Err(Error::new(ErrorCode::OperatorExpired, message));
            }
            Ok(())
        };
        if let Some(judged) = self.memory.with_operator(&claimed.serial, judge) {
            return judged;
        }
        // It is new, and so may be what it asks about, which another node made.
        self.hear_others().await?;
        let row = rows::load(&*self.store, Table::Operator, claimed.serial.as_bytes()).await?;
        judge(&unrevoked(claimed, row)?)
    }

    /// The version of the row of an operator that is on record and not revoked.
    pub(crate) fn operator_version(&self, tx: &Tx<'_>, claimed: &Principal) -> Result<u64, Stop> {
        let known = match self.memory.operator(&claimed.serial) {
            Some(known) => known,
            None => unrevoked(claimed, tx.row(Table::Operator, claimed.serial.as_bytes())?)?,
        };
        Ok(known.version)
    }

    /// Certifies an operator's key. The answer is the certificate followed by the infrastructure CA's, PEM. What an operator of a
    /// tenant issues ends with its own certificate at the latest. The same order again, for the same key, gets the same certificate
    /// for a day, while that is valid.
    pub async fn issue_operator(
        &self,
        caller: &Caller,
        order: OperatorOrder,
    ) -> Result<(String, Operator), Error> {
        let OperatorOrder { role, tenant, name, validity, quota, .. } = &order;
        self.may_issue(caller, *role, tenant.as_ref(), name, *validity, *quota)?;
        let csr = Csr::parse(&order.csr).map_err(|error| Error::new(error.code(), error))?;
        self.may_certify()?;
        let longest = self.infrastructure_validity(order.validity)?;
        let name_key = rows::operator_name_key(order.role, order.tenant.as_ref(), &order.name);
        let ask = role.is_guarded().then(|| {
            Ask::new(GuardedDeed::IssueAdministrator, tenant.as_ref())
                .with("how", "certificate")
                .with("role", role)
                .with("name", name)
                .with("key_sha256", hex(&Digest::of(&csr.public_key().spki()).0))
                .with("validity", format_args!("{validity}s"))
        });
        let ordered = OrderKey::new(caller, Ordered::Issued, &csr, (*validity, *quota), &name_key);
        let answer = self
            .transact_by(caller, |tx| {
                if let Some(answer) = self.answered(tx, caller, &ordered)? {
                    return Ok(Decision::unchanged(answer));
                }
                tx.reserve_operator(&self.memory, &order.tenant, self.time())?;
                let validity = match caller.principal.role {
                    Role::Admin => longest,
                    _ => {
                        let end = longest.not_after().min(self.end_of(tx, caller)?);
                        Validity::new(longest.not_before(), end).map_err(Error::internal)?
                    }
                };
                let serial = new_serial(tx.draw())?;
                let OperatorOrder { role, tenant, name, quota, .. } = order.clone();
                let principal = Principal { role, tenant, name, serial };
                let mut change = Change::default();
                let claim = self.claim_name(tx, &name_key, serial)?;
                change.writes.push(claim);
                // Before anything is signed.
                let approval = match &ask {
                    None => None,
                    Some(ask) => match self.approval_gate(caller, tx, ask)? {
                        Gate::Open(approval) => Some(approval),
                        Gate::Closed(change, error) => return Ok(Decision::refused(change, error)),
                    },
                };
                let (event, fields) = (Event::OperatorIssued, Fields::default());
                let terms = Terms { csr: &csr, principal, validity, quota, event, fields };
                let (certified, operator) = self.put_operator(caller, &terms, &mut change)?;
                if let Some(approval) = approval {
                    approval.settle(&mut change);
                }
                self.keep_answer(tx, &ordered, serial, &certified, &mut change)?;
                Ok(Decision::new(change, Answer::Now(certified, operator)))
            })
            .await?;
        self.hand_over(answer, &ordered).await
    }

    /// Puts an operator on record that is certified by `caller`, and claims nothing of its name.
    pub(super) fn put_operator(
        &self,
        caller: &Caller,
        terms: &Terms<'_>,
        change: &mut Change,
    ) -> Result<(Certified<Infrastructure>, Operator), Stop> {
        let Terms { csr, principal, validity, quota, event, fields } = terms;
        let infrastructure = self.memory.infrastructure()?;
        let operator = OperatorIdentity { principal: principal.clone(), validity: *validity };
        let order =
            infrastructure.operator_order(csr, &operator).map_err(|error| Error::new(error.code(), error))?;
        let issued_by = Issuer { serial: caller.principal.serial, name: caller.principal.to_string() };
        let row = OperatorRow::new(principal, *validity, *quota, Some(&issued_by));
        let certified = self.certify(&infrastructure, &order, change)?;
        let serial = principal.serial;
        change.insert(Table::Operator, serial.as_bytes().to_vec(), rows::encode(&row)?);
        change.insert(Table::TenantOperator, rows::tenant_operator_key(principal), rows::encode(&())?);
        let name_key = rows::operator_name_key(principal.role, principal.tenant.as_ref(), &principal.name);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&name_key));
        let entry = self
            .entry(caller, *event, Target::Operator(serial), Outcome::Done)
            .with(FieldName::Operator, Actor::from(principal))
            .with(FieldName::NotAfter, validity.not_after())
            .with(FieldName::Quota, *quota);
        let entry = match &certified {
            Certified::Signed(issued) => entry.with(FieldName::Certificate, hex(&Digest::of(issued.der()).0)),
            Certified::Prepared(_) => entry,
        };
        change.record(&in_its_tenant(entry.with_all(fields.clone()), principal))?;
        Ok((certified, row.operator(serial, 0)))
    }

    /// An operator's certificate followed by its CA's, PEM.
    pub(super) fn operator_chain(&self, leaf: &[u8]) -> Result<String, Error> {
        pem_of([leaf, self.memory.infrastructure()?.certificate().der()])
    }

    /// The caller itself.
    pub async fn own_operator(&self, caller: &Caller) -> Result<Operator, Error> {
        let serial = caller.principal.serial;
        self.look(|tx| {
            let row: Option<(u64, OperatorRow)> = tx.row(Table::Operator, serial.as_bytes())?;
            let (_, row) = row.ok_or_else(Error::not_on_record)?;
            Ok(row.operator(serial, self.memory.enrolled_by(&serial)))
        })
        .await
    }

    /// The operators that the caller may see, optionally of one tenant. Those of a tenant are found by its index: neither the time nor
    /// the token of the next page says anything of others.
    pub async fn list_operators(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Operator>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        if tenant.is_none() {
            return self
                .page(Table::Operator, b"", &page, |key, value| {
                    let serial = Serial::from_bytes(key).map_err(Error::internal)?;
                    let row: OperatorRow = rows::decode(Table::Operator, value)?;
                    Ok(Some(row.operator(serial, self.memory.enrolled_by(&serial))))
                })
                .await;
        }
        let prefix = rows::tenant_operator_prefix(tenant.as_ref());
        let damaged = || rows::damaged(Table::TenantOperator, "has a damaged key");
        let serial =
            |key: &[u8], _: &[u8]| rows::parse_tenant_operator_key(key).ok_or_else(damaged).map(Some);
        let Paged { items: serials, next } = self.page(Table::TenantOperator, &prefix, &page, serial).await?;
        let key = |serial: &Serial| RowKey { table: Table::Operator, key: serial.as_bytes().to_vec() };
        let found = self.store.load(&serials.iter().map(key).collect::<Vec<_>>()).await?;
        let operators = serials.into_iter().zip(found).map(|(serial, row)| {
            let row = row.ok_or_else(|| rows::damaged(Table::TenantOperator, "names no operator"))?;
            let row: OperatorRow = rows::decode(Table::Operator, &row.value)?;
            Ok(row.operator(serial, self.memory.enrolled_by(&serial)))
        });
        Ok(Paged { items: operators.collect::<Result<_, Error>>()?, next })
    }

    /// Whether the caller may have such an operator certified.
    pub(super) fn may_issue(
        &self,
        caller: &Caller,
        role: Role,
        tenant: Option<&TenantId>,
        name: &OperatorName,
        validity: u64,
        quota: u64,
    ) -> Result<(), Error> {
        check_file_name(name.as_str()).map_err(|error| Error::wrong("name", error))?;
        if !role.fits_tenant(tenant.is_some()) {
            let needs = if tenant.is_some() { "takes no tenant" } else { "takes a tenant" };
            return Err(Error::wrong("tenant", format_args!("role {role} {needs}")));
        }
        if let Some(tenant) = tenant {
            self.require_tenant(caller, tenant)?;
        }
        // A tenant's administrator gives no more than it has: nothing beyond its tenant.
        if caller.principal.role != Role::Admin && tenant.is_none() {
            let message =
                format_args!("role {} cannot issue an operator without a tenant", caller.principal.role);
            return Err(Error::new(ErrorCode::RoleInsufficient, message));
        }
        if !(MIN_VALIDITY..=MAX_VALIDITY).contains(&validity) {
            let message = format_args!("is {validity}; it takes {MIN_VALIDITY} to {MAX_VALIDITY} seconds");
            return Err(Error::wrong("validity", message));
        }
        if role != Role::Station && quota != 0 {
            return Err(Error::wrong("quota", format_args!("role {role} takes none")));
        }
        Ok(())
    }

    /// Takes a name for a certificate.
    pub(super) fn claim_name(&self, tx: &Tx<'_>, name_key: &[u8], serial: Serial) -> Result<Write, Stop> {
        let (table, key) = (Table::OperatorName, name_key.to_vec());
        let expect = self.require_free(tx, name_key)?;
        Ok(Write { table, key, expect, value: Some(Link::encode(serial.as_bytes())) })
    }

    /// A name is free once its last holder is revoked or expired; what its row is then.
    pub(super) fn require_free(&self, tx: &Tx<'_>, name_key: &[u8]) -> Result<Expect, Stop> {
        Ok(match tx.get(Table::OperatorName, name_key)? {
            None => Expect::Absent,
            Some(row) => {
                let holder = Serial::from_bytes(Link::decode(Table::OperatorName, &row.value)?)
                    .map_err(Error::internal)?;
                let of_holder = tx.row::<OperatorRow>(Table::Operator, holder.as_bytes())?;
                if of_holder.is_some_and(|(_, of_holder)| of_holder.is_valid(self.time())) {
                    let message =
                        format_args!("the operator already exists, with serial {holder}; revoke it first");
                    return Err(Error::new(ErrorCode::OperatorExists, message)
                        .about("wardein.v1.Operator", holder)
                        .into());
                }
                Expect::Version(row.version)
            }
        })
    }

    /// Until when the caller itself is certified.
    fn end_of(&self, tx: &Tx<'_>, caller: &Caller) -> Result<u64, Stop> {
        let own = tx.row::<OperatorRow>(Table::Operator, caller.principal.serial.as_bytes())?;
        Ok(own.ok_or_else(Error::not_on_record)?.1.not_after.get())
    }
}

/// The operator of a row, where memory does not have it: it was revoked, it expired some time ago, or there is none. It may also
/// be valid, where the clock was ahead when memory was loaded.
fn unrevoked(claimed: &Principal, row: Option<(u64, OperatorRow)>) -> Result<KnownOperator, Error> {
    let (version, row) = row.ok_or_else(Error::not_on_record)?;
    if row.principal(claimed.serial) != *claimed {
        return Err(Error::not_on_record());
    }
    KnownOperator::of(claimed.serial, version, &row).ok_or_else(|| {
        let message = "the operator was revoked; an administrator must issue another identity";
        Error::new(ErrorCode::OperatorRevoked, message)
    })
}

impl OperatorRow {
    pub(crate) fn new(
        principal: &Principal,
        validity: Validity,
        quota: u64,
        issued_by: Option<&Issuer>,
    ) -> Self {
        Self {
            role: principal.role,
            tenant: principal.tenant.clone(),
            name: principal.name.clone(),
            not_before: UnixSeconds::new(validity.not_before()),
            not_after: UnixSeconds::new(validity.not_after()),
            revoked: None,
            quota,
            issued_by: issued_by
                .map(|Issuer { serial, name }| IssuerRow { serial: *serial, name: name.clone() }),
        }
    }

    /// The operator that enrolled `used` devices.
    pub(crate) fn operator(&self, serial: Serial, used: u64) -> Operator {
        let issuer = |IssuerRow { serial, name }: &IssuerRow| Issuer { serial: *serial, name: name.clone() };
        Operator {
            principal: self.principal(serial),
            not_before: self.not_before.get(),
            not_after: self.not_after.get(),
            revoked_at: self.revoked.as_ref().map(|(at, _)| at.get()),
            quota: self.quota,
            used,
            issued_by: self.issued_by.as_ref().map(issuer),
        }
    }
}

/// Looks at the rows of all operators, also of those that have ended.
pub(crate) async fn each_operator(
    store: &dyn Store,
    mut look: impl FnMut(Serial, OperatorRow) + Send,
) -> Result<(), Error> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(Table::Operator, b"", after.as_deref(), Page::MAX).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, row) in page {
            let serial = Serial::from_bytes(&key).map_err(Error::internal)?;
            look(serial, rows::decode(Table::Operator, &row.value)?);
        }
    }
}

/// An entry about an operator concerns the operator's tenant, regardless of the actor.
pub(super) fn in_its_tenant(entry: AuditEntry, principal: &Principal) -> AuditEntry {
    match &principal.tenant {
        Some(tenant) => entry.in_tenant(tenant),
        None => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Ports;
    use crate::project::MAX_OPERATORS;
    use std::sync::Arc;
    use wardein_crypto::{P256SigningKey, Secret};
    use wardein_domain::Call;
    use wardein_port::RootKey;
    use wardein_testkit::{MemoryStore, TestClock, commit};

    const NOW: u64 = 1_790_000_000;

    /// The bound of memory is that of issuing: a tenant's administrator does not fill it.
    #[tokio::test]
    async fn a_tenant_has_so_many_operators_and_no_more() {
        let (store, clock) = (MemoryStore::new(), TestClock::at(NOW));
        let ports = || Ports::new(Arc::new(store.clone()), clock.clone());
        let secret = || Secret::copied_from(&[7; 32]);
        let founded = crate::found(&ports(), secret(), "wardein.test".parse().unwrap()).await.unwrap();
        let open = async || Engine::open(ports(), [RootKey { version: 1, secret: secret() }]).await.unwrap();
        let admin = Caller { principal: founded.admin, call: Call::new("test") };
        let tenant: TenantId = "klinik".parse().unwrap();
        open().await.create_tenant(&admin, tenant.clone()).await.unwrap();
        let mut change = Change::default();
        for number in 0..MAX_OPERATORS as u64 {
            let mut bytes = [7; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            let (serial, name) = (Serial::from_random(bytes), "one".parse().unwrap());
            let principal = Principal { role: Role::Auditor, tenant: Some(tenant.clone()), name, serial };
            let validity = Validity::new(NOW, NOW + if number == 0 { 60 } else { 3_600 }).unwrap();
            let row = OperatorRow::new(&principal, validity, 0, None);
            change.insert(Table::Operator, serial.as_bytes().to_vec(), rows::encode(&row).unwrap());
        }
        commit(&store, change).await.unwrap();
        let engine = open().await;
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let csr = Csr::create(&key).unwrap();
        let order = |name: &str| OperatorOrder {
            role: Role::Auditor,
            tenant: Some("klinik".parse().unwrap()),
            name: name.parse().unwrap(),
            csr: csr.clone(),
            validity: 3_600,
            quota: 0,
        };
        let refused = engine.issue_operator(&admin, order("more")).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::OperatorQuota);
        clock.pass(61);
        engine.issue_operator(&admin, order("more")).await.unwrap();
        let refused = engine.issue_operator(&admin, order("another")).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::OperatorQuota);
    }
}
