//! The row of an operator, at the serial of its certificate.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{OperatorName, Principal, Reason, Role, Serial, TenantId, UnixSeconds};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OperatorRow {
    #[serde(with = "column")]
    pub(crate) role: Role,
    #[serde(with = "column::maybe")]
    pub(crate) tenant: Option<TenantId>,
    #[serde(with = "column")]
    pub(crate) name: OperatorName,
    #[serde(with = "column")]
    pub(crate) not_before: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) not_after: UnixSeconds,
    #[serde(with = "column::maybe")]
    pub(crate) revoked: Option<(UnixSeconds, Reason)>,
    /// For stations: how many devices it may enroll.
    pub(crate) quota: u64,
    /// None where the authority itself issued it, or a release before 0.2.
    pub(crate) issued_by: Option<IssuerRow>,
}

/// The operator that issued another.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct IssuerRow {
    #[serde(with = "column")]
    pub(crate) serial: Serial,
    /// As a principal is written.
    pub(crate) name: String,
}

impl OperatorRow {
    pub(crate) fn principal(&self, serial: Serial) -> Principal {
        Principal { role: self.role, tenant: self.tenant.clone(), name: self.name.clone(), serial }
    }

    /// Whether it may still call at that time.
    pub(crate) fn is_valid(&self, now: UnixSeconds) -> bool {
        self.revoked.is_none() && self.not_after >= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    /// The golden rows of the release before have no issuer.
    #[test]
    fn the_bytes_of_a_row_with_its_issuer_never_change() {
        let row = OperatorRow {
            role: Role::TenantAdmin,
            tenant: Some("klinik".parse().unwrap()),
            name: "anna".parse().unwrap(),
            not_before: UnixSeconds::new(1),
            not_after: UnixSeconds::new(300),
            revoked: None,
            quota: 0,
            issued_by: Some(IssuerRow { serial: Serial::from_random([7; 16]), name: "admin/admin".into() }),
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: OperatorRow = decode(Table::Operator, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
        let issuer = read.issued_by.unwrap();
        assert_eq!((issuer.serial, issuer.name.as_str()), (Serial::from_random([7; 16]), "admin/admin"));
    }

    const GOLDEN: &str = "020201066b6c696e696b04616e6e6101ac0200000147070707070707070707070707070707\
                          0b61646d696e2f61646d696e";
}
