//! The basis of the crate's tests: an authority founded in memory.

mod algorithms;
mod chain;
mod crl;
mod cross;
#[cfg(feature = "endorsement")]
mod endorsement;
mod kinds;
mod lint;
mod load;
mod ocsp;
mod recognize;
mod request;
mod signers;
mod subject_key;
mod two_steps;
mod where_revoked;

use crate::{
    Csr, DeviceCsr, DeviceIdentity, InfrastructureCa, IssuingCa, OperatorIdentity, RootCa, ServerIdentity,
    Validity,
};
use crate::{INTERMEDIATE_LIFETIME, ROOT_LIFETIME};
use wardein_crypto::{P256SigningKey, Signer};
use wardein_domain::{CertificateNames, KeyPurposes, Principal, Role, Serial};

/// 2026-11-22, when the test authority is founded.
pub(crate) const NOW: u64 = 1_795_305_600;

pub(crate) struct Authority {
    pub(crate) root: RootCa,
    pub(crate) issuing: IssuingCa,
    pub(crate) infrastructure: InfrastructureCa,
}

impl Authority {
    pub(crate) fn found() -> Self {
        Self::found_with(key(), key(), key())
    }

    pub(crate) fn found_with(
        root: impl Signer + 'static,
        issuing: impl Signer + 'static,
        infrastructure: impl Signer + 'static,
    ) -> Self {
        let domain = "wardein.example".parse().unwrap();
        let validity = |lifetime| Validity::starting(NOW, lifetime).unwrap();
        let root = RootCa::found(&domain, root, serial(1), validity(ROOT_LIFETIME)).unwrap();
        let issuing = root.found_issuing(issuing, serial(2), validity(INTERMEDIATE_LIFETIME)).unwrap();
        let infrastructure =
            root.found_infrastructure(infrastructure, serial(3), validity(INTERMEDIATE_LIFETIME)).unwrap();
        Self { root, issuing, infrastructure }
    }

    pub(crate) fn device(&self) -> Vec<u8> {
        self.issuing.issue_device(&device_csr(), &device()).unwrap().into_der()
    }

    pub(crate) fn operator(&self) -> Vec<u8> {
        self.infrastructure.issue_operator(&csr(), &operator()).unwrap().into_der()
    }

    pub(crate) fn server(&self) -> Vec<u8> {
        self.infrastructure.issue_server(&csr(), &server()).unwrap().into_der()
    }
}

pub(crate) fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

pub(crate) fn csr() -> Csr {
    Csr::parse(&Csr::create(&key()).unwrap()).unwrap()
}

pub(crate) fn device_csr() -> DeviceCsr {
    DeviceCsr::from(&csr())
}

pub(crate) fn serial(number: u8) -> Serial {
    Serial::from_random([number; 16])
}

pub(crate) fn device() -> DeviceIdentity {
    DeviceIdentity {
        serial: serial(9),
        tenant: "klinik-nord".parse().unwrap(),
        device: "pump-0001".parse().unwrap(),
        names: CertificateNames::default(),
        validity: Validity::starting(NOW, 86_400).unwrap(),
        assurance: Some(wardein_domain::Assurance::TpmListed),
        purposes: KeyPurposes::CLIENT,
        no_rev_avail: false,
    }
}

/// The same device, with a name of each kind.
pub(crate) fn named_device() -> DeviceIdentity {
    let (common_name, dns) = ("pump-0001.klinik-nord".parse().unwrap(), "pump-0001.example".parse().unwrap());
    let names = CertificateNames {
        common_name: Some(common_name),
        dns: Some(dns),
        uri: Some("urn:dev:os:1-pump-0001".parse().unwrap()),
        serial_number: Some("pump-0001".parse().unwrap()),
    };
    DeviceIdentity { names, ..device() }
}

pub(crate) fn operator() -> OperatorIdentity {
    OperatorIdentity {
        principal: Principal {
            role: Role::Station,
            tenant: Some("klinik-nord".parse().unwrap()),
            name: "line-1".parse().unwrap(),
            serial: serial(10),
        },
        validity: Validity::starting(NOW, 86_400).unwrap(),
    }
}

pub(crate) fn server() -> ServerIdentity {
    ServerIdentity {
        serial: serial(11),
        names: ["localhost", "127.0.0.1", "::1"].map(|name| name.parse().unwrap()).to_vec(),
        validity: Validity::starting(NOW, 86_400).unwrap(),
    }
}
