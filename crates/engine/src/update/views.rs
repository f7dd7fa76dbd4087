//! What is said of repositories, lines and releases.

use super::UpdateRole;
use super::metadata::{Signers, file_of, read_draft, signers_of};
use crate::access::operators::Issuer;
use crate::kernel::Error;
use crate::project::ReceiptCounts;
use crate::rows::{IssuerRow, LineColumn, PcrColumn, ReleaseColumn, ReleaseStateColumn, RepositoryRow};
use wardein_crypto::{Digest, P256VerifyingKey, Secret};
use wardein_domain::{
    AttributeName, Bank, FirmwareVersion, LineName, OperatorName, ProfileName, ReleaseText, RepositoryName,
    TenantId,
};
use wardein_tuf::{Document, KeyId, Plaintext, Root, Targets};

/// A maker's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRepository {
    /// Its name.
    pub name: RepositoryName,
    /// Unix seconds at which it was made.
    pub made_at: u64,
    /// Who made it.
    pub by: Issuer,
    /// Its files, root first; then the top-level targets, the snapshot and the timestamp.
    pub files: Vec<UpdateFile>,
    /// Its lines.
    pub lines: Vec<LineName>,
}

/// A product line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductLine {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its name.
    pub name: LineName,
    /// The patterns of its paths.
    pub paths: Vec<String>,
    /// The release managers who see it.
    pub managers: Vec<OperatorName>,
    /// Its file.
    pub file: UpdateFile,
}

/// A file of metadata: who signs it, what is served, and what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFile {
    /// Its name without version: `root`, `targets`, `snapshot`, `timestamp`, or the line's.
    pub name: String,
    /// Who signs it.
    pub keys: Vec<UpdateKey>,
    /// How many of them must.
    pub threshold: u32,
    /// The version that is served; 0 while there is none.
    pub version: u64,
    /// Unix seconds until which that is trusted; 0 while there is none.
    pub expires: u64,
    /// What waits for signatures.
    pub draft: Option<UpdateDraft>,
}

/// A key that signs metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateKey {
    /// Its id in metadata.
    pub id: KeyId,
    /// Whether the authority's custody has it.
    pub in_custody: bool,
}

/// What waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateDraft {
    /// Its version.
    pub version: u64,
    /// How many signatures are missing still; of a root, of the former and of the next keys together.
    pub missing: u64,
}

/// An artifact that a maker released, or means to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What was ordered.
    pub order: ReleaseOrder,
    /// To which devices it is offered.
    pub rollout: Rollout,
    /// How it stands.
    pub state: ReleaseState,
    /// Unix seconds since when it is in its state.
    pub since: u64,
    /// Who added it.
    pub by: Issuer,
    /// Of how many devices what is known of it, by their receipts.
    pub receipts: ReceiptCounts,
    /// The file in its artifact, where that is sealed. What opens it is shown to nobody.
    pub plaintext: Option<Plaintext>,
}

/// What opens a sealed artifact, and the file in it. It has no `Debug`: the key is secret.
pub struct ArtifactKey {
    /// The file in it.
    pub plaintext: Plaintext,
    /// The file key of the artifact, which is an age v1 file.
    pub key: Secret<16>,
}

/// A release to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOrder {
    /// The repository.
    pub repository: RepositoryName,
    /// The line.
    pub line: LineName,
    /// Its number, which rises: what devices compare.
    pub version: u64,
    /// Its name for people.
    pub label: FirmwareVersion,
    /// The models that may run it.
    pub models: Vec<ReleaseText>,
    /// Where the artifact is, below wherever the maker keeps artifacts.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The least version that may be installed after it.
    pub floor: u64,
    /// What it changes.
    pub notes: Option<ReleaseText>,
    /// The attributes that a device which runs it announces.
    pub attributes: Vec<(AttributeName, ReleaseText)>,
    /// The PCRs that it quotes.
    pub pcrs: Vec<ReleasePcr>,
    /// A device whose floor is above its version, but not above this, may install it all the same.
    pub downgrade_from: Option<u64>,
}

/// To which devices a release is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// What share of the devices, 0 to 100.
    pub percent: u8,
    /// Those of these tenants; of all, where there are none.
    pub tenants: Vec<TenantId>,
    /// Those of these profiles; of all, where there are none.
    pub profiles: Vec<ProfileName>,
}

/// The value of a PCR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePcr {
    /// Its bank.
    pub bank: Bank,
    /// Its number.
    pub number: u8,
    /// Its value, as long as the bank's hash.
    pub value: Vec<u8>,
}

/// How a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseState {
    /// It is on record, and in no metadata.
    Proposed,
    /// Devices may install it.
    Released,
    /// It stays in the metadata, and is offered to nobody.
    Paused,
    /// It is in the metadata no more, for good.
    Recalled,
}

