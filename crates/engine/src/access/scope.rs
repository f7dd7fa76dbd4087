//! Which tenants a caller sees.

use crate::kernel::{Caller, Engine, Error};
use wardein_domain::TenantId;

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
