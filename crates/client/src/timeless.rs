//! TLS for a caller whose clock may be wrong by years: the authority's certificate is judged in all but its time.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use std::time::Instant;

/// Verifies that a certificate leads to a trusted root, names the server and may be a server's, at a time of its own validity.
#[derive(Debug)]
pub(crate) struct Timeless(pub(crate) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Timeless {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut time = now;
        // Each certificate of the chain may change the time; a chain with no time that all accept is refused in the end.
        for _ in 0..=intermediates.len() {
            let judged =
                self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time);
            time = match judged {
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                    not_after
                }
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before, ..
                })) => not_before,
                judged => return judged,
            };
        }
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Counts from when it was made, for the ages of session tickets. The system's clock is not read: it may even be before 1970.
#[derive(Debug)]
pub(crate) struct Uptime(pub(crate) Instant);

impl TimeProvider for Uptime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use rustls::RootCertStore;
    use rustls::crypto::ring::default_provider;
    use std::time::Duration;

    /// A root, an intermediate CA and a server's certificate, valid in the years that are given.
    struct Chain {
        root: CertificateDer<'static>,
        below: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
    }

    fn chain(below: [i32; 2], leaf: [i32; 2], usage: ExtendedKeyUsagePurpose) -> Chain {
        let params = |names: &[&str], years: [i32; 2], is_ca| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.not_before = date_time_ymd(years[0], 1, 1);
            params.not_after = date_time_ymd(years[1], 1, 1);
            if is_ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            params
        };
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let root_params = params(&[], [2000, 2090], true);
        let root = root_params.self_signed(&keys[0]).unwrap();
        let mut below_params = params(&[], below, true);
        below_params.distinguished_name.push(rcgen::DnType::CommonName, "below");
        let below = below_params.signed_by(&keys[1], &Issuer::from_params(&root_params, &keys[0])).unwrap();
        let mut leaf_params = params(&["localhost"], leaf, false);
        leaf_params.extended_key_usages = vec![usage];
        let leaf = leaf_params.signed_by(&keys[2], &Issuer::from_params(&below_params, &keys[1])).unwrap();
        let [root, below, leaf] = [root, below, leaf].map(|made| made.der().clone());
        Chain { root, below, leaf }
    }

    /// The judgment on `chain` by a verifier that trusts `root` in the year `year`.
    fn judge(chain: &Chain, root: &CertificateDer<'static>, name: &str, year: u64) -> [Result<(), Error>; 2] {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let strict =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let strict = strict.build().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952 + 86_400));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let verifiers: [&dyn ServerCertVerifier; 2] = [&*strict, &Timeless(strict.clone())];
        verifiers.map(|verifier| {
            let below = std::slice::from_ref(&chain.below);
            verifier.verify_server_cert(&chain.leaf, below, &name, &[], now).map(|_| ())
        })
    }

    #[test]
    fn no_clock_locks_a_device_out() {
        let made = chain([2020, 2040], [2026, 2027], ExtendedKeyUsagePurpose::ServerAuth);
        assert!(judge(&made, &made.root, "localhost", 2026).iter().all(Result::is_ok));
        for year in [1970, 2016, 2036, 2100] {
            let [strict, timeless] = judge(&made, &made.root, "localhost", year);
            assert!(strict.is_err() && timeless.is_ok(), "{year}: {strict:?} {timeless:?}");
        }
    }

    #[test]
    fn whatever_the_clock_chain_name_and_usage_are_judged() {
        let good = chain([2020, 2040], [2026, 2027], ExtendedKeyUsagePurpose::ServerAuth);
        let other = chain([2020, 2040], [2026, 2027], ExtendedKeyUsagePurpose::ServerAuth);
        let client = chain([2020, 2040], [2026, 2027], ExtendedKeyUsagePurpose::ClientAuth);
        let forged = Chain { below: good.below.clone(), root: good.root.clone(), leaf: other.leaf.clone() };
        // Certified at a time at which its CA was not valid: no clock makes that right.
        let never = chain([2020, 2022], [2026, 2027], ExtendedKeyUsagePurpose::ServerAuth);
        for year in [2016, 2026, 2036] {
            for (what, judged) in [
                ("another root", judge(&good, &other.root, "localhost", year)),
                ("another name", judge(&good, &good.root, "example.org", year)),
                ("another usage", judge(&client, &client.root, "localhost", year)),
                ("another signer", judge(&forged, &good.root, "localhost", year)),
                ("times that exclude each other", judge(&never, &never.root, "localhost", year)),
            ] {
                assert!(judged.iter().all(Result::is_err), "{what}, {year}: {judged:?}");
            }
        }
    }
}
