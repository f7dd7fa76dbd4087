//! The contents to certify, and the writer's parameters for them.

use crate::key::KeyId;
use crate::server_name::ServerName;
use crate::subject_key::SubjectKey;
use crate::{PkiError, Validity, policy};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
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
            Kind::Leaf => (IsCa::ExplicitNoCa, vec![KeyUsagePurpose::DigitalSignature]),
            Kind::Ca { path_len } => (
                IsCa::Ca(BasicConstraints::Constrained(path_len)),
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            ),
        };
        params.extended_key_usages = self.purposes.iter().map(usage).collect();
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.key.id().to_vec());
        if let Some(assurance) = self.assurance {
            let content = policy::content(assurance);
            params.custom_extensions.push(CustomExtension::from_oid_content(policy::EXTENSION, content));
        }
        if self.no_rev_avail {
            let null = vec![5, 0];
            params.custom_extensions.push(CustomExtension::from_oid_content(NO_REV_AVAIL, null));
        }
        Ok(params)
    }
}

/// id-at-serialNumber (RFC 5280 appendix A.1).
pub(crate) const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

/// id-ce-noRevAvail (RFC 9608 §2).
pub(crate) const NO_REV_AVAIL: &[u64] = &[2, 5, 29, 56];

fn usage(purpose: KeyPurpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        KeyPurpose::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        KeyPurpose::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        KeyPurpose::SdcProvider | KeyPurpose::SdcConsumer => {
            ExtendedKeyUsagePurpose::Other(purpose.oid().to_vec())
        }
    }
}

impl Issuer<'_> {
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

fn distinguished_name(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(text) = common_name {
        name.push(DnType::CommonName, text);
    }
    name
}

fn time(seconds: u64) -> Result<ASN1Time, PkiError> {
    let seconds = i64::try_from(seconds).map_err(|_| PkiError::Validity)?;
    ASN1Time::from_timestamp(seconds).map_err(|_| PkiError::Validity)
}
