//! Certificates that are presented to the authority, read as certificates that it issued.

use crate::build::{Kind, NO_REV_AVAIL, SERIAL_NUMBER};
use crate::ca::{CaCertificate, CaRole, Infrastructure, Issuing, Root};
use crate::envelope::{Envelope, EnvelopeError};
use crate::key::{KeyId, PublicKey};
use crate::subject_key::SubjectKey;
use crate::{CertificateError, IssuingCa, Validity, algorithm, policy, spiffe};
use wardein_domain::{
    Assurance, CertificateNames, CertificateProfile, CommonName, DeviceId, DnsName, KeyPurpose, KeyPurposes,
    Principal, Serial, SubjectSerial, TenantId, TrustDomain, Urn,
};
use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name, X509Version};

/// The contents of a device's certificate, for issuing and for reading it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// Its serial.
    pub serial: Serial,
    /// The device's tenant.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Its names beside the SPIFFE id.
    pub names: CertificateNames,
    /// When it is valid.
    pub validity: Validity,
    /// How surely its key is where it is said to be; none if nothing is said, as of a device that derives its keys.
    pub assurance: Option<Assurance>,
    /// What it is for: those of a ready-made certificate profile.
    pub purposes: KeyPurposes,
    /// Whether it says that nobody is told of its revocation (RFC 9608).
    pub no_rev_avail: bool,
}

/// The contents of an operator's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// Who it is; its serial is the certificate's.
    pub principal: Principal,
    /// When it is valid.
    pub validity: Validity,
}

impl IssuingCa {
    /// See [`CaCertificate::recognize`].
    pub fn recognize(&self, der: &[u8]) -> Result<DeviceIdentity, CertificateError> {
        self.certificate().recognize(der)
    }
}

impl CaCertificate<Issuing> {
    /// Reads a device's certificate that this CA signed. Whether it is valid now, on record and not revoked is for the caller to
    /// judge.
    pub fn recognize(&self, der: &[u8]) -> Result<DeviceIdentity, CertificateError> {
        let parsed = Parsed::new(der)?;
        parsed.verify(self)?;
        let purposes = parsed.device_purposes()?;
        let (uri, names) = parsed.device_names()?;
        let (domain, tenant, device) = spiffe::parse_device(uri).map_err(|_| CertificateError::Uri)?;
        ensure(domain == *self.trust_domain(), CertificateError::TrustDomain)?;
        let (serial, validity, assurance) = (parsed.serial()?, parsed.validity()?, parsed.assurance()?);
        let no_rev_avail = parsed.says_no_rev_avail()?;
        Ok(DeviceIdentity { serial, tenant, device, names, validity, assurance, purposes, no_rev_avail })
    }
}

/// The key identifier of the CA that a certificate says has signed it (RFC 5280 §4.2.1.1). Nothing of it is verified.
pub fn issuer_key_id(der: &[u8]) -> Result<[u8; 20], CertificateError> {
    Parsed::new(der)?.issuer_key_id().ok_or(CertificateError::Issuer)
}

/// The issuer that a certificate names, for a person to read: it may be anybody's, and nothing of it is verified. What would move
/// a terminal or a reader's eye is written out.
pub fn issuer_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let name = certificate.issuer().to_string();
    let name: String = name.chars().take(MAX_ISSUER).flat_map(char::escape_debug).collect();
    (!name.is_empty()).then_some(name)
}

/// As much of a name as fits a line.
const MAX_ISSUER: usize = 120;

/// Reads an operator's certificate. That the infrastructure CA signed it is for the caller to verify: nothing of that is done here.
pub fn parse_operator(domain: &TrustDomain, der: &[u8]) -> Result<OperatorIdentity, CertificateError> {
    let parsed = Parsed::new(der)?;
    parsed.check_client()?;
    let uri = parsed.uri()?;
    let (found, role, tenant, name) = spiffe::parse_operator(uri).map_err(|_| CertificateError::Uri)?;
    ensure(found == *domain, CertificateError::TrustDomain)?;
    ensure(role.fits_tenant(tenant.is_some()), CertificateError::Uri)?;
    let principal = Principal { role, tenant, name, serial: parsed.serial()? };
    Ok(OperatorIdentity { principal, validity: parsed.validity()? })
}

