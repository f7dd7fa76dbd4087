//! What is asked: a deed with all its fields, as an approver is shown it and as its digest covers it.

use crate::rows::AskedRow;
use wardein_crypto::Digest;
use wardein_domain::{GuardedDeed, Principal, TenantId};

/// A deed that may need a second person. Its fields say all that the deed depends on of the request, under the names of the request's
/// fields; bytes are there by their SHA-256, in hex.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(super) deed: GuardedDeed,
    pub(super) tenant: Option<TenantId>,
    pub(super) fields: Vec<AskedRow>,
}

impl Ask {
    /// A deed within a tenant; none for one of the authority.
    pub(crate) fn new(deed: GuardedDeed, tenant: Option<&TenantId>) -> Self {
        Self { deed, tenant: tenant.cloned(), fields: Vec::new() }
    }

    /// With one more field. A name may come several times.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push(AskedRow { name: name.to_owned(), value: value.to_string() });
        self
    }

    /// With a field for each of these.
    pub(crate) fn with_each(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = impl ToString>,
    ) -> Self {
        values.into_iter().fold(self, |ask, value| ask.with(name, value))
    }

    /// SHA-256 over all of it. Each part comes with its length, so that no two asks have the same bytes.
    pub(super) fn digest(&self) -> [u8; 32] {
        let tenant = self.tenant.as_ref().map_or("", TenantId::as_str);
        let parts = [LABEL, self.deed.as_str(), tenant].into_iter();
        let fields = self.fields.iter().flat_map(|field| [field.name.as_str(), field.value.as_str()]);
        let mut bytes = Vec::new();
        for part in parts.chain(fields) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        Digest::of(&bytes).0
    }
}

/// Whether that operator may call such a deed of that tenant, or of the authority.
pub(super) fn may_decide(deed: GuardedDeed, tenant: Option<&TenantId>, who: &Principal) -> bool {
    deed.method().allows(Some(who.role)) && is_within(who, tenant)
}

/// Whether what is of that tenant, or of the authority, is that operator's to see.
pub(super) fn is_within(who: &Principal, tenant: Option<&TenantId>) -> bool {
    match tenant {
        Some(tenant) => who.may_see(tenant),
        None => who.tenant.is_none(),
    }
}

/// So that it is the digest of nothing else.
const LABEL: &str = "wardein proposal 1";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_part_of_what_is_asked_is_in_its_digest() {
        let tenant = "t".parse().unwrap();
        let of = |deed, tenant| Ask::new(deed, tenant);
        let revoke = of(GuardedDeed::RevokeDevice, Some(&tenant));
        let asks = [
            revoke.clone(),
            of(GuardedDeed::RevokeDevice, None),
            of(GuardedDeed::ShredDevice, Some(&tenant)),
            revoke.clone().with("device_id", "a"),
            revoke.clone().with("device", "a"),
            revoke.clone().with("device_id", "b"),
            revoke.clone().with("device_id", "a").with("device_id", "a"),
            revoke.clone().with("device_id", "ab").with("reason", "c"),
            revoke.clone().with("device_id", "a").with("reason", "bc"),
            revoke.with("reason", "bc").with("device_id", "a"),
        ];
        let digests: BTreeSet<_> = asks.iter().map(Ask::digest).collect();
        assert_eq!(digests.len(), asks.len());
    }
}
