//! The contents to certify, and the writer's parameters for them.

use crate::der::{SEQUENCE, write};
use crate::key::KeyId;
use crate::server_name::ServerName;
use crate::subject_key::SubjectKey;
use crate::{PkiError, RevocationUrl, Validity, policy};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    DnValue, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use wardein_crypto::SignatureAlgorithm;
use wardein_domain::{Assurance, KeyPurpose, KeyPurposes, Serial, SubjectSerial};
use x509_parser::time::ASN1Time;

/// The contents of a certificate. [`Order::params`] gives them to the writer; the lint compares the written bytes with them.
pub(crate) struct Order {
    pub(crate) serial: Serial,
    /// The subject's common name.
    pub(crate) common_name: Option<String>,
    /// The subject's serial number. Without this and a common name the subject is empty.
    pub(crate) subject_serial: Option<SubjectSerial>,
    pub(crate) validity: Validity,
    pub(crate) key: SubjectKey,
    /// The key's identifier, by which what it issues names it.
    pub(crate) key_id: KeyId,
    pub(crate) kind: Kind,
    /// What it is for (extended key usage). None at all on a root, whose CAs say it.
    pub(crate) purposes: KeyPurposes,
    pub(crate) names: Vec<AltName>,
    /// Its policy on where the key is.
    pub(crate) assurance: Option<Assurance>,
    /// Whether it says that nobody is told of its revocation (RFC 9608).
    pub(crate) no_rev_avail: bool,
}

/// Whether it certifies others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It does not.
    Leaf,
    /// It does, with so many CAs between it and a leaf.
    Ca { path_len: u8 },
    /// It does not: it signs answers about the certificates of its issuer (RFC 6960 §4.2.2.2), and nobody asks about it.
    OcspSigner,
}

/// A subject alternative name.
pub(crate) enum AltName {
    Uri(String),
    /// Of a server, or a device's DNS name.
    Server(ServerName),
}

/// The issuer, as its certificates name it.
pub(crate) struct Issuer<'a> {
    pub(crate) common_name: &'a str,
    /// The DER of its subject; none when it issues its own certificate.
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) key_id: KeyId,
    /// When it is valid itself; none when it issues its own certificate.
    pub(crate) validity: Option<Validity>,
    /// How it signs.
    pub(crate) algorithm: SignatureAlgorithm,
    /// Where its leaves say that verifiers find what is revoked.
    pub(crate) revocation_url: Option<&'a RevocationUrl>,
}

impl Order {
    pub(crate) fn params(&self) -> Result<CertificateParams, PkiError> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(self.serial.as_bytes()));
        // The reader's type of time leads to the writer's; so no third crate must be named for it.
        params.not_before = time(self.validity.not_before())?.to_datetime();
        params.not_after = time(self.validity.not_after())?.to_datetime();
        params.distinguished_name = distinguished_name(self.common_name.as_deref());
        if let Some(serial) = &self.subject_serial {
            let text = serial.as_str().try_into().map_err(|_| PkiError::Encoding)?;
            params
                .distinguished_name
                .push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), DnValue::PrintableString(text));
        }
        params.subject_alt_names = self.names.iter().map(AltName::san).collect::<Result<_, _>>()?;
        (params.is_ca, params.key_usages) = match self.kind {
            // Also of an RSA key, which could encipher: no peer of these profiles may have it do so (RFC 9325 §4.1).
            Kind::Leaf | Kind::OcspSigner => (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::DigitalSignature]),
            Kind::Ca { path_len } => (
                IsCa::Ca(BasicConstraints::Constrained(path_len)),
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            ),
        };
        params.extended_key_usages = self.purposes.iter().map(usage).collect();
        if self.kind == Kind::OcspSigner {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::OcspSigning);
        }
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.key_id.to_vec());
        if let Some(assurance) = self.assurance {
            let content = policy::content(assurance);
            params.custom_extensions.push(CustomExtension::from_oid_content(policy::EXTENSION, content));
        }
        if self.no_rev_avail {
            params.custom_extensions.push(CustomExtension::from_oid_content(NO_REV_AVAIL, NULL.to_vec()));
        }
        if self.kind == Kind::OcspSigner {
            let no_check = CustomExtension::from_oid_content(OCSP_NO_CHECK, NULL.to_vec());
            params.custom_extensions.push(no_check);
        }
        Ok(params)
    }
}

