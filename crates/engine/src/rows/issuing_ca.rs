//! The row of a CA that certifies devices, at its key identifier.

use super::column;
use super::seal::Place;
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_domain::{CaId, CaState, TenantId, UnixSeconds};
use wardein_port::Table;

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct IssuingCaRow {
    /// Whose devices it certifies; none: of all tenants that have no CA of their own.
    #[serde(with = "column::maybe")]
    pub(crate) tenant: Option<TenantId>,
    #[serde(with = "column")]
    pub(crate) state: CaState,
    /// Its certificate.
    pub(crate) der: Vec<u8>,
    pub(crate) key: CaKeyColumn,
    #[serde(with = "column")]
    pub(crate) made_at: UnixSeconds,
    /// Since when it is in its state.
    #[serde(with = "column")]
    pub(crate) since: UnixSeconds,
    /// Its certificate by another PKI, and those from there to that one's root without it; empty where there is none.
    pub(crate) cross: Vec<Vec<u8>>,
}

/// Where a CA's key is. The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum CaKeyColumn {
    /// Here: a PKCS#8 document, sealed under the root key.
    Sealed(Vec<u8>),
    /// In another process.
    Elsewhere,
    /// Nowhere any more.
    Erased,
}

/// Where a CA's sealed key belongs.
pub(crate) fn ca_place(id: &CaId) -> Place<'_> {
    Place { table: Table::IssuingCa, key: id.as_bytes(), column: "key" }
}

/// The CA that a row's key names.
pub(crate) fn parse_ca_key(key: &[u8]) -> Result<CaId, Error> {
    let id = key.try_into().map_err(|_| super::damaged(Table::IssuingCa, "has a damaged key"))?;
    Ok(CaId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use std::fmt::Write as _;
    use wardein_crypto::hex;

    fn row(state: CaState) -> IssuingCaRow {
        let key = match state {
            CaState::Next => CaKeyColumn::Elsewhere,
            CaState::Retired => CaKeyColumn::Erased,
            _ => CaKeyColumn::Sealed(vec![1, 0, 0, 0, 7]),
        };
        IssuingCaRow {
            tenant: (state != CaState::Active).then(|| "klinik".parse().unwrap()),
            state,
            der: vec![0x30, 3, 2, 1, 7],
            key,
            made_at: UnixSeconds::new(1_790_000_000),
            since: UnixSeconds::new(1_800_000_000),
            cross: if state == CaState::Active {
                vec![vec![0x30, 3, 2, 1, 8], vec![0x30, 3, 2, 1, 9]]
            } else {
                Vec::new()
            },
        }
    }

    /// `WARDEIN_BLESS=1` writes the file again, and only before a release has written such rows.
    #[test]
    fn an_issuing_ca_is_stored_as_it_was() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows/2/27-issuing-ca.txt");
        let mut lines = String::new();
        for state in CaState::ALL {
            let value = encode(&row(state)).unwrap();
            let again = encode(&decode::<IssuingCaRow>(Table::IssuingCa, &value).unwrap()).unwrap();
            assert_eq!(again, value, "what is read is written as it was");
            writeln!(lines, "{}", hex::Hex(&value)).unwrap();
        }
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            std::fs::write(&path, &lines).unwrap();
        }
        assert_eq!(lines, std::fs::read_to_string(&path).unwrap());
    }
}
