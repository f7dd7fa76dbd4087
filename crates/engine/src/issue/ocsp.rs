//! Answers about single certificates (RFC 6960), by a responder of each CA whose key is in this process and lives for days.
//!
//! What is said is what is on record, at once; lists follow within seconds. An answer without a nonce is signed once and kept while it is
//! true and fresh.

use crate::issue::apart::apart;
use crate::issue::prepared::{Certified, refused};
use crate::issue::serial::new_serial;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Engine, Error};
use crate::project::KnownCa;
use crate::rows::Link;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Semaphore;
use wardein_crypto::{KeyAlgorithm, SecretBytes, SigningKey};
use wardein_domain::{Event, FieldName, Serial};
use wardein_pki::{
    CLOCK_SKEW, OcspAnswer, OcspCertId, OcspError, OcspRequest, OcspSigner, OcspStatus, Validity,
};
use wardein_port::{Change, Table};

/// The responders, by the key identifiers of their CAs, and the answers that are kept.
#[derive(Default)]
pub(crate) struct Responders {
    signers: RwLock<HashMap<[u8; 20], Arc<OcspSigner>>>,
    kept: Mutex<HashMap<OcspCertId, Kept>>,
    signing: Signing,
}

/// Places for answers that are being signed: by an RSA key each takes a thread, which goes on where its caller has left.
struct Signing(Arc<Semaphore>);

impl Default for Signing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_SIGNING)))
    }
}

/// An answer without a nonce.
struct Kept {
    status: OcspStatus,
    /// The revision at which that was the status.
    revision: u64,
    reply: OcspReply,
}

/// An answer, for HTTP to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspReply {
    /// The OCSPResponse, DER.
    pub der: Arc<[u8]>,
    /// Unix seconds from and until which it may be kept; none where it may not.
    pub kept: Option<(u64, u64)>,
}

/// A status as verifiers take it: they pass over a revocation of a time to come, which a clock that ran ahead left.
fn said(status: OcspStatus, now: u64) -> OcspStatus {
    match status {
        OcspStatus::Revoked { at, reason } => OcspStatus::Revoked { at: at.min(now), reason },
        other => other,
    }
}

impl Responders {
    /// Drops the responders of other CAs than these.
    fn keep(&self, cas: &[Arc<KnownCa>]) {
        let is_kept = |id: &[u8; 20]| cas.iter().any(|ca| ca.id.as_bytes() == id);
        self.signers.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| is_kept(id));
    }
}

impl From<OcspError> for OcspReply {
    fn from(error: OcspError) -> Self {
        Self { der: Arc::new(error.der()), kept: None }
    }
}

