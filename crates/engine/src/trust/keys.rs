//! The keys that sign verdicts: made, published ahead, used, retired and erased by themselves.
//!
//! They are on P-256 and in custody as the CAs' keys are: sealed under the root key, opened in this process alone. A platform that verifies
//! holds public keys, so that no disk of a platform can forge a verdict.

use crate::approve::Ask;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::project::KnownVerdictKey;
use crate::rows::{self, VERDICT_KEYS, VerdictKeyColumn, VerdictKeyStage, VerdictKeysRow, verdict_key_place};
use std::sync::Arc;
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_domain::{Event, FieldName, GuardedDeed, Outcome, Reason, Target, UnixSeconds};
use wardein_pki::jose::{self, PublishedKey};
use wardein_port::{Change, Table};

impl Engine {
    /// Does what is due with the keys that sign verdicts; whether anything was. To be called about every hour. The first two keys are made
    /// at once. After 30 days the next one, published as long, signs, the former one's private half is erased, and another is made; what a
    /// former one signed can be verified for a day after that.
    pub async fn keep_verdict_keys(&self) -> Result<bool, Error> {
        // By a clock that is wrong all would seem to be due; but verdicts are signed by whatever clock there is.
        if !self.memory.verdict_keys().is_empty() && !self.clock.may_erase() {
            return Ok(false);
        }
        let made = P256SigningKey::generate_pkcs8().map_err(|_| no_entropy())?;
        let next = P256SigningKey::generate_pkcs8().map_err(|_| no_entropy())?;
        self.transact(|tx| {
            let found: Option<(u64, VerdictKeysRow)> = tx.row(Table::Authority, VERDICT_KEYS)?;
            let (version, before) = match found {
                Some((version, row)) => (Some(version), row),
                None => (None, VerdictKeysRow::default()),
            };
            let due = due(&before, self.time());
            if due.is_nothing() {
                return Ok(Decision::unchanged(false));
            }
            let mut change = Change::default();
            // No key is sealed under a version of the root key that is being left.
            self.rest_on_authority(tx, &mut change)?;
            let row = self.followed(tx, before, &due, (&made, &next))?;
            let active = row.keys.iter().find(|key| key.stage == VerdictKeyStage::Active);
            let active = active.map(|key| jose::key_thumbprint(&key.public)).unwrap_or_default();
            change.put(Table::Authority, VERDICT_KEYS.to_vec(), version, rows::encode(&row)?);
            let entry = record::of_system(self.clock.now_ms(), Event::VerdictKeysChanged);
            change.record(&entry.with(FieldName::VerdictKey, active))?;
            Ok(Decision::new(change, true))
        })
        .await
    }

    /// Replaces the key that signs verdicts at once, for one that leaked: it is published no more, and what it signed verifies nowhere once
    /// platforms have fetched the keys again. The next one, which they have, signs from now on; `with_next` replaces that, too. The name of
    /// the key that signs.
    pub async fn replace_verdict_key(
        &self,
        caller: &Caller,
        reason: Reason,
        with_next: bool,
    ) -> Result<String, Error> {
        use VerdictKeyStage::{Active, Next, Retired};
        let made = P256SigningKey::generate_pkcs8().map_err(|_| no_entropy())?;
        let next = P256SigningKey::generate_pkcs8().map_err(|_| no_entropy())?;
        self.transact_by(caller, |tx| {
            let found: Option<(u64, VerdictKeysRow)> = tx.row(Table::Authority, VERDICT_KEYS)?;
            let (version, before) =
                found.map_or_else(Default::default, |(version, row)| (Some(version), row));
            let mut change = Change::default();
            self.rest_on_authority(tx, &mut change)?;
            let mut keys = before.keys;
            let named = |keys: &[VerdictKeyColumn]| {
                let active = keys.iter().find(|key| key.stage == Active);
                active.map(|key| jose::key_thumbprint(&key.public)).unwrap_or_default()
            };
            let former = named(&keys);
            // What has retired signed before, and is erased.
            keys.retain(|key| key.stage == Retired || (key.stage == Next && !with_next));
            for key in keys.iter_mut().filter(|key| key.stage == Next) {
                (key.stage, key.since) = (Active, self.time());
            }
            if !keys.iter().any(|key| key.stage == Active) {
                keys.push(self.verdict_key(tx, &made, Active)?);
            }
            keys.push(self.verdict_key(tx, &next, Next)?);
            let active = named(&keys);
            let row = VerdictKeysRow { keys };
            change.put(Table::Authority, VERDICT_KEYS.to_vec(), version, rows::encode(&row)?);
            let entry = self.entry(caller, Event::VerdictKeysChanged, Target::Authority, Outcome::Done);
            let entry = entry.changed(FieldName::VerdictKey, &former, &active);
            change.record(&entry.with(FieldName::Reason, &reason))?;
            // The key that is meant is the one that signs now.
            let ask = Ask::new(GuardedDeed::ReplaceVerdictKey, None)
                .with("key_id", &former)
                .with("with_next", with_next)
                .with("reason", &reason);
            self.approved(caller, tx, &ask, Decision::new(change, active))
        })
        .await
    }