impl ReleaseState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Released => "released",
            Self::Paused => "paused",
            Self::Recalled => "recalled",
        }
    }
}

impl From<ReleaseStateColumn> for ReleaseState {
    fn from(state: ReleaseStateColumn) -> Self {
        match state {
            ReleaseStateColumn::Proposed => Self::Proposed,
            ReleaseStateColumn::Released => Self::Released,
            ReleaseStateColumn::Paused => Self::Paused,
            ReleaseStateColumn::Recalled => Self::Recalled,
        }
    }
}

pub(super) fn issuer(row: &IssuerRow) -> Issuer {
    Issuer { serial: row.serial, name: row.name.clone() }
}

fn key(public: &P256VerifyingKey, sealed: &[u8]) -> UpdateKey {
    UpdateKey { id: wardein_tuf::Key::p256(public).id(), in_custody: !sealed.is_empty() }
}

pub(super) fn repository(name: &RepositoryName, row: &RepositoryRow) -> Result<UpdateRepository, Error> {
    let services = [
        ("snapshot", &row.snapshot_key, &row.snapshot_file),
        ("timestamp", &row.timestamp_key, &row.timestamp_file),
    ];
    let mut files = vec![file("root", row, &UpdateRole::Root)?, file("targets", row, &UpdateRole::Targets)?];
    files.extend(services.map(|(name, by, file)| UpdateFile {
        name: name.to_owned(),
        keys: vec![key(&by.public, &by.sealed)],
        threshold: 1,
        version: file.served.as_ref().map_or(0, |served| served.version),
        expires: file.served.as_ref().map_or(0, |served| served.expires.get()),
        draft: None,
    }));
    let lines = row.lines.iter().map(|line| line.name.clone()).collect();
    Ok(UpdateRepository { name: name.clone(), made_at: row.made_at.get(), by: issuer(&row.by), files, lines })
}

pub(super) fn line(
    name: &RepositoryName,
    row: &RepositoryRow,
    line: &LineColumn,
) -> Result<ProductLine, Error> {
    Ok(ProductLine {
        repository: name.clone(),
        name: line.name.clone(),
        paths: line.paths.clone(),
        managers: line.managers.clone(),
        file: file(line.name.as_str(), row, &UpdateRole::Line(line.name.clone()))?,
    })
}

pub(super) fn file(name: &str, row: &RepositoryRow, role: &UpdateRole) -> Result<UpdateFile, Error> {
    let damaged = || Error::internal("a line without a row");
    let column = file_of(row, role).ok_or_else(damaged)?;
    let sets = signers_of(row, role);
    let set = sets.last().ok_or_else(damaged)?;
    let draft = match &column.draft {
        None => None,
        Some(draft) => {
            let envelope = read_draft(draft)?;
            let version = match role {
                UpdateRole::Root => envelope.read::<Root>().map(|document| document.version()),
                _ => envelope.read::<Targets>().map(|document| document.version()),
            };
            let version =
                version.map_err(|error| Error::internal(format_args!("a draft is damaged: {error}")))?;
            let missing = sets
                .iter()
                .map(|set| Signers::from(*set))
                .map(|signers| signers.holders.threshold.saturating_sub(signers.count(&envelope)));
            Some(UpdateDraft { version: version.get(), missing: missing.sum() })
        }
    };
    Ok(UpdateFile {
        name: name.to_owned(),
        keys: set.keys.iter().map(|by| key(&by.public, &by.sealed)).collect(),
        threshold: set.threshold,
        version: column.served.as_ref().map_or(0, |served| served.version),
        expires: column.served.as_ref().map_or(0, |served| served.expires.get()),
        draft,
    })
}

pub(super) fn release(
    repository: &RepositoryName,
    line: &LineName,
    row: &ReleaseColumn,
    plaintext: Option<Plaintext>,
) -> Release {
    Release {
        order: order(repository, line, row),
        rollout: Rollout::from(&row.rollout),
        state: row.state.into(),
        since: row.since.get(),
        by: issuer(&row.by),
        receipts: ReceiptCounts::default(),
        plaintext,
    }
}

pub(super) fn order(repository: &RepositoryName, line: &LineName, row: &ReleaseColumn) -> ReleaseOrder {
    let pcr = |PcrColumn { bank, number, value }: &PcrColumn| ReleasePcr {
        bank: *bank,
        number: *number,
        value: value.clone(),
    };
    ReleaseOrder {
        repository: repository.clone(),
        line: line.clone(),
        version: row.version,
        label: row.label.clone(),
        models: row.models.clone(),
        path: row.path.clone(),
        length: row.length,
        sha256: Digest(row.sha256),
        floor: row.floor,
        notes: row.notes.clone(),
        attributes: row.attributes.clone(),
        pcrs: row.pcrs.iter().map(pcr).collect(),
        downgrade_from: row.downgrade_from,
    }
}
