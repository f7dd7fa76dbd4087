//! The row of a deed in progress, keyed by its subject.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{DeviceId, TenantId, UnixMillis};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeedRow {
    /// A random number: a watcher of this deed does not mistake the next one about the same for it.
    pub(crate) id: u64,
    pub(crate) what: What,
    pub(crate) step: Step,
    /// Who requested it, as the audit log names them.
    pub(crate) actor: String,
    pub(crate) request_id: String,
    #[serde(with = "column")]
    pub(crate) begun_at: UnixMillis,
    /// Devices whose records were looked at.
    pub(crate) devices: u64,
    /// The version of the tenant's key that was made; 0 before.
    pub(crate) tenant_key: u32,
    /// The version of the root key that was made; 0 before.
    pub(crate) root_key: u32,
}

/// The subject of a deed. The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum What {
    Shred {
        #[serde(with = "column")]
        tenant: TenantId,
        #[serde(with = "column")]
        device: DeviceId,
        /// The erased record was sealed under this version of the tenant's key, or an older one.
        sealed_under: u32,
        /// Devices a second of the sweep.
        per_second: u32,
    },
    RootKey,
}

/// The last completed step, which determines the next one. The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) enum Step {
    /// It is on record; the keys of a device that is shredded are erased.
    Begun,
    /// The tenant has a new version of its key, and rows up to `after` are under it.
    Sweeping { after: Option<Vec<u8>> },
    /// The older versions of the tenant's key are dropped.
    Swept,
    /// The number of the new version of the root key is chosen. Custody may keep it already.
    Keeping,
    /// Nothing is under the older versions of the root key any more. Custody may have destroyed them already.
    Destroying { older: Vec<u32> },
    /// They are destroyed.
    Destroyed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use std::fmt::Write as _;
    use wardein_crypto::hex;
    use wardein_port::Table;

    /// A deed at each step.
    fn deeds() -> Vec<DeedRow> {
        let shred = || What::Shred {
            tenant: "klinik".parse().unwrap(),
            device: "pump-1".parse().unwrap(),
            sealed_under: 3,
            per_second: 1_000,
        };
        let steps = [
            (shred(), Step::Begun),
            (shred(), Step::Sweeping { after: None }),
            (shred(), Step::Sweeping { after: Some(b"klinik\0pump-7".to_vec()) }),
            (shred(), Step::Swept),
            (What::RootKey, Step::Begun),
            (What::RootKey, Step::Keeping),
            (What::RootKey, Step::Destroying { older: vec![2, 1] }),
            (shred(), Step::Destroyed),
        ];
        let deed = |(what, step)| DeedRow {
            id: 0x0123_4567_89ab_cdef,
            what,
            step,
            actor: "admin/admin".into(),
            request_id: "r-1".into(),
            begun_at: UnixMillis::new(1_790_000_000_123),
            devices: 40,
            tenant_key: 4,
            root_key: 3,
        };
        steps.into_iter().map(deed).collect()
    }

    /// `WARDEIN_BLESS=1` writes the file again, and only before a release has written such rows.
    #[test]
    fn a_deed_is_stored_as_it_was() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows/2/15-deed.txt");
        let mut lines = String::new();
        for deed in deeds() {
            let value = encode(&deed).unwrap();
            let again = encode(&decode::<DeedRow>(Table::Deed, &value).unwrap()).unwrap();
            assert_eq!(again, value, "what is read is written as it was");
            writeln!(lines, "{}", hex::Hex(&value)).unwrap();
        }
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            std::fs::write(&path, &lines).unwrap();
        }
        assert_eq!(lines, std::fs::read_to_string(&path).unwrap());
    }
}
