//! The row of an invitation, at its id: what its token is good for, and what became of it.

use super::{IssuerRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::{OperatorName, Reason, Role, Seconds, Serial, TenantId, UnixSeconds};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct InvitationRow {
    /// HMAC-SHA-256 of the id under the secret in the token: with it the token is verified, and without the token it is worth nothing.
    pub(crate) tag: [u8; 32],
    #[serde(with = "column")]
    pub(crate) role: Role,
    #[serde(with = "column::maybe")]
    pub(crate) tenant: Option<TenantId>,
    #[serde(with = "column")]
    pub(crate) name: OperatorName,
    /// For how long the certificate is to be valid.
    #[serde(with = "column")]
    pub(crate) validity: Seconds,
    /// For stations: how many devices it may enroll.
    pub(crate) quota: u64,
    #[serde(with = "column")]
    pub(crate) made: UnixSeconds,
    /// Until when it may be redeemed.
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
    /// Which restoring of the authority it was made after: its `restored_at` at that time.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    /// Who made it.
    pub(crate) by: IssuerRow,
    #[serde(with = "column::maybe")]
    pub(crate) revoked: Option<(UnixSeconds, Reason)>,
    pub(crate) redeemed: Option<RedeemedRow>,
}

/// What was certified for an invitation.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct RedeemedRow {
    #[serde(with = "column")]
    pub(crate) serial: Serial,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that was certified.
    pub(crate) key: [u8; 32],
    /// The certificate, DER, for who did not hear of it; empty while a signer in another process has not signed it.
    pub(crate) certificate: Vec<u8>,
    /// Whether somebody came with the token and another key, which is on record once.
    pub(crate) is_contested: bool,
}

/// The row of a tenant's open invitations, at the prefix of its operators.
#[derive(Serialize, Deserialize)]
pub(crate) struct OpenInvitationsRow {
    /// As in [`InvitationRow`].
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    /// Each by its id, with the Unix second until which it may be redeemed.
    pub(crate) open: Vec<([u8; 8], u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let serial = |byte| Serial::from_random([byte; 16]);
        let row = InvitationRow {
            tag: [9; 32],
            role: Role::Station,
            tenant: Some("klinik".parse().unwrap()),
            name: "line-1".parse().unwrap(),
            validity: Seconds::new(300),
            quota: 5,
            made: UnixSeconds::new(4),
            expires: UnixSeconds::new(7),
            restored_at: UnixSeconds::new(2),
            by: IssuerRow { serial: serial(7), name: "admin/admin".into() },
            revoked: Some((UnixSeconds::new(6), "lost".parse().unwrap())),
            redeemed: Some(RedeemedRow {
                serial: serial(8),
                key: [3; 32],
                certificate: vec![0x30, 0],
                is_contested: true,
            }),
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: InvitationRow = decode(Table::Invitation, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    #[test]
    fn the_bytes_of_what_is_open_never_change() {
        const GOLDEN: &str = "0205020101010101010101070202020202020202ac02";
        let row =
            OpenInvitationsRow { restored_at: UnixSeconds::new(5), open: vec![([1; 8], 7), ([2; 8], 300)] };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: OpenInvitationsRow = decode(Table::OpenInvitations, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(read.open, row.open);
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "0209090909090909090909090909090909090909090909090909090909090909090301066b6c\
                          696e696b066c696e652d31ac0205040702470707070707070707070707070707070b61646d69\
                          6e2f61646d696e0106046c6f7374014808080808080808080808080808080803030303030303\
                          0303030303030303030303030303030303030303030303030302300001";
}
