//! Receipts: what came of an installation, told to the authority and kept until it has acknowledged that.
//!
//! A receipt is on the disk before the step that it tells of is, so that a power cut in between loses none: the step is taken again, and tells
//! the same again. One that was sent and whose answer was lost is sent again; the authority counts it once.

use super::files::{MAX_RECEIPTS, UpdateFiles};
use super::offer::forget_ended_key;
use super::progress::{Installed, Standing};
use super::updater::Updater;
use crate::agent::Prover;
use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Digest, hex};
use wardein_domain::{ErrorCode, LineName, RepositoryName, UnixSeconds};
use wardein_tuf::{Receipt, ReceiptOutcome};

/// What has become of the receipts of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// The authority has acknowledged all of them, or there was none.
    Acknowledged,
    /// Some are kept, and are sent with the next contact.
    Kept,
    /// The device tells nobody: it is not enrolled.
    Nobody,
}

/// `receipts.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipts {
    /// When the last installation was made that was told of, in Unix milliseconds.
    installed: u64,
    /// Those that are not acknowledged, in order.
    kept: Vec<Kept>,
}

/// A receipt but for the device's name, which a transfer changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    repository: String,
    line: String,
    version: u64,
    sha256: String,
    installed: u64,
    outcome: String,
}

impl Updater {
    /// Whether the device tells the authority what came of its installations: one that is enrolled, or installs by offers, does.
    pub fn tells(&self) -> bool {
        self.needs_offer || self.is_enrolled
    }

    /// Keeps a receipt, in the place of one that says as much.
    pub(super) fn note(
        &self,
        outcome: ReceiptOutcome,
        installed: &Installed,
        standing: &Standing,
    ) -> Result<(), Error> {
        if !self.tells() {
            return Ok(());
        }
        let (repository, line) = match self.names() {
            Ok(names) => names,
            Err(error) if !self.needs_offer => {
                tracing::warn!(%error, "the authority is not told what came of the installation");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut receipts = Receipts::read(&self.files)?;
        let is_look = matches!(outcome, ReceiptOutcome::Verified | ReceiptOutcome::Differs);
        let at = match (is_look, standing.last_offer) {
            (true, _) => receipts.installed.max(standing.last_offer),
            (false, 0) => self.now.get().saturating_mul(1000).max(receipts.installed.saturating_add(1)),
            (false, offered) => offered,
        };
        let receipt = Kept {
            repository: repository.to_string(),
            line: line.to_string(),
            version: installed.version,
            sha256: installed.sha256.clone(),
            installed: at,
            outcome: outcome.as_str().to_owned(),
        };
        let is_same = |kept: &Kept| {
            // Without offers it is told by the moment at which it is told of.
            let installed = if standing.last_offer == 0 { at } else { kept.installed };
            Kept { installed, ..kept.clone() } == receipt
        };
        let looks = [ReceiptOutcome::Verified, ReceiptOutcome::Differs].map(ReceiptOutcome::as_str);
        match is_look {
            // Of several looks the last one counts.
            true => receipts.kept.retain(|kept| !looks.contains(&kept.outcome.as_str())),
            // An installation that is told of twice is one.
            false if receipts.kept.last().is_some_and(is_same) => return Ok(()),
            false => {}
        }
        receipts.kept.push(receipt);
        // A device that reaches nobody for years keeps the last ones.
        let too_many = receipts.kept.len().saturating_sub(MAX_KEPT);
        receipts.kept.drain(..too_many);
        receipts.installed = receipts.installed.max(at);
        receipts.keep(&self.files)
    }

    /// Sends the receipts that are kept, in order; each goes once it is acknowledged.
    pub async fn tell(&self, prover: &mut impl Prover) -> Result<Told, Error> {
        if !self.tells() {
            return Ok(Told::Nobody);
        }
        tell(&self.files, &self.config, prover).await
    }

    /// Whether some are kept.
    pub fn is_told(&self) -> Result<bool, Error> {
        Ok(Receipts::read(&self.files)?.kept.is_empty())
    }
}

/// The same for the state directory `files`, unless an update is under way: that tells by itself.
pub(crate) async fn tell_kept(files: &Files, config: &Config, prover: &mut impl Prover) -> Result<(), Error> {
    match UpdateFiles::take(files.path())? {
        Some(files) => {
            forget_ended_key(&files, config, UnixSeconds::new(prover.known_time()))?;
            tell(&files, config, prover).await.map(|_| ())
        }
        None => Ok(()),
    }
}

async fn tell(files: &UpdateFiles, config: &Config, prover: &mut impl Prover) -> Result<Told, Error> {
    let mut receipts = Receipts::read(files)?;
    while let Some(kept) = receipts.kept.first() {
        let receipt = kept.receipt(config).ok_or_else(|| damaged(files, "a receipt in it is none"))?;
        match prover.update_receipt(&receipt.encode()).await {
            Ok(()) => {}
            // Sending it again would not help.
            Err(Error::Refused(refused)) if REFUSED.iter().any(|code| refused.is(*code)) => {
                tracing::warn!(%refused, version = receipt.version, "the authority does not take a receipt; it is dropped");
            }
            Err(error) => return Err(error),
        }
        receipts.kept.remove(0);
        receipts.keep(files)?;
    }
    Ok(Told::Acknowledged)
}

impl Receipts {
    fn read(files: &UpdateFiles) -> Result<Self, Error> {
        let Some(bytes) = files.receipts()? else { return Ok(Self::default()) };
        if bytes.len() as u64 > MAX_RECEIPTS {
            return Err(damaged(files, format_args!("it has more than {MAX_RECEIPTS} bytes")));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(files, error))
    }

    fn keep(&self, files: &UpdateFiles) -> Result<(), Error> {
        let bytes = serde_json::to_vec(self).map_err(|_| Error::Fault("writing JSON"))?;
        files.keep_receipts(&bytes)
    }
}

impl Kept {
    fn receipt(&self, config: &Config) -> Option<Receipt> {
        let repository: RepositoryName = self.repository.parse().ok()?;
        let line: LineName = self.line.parse().ok()?;
        Some(Receipt {
            tenant: config.device.tenant.clone(),
            device: config.device.device.clone(),
            repository,
            line,
            version: self.version,
            sha256: Digest(hex::decode_array(&self.sha256)?),
            installed: self.installed,
            outcome: ReceiptOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome)?,
        })
    }
}

fn damaged(files: &UpdateFiles, why: impl std::fmt::Display) -> Error {
    Error::Damaged { path: files.receipts_path(), why: why.to_string(), next: RECEIPTS_DAMAGED }
}

/// The refusals that stay.
const REFUSED: [ErrorCode; 4] = [
    ErrorCode::ReceiptOtherDevice,
    ErrorCode::ReceiptOtherRelease,
    ErrorCode::ReceiptReplayed,
    ErrorCode::ReceiptContradicts,
];

/// Some 300 bytes each.
const MAX_KEPT: usize = 64;

const RECEIPTS_DAMAGED: &str =
    "remove it and run: wardein-device update verify-running, which tells the authority what runs";
