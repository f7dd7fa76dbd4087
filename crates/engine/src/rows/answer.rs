//! The row of an operator's certificate that was handed out a short time ago, at the digest of what was ordered and by whom.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{Serial, UnixSeconds};

#[derive(Serialize, Deserialize)]
pub(crate) struct AnswerRow {
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) serial: Serial,
    /// The certificate, DER.
    pub(crate) certificate: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let row = AnswerRow {
            at: UnixSeconds::new(300),
            serial: Serial::from_random([7; 16]),
            certificate: vec![0x30, 0],
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: AnswerRow = decode(Table::OperatorAnswer, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "02ac0247070707070707070707070707070707023000";
}
