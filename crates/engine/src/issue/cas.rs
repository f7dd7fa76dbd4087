//! The CAs that certify devices: which one issues, whose certificates are recognized, and what is published of them.

use crate::issue::authority::FormerRoot;
use crate::kernel::{Caller, Engine, Error, Page, Paged};
use crate::project::KnownCa;
use crate::rows::{self, AuthorityRow, IssuingCaRow};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, VerifyingKey};
use wardein_domain::{
    CaId, CaState, ErrorCode, KeyPurposes, PlatformProfile, Profile, RevocationReason, TenantId,
};
use wardein_pki::{
    CaCertificate, CertificateError, DeviceIdentity, Issuing, RevokedCertificate, issuer_key_id, pem,
};
use wardein_port::{Store, Table};

/// A CA that certifies devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    /// The key identifier in its certificate.
    pub id: CaId,
    /// Whose devices it certifies; none: of all tenants that have no CA of their own.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub state: CaState,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// Unix seconds from which its certificate is valid.
    pub not_before: u64,
    /// Unix seconds until which its certificate is valid.
    pub not_after: u64,
    /// Unix seconds at which it was made.
    pub made_at: u64,
    /// Unix seconds since which it is in its state.
    pub since: u64,
    /// Unix seconds from which all that it issued has expired, where it issues no more.
    pub ended_at: Option<u64>,
    /// Its certificate, DER.
    pub der: Vec<u8>,
    /// Its certificate by another PKI and those that lead to that one's root, without it, DER; empty where there is none.
    pub cross: Vec<Vec<u8>>,
}

impl Engine {
    /// The CAs that certify devices, of all states, the oldest first. Each is named by its key identifier.
    pub fn issuing_cas(&self) -> Vec<Ca> {
        self.memory.cas().iter().map(|ca| ca.shown()).collect()
    }

    /// The same for an operator: of a tenant those that certify its devices, page by page in the order of their ids.
    pub fn list_cas(
        &self,
        caller: &Caller,
        tenant: Option<&TenantId>,
        page: &Page,
    ) -> Result<Paged<Ca>, Error> {
        let (limit, own) = (page.limit()?, caller.principal.tenant.as_ref());
        tenant.map_or(Ok(()), |tenant| self.require_tenant(caller, tenant))?;
        let mut cas = self.memory.cas();
        cas.retain(|ca| tenant.or(own).is_none_or(|tenant| ca.certifies(tenant)));
        cas.sort_by_key(|ca| ca.id);
        let after = page.after.as_deref();
        let mut rest = cas.iter().skip_while(|ca| after.is_some_and(|after| &ca.id.as_bytes()[..] <= after));
        let items: Vec<_> = rest.by_ref().take(limit).map(|ca| ca.shown()).collect();
        let next = rest.next().and(items.last()).map(|last| last.id.as_bytes().to_vec());
        Ok(Paged { items, next })
    }

    /// The CA that certifies devices of a tenant now: its own, or the authority's.
    pub(crate) fn issuer_of(&self, tenant: &TenantId) -> Result<Arc<KnownCa>, Error> {
        self.memory.issuer(tenant).ok_or_else(|| {
            let message = format_args!("no CA certifies devices of tenant {tenant} at present");
            Error::new(ErrorCode::CaMissing, message)
        })
    }

    /// Reads a device's certificate that one of the CAs signed. One of a tenant's CA that names a device of another tenant is none:
    /// the CA's certificate does not bound the names in it.
    pub(crate) fn recognize(&self, der: &[u8]) -> Result<DeviceIdentity, CertificateError> {
        let id = CaId::new(issuer_key_id(der)?);
        let ca = self.memory.ca(&id).ok_or(CertificateError::Issuer)?;
        let identity = ca.certificate.recognize(der)?;
        ca.certifies(&identity.tenant).then_some(identity).ok_or(CertificateError::Issuer)
    }

    /// The root and the published CAs that devices of a tenant are certified by, PEM.
    pub(crate) fn device_bundle(&self, tenant: &TenantId) -> String {
        self.bundle_pem(|ca| ca.certifies(tenant))
    }

    /// The root and those of the published CAs, PEM.
    pub(crate) fn bundle_pem(&self, which: impl Fn(&KnownCa) -> bool) -> String {
        let cas = self.memory.cas();
        let published = cas.iter().filter(|ca| ca.state.is_published() && which(ca));
        let issuing = published.map(|ca| ca.certificate.der());
        let former = self.authority.former.as_ref().map(|former| former.certificate.der());
        let all = [self.authority.root.der()].into_iter().chain(former).chain(issuing);
        pem::encode_certificates(all).expect("certificates that were read can be written")
    }
}

