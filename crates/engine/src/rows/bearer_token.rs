//! The row of an identity's bearer tokens, under its tenant at the serial of its certificate.

use super::{IssuerRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::UnixSeconds;

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct BearerTokensRow {
    pub(crate) tokens: Vec<BearerTokenRow>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct BearerTokenRow {
    pub(crate) id: [u8; 8],
    /// HMAC-SHA-256 of the id under the secret in the token: with it the token is verified, and without the token it is worth nothing.
    pub(crate) tag: [u8; 32],
    #[serde(with = "column")]
    pub(crate) made: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
    /// Which restoring of the authority it was made after: its `restored_at` at that time.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    /// Who made it.
    pub(crate) by: IssuerRow,
}

impl BearerTokenRow {
    /// Whether it is good at that time. One of before the authority was restored may have been revoked after its backup.
    pub(crate) fn is_good(&self, now: UnixSeconds, restored_at: UnixSeconds) -> bool {
        self.expires >= now && self.restored_at == restored_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_domain::Serial;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let token = BearerTokenRow {
            id: [1; 8],
            tag: [9; 32],
            made: UnixSeconds::new(4),
            expires: UnixSeconds::new(300),
            restored_at: UnixSeconds::new(2),
            by: IssuerRow { serial: Serial::from_random([7; 16]), name: "admin/admin".into() },
        };
        let row = BearerTokensRow { tokens: vec![token] };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: BearerTokensRow = decode(Table::BearerTokens, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "02010101010101010101090909090909090909090909090909090909090909090909090909090909090904\
                          ac0202470707070707070707070707070707070b61646d696e2f61646d696e";
}
