//! The rows of two-person approval: the policy of a tenant or of the authority, at the prefix of its operators; a proposal, at its id; and
//! the proposals that wait, at that prefix again.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{
    ApprovalPolicy, GuardedDeed, OperatorName, Principal, Reason, Role, Seconds, Serial, TenantId,
    UnixSeconds,
};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ApprovalPolicyRow {
    #[serde(with = "column::list")]
    deeds: Vec<GuardedDeed>,
    #[serde(with = "column")]
    lifetime: Seconds,
    #[serde(with = "column")]
    pub(crate) set_at: UnixSeconds,
    pub(crate) by: PersonRow,
}

/// An operator, with the certificate that it came with.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct PersonRow {
    #[serde(with = "column")]
    role: Role,
    #[serde(with = "column::maybe")]
    tenant: Option<TenantId>,
    #[serde(with = "column")]
    name: OperatorName,
    #[serde(with = "column")]
    pub(crate) serial: Serial,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ProposalRow {
    #[serde(with = "column")]
    pub(crate) deed: GuardedDeed,
    /// The tenant that it is about; none for the authority.
    #[serde(with = "column::maybe")]
    pub(crate) tenant: Option<TenantId>,
    /// SHA-256 over the deed, the tenant and all that is asked.
    pub(crate) digest: [u8; 32],
    pub(crate) asked: Vec<AskedRow>,
    pub(crate) by: PersonRow,
    #[serde(with = "column")]
    pub(crate) made: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
    /// Which restoring of the authority it was made after: its `restored_at` at that time.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    pub(crate) state: ProposalStateRow,
}

/// One field of what is asked.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct AskedRow {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The order of these is stored.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum ProposalStateRow {
    Open,
    Approved {
        by: PersonRow,
        #[serde(with = "column")]
        at: UnixSeconds,
    },
    Rejected {
        by: PersonRow,
        #[serde(with = "column")]
        at: UnixSeconds,
        #[serde(with = "column")]
        reason: Reason,
    },
    CarriedOut {
        approved_by: PersonRow,
        #[serde(with = "column")]
        at: UnixSeconds,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OpenProposalsRow {
    /// As in [`ProposalRow`].
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    pub(crate) open: Vec<OpenProposalRow>,
}

/// A proposal that is neither rejected nor carried out.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OpenProposalRow {
    pub(crate) id: [u8; 8],
    /// Whose it is.
    #[serde(with = "column")]
    pub(crate) by: OperatorName,
    /// The digest of what is asked.
    pub(crate) digest: [u8; 32],
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
}

impl ApprovalPolicyRow {
    pub(crate) fn new(policy: &ApprovalPolicy, set_at: UnixSeconds, by: &Principal) -> Self {
        Self { deeds: policy.deeds().collect(), lifetime: policy.lifetime(), set_at, by: by.into() }
    }

    pub(crate) fn policy(&self) -> Result<ApprovalPolicy, crate::kernel::Error> {
        ApprovalPolicy::new(self.deeds.iter().copied(), self.lifetime).map_err(|error| {
            super::damaged(wardein_port::Table::ApprovalPolicy, format_args!("has a lifetime that {error}"))
        })
    }
}

impl PersonRow {
    pub(crate) fn principal(&self) -> Principal {
        let Self { role, tenant, name, serial } = self.clone();
        Principal { role, tenant, name, serial }
    }
}

impl From<&Principal> for PersonRow {
    fn from(principal: &Principal) -> Self {
        let Principal { role, tenant, name, serial } = principal.clone();
        Self { role, tenant, name, serial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use serde::de::DeserializeOwned;
    use wardein_crypto::hex;
    use wardein_port::Table;

    fn stays<T: Serialize + DeserializeOwned>(table: Table, row: &T, golden: &str) {
        assert_eq!(hex::encode(&encode(row).unwrap()), golden);
        let read: T = decode(table, &hex::decode(golden).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), golden);
    }

    fn person(name: &str) -> Principal {
        let serial = Serial::from_random([7; 16]);
        Principal { role: Role::Admin, tenant: None, name: name.parse().unwrap(), serial }
    }

    fn proposal(state: ProposalStateRow) -> ProposalRow {
        ProposalRow {
            deed: GuardedDeed::RevokeDevice,
            tenant: Some("t".parse().unwrap()),
            digest: [9; 32],
            asked: vec![AskedRow { name: "device_id".into(), value: "d".into() }],
            by: PersonRow::from(&person("a")),
            made: UnixSeconds::new(1),
            expires: UnixSeconds::new(300),
            restored_at: UnixSeconds::new(2),
            state,
        }
    }

    #[test]
    fn the_bytes_of_the_rows_never_change() {
        let policy = ApprovalPolicy::new([GuardedDeed::ShredDevice], ApprovalPolicy::MIN_LIFETIME).unwrap();
        let row = ApprovalPolicyRow::new(&policy, UnixSeconds::new(300), &person("a"));
        assert_eq!(row.policy().unwrap(), policy);
        stays(Table::ApprovalPolicy, &row, POLICY);
        let (by, at) = (PersonRow::from(&person("b")), UnixSeconds::new(5));
        let reason = "no".parse().unwrap();
        for (state, end) in [
            (ProposalStateRow::Open, "00".to_owned()),
            (ProposalStateRow::Approved { by: by.clone(), at }, format!("01{B}05")),
            (ProposalStateRow::Rejected { by: by.clone(), at, reason }, format!("02{B}05026e6f")),
            (ProposalStateRow::CarriedOut { approved_by: by, at }, format!("03{B}05")),
        ] {
            stays(Table::Proposal, &proposal(state), &format!("{PROPOSAL}{end}"));
        }
        let by = "a".parse().unwrap();
        let open = OpenProposalRow { id: [1; 8], by, digest: [9; 32], expires: UnixSeconds::new(300) };
        let row = OpenProposalsRow { restored_at: UnixSeconds::new(2), open: vec![open] };
        stays(Table::OpenProposals, &row, OPEN);
    }

    const B: &str = "0100016247070707070707070707070707070707";
    const POLICY: &str = "0203010309901cac0201000161\
                          47070707070707070707070707070707";
    const PROPOSAL: &str = "02020101740909090909090909090909090909090909090909090909090909090909090909\
                            01096465766963655f696401640100016147070707070707070707070707070707\
                            01ac0202";
    const OPEN: &str =
        "020201010101010101010101610909090909090909090909090909090909090909090909090909090909090909ac02";
}
