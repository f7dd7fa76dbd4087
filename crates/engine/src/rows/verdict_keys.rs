//! The keys that sign verdicts, at [`super::VERDICT_KEYS`] in the table of the authority: one row, since they follow one another.

use super::column;
use super::seal::Place;
use serde::{Deserialize, Serialize};
use wardein_crypto::P256VerifyingKey;
use wardein_domain::UnixSeconds;
use wardein_port::Table;

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct VerdictKeysRow {
    /// The oldest first; at most one is next, and one active.
    pub(crate) keys: Vec<VerdictKeyColumn>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct VerdictKeyColumn {
    #[serde(with = "column")]
    pub(crate) public: P256VerifyingKey,
    /// PKCS#8, sealed under the root key; empty where it is erased.
    pub(crate) sealed: Vec<u8>,
    pub(crate) stage: VerdictKeyStage,
    /// Since when it is in its stage.
    #[serde(with = "column")]
    pub(crate) since: UnixSeconds,
}

/// What a key is for. The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VerdictKeyStage {
    /// It is published, and signs nothing yet.
    Next,
    /// It signs.
    Active,
    /// It signs nothing any more, and is erased; what it signed may still be good.
    Retired,
}

/// Where the sealed key belongs.
pub(crate) fn verdict_key_place(public: &P256VerifyingKey) -> Place<'_> {
    Place { table: Table::Authority, key: &public.0, column: "verdict-key" }
}

pub(crate) const VERDICT_KEYS: &[u8] = b"verdict-keys";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::{P256_POINT_LEN, hex};

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let key = |byte: u8, sealed: &[u8], stage| VerdictKeyColumn {
            public: P256VerifyingKey([byte; P256_POINT_LEN]),
            sealed: sealed.to_vec(),
            stage,
            since: UnixSeconds::new(1_790_000_000),
        };
        let keys = vec![
            key(1, &[], VerdictKeyStage::Retired),
            key(2, &[7, 7], VerdictKeyStage::Active),
            key(3, &[8], VerdictKeyStage::Next),
        ];
        let value = encode(&VerdictKeysRow { keys }).unwrap();
        let key =
            |byte: u8, rest: &str| format!("41{}{rest}80f7c4d506", hex::encode(&[byte; P256_POINT_LEN]));
        let golden = format!("0203{}{}{}", key(1, "0002"), key(2, "02070701"), key(3, "010800"));
        assert_eq!(hex::encode(&value), golden);
        let read: VerdictKeysRow = decode(Table::Authority, &value).unwrap();
        assert_eq!(encode(&read).unwrap(), value);
    }
}