/// Reads a device's certificate by its chain, leaf first: one of those after it is the issuing CA's that a trusted root signed, or that
/// another root of the authority signed, which is among them and certified by a trusted one (RFC 4210 §4.4). Whatever else is there is
/// ignored, and other trusted certificates do not help; a refusal is that of the second certificate. The leaf's time lies within that of
/// each certificate above it, so that a caller that judges the leaf's time has judged all; that is the caller's task. The second value is
/// the key that is certified.
pub fn verify_device_chain(
    chain: &[&[u8]],
    trusted: &[&[u8]],
) -> Result<(DeviceIdentity, SubjectKey), CertificateError> {
    let Some((leaf, above)) = chain.split_first() else { return Err(CertificateError::Chain) };
    let roots: Vec<_> = trusted.iter().filter_map(|der| CaCertificate::<Root>::parse(der).ok()).collect();
    let mut refused = None;
    for issuing in above {
        match verify_under(issuing, leaf, above, &roots) {
            Ok(found) => return Ok(found),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(CertificateError::Chain))
}

fn verify_under(
    issuing: &[u8],
    leaf: &[u8],
    above: &[&[u8]],
    roots: &[CaCertificate<Root>],
) -> Result<(DeviceIdentity, SubjectKey), CertificateError> {
    let parsed = Parsed::new(issuing)?;
    let signed_by = |parsed: &Parsed<'_>| roots.iter().find(|root| parsed.verify(root).is_ok());
    let link = |der: &&[u8]| {
        let (link, other) = (Parsed::new(der).ok()?, CaCertificate::<Root>::parse(der).ok()?);
        let root = signed_by(&link)?;
        parsed.verify(&other).ok()?;
        Some((root, Some(other.validity())))
    };
    let direct = signed_by(&parsed).map(|root| (root, None));
    let found = direct.or_else(|| above.iter().find_map(link));
    let (root, link) = found.ok_or(CertificateError::Chain)?;
    let issuing = CaCertificate::<Issuing>::parse(issuing)?;
    ensure(issuing.trust_domain() == root.trust_domain(), CertificateError::TrustDomain)?;
    let identity = issuing.recognize(leaf)?;
    let leaf_is_within = |validity| identity.validity.is_within(validity);
    let is_nested = match link {
        None => issuing.validity().is_within(root.validity()),
        // A CA may outlive the root before the one that certified it.
        Some(link) => leaf_is_within(link) && leaf_is_within(root.validity()),
    };
    ensure(leaf_is_within(issuing.validity()) && is_nested, CertificateError::Validity)?;
    Ok((identity, Parsed::new(leaf)?.device_key()?))
}

/// Reads an operator's certificate by its issuer, the infrastructure CA, and the root that signed that; whether the root is to be
/// trusted, and whether all are valid now, is for the caller to judge. The second value is the key that is certified.
pub fn verify_operator_chain(
    leaf: &[u8],
    root: &[u8],
    infrastructure: &[u8],
) -> Result<(OperatorIdentity, PublicKey), CertificateError> {
    let root = CaCertificate::<Root>::parse(root)?;
    Parsed::new(infrastructure)?.verify(&root)?;
    let infrastructure = CaCertificate::<Infrastructure>::parse(infrastructure)?;
    ensure(infrastructure.trust_domain() == root.trust_domain(), CertificateError::TrustDomain)?;
    let parsed = Parsed::new(leaf)?;
    parsed.verify(&infrastructure)?;
    let key = PublicKey::try_from(&parsed.device_key()?).map_err(|_| CertificateError::Key)?;
    Ok((parse_operator(root.trust_domain(), leaf)?, key))
}

/// A device's certificate that its holder showed to have the key of, such as in a handshake. Who issued it is not known yet: until it was
/// compared with the one on record, its fields are only what its holder claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCertificate {
    /// Its serial.
    pub serial: Serial,
    /// The tenant of the device that it names.
    pub tenant: TenantId,
    /// The device that it names.
    pub device: DeviceId,
    /// The key that is certified.
    pub key: SubjectKey,
    /// The key identifier of the CA that it says has signed it.
    pub issuer: [u8; 20],
}