impl Engine {
    /// Answers a request. What cannot be answered is an answer too, and says no more than the protocol's word for it. `may_sign` is asked
    /// before something is signed: not of an answer that is kept. An error is a fault of this authority, and `internalError` to the asker.
    pub async fn answer_ocsp(
        &self,
        request: &OcspRequest,
        may_sign: impl FnOnce() -> bool,
    ) -> Result<OcspReply, Error> {
        let signers = self.ocsp_signers();
        if signers.is_empty() || self.current().is_err() {
            // In the first second after a start, or cut off from the other nodes.
            return Ok(OcspError::TryLater.into());
        }
        // One signature is by one responder: what others would answer for is unknown to it.
        let is_asked =
            |signer: &&Arc<OcspSigner>| request.certificates.iter().any(|id| signer.answers_for(id));
        let Some(signer) = signers.iter().find(is_asked) else { return Ok(OcspError::Unauthorized.into()) };
        let now = self.now();
        if !signer.validity().contains(now) {
            return Ok(OcspError::TryLater.into());
        }
        let revision = self.memory.revision();
        let is_kept = match (&request.certificates[..], &request.nonce) {
            ([id], None) => Some(id),
            _ => None,
        };
        if let Some(reply) = is_kept.and_then(|id| self.kept(id, now, |kept| kept.revision == revision)) {
            return Ok(reply);
        }
        let mut certificates = Vec::with_capacity(request.certificates.len());
        for id in &request.certificates {
            certificates.push((id, self.ocsp_status(signer, id).await?));
        }
        if let (Some(id), [(_, status)]) = (is_kept, &certificates[..])
            && let Some(reply) = self.kept(id, now, |kept| {
                let is_right = kept.status == *status;
                kept.revision = kept.revision.max(if is_right { revision } else { 0 });
                is_right
            })
        {
            return Ok(reply);
        }
        if !may_sign() {
            return Ok(OcspError::TryLater.into());
        }
        let Ok(place) = self.responders.signing.0.clone().try_acquire_owned() else {
            return Ok(OcspError::TryLater.into());
        };
        let next_update = now.saturating_add(ANSWER_LIFETIME).min(signer.validity().not_after());
        let answer = OcspAnswer {
            certificates: certificates
                .iter()
                .map(|(id, status)| ((*id).clone(), said(*status, now)))
                .collect(),
            this_update: now.saturating_sub(CLOCK_SKEW),
            next_update,
            produced_at: now,
            nonce: request.nonce.clone(),
        };
        let der = match signer.takes_long() {
            true => {
                let signer = signer.clone();
                let sign = move || {
                    let _place = place;
                    signer.answer(&answer)
                };
                apart("wardein-ocsp", sign).await?
            }
            false => signer.answer(&answer),
        };
        let der: Arc<[u8]> = der.map_err(refused)?.into();
        let kept = request.nonce.is_none().then_some((now, next_update));
        let reply = OcspReply { der, kept };
        // Of what nobody issued there is no end.
        if let (Some(id), [(_, status)]) = (is_kept, &certificates[..])
            && *status != OcspStatus::Unknown
        {
            let mut all = self.responders.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST_KEPT {
                all.clear();
            }
            all.insert(id.clone(), Kept { status: *status, revision, reply: reply.clone() });
        }
        Ok(reply)
    }

    /// Whether it asks for a certificate that is on record: of several that a request may have been, the right one does.
    pub async fn knows_ocsp(&self, request: &OcspRequest) -> bool {
        let signers = self.ocsp_signers();
        for id in &request.certificates {
            for signer in &signers {
                if self.ocsp_status(signer, id).await.is_ok_and(|status| status != OcspStatus::Unknown) {
                    return true;
                }
            }
        }
        false
    }

    fn ocsp_signers(&self) -> Vec<Arc<OcspSigner>> {
        let signers = self.responders.signers.read().unwrap_or_else(PoisonError::into_inner);
        signers.values().cloned().collect()
    }

    /// An answer that was given before, if it is fresh and `is_right`.
    fn kept(&self, id: &OcspCertId, now: u64, is_right: impl FnOnce(&mut Kept) -> bool) -> Option<OcspReply> {
        let mut all = self.responders.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get_mut(id)?;
        let (since, until) = kept.reply.kept?;
        // Half of its time is left to who gets it.
        let is_fresh = (since..since.saturating_add(until.saturating_sub(since) / 2)).contains(&now);
        (is_fresh && is_right(kept)).then(|| kept.reply.clone())
    }

    async fn ocsp_status(&self, signer: &OcspSigner, id: &OcspCertId) -> Result<OcspStatus, Error> {
        let (true, Ok(serial)) = (signer.answers_for(id), Serial::from_bytes(id.serial())) else {
            return Ok(OcspStatus::Unknown);
        };
        let revoked = self
            .look(|tx| {
                let found = self.find_certificate(tx, &serial)?;
                let Some(found) = found else { return Ok(None) };
                if found.row.ca()? != *signer.ca() {
                    return Ok(None);
                }
                Ok(Some(self.listed_revocation(tx, &found.holder, &serial, &found.row)?))
            })
            .await?;
        Ok(match revoked {
            Some(Some(revoked)) => OcspStatus::Revoked { at: revoked.at, reason: revoked.code },
            Some(None) => OcspStatus::Good,
            // One that was prepared and abandoned has no record, but may exist.
            None => match self.memory.find_revoked(signer.ca(), &serial) {
                Some(entry) => OcspStatus::Revoked { at: entry.at.get(), reason: entry.code },
                None => OcspStatus::Unknown,
            },
        })
    }