impl KnownCa {
    pub(crate) fn shown(&self) -> Ca {
        let (validity, since) = (self.certificate.validity(), self.since.get());
        let has_left = matches!(self.state, CaState::Retiring | CaState::Retired);
        Ca {
            id: self.id,
            tenant: self.tenant.clone(),
            state: self.state,
            algorithm: self.algorithm(),
            not_before: validity.not_before(),
            not_after: validity.not_after(),
            made_at: self.made_at.get(),
            since,
            ended_at: has_left.then(|| self.ended_at()),
            der: self.certificate.der().to_vec(),
            cross: self.cross.as_ref().map_or_else(Vec::new, |chain| chain.certificates().to_vec()),
        }
    }

    /// From which Unix second all that it issued until it came into its state has expired.
    pub(super) fn ended_at(&self) -> u64 {
        // What it may have signed firmware for, it answers for as long.
        let most = match self.certificate.purposes().includes(KeyPurposes::CODE) {
            true => *PlatformProfile::FirmwareSigning.validity().end(),
            false => Profile::MAX_CERTIFICATE_VALIDITY,
        };
        let longest = self.since.get().saturating_add(most);
        longest.min(self.certificate.validity().not_after())
    }

    /// The algorithm of its key, for one like it.
    pub(super) fn algorithm(&self) -> KeyAlgorithm {
        match self.certificate.verifying_key() {
            VerifyingKey::P256(_) => KeyAlgorithm::P256,
            VerifyingKey::P384(_) => KeyAlgorithm::P384,
            VerifyingKey::Rsa(key) if key.bits() <= 3072 => KeyAlgorithm::Rsa3072,
            VerifyingKey::Rsa(_) => KeyAlgorithm::Rsa4096,
        }
    }
}

/// What a store that no engine serves publishes beside its root: the former root, as long as it is trusted, and the CAs, DER.
pub(crate) async fn published(store: &dyn Store, row: &AuthorityRow) -> Result<Vec<Vec<u8>>, Error> {
    let former = FormerRoot::load(store).await?;
    let former = former.map(|former| former.certificate.der().to_vec());
    Ok(former.into_iter().chain(issuing(store, row).await?).collect())
}

/// The certificates of the published CAs of such a store, DER. Until format 4 the authority's row has the only one.
pub(crate) async fn issuing(store: &dyn Store, row: &AuthorityRow) -> Result<Vec<Vec<u8>>, Error> {
    let mut ders = Vec::new();
    if !row.issuing_der.is_empty() {
        ders.push(row.issuing_der.clone());
    }
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(Table::IssuingCa, b"", after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(ders) };
        after = Some(last.clone());
        for (_, row) in &page {
            let row: IssuingCaRow = rows::decode(Table::IssuingCa, &row.value)?;
            if row.state.is_published() {
                ders.push(row.der);
            }
        }
    }
}

/// The CAs of such a store that are distrusted and whose own time is not over, as they are on the root's list.
pub(crate) async fn distrusted(store: &dyn Store, now: u64) -> Result<Vec<RevokedCertificate>, Error> {
    let (mut revoked, mut after): (Vec<_>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let page = store.scan(Table::IssuingCa, b"", after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (_, row) in &page {
            let row: IssuingCaRow = rows::decode(Table::IssuingCa, &row.value)?;
            let certificate = CaCertificate::<Issuing>::parse(&row.der).map_err(Error::internal)?;
            if row.state == CaState::Distrusted && certificate.validity().not_after() >= now {
                revoked.push(revoked_ca(&certificate, row.since.get(), now));
            }
        }
    }
    revoked.sort_unstable_by_key(|revoked| revoked.serial);
    Ok(revoked)
}

/// A CA that is distrusted, as it is on the root's list. Verifiers pass over a date to come, as a clock that ran ahead leaves.
pub(crate) fn revoked_ca(ca: &CaCertificate<Issuing>, since: u64, now: u64) -> RevokedCertificate {
    RevokedCertificate { serial: ca.serial(), at: since.min(now), reason: RevocationReason::KeyCompromise }
}

/// Rows read at a time.
const PAGE: usize = 256;