impl HeldCertificate {
    /// Reads a certificate of a device, DER. `None` if it is not like one that this authority issues.
    pub fn read(der: &[u8]) -> Option<Self> {
        let parsed = Parsed::new(der).ok()?;
        let [GeneralName::URI(uri), ..] = parsed.alternative_names()? else { return None };
        let (_, tenant, device) = spiffe::parse_device(uri).ok()?;
        let (serial, key) = (parsed.serial().ok()?, parsed.device_key().ok()?);
        Some(Self { serial, tenant, device, key, issuer: parsed.issuer_key_id()? })
    }
}

/// A certificate of version 3 of bounded length, alone in its bytes, signed by one of our algorithms. The signer is not known
/// yet.
pub(crate) struct Parsed<'a> {
    tbs: TbsCertificate<'a>,
    envelope: Envelope<'a>,
}

impl<'a> Parsed<'a> {
    pub(crate) fn new(der: &'a [u8]) -> Result<Self, CertificateError> {
        ensure(der.len() <= CertificateError::MAX_LEN, CertificateError::TooLong)?;
        let envelope = Envelope::open(der)?;
        let (_, tbs) = TbsCertificate::from_der(envelope.signed).map_err(|_| CertificateError::Malformed)?;
        ensure(tbs.version == X509Version::V3, CertificateError::Malformed)?;
        // RFC 5280 §4.1.2.3: the algorithm within the signed part is the one outside of it.
        ensure(algorithm::is(&tbs.signature, envelope.algorithm), CertificateError::SignatureAlgorithm)?;
        Ok(Self { tbs, envelope })
    }

    pub(crate) fn verify<R: CaRole>(&self, issuer: &CaCertificate<R>) -> Result<(), CertificateError> {
        ensure(self.tbs.issuer.as_raw() == issuer.name(), CertificateError::Issuer)?;
        let Envelope { signed, algorithm, signature } = self.envelope;
        let key = issuer.key.verifying_key();
        ensure(key.takes(algorithm), CertificateError::SignatureAlgorithm)?;
        key.verify(algorithm, signed, signature).map_err(|_| CertificateError::Signature)
    }

    pub(crate) fn serial(&self) -> Result<Serial, CertificateError> {
        Serial::from_bytes(self.tbs.raw_serial()).map_err(|_| CertificateError::Serial)
    }

    pub(crate) fn validity(&self) -> Result<Validity, CertificateError> {
        let seconds = |time: i64| u64::try_from(time).map_err(|_| CertificateError::Validity);
        let found = self.tbs.validity();
        Validity::new(seconds(found.not_before.timestamp())?, seconds(found.not_after.timestamp())?)
            .map_err(|_| CertificateError::Validity)
    }

    /// The key of a leaf, of any kind that a device may have.
    pub(crate) fn device_key(&self) -> Result<SubjectKey, CertificateError> {
        SubjectKey::from_spki(self.tbs.subject_pki.raw).ok_or(CertificateError::Key)
    }

    /// The key of a CA.
    pub(crate) fn ca_key(&self) -> Result<SubjectKey, CertificateError> {
        let key = SubjectKey::from_spki(self.tbs.subject_pki.raw).ok_or(CertificateError::Key)?;
        SubjectKey::of_ca(key.verifying_key().clone()).map_err(|_| CertificateError::Key)
    }