    /// Has a responder certified for each CA that has none, or one of whose time two thirds are over. It goes on with the rest where one
    /// fails, and names the first failure.
    pub(crate) async fn renew_responders(&self) -> Result<(), Error> {
        let now = self.now();
        let cas = self.revoking_cas();
        let mut outcome = Ok(());
        self.responders.keep(&cas);
        for ca in &cas {
            let id = *ca.id.as_bytes();
            let is_good = |signer: &Arc<OcspSigner>| {
                let until = signer.validity().not_after().saturating_sub(SIGNER_LIFETIME / 3);
                (signer.validity().not_before()..until).contains(&now)
            };
            let signers = || self.responders.signers.read().unwrap_or_else(PoisonError::into_inner);
            if signers().get(&id).is_some_and(is_good) {
                continue;
            }
            let signer = match self.certify_responder(ca).await {
                Ok(signer) => Arc::new(signer),
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
            };
            self.responders.signers.write().unwrap_or_else(PoisonError::into_inner).insert(id, signer);
            // They carry the former one's certificate, which may end before they do.
            self.responders.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        outcome
    }

    /// A responder with a key of the CA's algorithm. On record before it answers, as every certificate is.
    async fn certify_responder(&self, ca: &KnownCa) -> Result<OcspSigner, Error> {
        // Who can verify the one can verify the other.
        let (algorithm, ca) = (ca.algorithm(), ca.key()?);
        let document = new_key(algorithm).await?;
        let key = SigningKey::from_pkcs8(algorithm.signature(), &document)
            .map_err(|_| Error::internal("a key that was just made is damaged"))?;
        let validity = Validity::starting(self.now(), SIGNER_LIFETIME)
            .and_then(|validity| validity.within(ca.certificate().validity()))
            .map_err(Error::internal)?;
        let public = wardein_crypto::Signer::verifying_key(&key);
        let certified = self
            .transact(|tx| {
                let serial = new_serial(tx.draw())?;
                let order = ca.ocsp_order(&public, serial, validity).map_err(Error::internal)?;
                let mut change = Change { may_use_reserve: true, ..Change::default() };
                let certified = self.certify(ca, &order, &mut change)?;
                change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"ocsp"));
                let entry = record::of_system(self.clock.now_ms(), Event::OcspSignerCertified)
                    .with(FieldName::Serial, serial)
                    .with(FieldName::NotAfter, validity.not_after());
                change.record(&entry)?;
                Ok(Decision::new(change, certified))
            })
            .await?;
        let issued = match certified {
            Certified::Signed(issued) => issued,
            Certified::Prepared(tbs) => self.complete(ca, tbs, |_, _, _| Ok(())).await?,
        };
        OcspSigner::new(ca.certificate(), key, &issued).map_err(Error::internal)
    }
}

/// A fresh key, made on a thread of its own: RSA takes seconds.
async fn new_key(algorithm: KeyAlgorithm) -> Result<SecretBytes, Error> {
    let made = apart("wardein-ocsp-key", move || SigningKey::generate_pkcs8(algorithm)).await?;
    made.map_err(|_| Error::internal("no entropy for keys"))
}

/// Seconds for which a responder is certified: seven days.
const SIGNER_LIFETIME: u64 = 7 * 86_400;

/// Seconds for which an answer may be kept by who got it: an hour, in which a revocation is not heard of.
const ANSWER_LIFETIME: u64 = 3_600;

/// Answers that are signed at one time.
const MOST_SIGNING: usize = 8;

/// Answers that are kept, of some 1.2 KB each.
const MOST_KEPT: usize = 10_000;
