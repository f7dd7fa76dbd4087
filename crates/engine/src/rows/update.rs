//! The rows of updates: a maker's repository, its product lines with their releases, and the files of metadata as they are served.

use super::seal::Place;
use super::{IssuerRow, column, word};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Digest, P256VerifyingKey};
use wardein_domain::{
    AttributeName, Bank, FirmwareVersion, LineName, OperatorName, ProfileName, ReleaseText, RepositoryName,
    TenantId, UnixSeconds,
};
use wardein_port::Table;
use wardein_tuf::Plaintext;

/// At the repository's name. Every deed in a repository writes it, so that they follow one another.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct RepositoryRow {
    #[serde(with = "column")]
    pub(crate) made_at: UnixSeconds,
    pub(crate) by: IssuerRow,
    /// Who signs root and the top-level targets, and so says whose the lines are.
    pub(crate) maker: KeySetColumn,
    /// Custody's own.
    pub(crate) snapshot_key: KeyColumn,
    /// Custody's own.
    pub(crate) timestamp_key: KeyColumn,
    /// Who signs them once the drafts of both are complete.
    pub(crate) next: Option<KeySetColumn>,
    pub(crate) root_file: FileColumn,
    pub(crate) targets_file: FileColumn,
    pub(crate) snapshot_file: FileColumn,
    pub(crate) timestamp_file: FileColumn,
    /// In order of their names.
    pub(crate) lines: Vec<LineColumn>,
    /// Custody's own keys from then on, when `next` signs.
    pub(crate) next_online: Option<OnlineColumn>,
}

/// Custody's own keys of a repository.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OnlineColumn {
    pub(crate) snapshot: KeyColumn,
    pub(crate) timestamp: KeyColumn,
}

/// What of a line is in the repository's own metadata.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct LineColumn {
    #[serde(with = "column")]
    pub(crate) name: LineName,
    /// The patterns of its paths.
    pub(crate) paths: Vec<String>,
    pub(crate) keys: KeySetColumn,
    /// The release managers who see it.
    #[serde(with = "column::list")]
    pub(crate) managers: Vec<OperatorName>,
    pub(crate) file: FileColumn,
    /// Who signs it once its draft and that of the top-level targets are complete.
    pub(crate) next: Option<KeySetColumn>,
}

/// Who signs, and how many of them must.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct KeySetColumn {
    pub(crate) keys: Vec<KeyColumn>,
    pub(crate) threshold: u32,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct KeyColumn {
    #[serde(with = "column")]
    pub(crate) public: P256VerifyingKey,
    /// PKCS#8, sealed under the root key; empty where the key is offline.
    pub(crate) sealed: Vec<u8>,
}

/// A role's file: the one that is served, and the one that waits for signatures.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct FileColumn {
    pub(crate) served: Option<ServedColumn>,
    /// The file as far as it is signed.
    pub(crate) draft: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ServedColumn {
    pub(crate) version: u64,
    /// The one before, which is served to who has begun with it.
    pub(crate) former: Option<u64>,
    pub(crate) length: u64,
    pub(crate) sha256: [u8; 32],
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
}

/// At `repository ‖ 0 ‖ line`.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct LineRow {
    /// In order of their making.
    pub(crate) releases: Vec<ReleaseColumn>,
    /// Of those whose artifacts are sealed, in the same order.
    pub(crate) sealed: Vec<SealedColumn>,
}

/// A release whose artifact is sealed: the file in it, and its key.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct SealedColumn {
    /// The release.
    pub(crate) version: u64,
    /// The length of the file in it.
    pub(crate) length: u64,
    pub(crate) sha256: [u8; 32],
    /// The artifact's key, sealed under the root key; empty once the release is recalled.
    pub(crate) key: Vec<u8>,
}

impl LineRow {
    /// What is sealed of a release; `None` where its artifact is not.
    pub(crate) fn sealed(&self, version: u64) -> Option<&SealedColumn> {
        self.sealed.iter().find(|sealed| sealed.version == version)
    }

    /// The file in a release's artifact; `None` where it is not sealed.
    pub(crate) fn plaintext(&self, version: u64) -> Option<Plaintext> {
        self.sealed(version).map(SealedColumn::plaintext)
    }
}

