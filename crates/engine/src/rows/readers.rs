//! The readers of a profile's files, at tenant and profile. A row is never deleted: numbers only rise.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{ReaderName, UnixSeconds};
use wardein_files::Reader;

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct ReadersRow {
    pub(crate) number: u64,
    /// Whether files are sealed for readers alone; else for the authority.
    pub(crate) is_end_to_end: bool,
    /// By name, each once.
    pub(crate) readers: Vec<ReaderColumn>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct ReaderColumn {
    #[serde(with = "column")]
    pub(crate) name: ReaderName,
    #[serde(with = "column")]
    pub(crate) key: Reader,
    #[serde(with = "column")]
    pub(crate) from: UnixSeconds,
    #[serde(with = "column::maybe")]
    pub(crate) until: Option<UnixSeconds>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_the_row_never_change() {
        let row = ReadersRow {
            number: 300,
            is_end_to_end: true,
            readers: vec![ReaderColumn {
                name: "hospital".parse().unwrap(),
                key: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".parse().unwrap(),
                from: UnixSeconds::new(300),
                until: None,
            }],
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: ReadersRow = decode(Table::Readers, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "02ac02010108686f73706974616c3e61676531716c337a37686a79353470773368797777356179796667377a716776633777336a32656c77387a6d726a32\
         6b673573666e3961716d6361633870ac0200";
}
