//! From rules, the states of devices and eras of the clock to the certificates that they revoke.

use super::Memory;
use super::revoked::{Entry, LISTED_AFTER_END, Place, Revoked};
use crate::kernel::Error;
use crate::rows::{self, CertificateRow, Holder, Revocation};
use wardein_ddkg::DeviceName;
use wardein_domain::{RevocationReason, Serial, UnixSeconds};
use wardein_pki::RevokedCertificate;
use wardein_port::{Store, Table};

impl Memory {
    /// Looks at the certificates of which a rule, the state of a device or an era of the clock has changed since. It goes on with the
    /// rest where a part fails, and looks there again at the next call.
    pub(crate) async fn expand_revocations(&self, store: &dyn Store) -> Result<(), Error> {
        let mut outcome = Ok(());
        for place in self.revoked.take_due(self.clock.now()) {
            if let Err(error) = self.expand(store, &place).await {
                self.revoked.look_at(place);
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn expand(&self, store: &dyn Store, place: &Place) -> Result<(), Error> {
        let prefix = match place {
            Place::Device(name) => rows::certificate_prefix(&name.tenant, &name.device),
            Place::Tenant(tenant) => rows::tenant_prefix(tenant),
            Place::All => Vec::new(),
        };
        // What an era that ran ahead took for expired may be valid in the next one.
        if *place == Place::All {
            self.take_in_singles(store).await?;
        }
        let now = self.clock.now().get();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(Table::Certificate, &prefix, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, row) in &page {
                let row: CertificateRow = rows::decode(Table::Certificate, &row.value)?;
                if row.not_after.get().saturating_add(LISTED_AFTER_END) <= now {
                    continue;
                }
                let (holder, serial) = rows::parse_certificate_key(key)
                    .ok_or_else(|| rows::damaged(Table::Certificate, "has a damaged key"))?;
                let ca = row.ca()?;
                let revoked = self.derived_revocation(&holder, &ca, &row);
                let entry = revoked.map(|Revoked { at, code, .. }| Entry {
                    at: UnixSeconds::new(at),
                    code,
                    not_after: row.not_after,
                });
                self.revoked.derive(ca, serial, entry);
            }
        }
    }

    /// Takes in the certificates that are revoked by themselves, as far as they are not known.
    async fn take_in_singles(&self, store: &dyn Store) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page =
                store.scan(Table::Revocation, &rows::REVOKED_CERTIFICATES, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, row) in &page {
                if let Revocation::Certificate(serial) = rows::parse_revocation_key(key)? {
                    self.revoked.put(serial, row.version, &rows::decode(Table::Revocation, &row.value)?);
                }
            }
        }
    }

    /// Why a certificate counts as revoked that is not so by itself: by an era of the clock, a rule, or the state of its device.
    pub(crate) fn derived_revocation(
        &self,
        holder: &Holder,
        ca: &[u8; 20],
        row: &CertificateRow,
    ) -> Option<Revoked> {
        self.ruled_revocation(holder, ca, row).or_else(|| self.revocation_by_state(holder.device()?))
    }

    /// The same but for the state of its device.
    pub(crate) fn ruled_revocation(
        &self,
        holder: &Holder,
        ca: &[u8; 20],
        row: &CertificateRow,
    ) -> Option<Revoked> {
        if let Some(began) = self.clock.ran_ahead(row.era, row.issued_at) {
            let reason = "issued by a clock that ran ahead".parse().expect("the constant is a reason");
            return Some(Revoked { at: began.get(), code: RevocationReason::Superseded, reason });
        }
        let rule = self.revocation_rule((holder.tenant(), holder.device()), ca, row.issued_at)?;
        Some(Revoked { at: rule.at.get(), code: rule.code, reason: rule.reason })
    }

    /// Why all certificates of a device count as revoked, if its state says so.
    pub(crate) fn revocation_by_state(&self, name: &DeviceName) -> Option<Revoked> {
        let known = self.device(name)?;
        let code = known.state.revokes()?;
        let reason =
            format!("the device is {}", known.state).parse().expect("the words of a state are plain");
        Some(Revoked { at: known.state_since.get(), code, reason })
    }

    /// Whether a certificate of that CA is revoked, and why. Of one of which a rule or a state has changed within a second it may still
    /// say what was before.
    pub(crate) fn find_revoked(&self, ca: &[u8; 20], serial: &Serial) -> Option<Entry> {
        self.revoked.find(ca, serial)
    }

    /// The revoked certificates of a CA, in order of their serials. Those that have expired are listed for two days more, so that each
    /// is on a list that was made after its end (RFC 5280 §5).
    pub(crate) fn revoked_of(&self, ca: &[u8; 20]) -> Vec<RevokedCertificate> {
        let (now, mut all, mut after) = (self.clock.now(), Vec::new(), None);
        loop {
            let (mut some, last) = self.revoked.some(ca, after, now);
            all.append(&mut some);
            match last {
                Some(last) => after = Some(last),
                None => return all,
            }
        }
    }

    /// Drops those that are listed no more.
    pub(crate) fn forget_expired_revocations(&self) {
        self.revoked.forget_expired(self.clock.now());
    }

    /// Rises when the list of that CA's revoked certificates changes.
    pub(crate) fn revocation_changes(&self, ca: &[u8; 20]) -> u64 {
        self.revoked.changes(ca)
    }
}

/// Rows that are read at a time.
const PAGE: usize = 256;
