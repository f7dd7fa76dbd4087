//! What a receiver asks the authority: whether a device is trusted, and for the key of a file.

use std::future::Future;
use std::path::Path;
use std::time::Duration;
use wardein_client::v1::check_request::Subject;
use wardein_client::v1::release_key_request::Key;
use wardein_client::{ConnectError, Connection, Refusal, TrustCache, connect_as, v1, word};
use wardein_crypto::{Secret, SecretBytes};
use wardein_ddkg::message::FileStanza;
use wardein_domain::{DeviceId, ErrorCode, TenantId};

/// Who is asked; [`Platform`] asks an authority.
pub trait Authority: Send + Sync + 'static {
    /// Whether a device is to be trusted now that showed that certificate, DER.
    fn standing(&self, device: &DeviceId, certificate: &[u8]) -> impl Future<Output = Standing> + Send;

    /// The key of the file that has this stanza. The same `idempotency` is used again only for the same file.
    fn release(
        &self,
        stanza: &FileStanza,
        idempotency: &[u8; 32],
    ) -> impl Future<Output = Result<Secret<16>, KeyError>> + Send;
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is trusted.
    Trusted,
    /// It is not, for these reasons.
    NotTrusted(String),
    /// Nobody knows now, and what was known before is too old: why.
    Unknown(String),
}

/// Why the key of a file is not released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It was given out before, once.
    #[error("{0}")]
    Spent(String),
    /// The receiver may not have it, now at least.
    #[error("{0}")]
    Refused(String),
    /// The authority cannot be asked now.
    #[error("{0}")]
    Unreachable(String),
}

/// A platform of the tenant: each delivery is a question about the certificate that its device showed. Where the authority cannot
/// be reached, the verdicts that were watched before count, for as long as the tenant's trust policy has it for data.
pub struct Platform {
    connection: Connection,
    cache: TrustCache,
    tenant: TenantId,
    reason: String,
}

