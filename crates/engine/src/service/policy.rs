//! What a tenant allows its visits.

use crate::kernel::record::{Recording, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, ServicePolicyRow};
use wardein_crypto::P256SigningKey;
use wardein_domain::{Event, FieldName, Outcome, ServicePolicy, ServiceScope, Target, TenantId};
use wardein_port::{Change, Table};

impl Engine {
    /// The service policy of a tenant; the default where none was set.
    pub async fn get_service_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
    ) -> Result<ServicePolicy, Error> {
        self.require_tenant(caller, tenant)?;
        self.look(|tx| Ok(service_policy(tx, tenant)?.1)).await
    }

    /// Sets the service policy of a tenant. Visits that were invited before stay as they are.
    pub async fn put_service_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        policy: ServicePolicy,
    ) -> Result<(), Error> {
        self.require_tenant(caller, tenant)?;
        // Of use where the tenant has no SSH CA yet.
        let document =
            P256SigningKey::generate_pkcs8().map_err(|_| Error::internal("no entropy for keys"))?;
        self.transact_by(caller, |tx| {
            let (version, before) = service_policy(tx, tenant)?;
            let mut change = Change::default();
            if before == policy {
                return Ok(Decision::new(change, ()));
            }
            if policy.is_released_at_device() {
                // The proof of a device brings no key that could become the CA: it is there before the first such release.
                self.ensure_service_ca(tx, tenant, &document, &mut change)?;
            }
            let row = ServicePolicyRow::new(&policy);
            let target = Target::Tenant(tenant.clone());
            change.put(Table::ServicePolicy, rows::tenant_prefix(tenant), version, rows::encode(&row)?);
            let entry = self
                .entry(caller, Event::ServicePolicyPut, target, Outcome::Done)
                .in_tenant(tenant)
                .changed(FieldName::ServiceScope, scopes(&before), scopes(&policy))
                .changed(FieldName::LongestVisit, before.longest().get(), policy.longest().get())
                .changed(
                    FieldName::ReleaseAtDevice,
                    before.is_released_at_device(),
                    policy.is_released_at_device(),
                );
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

/// The policy of a tenant, with the version of its row if there is one.
pub(super) fn service_policy(tx: &Tx<'_>, tenant: &TenantId) -> Result<(Option<u64>, ServicePolicy), Stop> {
    let found: Option<(u64, ServicePolicyRow)> =
        tx.row(Table::ServicePolicy, &rows::tenant_prefix(tenant))?;
    let (version, row) = found.unzip();
    let policy = row.as_ref().map(ServicePolicyRow::policy).transpose()?.unwrap_or_default();
    Ok((version, policy))
}

/// The scopes, with commas.
pub(super) fn scopes(policy: &ServicePolicy) -> String {
    listed(&policy.scopes().map(ServiceScope::as_str).collect::<Vec<_>>())
}
