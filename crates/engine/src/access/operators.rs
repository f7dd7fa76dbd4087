//! Operators: certified for a stated time, authenticated at every call, revoked at once.

use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::project::KnownOperator;
use crate::rows::{self, Link, OperatorRow};
use wardein_crypto::Digest;
use wardein_domain::{
    Actor, ErrorCode, Event, FieldName, OperatorName, Outcome, Principal, Reason, Role, Serial, Target,
    TenantId, UnixSeconds, check_file_name,
};
use wardein_pki::{Csr, OperatorIdentity, Validity};
use wardein_port::{Change, Expect, RowKey, Table, Write};

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
}

/// The longest that an operator's certificate is valid: 366 days.
pub(crate) const MAX_VALIDITY: u64 = 366 * 86_400;

/// The shortest: a minute.
const MIN_VALIDITY: u64 = 60;

impl Engine {
    /// Whether the operator of a certificate that TLS has verified is still valid: on record, as certified, not revoked, and
    /// its time not over (a connection may outlive it).
    pub fn authenticate(&self, claimed: &Principal) -> Result<(), Error> {
        let known = self.standing(claimed)?;
        if self.time() > known.not_after {
            let message = "the operator's certificate has expired; have another one issued";
            return Err(Error::new(ErrorCode::OperatorExpired, message));
        }
        Ok(())
    }

    /// The version of the row of an operator that is on record and not revoked.
    pub(crate) fn operator_version(&self, claimed: &Principal) -> Result<u64, Error> {
        self.standing(claimed).map(|known| known.version)
    }

    fn standing(&self, claimed: &Principal) -> Result<KnownOperator, Error> {
        let known = self.memory.operator(&claimed.serial).ok_or_else(Error::not_on_record)?;
        if known.principal != *claimed {
            return Err(Error::not_on_record());
        }
        if known.is_revoked {
            let message = "the operator was revoked; an administrator must issue another identity";
            return Err(Error::new(ErrorCode::OperatorRevoked, message));
        }
        Ok(known)
    }