impl SealedColumn {
    pub(crate) fn plaintext(&self) -> Plaintext {
        Plaintext { length: self.length, sha256: Digest(self.sha256) }
    }
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ReleaseColumn {
    pub(crate) version: u64,
    #[serde(with = "column")]
    pub(crate) label: FirmwareVersion,
    #[serde(with = "column::list")]
    pub(crate) models: Vec<ReleaseText>,
    pub(crate) path: String,
    pub(crate) length: u64,
    pub(crate) sha256: [u8; 32],
    /// The least version that may be installed after it.
    pub(crate) floor: u64,
    #[serde(with = "column::maybe")]
    pub(crate) notes: Option<ReleaseText>,
    #[serde(with = "column::list")]
    pub(crate) attributes: Vec<(AttributeName, ReleaseText)>,
    pub(crate) pcrs: Vec<PcrColumn>,
    /// A device whose floor is above its version, but not above this, may install it all the same.
    pub(crate) downgrade_from: Option<u64>,
    pub(crate) rollout: RolloutColumn,
    pub(crate) state: ReleaseStateColumn,
    /// Since when it is in its state.
    #[serde(with = "column")]
    pub(crate) since: UnixSeconds,
    /// Who added it.
    pub(crate) by: IssuerRow,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct PcrColumn {
    #[serde(with = "column")]
    pub(crate) bank: Bank,
    pub(crate) number: u8,
    pub(crate) value: Vec<u8>,
}

/// To which devices a release is offered.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct RolloutColumn {
    pub(crate) percent: u8,
    /// All, where there are none.
    #[serde(with = "column::list")]
    pub(crate) tenants: Vec<TenantId>,
    /// All, where there are none.
    #[serde(with = "column::list")]
    pub(crate) profiles: Vec<ProfileName>,
}

/// The order of the variants is stored.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReleaseStateColumn {
    Proposed,
    Released,
    Paused,
    Recalled,
}

/// At `repository ‖ 0 ‖ file`.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct UpdateFileRow {
    pub(crate) bytes: Vec<u8>,
    #[serde(with = "column")]
    pub(crate) made_at: UnixSeconds,
}

/// `repository ‖ 0 ‖ line`, or a file's name in its place.
pub(crate) fn update_key(repository: &RepositoryName, within: &str) -> Vec<u8> {
    [repository.as_str().as_bytes(), b"\0", within.as_bytes()].concat()
}

/// Repository and line that [`update_key`] is the key of.
pub(crate) fn parse_update_key(key: &[u8]) -> Result<(RepositoryName, LineName), Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let (repository, line) = text.split_once('\0').unwrap_or_default();
    Ok((word("repository", repository)?, word("product line", line)?))
}

/// Where a sealed key belongs.
pub(crate) fn update_place(public: &P256VerifyingKey) -> Place<'_> {
    Place { table: Table::UpdateRepository, key: &public.0, column: "key" }
}

/// `repository ‖ 0 ‖ line ‖ 0 ‖ version`, big-endian: what the key of a release's artifact is bound to.
pub(crate) fn artifact_key(repository: &RepositoryName, line: &LineName, version: u64) -> Vec<u8> {
    [update_key(repository, line.as_str()).as_slice(), b"\0", &version.to_be_bytes()].concat()
}