/// id-ce-subjectKeyIdentifier.
pub(crate) const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];

/// id-at-serialNumber (RFC 5280 appendix A.1).
pub(crate) const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

/// id-ce-noRevAvail (RFC 9608 §2).
pub(crate) const NO_REV_AVAIL: &[u64] = &[2, 5, 29, 56];

fn usage(purpose: KeyPurpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        KeyPurpose::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        KeyPurpose::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        KeyPurpose::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
        KeyPurpose::SdcProvider | KeyPurpose::SdcConsumer => {
            ExtendedKeyUsagePurpose::Other(purpose.oid().to_vec())
        }
    }
}

impl Issuer<'_> {
    /// What an order's certificate says of revocation: the list, and the responder. None if it is no leaf that can be revoked.
    pub(crate) fn revocation(&self, order: &Order) -> Option<(String, String)> {
        // RFC 9608 §3: not beside noRevAvail.
        let url = self.revocation_url.filter(|_| order.kind == Kind::Leaf && !order.no_rev_avail)?;
        Some((url.list(&self.key_id), url.responder()))
    }

    /// Adds that to the parameters of a certificate.
    pub(crate) fn add_revocation(
        &self,
        order: &Order,
        params: &mut CertificateParams,
    ) -> Result<(), PkiError> {
        let Some((list, responder)) = self.revocation(order) else { return Ok(()) };
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![list] }];
        // AuthorityInfoAccessSyntax ::= SEQUENCE OF { accessMethod id-ad-ocsp, accessLocation [6] IA5String }
        let location = write(0x86, &[responder.as_bytes()]).ok_or(PkiError::Encoding)?;
        let one = write(SEQUENCE, &[&ID_AD_OCSP, &location]).ok_or(PkiError::Encoding)?;
        let content = write(SEQUENCE, &[&one]).ok_or(PkiError::Encoding)?;
        params.custom_extensions.push(CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, content));
        Ok(())
    }

    /// The parameters from which rcgen takes an issuer's name and key identifier.
    pub(crate) fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(Some(self.common_name));
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.key_id.to_vec());
        params
    }
}

impl AltName {
    fn san(&self) -> Result<SanType, PkiError> {
        let ia5 = |text: &str| text.try_into().map_err(|_| PkiError::Encoding);
        Ok(match self {
            Self::Uri(uri) => SanType::URI(ia5(uri)?),
            Self::Server(ServerName::Dns(name)) => SanType::DnsName(ia5(name.as_str())?),
            Self::Server(ServerName::Ip(address)) => SanType::IpAddress(*address),
        })
    }
}

/// id-pe-authorityInfoAccess.
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-ad-ocsp, with its tag and length.
const ID_AD_OCSP: [u8; 10] = [6, 8, 0x2b, 6, 1, 5, 5, 7, 48, 1];

/// id-pkix-ocsp-nocheck, whose value is NULL (RFC 6960 §4.2.2.2.1).
pub(crate) const OCSP_NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
pub(crate) const NULL: [u8; 2] = [5, 0];

fn distinguished_name(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(text) = common_name {
        name.push(DnType::CommonName, text);
    }
    name
}

pub(crate) fn time(seconds: u64) -> Result<ASN1Time, PkiError> {
    let seconds = i64::try_from(seconds).map_err(|_| PkiError::Validity)?;
    ASN1Time::from_timestamp(seconds).map_err(|_| PkiError::Validity)
}