    /// Certifies an operator's key. The answer is the certificate followed by the infrastructure CA's, PEM.
    pub async fn issue_operator(
        &self,
        caller: &Caller,
        order: OperatorOrder,
    ) -> Result<(String, Operator), Error> {
        self.may_issue(caller, &order)?;
        let csr = Csr::parse(&order.csr).map_err(|error| Error::new(error.code(), error))?;
        let validity = self.infrastructure_validity(order.validity)?;
        let name_key = rows::operator_name_key(order.role, order.tenant.as_ref(), &order.name);
        let infrastructure = &self.authority.infrastructure;
        let (certified, principal) = self
            .transact_by(caller, |tx| {
                let serial = new_serial(tx.draw())?;
                let OperatorOrder { role, tenant, name, quota, .. } = order.clone();
                let principal = Principal { role, tenant, name, serial };
                let operator = OperatorIdentity { principal: principal.clone(), validity };
                let order = infrastructure
                    .operator_order(&csr, &operator)
                    .map_err(|error| Error::new(error.code(), error))?;
                let row = OperatorRow::new(&principal, validity, quota);
                let mut change = Change::default();
                let certified = self.certify(infrastructure, &order, &mut change)?;
                change.insert(Table::Operator, serial.as_bytes().to_vec(), rows::encode(&row)?);
                let by_tenant = rows::tenant_operator_key(&principal);
                change.insert(Table::TenantOperator, by_tenant, rows::encode(&())?);
                change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&name_key));
                change.writes.push(self.claim_name(tx, &name_key, serial)?);
                let entry =
                    self.entry(caller, Event::OperatorIssued, Target::Operator(serial), Outcome::Done);
                let entry = entry
                    .with(FieldName::Operator, Actor::from(&principal))
                    .with(FieldName::NotAfter, validity.not_after())
                    .with(FieldName::Quota, quota);
                let entry = match &certified {
                    Certified::Signed(issued) => {
                        entry.with(FieldName::Certificate, hex(&Digest::of(issued.der()).0))
                    }
                    Certified::Prepared(_) => entry,
                };
                change.record(&AuditTenant(&principal).set(entry))?;
                Ok(Decision::new(change, (certified, principal)))
            })
            .await?;
        let issued = match certified {
            Certified::Signed(issued) => issued,
            Certified::Prepared(tbs) => self.complete(infrastructure, tbs, |_, _| Ok(())).await?,
        };
        let pem = self.authority.operator_chain(issued.der())?;
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        let operator =
            Operator { principal, not_before, not_after, revoked_at: None, quota: order.quota, used: 0 };
        Ok((pem, operator))
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
                    self.operator(serial, &rows::decode(Table::Operator, value)?).map(Some)
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
            self.operator(serial, &rows::decode(Table::Operator, &row.value)?)
        });
        Ok(Paged { items: operators.collect::<Result<_, _>>()?, next })
    }

    /// Revokes an operator: it is refused from the answer on. Revoking twice is fine.
    pub async fn revoke_operator(
        &self,
        caller: &Caller,
        serial: Serial,
        reason: Reason,
    ) -> Result<(), Error> {
        let revoked_at = self.time();
        self.transact_by(caller, |tx| {
            let key = serial.as_bytes().to_vec();
            let (version, mut row): (u64, OperatorRow) =
                tx.row(Table::Operator, &key)?.ok_or_else(|| no_operator(&serial))?;
            let principal = row.principal(serial);
            let is_own = match (&caller.principal.tenant, &principal.tenant) {
                (None, _) => true,
                (Some(own), Some(tenant)) => own == tenant,
                (Some(_), None) => false,
            };
            if !is_own {
                return Err(no_operator(&serial).into());
            }
            let mut change = Change::default();
            if row.revoked.is_none() {
                row.revoked = Some((revoked_at, reason.clone()));
                change.update(Table::Operator, key, version, rows::encode(&row)?);
                let entry =
                    self.entry(caller, Event::OperatorRevoked, Target::Operator(serial), Outcome::Done);
                let entry =
                    entry.with(FieldName::Operator, Actor::from(&principal)).with(FieldName::Reason, &reason);
                change.record(&AuditTenant(&principal).set(entry))?;
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    fn may_issue(&self, caller: &Caller, order: &OperatorOrder) -> Result<(), Error> {
        let OperatorOrder { role, tenant, name, validity, quota, .. } = order;
        check_file_name(name.as_str()).map_err(|error| Error::invalid(format_args!("name: {error}")))?;
        if !role.fits_tenant(tenant.is_some()) {
            let needs = if tenant.is_some() { "takes no tenant" } else { "takes a tenant" };
            return Err(Error::invalid(format_args!("tenant: role {role} {needs}")));
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
        if !(MIN_VALIDITY..=MAX_VALIDITY).contains(validity) {
            let message =
                format_args!("validity is {validity}; it takes {MIN_VALIDITY} to {MAX_VALIDITY} seconds");
            return Err(Error::invalid(message));
        }
        if *role != Role::Station && *quota != 0 {
            return Err(Error::invalid(format_args!("quota: role {role} takes none")));
        }
        Ok(())
    }

    /// A name is free once its last holder is revoked or expired.
    fn claim_name(&self, tx: &Tx<'_>, name_key: &[u8], serial: Serial) -> Result<Write, Stop> {
        let expect = match tx.get(Table::OperatorName, name_key)? {
            None => Expect::Absent,
            Some(row) => {
                let holder = Serial::from_bytes(Link::decode(Table::OperatorName, &row.value)?)
                    .map_err(Error::internal)?;
                let stands = self
                    .memory
                    .operator(&holder)
                    .is_some_and(|holder| !holder.is_revoked && holder.not_after >= self.time());
                if stands {
                    let message =
                        format_args!("the operator already exists, with serial {holder}; revoke it first");
                    return Err(Error::new(ErrorCode::OperatorExists, message).into());
                }
                Expect::Version(row.version)
            }
        };
        let (table, key) = (Table::OperatorName, name_key.to_vec());
        Ok(Write { table, key, expect, value: Some(Link::encode(serial.as_bytes())) })
    }

    fn operator(&self, serial: Serial, row: &OperatorRow) -> Result<Operator, Error> {
        Ok(Operator {
            not_before: row.not_before.get(),
            not_after: row.not_after.get(),
            revoked_at: row.revoked.as_ref().map(|(at, _)| at.get()),
            quota: row.quota,
            used: self.memory.enrolled_by(&serial),
            principal: row.principal(serial),
        })
    }
}

impl OperatorRow {
    pub(crate) fn new(principal: &Principal, validity: Validity, quota: u64) -> Self {
        Self {
            role: principal.role,
            tenant: principal.tenant.clone(),
            name: principal.name.clone(),
            not_before: UnixSeconds::new(validity.not_before()),
            not_after: UnixSeconds::new(validity.not_after()),
            revoked: None,
            quota,
        }
    }
}

/// An entry about an operator concerns the operator's tenant, regardless of the actor.
struct AuditTenant<'a>(&'a Principal);

impl AuditTenant<'_> {
    fn set(&self, entry: wardein_domain::AuditEntry) -> wardein_domain::AuditEntry {
        match &self.0.tenant {
            Some(tenant) => entry.in_tenant(tenant),
            None => entry,
        }
    }
}

fn no_operator(serial: &Serial) -> Error {
    Error::new(ErrorCode::OperatorUnknown, format_args!("there is no operator {serial}"))
}
