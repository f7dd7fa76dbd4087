//! The row of a certificate that a signer in another process is to sign, at its serial.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::UnixSeconds;

#[derive(Serialize, Deserialize)]
pub(crate) struct PreparedRow {
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    /// Exactly the bytes that may have been signed, once this is on record (RFC 5280 §4.1, TBSCertificate).
    pub(crate) tbs: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    /// `WARDEIN_BLESS=1` writes the file again, and only before a release has written such rows.
    #[test]
    fn a_prepared_certificate_is_stored_as_it_was() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows/2/20-prepared.txt");
        let row = PreparedRow { at: UnixSeconds::new(1_790_000_000), tbs: vec![0x30, 3, 2, 1, 7] };
        let value = encode(&row).unwrap();
        let again = encode(&decode::<PreparedRow>(Table::Prepared, &value).unwrap()).unwrap();
        assert_eq!(again, value, "what is read is written as it was");
        let line = format!("{}\n", hex::Hex(&value));
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            std::fs::write(&path, &line).unwrap();
        }
        assert_eq!(line, std::fs::read_to_string(&path).unwrap());
    }
}