    /// The DER of the subject.
    pub(crate) fn subject(&self) -> &'a [u8] {
        self.tbs.subject.as_raw()
    }

    pub(crate) fn common_name(&self) -> Option<&str> {
        let mut names = self.tbs.subject.iter_common_name();
        let name = names.next()?.as_str().ok()?;
        names.next().is_none().then_some(name)
    }

    pub(crate) fn key_id(&self) -> Option<KeyId> {
        self.extensions().find_map(|extension| match extension {
            ParsedExtension::SubjectKeyIdentifier(id) => id.0.try_into().ok(),
            _ => None,
        })
    }

    fn issuer_key_id(&self) -> Option<KeyId> {
        self.extensions().find_map(|extension| match extension {
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                found.key_identifier.as_ref()?.0.try_into().ok()
            }
            _ => None,
        })
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.extensions().find_map(|extension| match extension {
            ParsedExtension::BasicConstraints(found) => match (found.ca, found.path_len_constraint) {
                (false, None) => Some(Kind::Leaf),
                (true, Some(length)) => Some(Kind::Ca { path_len: u8::try_from(length).ok()? }),
                _ => None,
            },
            _ => None,
        })
    }

    /// `None` if it is for more than we know.
    pub(crate) fn purposes(&self) -> Option<KeyPurposes> {
        let Some(found) = self.extensions().find_map(|extension| match extension {
            ParsedExtension::ExtendedKeyUsage(found) => Some(found),
            _ => None,
        }) else {
            return Some(KeyPurposes::NONE);
        };
        purposes_of(found)
    }

    /// Whether it is for signing OCSP answers, and for nothing else.
    pub(crate) fn signs_ocsp(&self) -> bool {
        self.extensions().any(|extension| match extension {
            ParsedExtension::ExtendedKeyUsage(found) => {
                let others = found.any
                    || found.client_auth
                    || found.server_auth
                    || found.code_signing
                    || found.email_protection
                    || found.time_stamping
                    || !found.other.is_empty();
                found.ocsp_signing && !others
            }
            _ => false,
        })
    }

    /// Its policy, which must be one of ours if there is one.
    fn assurance(&self) -> Result<Option<Assurance>, CertificateError> {
        let policies = self.extensions().find_map(|extension| match extension {
            ParsedExtension::CertificatePolicies(found) => Some(found),
            _ => None,
        });
        policies.map(|found| policy::read(found).ok_or(CertificateError::Use)).transpose()
    }

    /// The URI that is the only alternative name.
    pub(crate) fn uri(&self) -> Result<&str, CertificateError> {
        let Some([GeneralName::URI(uri)]) = self.alternative_names() else {
            return Err(CertificateError::Uri);
        };
        Ok(uri)
    }

    /// The names of a device: the URI, and those beside it.
    fn device_names(&self) -> Result<(&str, CertificateNames), CertificateError> {
        let (uri, urn, dns) = match self.alternative_names() {
            Some([GeneralName::URI(uri)]) => (*uri, None, None),
            Some([GeneralName::URI(uri), GeneralName::DNSName(dns)]) => (*uri, None, Some(*dns)),
            Some([GeneralName::URI(uri), GeneralName::URI(urn)]) => (*uri, Some(*urn), None),
            Some([GeneralName::URI(uri), GeneralName::URI(urn), GeneralName::DNSName(dns)]) => {
                (*uri, Some(*urn), Some(*dns))
            }
            _ => return Err(CertificateError::Uri),
        };
        let dns: Option<DnsName> = dns.map(str::parse).transpose().map_err(|_| CertificateError::Uri)?;
        let urn: Option<Urn> = urn.map(str::parse).transpose().map_err(|_| CertificateError::Uri)?;
        let subject = subject_of(&self.tbs.subject).ok_or(CertificateError::Subject)?;
        let (common_name, serial_number) = subject;
        let common_name: Option<CommonName> =
            common_name.map(str::parse).transpose().map_err(|_| CertificateError::Subject)?;
        let serial_number: Option<SubjectSerial> =
            serial_number.map(str::parse).transpose().map_err(|_| CertificateError::Subject)?;
        Ok((uri, CertificateNames { common_name, dns, uri: urn, serial_number }))
    }

    /// What a device's certificate is for: it is a leaf with the purposes of one of the ready-made profiles.
    fn device_purposes(&self) -> Result<KeyPurposes, CertificateError> {
        let purposes = self.purposes().filter(|_| self.kind() == Some(Kind::Leaf));
        let is_of_a_profile =
            |found: &KeyPurposes| CertificateProfile::ALL.iter().any(|profile| profile.purposes() == *found);
        purposes.filter(is_of_a_profile).ok_or(CertificateError::Use)
    }

    fn says_no_rev_avail(&self) -> Result<bool, CertificateError> {
        let found = self.tbs.extensions().iter().find(|extension| is_oid(&extension.oid, NO_REV_AVAIL));
        found.map_or(Ok(false), |extension| {
            ensure(!extension.critical && extension.value == [5, 0], CertificateError::Use).map(|()| true)
        })
    }

    fn alternative_names(&self) -> Option<&[GeneralName<'a>]> {
        self.extensions().find_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(found) => Some(&found.general_names[..]),
            _ => None,
        })
    }

    /// Whether it is a leaf, for the client end of TLS alone.
    fn check_client(&self) -> Result<(), CertificateError> {
        let is_client = self.kind() == Some(Kind::Leaf) && self.purposes() == Some(KeyPurposes::CLIENT);
        ensure(is_client, CertificateError::Use)
    }

    fn extensions(&self) -> impl Iterator<Item = &ParsedExtension<'a>> {
        self.tbs.extensions().iter().map(|extension| extension.parsed_extension())
    }
}

