//! The row of a device's voucher, at tenant and id: what its secret is good for, and what became of it. A device has one.

use super::{IssuerRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::{Serial, UnixSeconds};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct VoucherRow {
    /// What entries of the audit log know it by.
    pub(crate) id: [u8; 8],
    /// HMAC-SHA-256 of the row's key under the secret: with it the secret is verified, and without the secret it is worth nothing.
    pub(crate) tag: [u8; 32],
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
    pub(crate) redeemed: Option<UsedVoucherRow>,
}

/// What was certified for a voucher.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct UsedVoucherRow {
    #[serde(with = "column")]
    pub(crate) serial: Serial,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that was certified.
    pub(crate) key: [u8; 32],
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
        let row = VoucherRow {
            id: [5; 8],
            tag: [9; 32],
            made: UnixSeconds::new(4),
            expires: UnixSeconds::new(300),
            restored_at: UnixSeconds::new(2),
            by: IssuerRow { serial: serial(7), name: "station/klinik/line-1".into() },
            redeemed: Some(UsedVoucherRow { serial: serial(8), key: [3; 32] }),
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: VoucherRow = decode(Table::Voucher, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "02050505050505050509090909090909090909090909090909090909090909090909090909090909\
                          0904ac0202470707070707070707070707070707071573746174696f6e2f6b6c696e696b2f6c696e\
                          652d3101480808080808080808080808080808080303030303030303030303030303030303030303\
                          030303030303030303030303";
}