    fn followed(
        &self,
        tx: &Tx<'_>,
        before: VerdictKeysRow,
        due: &Due,
        (first, next): (&SecretBytes, &SecretBytes),
    ) -> Result<VerdictKeysRow, Stop> {
        use VerdictKeyStage::{Active, Next, Retired};
        let now = self.time();
        let mut keys = before.keys;
        if due.forgets {
            keys.retain(|key| !is_forgotten(key, now));
        }
        if due.follows {
            for key in &mut keys {
                match key.stage {
                    Active => (key.stage, key.since, key.sealed) = (Retired, now, Vec::new()),
                    Next => (key.stage, key.since) = (Active, now),
                    Retired => {}
                }
            }
        }
        let has = |keys: &[VerdictKeyColumn], stage| keys.iter().any(|key| key.stage == stage);
        if !has(&keys, Active) {
            keys.push(self.verdict_key(tx, first, Active)?);
        }
        if !has(&keys, Next) {
            keys.push(self.verdict_key(tx, next, Next)?);
        }
        Ok(VerdictKeysRow { keys })
    }

    fn verdict_key(
        &self,
        tx: &Tx<'_>,
        document: &SecretBytes,
        stage: VerdictKeyStage,
    ) -> Result<VerdictKeyColumn, Stop> {
        let damaged = |_| Error::internal("a key that was just made is damaged");
        let public = *P256SigningKey::from_pkcs8(document).map_err(damaged)?.verifying_key();
        let sealed = self.root.ring().seal(tx.nonce()?, verdict_key_place(&public), document.expose())?;
        Ok(VerdictKeyColumn { public, sealed, stage, since: self.time() })
    }

    /// The key that signs.
    pub(super) async fn verdict_signer(&self) -> Result<Arc<KnownVerdictKey>, Error> {
        if let Some(key) = self.memory.verdict_key() {
            return Ok(key);
        }
        // In the first second of an authority's first start.
        self.keep_verdict_keys().await?;
        self.memory.verdict_key().ok_or_else(|| Error::internal("no key signs verdicts"))
    }

    /// The keys that verify signed verdicts and status lists, as a JWK Set: the one that signs, the next one, and those that signed what
    /// may still be good.
    pub fn verdict_jwks(&self) -> String {
        let published = self.memory.verdict_keys().into_iter().map(|key| PublishedKey {
            key: key.public,
            retired_at: (key.stage == VerdictKeyStage::Retired).then_some(key.since.get()),
        });
        jose::jwks(&published.collect::<Vec<_>>())
    }
}

/// What is due.
struct Due {
    /// The next key signs, or there is none that does.
    follows: bool,
    /// There is no next one, or none that signs.
    lacks: bool,
    /// What a former one signed has ended.
    forgets: bool,
}

impl Due {
    fn is_nothing(&self) -> bool {
        !self.follows && !self.lacks && !self.forgets
    }
}

fn due(row: &VerdictKeysRow, now: UnixSeconds) -> Due {
    let of = |stage| row.keys.iter().find(|key| key.stage == stage);
    let is_over = |key: &VerdictKeyColumn| key.since.get().saturating_add(PERIOD) <= now.get();
    let (active, next) = (of(VerdictKeyStage::Active), of(VerdictKeyStage::Next));
    Due {
        follows: active.is_some_and(is_over) && next.is_some_and(is_over),
        lacks: active.is_none() || next.is_none(),
        forgets: row.keys.iter().any(|key| is_forgotten(key, now)),
    }
}

fn is_forgotten(key: &VerdictKeyColumn, now: UnixSeconds) -> bool {
    key.stage == VerdictKeyStage::Retired
        && key.since.get().saturating_add(MAX_RECEIPT_LIFETIME + SLACK) < now.get()
}

fn no_entropy() -> Error {
    Error::internal("no entropy for keys")
}

/// Seconds for which a key signs, and for which the next one is published before: 30 days, for platforms that fetch keys seldom.
const PERIOD: u64 = 30 * 86_400;

/// The most seconds for which something that these keys sign is good: as long as a profile lets a verdict be kept.
pub(crate) const MAX_RECEIPT_LIFETIME: u64 = 86_400;

/// Seconds more for which a former key is published: a verdict may be signed by it while it retires, and clocks differ.
const SLACK: u64 = 3_600;
