//! Times of certificates against this machine's clock: whose fault it is that one is not valid now.

use crate::error::ConnectError;
use crate::tls::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// Refuses an identity that has ended at `now`: the authority would answer nothing else. All other faults are the authority's to
/// find.
pub(crate) fn judge_identity(roots: &[u8], identity: &Identity, now: UnixTime) -> Result<(), ConnectError> {
    match judged(roots, identity, now) {
        Some(CertificateError::ExpiredContext { not_after, .. }) => {
            Err(ConnectError::IdentityEnded { at: not_after.as_secs() })
        }
        _ => Ok(()),
    }
}

/// What is wrong with it, judged as the authority does.
fn judged(roots: &[u8], identity: &Identity, now: UnixTime) -> Option<CertificateError> {
    let certificates = |pem| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok();
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(certificates(roots)?);
    let provider = Arc::new(crate::tls::provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).build().ok()?;
    let chain = certificates(&identity.certificates)?;
    let (leaf, others) = chain.split_first()?;
    match verifier.verify_client_cert(leaf, others, now) {
        Err(rustls::Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

/// The fault of this machine's clock, or of the authority's certificate, that broke a handshake off; none if it was something else.
pub(crate) fn of_handshake(error: &rustls::Error) -> Option<ConnectError> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            let (now, from) = (time.as_secs(), not_before.as_secs());
            Some(ConnectError::ClockBehind { now, from })
        }
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            let (now, until) = (time.as_secs(), not_after.as_secs());
            Some(ConnectError::AuthorityEnded { now, until })
        }
        _ => None,
    }
}

/// A span as people say it: whole days, hours, minutes or seconds, whichever is the largest that fits.
pub(crate) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7_200.. => (seconds / 3_600, "h"),
        120.. => (seconds / 60, "min"),
        _ => (seconds, "s"),
    };
    format!("{count} {unit}")
}

/// The Unix second by this machine's clock.
pub fn unix_now() -> u64 {
    now().as_secs()
}

/// This machine's wall clock.
#[cfg(feature = "grpc")]
#[expect(clippy::disallowed_methods, reason = "a client judges by the clock of its own machine")]
pub(crate) fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// This machine's time.
#[expect(clippy::disallowed_methods, reason = "a client judges by the clock of its own machine")]
pub(crate) fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime::since_unix_epoch(since.unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::unreached;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use std::io;
    use wardein_crypto::SecretBytes;

    /// The second of a day in January of that year.
    fn second(year: u64) -> u64 {
        (year - 1970) * 31_556_952 + 86_400
    }

    fn at(year: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(second(year)))
    }

    #[test]
    fn an_identity_is_judged_by_its_time_alone() {
        let params = |years: [i32; 2]| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            (params.not_before, params.not_after) =
                (date_time_ymd(years[0], 1, 1), date_time_ymd(years[1], 1, 1));
            params
        };
        let [root_key, key] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let mut root = params([2000, 2090]);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let roots = root.self_signed(&root_key).unwrap().pem();
        let mut leaf = params([2026, 2027]);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = leaf.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
        let identity =
            Identity { certificates: leaf.pem().into_bytes(), key: SecretBytes::from_vec(Vec::new()) };
        let judged = |year| judge_identity(roots.as_bytes(), &identity, at(year));
        assert!(judged(2026).is_ok());
        assert!(matches!(judged(2028), Err(ConnectError::IdentityEnded { at }) if at < second(2027)));
        assert!(judged(2020).is_ok(), "the authority's clock counts");
        assert!(judge_identity(b"", &identity, at(2028)).is_ok(), "the authority finds it");
    }

    #[test]
    fn the_fault_of_a_clock_is_found_among_causes() {
        let error = |error| io::Error::other(rustls::Error::InvalidCertificate(error));
        let found = |error: io::Error| unreached("https://localhost", io::Error::other(error));
        let behind = CertificateError::NotValidYetContext { time: at(2026), not_before: at(2027) };
        let behind = found(error(behind));
        assert!(behind.to_string().ends_with("set it"), "{behind}");
        assert!(behind.to_string().contains("365 days behind"), "{behind}");
        let ended = CertificateError::ExpiredContext { time: at(2027), not_after: at(2026) };
        assert!(matches!(found(error(ended)), ConnectError::AuthorityEnded { .. }));
        let other = found(error(CertificateError::UnknownIssuer));
        assert!(matches!(other, ConnectError::Unreachable { .. }));
    }

    #[test]
    fn spans_are_said_in_their_largest_unit() {
        let said = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
