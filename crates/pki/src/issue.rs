//! The certificates of devices, operators and servers: the order for each, and the one step that issues it.

use crate::build::{AltName, Kind, Order};
use crate::envelope::Envelope;
use crate::prepare::CertificateOrder;
use crate::recognize::{DeviceIdentity, OperatorIdentity};
use crate::server_name::{ServerIdentity, ServerName};
use crate::subject_key::SubjectKey;
use crate::{
    Csr, DeviceCsr, Infrastructure, InfrastructureCa, Issuing, IssuingCa, PkiError, Validity, spiffe,
};
use wardein_domain::{CommonName, DnsName, KeyPurposes, PlatformProfile, Serial, TenantId};

/// A certificate that was linted and signed. It leaves the process only after its record is durable; that is its issuer's duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    der: Vec<u8>,
}

impl Issued {
    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate, DER.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// Lets the certificate go only if it carries the bytes that were linted.
    pub(crate) fn assembled(der: Vec<u8>, linted: &[u8]) -> Result<Self, PkiError> {
        let is_same = Envelope::open(&der).is_ok_and(|envelope| envelope.signed == linted);
        is_same.then_some(Self { der }).ok_or(PkiError::Altered)
    }
}

impl IssuingCa {
    /// A device's certificate: its SPIFFE id as the first name, those that its profile gives it beside that, for the purposes of its
    /// certificate profile, and where a key was enrolled, the policy that says how surely it is where it is said to be.
    pub fn issue_device(&self, csr: &DeviceCsr, device: &DeviceIdentity) -> Result<Issued, PkiError> {
        self.issue(&self.device_order(csr, device)?)
    }

    /// The certificate that [`IssuingCa::issue_device`] issues, as an order.
    pub fn device_order(
        &self,
        csr: &DeviceCsr,
        device: &DeviceIdentity,
    ) -> Result<CertificateOrder<Issuing>, PkiError> {
        if device.purposes.is_empty() || !self.certificate().purposes().includes(device.purposes) {
            return Err(PkiError::Purposes);
        }
        let domain = self.certificate().trust_domain();
        let uri = spiffe::device_uri(domain, &device.tenant, &device.device).map_err(PkiError::Uri)?;
        let urn = device.names.uri.as_ref().map(|urn| AltName::Uri(urn.to_string()));
        let dns = device.names.dns.clone().map(|name| AltName::Server(ServerName::Dns(name)));
        Ok(CertificateOrder::new(Order {
            serial: device.serial,
            common_name: device.names.common_name.as_ref().map(ToString::to_string),
            subject_serial: device.names.serial_number.clone(),
            validity: device.validity,
            key: csr.key().clone(),
            key_id: csr.key().id(),
            kind: Kind::Leaf,
            purposes: device.purposes,
            names: [AltName::Uri(uri)].into_iter().chain(urn).chain(dns).collect(),
            assurance: device.assurance,
            no_rev_avail: device.no_rev_avail,
        }))
    }
}

impl IssuingCa {
    /// A platform's certificate, as an order: its SPIFFE id as the first name, and the DNS names of its server beside that.
    pub fn platform_order(
        &self,
        csr: &DeviceCsr,
        platform: &PlatformIdentity,
    ) -> Result<CertificateOrder<Issuing>, PkiError> {
        let PlatformIdentity { serial, tenant, profile, common_name, dns_names, validity } = platform;
        if !self.certificate().purposes().includes(profile.purposes()) {
            return Err(PkiError::Purposes);
        }
        if !profile.dns_names().contains(&dns_names.len()) {
            return Err(PkiError::ServerNames);
        }
        let uri = spiffe::platform_uri(self.certificate().trust_domain(), tenant, *profile);
        let dns = dns_names.iter().cloned().map(|name| AltName::Server(ServerName::Dns(name)));
        Ok(CertificateOrder::new(Order {
            serial: *serial,
            common_name: common_name.as_ref().map(ToString::to_string),
            subject_serial: None,
            validity: *validity,
            key: csr.key().clone(),
            key_id: csr.key().id(),
            kind: Kind::Leaf,
            purposes: profile.purposes(),
            names: [AltName::Uri(uri)].into_iter().chain(dns).collect(),
            assurance: None,
            no_rev_avail: false,
        }))
    }
}

/// The contents of a platform's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformIdentity {
    /// Its serial.
    pub serial: Serial,
    /// The platform's tenant.
    pub tenant: TenantId,
    /// What it is for.
    pub profile: PlatformProfile,
    /// The common name of its subject; without one the subject is empty.
    pub common_name: Option<CommonName>,
    /// The names of its server: as many as the profile takes.
    pub dns_names: Vec<DnsName>,
    /// When it is valid.
    pub validity: Validity,
}

impl InfrastructureCa {
    /// An operator's certificate: its SPIFFE id as the only name, for the client end of TLS.
    pub fn issue_operator(&self, csr: &Csr, operator: &OperatorIdentity) -> Result<Issued, PkiError> {
        self.issue(&self.operator_order(csr, operator)?)
    }

    /// The certificate that [`InfrastructureCa::issue_operator`] issues, as an order.
    pub fn operator_order(
        &self,
        csr: &Csr,
        operator: &OperatorIdentity,
    ) -> Result<CertificateOrder<Infrastructure>, PkiError> {
        let principal = &operator.principal;
        if !principal.role.fits_tenant(principal.tenant.is_some()) {
            return Err(PkiError::Role);
        }
        let domain = self.certificate().trust_domain();
        let uri = spiffe::operator_uri(domain, principal.role, principal.tenant.as_ref(), &principal.name)
            .map_err(PkiError::Uri)?;
        Ok(CertificateOrder::new(Order {
            serial: principal.serial,
            common_name: None,
            subject_serial: None,
            validity: operator.validity,
            key: csr.public_key().into(),
            key_id: SubjectKey::from(csr.public_key()).id(),
            kind: Kind::Leaf,
            purposes: KeyPurposes::CLIENT,
            names: vec![AltName::Uri(uri)],
            assurance: None,
            no_rev_avail: false,
        }))
    }

    /// The authority's own server certificate, for the server end of TLS.
    pub fn issue_server(&self, csr: &Csr, server: &ServerIdentity) -> Result<Issued, PkiError> {
        self.issue(&self.server_order(csr, server)?)
    }

    /// The certificate that [`InfrastructureCa::issue_server`] issues, as an order.
    pub fn server_order(
        &self,
        csr: &Csr,
        server: &ServerIdentity,
    ) -> Result<CertificateOrder<Infrastructure>, PkiError> {
        if !(1..=ServerIdentity::MAX_NAMES).contains(&server.names.len()) {
            return Err(PkiError::ServerNames);
        }
        Ok(CertificateOrder::new(Order {
            serial: server.serial,
            common_name: None,
            subject_serial: None,
            validity: server.validity,
            key: csr.public_key().into(),
            key_id: SubjectKey::from(csr.public_key()).id(),
            kind: Kind::Leaf,
            purposes: KeyPurposes::SERVER,
            names: server.names.iter().cloned().map(AltName::Server).collect(),
            assurance: None,
            no_rev_avail: false,
        }))
    }
}