/// Why the authority is not reached.
#[derive(Debug, thiserror::Error)]
#[error("the authority cannot be asked")]
pub struct PlatformError(#[from] ConnectError);

impl Platform {
    /// Reaches the authority at `endpoint` as the platform of `tenant` whose identity is in `directory`; `reason` is what its audit
    /// log says of keys that it releases, 1 to 256 bytes.
    pub async fn connect(
        directory: &Path,
        endpoint: &str,
        tenant: TenantId,
        reason: String,
    ) -> Result<Self, PlatformError> {
        let connection = connect_as(directory, endpoint).await?;
        Ok(Self { connection, cache: TrustCache::new(MOST_SILENCE), tenant, reason })
    }

    /// Watches verdicts, and goes over to a renewed identity. It never ends: a task of its own does it.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        let (connection, cache) = (self.connection.clone(), self.cache.clone());
        async move {
            let renewed = connection.clone().follow(LOOK, |outcome| match outcome {
                Ok(()) => tracing::info!("the identity of the platform was renewed"),
                Err(error) => tracing::warn!(%error, "a new identity of the platform cannot be used"),
            });
            let watched = async {
                loop {
                    let heard =
                        |refusal: &Refusal| tracing::warn!(%refusal, "the watch of verdicts was interrupted");
                    let refusal = cache.clone().follow(connection.platform(), heard).await;
                    tracing::error!(%refusal, "verdicts are not watched: deliveries wait while the authority cannot be asked");
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::join!(renewed, watched);
        }
    }

    fn of_cache(&self, device: &DeviceId, why: Refusal) -> Standing {
        let is_trusted = self.cache.is_trusted_for(device.as_str(), v1::OfflineUse::Data);
        if is_trusted { Standing::Trusted } else { Standing::Unknown(why.to_string()) }
    }
}

impl Authority for Platform {
    async fn standing(&self, device: &DeviceId, certificate: &[u8]) -> Standing {
        let subject = Some(Subject::Certificate(certificate.to_vec()));
        match self.connection.platform().check(v1::CheckRequest { subject, receipt: None }).await {
            Ok(answer) => judge(answer, device, &self.tenant),
            // An authority that answers so does not answer for others either: what the policy has for outages is not for this.
            Err(refusal) if !refusal.may_retry() && refusal.code != Refusal::TRANSPORT => {
                Standing::Unknown(refusal.to_string())
            }
            Err(refusal) => self.of_cache(device, refusal),
        }
    }

    async fn release(&self, stanza: &FileStanza, idempotency: &[u8; 32]) -> Result<Secret<16>, KeyError> {
        let stanza = v1::FileStanza { arguments: stanza.arguments(), body: stanza.body().to_vec() };
        let request = v1::ReleaseKeyRequest {
            key: Some(Key::File(stanza)),
            reason: self.reason.clone(),
            idempotency_key: idempotency.to_vec(),
        };
        let answer = self.connection.platform().release_key(request).await.map_err(of_release)?;
        let key = SecretBytes::from_vec(answer.key.into());
        let key =
            key.expose().try_into().map_err(|_| KeyError::Refused("the answer is not a file key".into()))?;
        Ok(Secret::copied_from(key))
    }
}

/// What an answer says of the device that was asked about. The certificate decides which one it is of.
fn judge(answer: v1::CheckResponse, device: &DeviceId, tenant: &TenantId) -> Standing {
    if answer.device_id != device.as_str() || answer.tenant != tenant.as_str() {
        return Standing::NotTrusted("the certificate is not on record as this device's".to_owned());
    }
    if answer.verdict() == v1::Verdict::Trusted {
        return Standing::Trusted;
    }
    let reasons: Vec<_> = answer.reasons.into_iter().map(word::<v1::Reason>).collect();
    Standing::NotTrusted(reasons.join(", "))
}

fn of_release(refusal: Refusal) -> KeyError {
    let words = refusal.to_string();
    match refusal.known() {
        Some(ErrorCode::KeySpent) => KeyError::Spent(words),
        _ if refusal.may_retry() || refusal.code == Refusal::TRANSPORT => KeyError::Unreachable(words),
        _ => KeyError::Refused(words),
    }
}

/// Three bookmarks of the authority.
const MOST_SILENCE: Duration = Duration::from_secs(15);

/// How often the platform's identity is looked at, and a watch that ended is begun again.
const LOOK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_client::Status;

    #[test]
    fn an_answer_counts_for_the_device_that_it_is_of_and_only_where_it_says_trusted() {
        let (device, tenant) = ("pump-1".parse().unwrap(), "klinik".parse().unwrap());
        let answer = |tenant: &str, id: &str, verdict: v1::Verdict| v1::CheckResponse {
            tenant: tenant.to_owned(),
            device_id: id.to_owned(),
            verdict: verdict.into(),
            reasons: vec![v1::Reason::Suspended.into()],
            ..Default::default()
        };
        let standing = |answer| judge(answer, &device, &tenant);
        assert_eq!(standing(answer("klinik", "pump-1", v1::Verdict::Trusted)), Standing::Trusted);
        for (tenant, id, verdict) in [
            ("klinik", "pump-2", v1::Verdict::Trusted),
            ("klinik", "", v1::Verdict::Trusted),
            ("praxis", "pump-1", v1::Verdict::Trusted),
            ("klinik", "pump-1", v1::Verdict::NotTrusted),
            ("klinik", "pump-1", v1::Verdict::Unknown),
            ("klinik", "pump-1", v1::Verdict::Unspecified),
        ] {
            let standing = standing(answer(tenant, id, verdict));
            assert!(matches!(standing, Standing::NotTrusted(_)), "{tenant} {id} {verdict:?}");
        }
    }

    #[test]
    fn only_a_key_that_is_spent_is_over_for_good() {
        let of = |status: Status, code: &'static str| {
            let mut refusal = Refusal::from(status);
            refusal.code = code.to_owned();
            of_release(refusal)
        };
        let spent = of(Status::failed_precondition("spent"), "key-spent");
        assert!(matches!(spent, KeyError::Spent(_)));
        let missing = of(Status::permission_denied("grant"), "grant-missing");
        assert!(matches!(missing, KeyError::Refused(_)));
        for (status, code) in [
            (Status::unavailable("stopping"), "stopping"),
            (Status::unknown("reset"), Refusal::TRANSPORT),
            (Status::internal("cut"), Refusal::TRANSPORT),
        ] {
            assert!(matches!(of(status, code), KeyError::Unreachable(_)), "{code}");
        }
    }
}