/// Where the sealed key of an artifact belongs; `key` is [`artifact_key`]'s.
pub(crate) fn artifact_place(key: &[u8]) -> Place<'_> {
    Place { table: Table::ProductLine, key, column: "artifact key" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::{P256_POINT_LEN, hex};
    use wardein_domain::Serial;

    fn by() -> IssuerRow {
        IssuerRow { serial: Serial::from_random([7; 16]), name: "admin/admin".into() }
    }

    fn golden<T: Serialize + serde::de::DeserializeOwned>(table: Table, row: &T, golden: &str) {
        assert_eq!(hex::encode(&encode(row).unwrap()), golden);
        let read: T = decode(table, &hex::decode(golden).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), golden);
    }

    #[test]
    fn the_bytes_of_the_rows_never_change() {
        let key = |byte: u8, sealed: &[u8]| KeyColumn {
            public: P256VerifyingKey([byte; P256_POINT_LEN]),
            sealed: sealed.to_vec(),
        };
        let set = |byte| KeySetColumn { keys: vec![key(byte, &[])], threshold: 1 };
        let served = ServedColumn {
            version: 2,
            former: Some(1),
            length: 300,
            sha256: [9; 32],
            expires: UnixSeconds::new(400),
        };
        let file = FileColumn { served: Some(served), draft: Some(b"{}".to_vec()) };
        let row = RepositoryRow {
            made_at: UnixSeconds::new(300),
            by: by(),
            maker: set(1),
            snapshot_key: key(3, &[3]),
            timestamp_key: key(4, &[4]),
            next: Some(set(2)),
            root_file: file.clone(),
            targets_file: FileColumn::default(),
            snapshot_file: FileColumn::default(),
            timestamp_file: FileColumn::default(),
            lines: vec![LineColumn {
                name: "pumps".parse().unwrap(),
                paths: vec!["p/*".into()],
                keys: set(5),
                managers: vec!["eva".parse().unwrap()],
                file: FileColumn::default(),
                next: None,
            }],
            next_online: Some(OnlineColumn { snapshot: key(6, &[6]), timestamp: key(7, &[7]) }),
        };
        golden(Table::UpdateRepository, &row, REPOSITORY);
        let release = ReleaseColumn {
            version: 7,
            label: "1.2".parse().unwrap(),
            models: vec!["pump-3".parse().unwrap()],
            path: "p/a".into(),
            length: 300,
            sha256: [8; 32],
            floor: 5,
            notes: Some("fixes".parse().unwrap()),
            attributes: vec![("firmware".parse().unwrap(), "1.2".parse().unwrap())],
            pcrs: vec![PcrColumn { bank: Bank::Sha256, number: 7, value: vec![6; 2] }],
            downgrade_from: Some(9),
            rollout: RolloutColumn {
                percent: 5,
                tenants: vec!["klinik".parse().unwrap()],
                profiles: vec!["icu".parse().unwrap()],
            },
            state: ReleaseStateColumn::Recalled,
            since: UnixSeconds::new(300),
            by: by(),
        };
        let sealed = SealedColumn { version: 7, length: 200, sha256: [7; 32], key: vec![1, 2] };
        let row = LineRow { releases: vec![release], sealed: vec![sealed] };
        golden(Table::ProductLine, &row, &format!("{LINE}0107c801{}020102", "07".repeat(32)));
        let unsealed = LineRow { sealed: Vec::new(), ..row };
        golden(Table::ProductLine, &unsealed, &format!("{LINE}00"));
        let key = artifact_key(&"maker".parse().unwrap(), &"pumps".parse().unwrap(), 258);
        assert_eq!(key, b"maker\0pumps\0\0\0\0\0\0\0\x01\x02");
        let file = UpdateFileRow { bytes: vec![1, 2], made_at: UnixSeconds::new(300) };
        golden(Table::UpdateFile, &file, "02020102ac02");
        assert_eq!(update_key(&"maker".parse().unwrap(), "pumps"), b"maker\0pumps");
    }

    const REPOSITORY: &str = "02ac02470707070707070707070707070707070b61646d696e2f61646d696e0141010101010101010101010101010101\
         010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101\
         010100014103030303030303030303030303030303030303030303030303030303030303030303030303030303030303\
         030303030303030303030303030303030303030303030103410404040404040404040404040404040404040404040404\
         040404040404040404040404040404040404040404040404040404040404040404040404040404040404010401014102\
         020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202\
         02020202020202020202020202020202000101020101ac02090909090909090909090909090909090909090909090909\
         0909090909090909900301027b7d000000000000010570756d70730103702f2a01410505050505050505050505050505\
         050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505\
         050505000101036576610000000141060606060606060606060606060606060606060606060606060606060606060606\
         060606060606060606060606060606060606060606060606060606060606060601064107070707070707070707070707\
         070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707\
         070707070107";
    const LINE: &str = "02010703312e32010670756d702d3303702f61ac02080808080808080808080808080808080808080808080808080808\
         0808080808050105666978657301086669726d7761726503312e3201010702060601090501066b6c696e696b010369637503ac02470707070707070707070707\
         070707070b61646d696e2f61646d696e";
}