/// The purposes of an extended key usage; `None` if there is one that we do not know.
pub(crate) fn purposes_of(found: &ExtendedKeyUsage<'_>) -> Option<KeyPurposes> {
    let is_strange = found.any || found.email_protection || found.time_stamping || found.ocsp_signing;
    let mut purposes = Vec::new();
    purposes.extend(found.client_auth.then_some(KeyPurpose::ClientAuth));
    purposes.extend(found.server_auth.then_some(KeyPurpose::ServerAuth));
    purposes.extend(found.code_signing.then_some(KeyPurpose::CodeSigning));
    for oid in &found.other {
        purposes.push(KeyPurpose::ALL.into_iter().find(|purpose| is_oid(oid, purpose.oid()))?);
    }
    (!is_strange).then(|| KeyPurposes::of(&purposes))
}

/// The common name and the serial number of a subject, in this order and each at most once; `None` if there is anything else.
pub(crate) fn subject_of<'a>(name: &'a X509Name<'_>) -> Option<(Option<&'a str>, Option<&'a str>)> {
    let mut attributes = name.iter_attributes().peekable();
    let common_name =
        attributes.next_if(|one| is_oid(one.attr_type(), COMMON_NAME)).map(|one| one.as_str().ok());
    // RFC 5280 appendix A.1: a serial number is a PrintableString.
    let is_serial = |one: &&AttributeTypeAndValue<'_>| {
        is_oid(one.attr_type(), SERIAL_NUMBER) && one.attr_value().tag() == Tag::PrintableString
    };
    let serial = attributes.next_if(is_serial).map(|one| one.as_str().ok());
    let is_end = attributes.next().is_none();
    let (common_name, serial) = (
        common_name.map_or(Some(None), |text| text.map(Some))?,
        serial.map_or(Some(None), |text| text.map(Some))?,
    );
    is_end.then_some((common_name, serial))
}

pub(crate) fn is_oid(found: &Oid<'_>, wanted: &[u64]) -> bool {
    found.iter().is_some_and(|arcs| arcs.eq(wanted.iter().copied()))
}

/// id-at-commonName.
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];

impl From<EnvelopeError> for CertificateError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Malformed | EnvelopeError::TrailingBytes => Self::Malformed,
            EnvelopeError::Algorithm => Self::SignatureAlgorithm,
        }
    }
}

fn ensure(holds: bool, error: CertificateError) -> Result<(), CertificateError> {
    holds.then_some(()).ok_or(error)
}
