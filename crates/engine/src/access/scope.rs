//! Which tenants a caller sees.

use crate::kernel::{Caller, Engine, Error};
use wardein_domain::{Principal, TenantId};

impl Engine {
    /// The tenant that the caller asks about, or its own. None means all, for callers that see all.
    pub(crate) fn visible_tenant(
        &self,
        caller: &Caller,
        asked: Option<TenantId>,
    ) -> Result<Option<TenantId>, Error> {
        match asked {
            Some(tenant) => self.require_tenant(caller, &tenant).map(|()| Some(tenant)),
            None => Ok(caller.principal.tenant.clone()),
        }
    }

    /// Refuses a tenant that does not exist, or that the caller may not see: the two look the same.
    pub(crate) fn require_tenant(&self, caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
        let is_seen = caller.principal.may_see(tenant) && self.memory.has_tenant(tenant);
        is_seen.then_some(()).ok_or_else(|| Error::no_tenant(tenant))
    }
}

/// Whether an operator, or an invitation to be one, of that tenant is the caller's to revoke. Those without a tenant are not those of a
/// tenant's administrator.
pub(super) fn is_own(caller: &Principal, tenant: Option<&TenantId>) -> bool {
    match (&caller.tenant, tenant) {
        (None, _) => true,
        (Some(own), Some(tenant)) => own == tenant,
        (Some(_), None) => false,
    }
}
