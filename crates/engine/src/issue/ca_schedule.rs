//! What becomes of the authority's CAs by itself: the next one is made and published ahead, switched to, and the former one retired;
//! the infrastructure CA is certified for longer. And how long each is valid, for who watches.

use crate::issue::ca_changes::By;
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Engine, Error};
use crate::project::KnownCa;
use crate::rows::{self, AUTHORITY, Link};
use crate::{Ca, CaOrder};
use wardein_domain::{CaId, CaState, Event, FieldName, Profile};
use wardein_pki::{INTERMEDIATE_LIFETIME, Validity};
use wardein_port::{Change, Table};

/// A certificate of the authority's own, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Whose it is.
    pub of: Own,
    /// The last Unix second of it.
    pub not_after: u64,
}

/// The holders of the authority's own certificates, but for the server, which has a new one every few weeks; and what ends as they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Own {
    /// The root.
    Root,
    /// The CA of operators and servers.
    Infrastructure,
    /// A CA of devices that issues, or will.
    Issuing(CaId),
    /// The chain of a CA of devices to the root of another PKI, handed out as long as it is valid.
    Cross(CaId),
    /// The root's revocation list, signed when the root's key was exported.
    RootCrl,
}

impl Engine {
    /// The authority's own certificates, and when they end: the root, the infrastructure CA, and the CAs of devices that issue or will; and
    /// the root's revocation list, where its key is offline.
    pub fn expiries(&self) -> Result<Vec<Expiry>, Error> {
        let expiry = |of, validity: Validity| Expiry { of, not_after: validity.not_after() };
        let mut found = vec![
            expiry(Own::Root, self.authority.root.validity()),
            expiry(Own::Infrastructure, self.memory.infrastructure()?.certificate().validity()),
        ];
        let issue = |ca: &KnownCa| matches!(ca.state, CaState::Next | CaState::Active);
        for ca in self.memory.cas().into_iter().filter(|ca| issue(ca)) {
            found.push(expiry(Own::Issuing(ca.id), ca.certificate.validity()));
            found.extend(ca.cross.as_ref().map(|chain| expiry(Own::Cross(ca.id), chain.validity())));
        }
        let list = self.exported_crl_until();
        found.extend(list.map(|not_after| Expiry { of: Own::RootCrl, not_after }));
        Ok(found)
    }

    /// Does what is due with the CAs, and gives those that came into another state. To be called about every hour: in the last quarter of
    /// the active one's time the next one is made, and certifies devices 30 days later; the former one is retired when all that it
    /// issued has expired. One that is impossible, as without the root's key, holds up no other: the first failure is given at the end.
    pub async fn keep_cas(&self) -> Result<Vec<Ca>, Error> {
        let mut done = Vec::new();
        let mut outcome = Ok(());
        let mut note = |kept: Result<Option<Ca>, Error>| match kept {
            Ok(changed) => done.extend(changed),
            Err(error) if outcome.is_ok() => outcome = Err(error),
            Err(_) => {}
        };
        // By a clock that is wrong, all of it would seem to be due.
        if !self.clock.may_erase() {
            return Ok(Vec::new());
        }
        note(self.keep_infrastructure().await.map(|()| None));
        for ca in self.memory.cas() {
            note(self.keep_ca(&ca).await);
        }
        outcome.map(|()| done)
    }

    async fn keep_ca(&self, ca: &KnownCa) -> Result<Option<Ca>, Error> {
        let now = self.now();
        match ca.state {
            CaState::Active if is_due(ca.certificate.validity(), now) => {
                let next = self.memory.ca_of(ca.tenant.as_ref(), CaState::Next);
                match next {
                    Some(next) if self.may_follow(ca, &next) => {
                        self.switch_to(By::Schedule, next.id).await.map(Some)
                    }
                    None if self.may_last_longer(ca.certificate.validity()) => {
                        let (tenant, algorithm) = (ca.tenant.clone(), ca.algorithm());
                        self.make_ca(By::Schedule, CaOrder { tenant, algorithm, is_next: true })
                            .await
                            .map(Some)
                    }
                    _ => Ok(None),
                }
            }
            CaState::Retiring if ca.ended_at() < now => self.end_ca(By::Schedule, ca.id).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Whether it was published long enough, or the active one will soon cut what it issues.
    fn may_follow(&self, active: &KnownCa, next: &KnownCa) -> bool {
        let now = self.now();
        let is_known = next.since.get().saturating_add(PUBLISHED_FOR) <= now;
        let left = active.certificate.validity().not_after().saturating_sub(now);
        is_known || left <= Profile::MAX_CERTIFICATE_VALIDITY
    }

    /// Whether another certificate would last longer: none outlives the root.
    fn may_last_longer(&self, validity: Validity) -> bool {
        self.authority.root.validity().not_after() > validity.not_after()
    }

    /// Certifies the infrastructure CA again, with the key and the name that it has: what it issued is its own still, and clients that
    /// trust its former certificate trust this one.
    async fn keep_infrastructure(&self) -> Result<(), Error> {
        let infrastructure = self.memory.infrastructure()?;
        let (validity, now) = (infrastructure.certificate().validity(), self.now());
        if !is_due(validity, now) || !self.may_last_longer(validity) {
            return Ok(());
        }
        let key = infrastructure.certificate().verifying_key().clone();
        let root_validity = self.authority.root.validity();
        let validity = Validity::starting(now, INTERMEDIATE_LIFETIME)
            .and_then(|validity| validity.within(root_validity))
            .map_err(Error::internal)?;
        let prepared = self
            .transact(|tx| {
                let mut change = Change::default();
                let (version, row) = self.authority_row(tx)?;
                let root = self.open_root(&row)?;
                let serial = new_serial(tx.draw())?;
                let order = root.infrastructure_order(&key, serial, validity).map_err(Error::internal)?;
                change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"ca"));
                match self.certify(&root, &order, &mut change)? {
                    Certified::Signed(issued) => {
                        self.put_infrastructure(&mut change, (version, row), issued.der())?;
                        Ok(Decision::new(change, None))
                    }
                    Certified::Prepared(tbs) => Ok(Decision::new(change, Some((root, tbs)))),
                }
            })
            .await?;
        if let Some((root, tbs)) = prepared {
            self.complete(&root, tbs, |tx, issued, change| {
                Ok(self.put_infrastructure(change, self.authority_row(tx)?, issued.der())?)
            })
            .await?;
        }
        Ok(())
    }

    fn put_infrastructure(
        &self,
        change: &mut Change,
        (version, mut row): (u64, rows::AuthorityRow),
        der: &[u8],
    ) -> Result<(), Error> {
        row.infrastructure_der = der.to_vec();
        change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(&row)?);
        let not_after = wardein_pki::CaCertificate::<wardein_pki::Infrastructure>::parse(der)
            .map_err(Error::internal)?
            .validity()
            .not_after();
        let entry = record::of_system(self.clock.now_ms(), Event::InfrastructureRenewed);
        change.record(&entry.with(FieldName::NotAfter, not_after))
    }
}

/// Whether a CA is in the last quarter of its time: two and a half of ten years.
fn is_due(validity: Validity, now: u64) -> bool {
    let (from, until) = (validity.not_before(), validity.not_after());
    now >= until.saturating_sub(until.saturating_sub(from) / 4)
}

/// Seconds for which the next CA is published before it issues: 30 days, for relying parties that keep a list of CAs.
const PUBLISHED_FOR: u64 = 30 * 86_400;
