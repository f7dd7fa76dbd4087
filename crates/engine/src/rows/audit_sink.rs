//! The row of an audit sink, at its name: how far it took the log.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AuditSinkRow {
    /// The number of the last entry that it took; 0 before the first.
    pub(crate) taken: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_the_row_never_change() {
        let row = AuditSinkRow { taken: 300 };
        assert_eq!(hex::encode(&encode(&row).unwrap()), "02ac02");
        let read: AuditSinkRow = decode(Table::AuditSink, &[2, 0xac, 2]).unwrap();
        assert_eq!(read, row);
    }
}
