//! The CAs that certify devices, opened.

use crate::issue::ca_keys::{ca_of, signer_or_absent};
use crate::kernel::Error;
use crate::rows::seal::Keyring;
use crate::rows::{self, CaKeyColumn, IssuingCaRow, ca_place};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_domain::{CaId, CaState, TenantId, UnixSeconds};
use wardein_pki::{CaCertificate, CrossChain, Issuing, IssuingCa, RevocationUrl};
use wardein_port::{Signers, Table};

/// All of them, of any state.
pub(super) struct Cas {
    all: RwLock<HashMap<CaId, Arc<KnownCa>>>,
    /// Where their certificates say that verifiers find what is revoked.
    revocation_url: Option<RevocationUrl>,
}

/// A CA that certifies devices.
pub(crate) struct KnownCa {
    pub(crate) id: CaId,
    /// The version of its row.
    pub(crate) version: u64,
    /// Whose devices it certifies; none: of all tenants that have no CA of their own.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) state: CaState,
    pub(crate) certificate: CaCertificate<Issuing>,
    /// None where the key is erased.
    key: Option<IssuingCa>,
    pub(crate) made_at: UnixSeconds,
    /// Since when it is in its state.
    pub(crate) since: UnixSeconds,
    /// Its certificate by another PKI, with those that lead to that one's root.
    pub(crate) cross: Option<CrossChain>,
}

impl KnownCa {
    /// The CA with its key.
    pub(crate) fn key(&self) -> Result<&IssuingCa, Error> {
        self.key.as_ref().ok_or_else(|| Error::internal("the key of a CA that is retired is erased"))
    }

    /// Whether its key is there: once it has retired it is not, also where it is distrusted after that.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether its key is in another process.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.key.as_ref().is_some_and(IssuingCa::is_external)
    }

    /// What is handed out beside its own certificate at a Unix second.
    pub(crate) fn cross_at(&self, now: u64) -> &[Vec<u8>] {
        let chain = self.cross.as_ref().filter(|chain| chain.validity().contains(now));
        chain.map_or(&[], CrossChain::certificates)
    }

    /// Whether devices of this tenant may show its certificates.
    pub(crate) fn certifies(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }
}

impl Cas {
    pub(super) fn new(revocation_url: Option<RevocationUrl>) -> Self {
        Self { all: RwLock::default(), revocation_url }
    }

    pub(super) fn get(&self, id: &CaId) -> Option<Arc<KnownCa>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<KnownCa>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = all.values().cloned().collect();
        all.sort_by_key(|ca| (ca.made_at, ca.id));
        all
    }

    /// The one in a state of exactly this tenant, or of no tenant. Of the states next and active a tenant has at most one.
    pub(super) fn of(&self, tenant: Option<&TenantId>, state: CaState) -> Option<Arc<KnownCa>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|ca| ca.tenant.as_ref() == tenant && ca.state == state).cloned()
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |ca: &Arc<KnownCa>| {
            let KnownCa { id, version, tenant, state, key, made_at, since, cross, .. } = &**ca;
            let (has_key, has_cross) = (key.is_some(), cross.is_some());
            format!(
                "CA {id} at {version}: {tenant:?}, {state}, {has_key}, {made_at:?}, {since:?}, {has_cross}"
            )
        };
        self.all().iter().map(line).collect()
    }

    /// Applies a row of the table, unless a later version is known. `signers` have the keys that are in another process.
    pub(super) fn put(
        &self,
        key: &[u8],
        version: u64,
        (root, signers): (&Keyring, &Arc<dyn Signers>),
        value: &[u8],
    ) -> Result<(), Error> {
        let id = rows::parse_ca_key(key)?;
        let row: IssuingCaRow = rows::decode(Table::IssuingCa, value)?;
        let damaged = |_| rows::damaged(Table::IssuingCa, "holds no certificate of such a CA");
        let certificate = CaCertificate::<Issuing>::parse(&row.der).map_err(damaged)?;
        if certificate.key_id() != id.as_bytes() {
            return Err(rows::damaged(Table::IssuingCa, "holds another CA than its key says"));
        }
        let key: Option<IssuingCa> = match &row.key {
            CaKeyColumn::Sealed(sealed) => {
                Some(ca_of(Some(root.open(ca_place(&id), sealed)?), &**signers, &row.der)?)
            }
            CaKeyColumn::Elsewhere => {
                let signer = signer_or_absent(signers, certificate.verifying_key());
                Some(IssuingCa::load(signer, &row.der).map_err(Error::internal)?)
            }
            CaKeyColumn::Erased => None,
        };
        let key = key.map(|key| key.with_revocation_url(self.revocation_url.clone()));
        let IssuingCaRow { tenant, state, made_at, since, cross, .. } = row;
        let damaged = |_| rows::damaged(Table::IssuingCa, "holds no chain of another PKI");
        let cross = (!cross.is_empty()).then(|| CrossChain::of(cross)).transpose().map_err(damaged)?;
        let known = KnownCa { id, version, tenant, state, certificate, key, made_at, since, cross };
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.get(&id).is_none_or(|present| present.version < version) {
            all.insert(id, Arc::new(known));
        }
        Ok(())
    }
}
