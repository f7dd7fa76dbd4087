//! The rows of the authority itself.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{TrustDomain, UnixMillis, UnixSeconds};

/// Its name, its CAs and its sealed keys; at [`super::AUTHORITY`].
#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorityRow {
    #[serde(with = "column")]
    pub(crate) trust_domain: TrustDomain,
    #[serde(with = "column")]
    pub(crate) founded_at: UnixSeconds,
    /// The last restoring from a backup, made to rise from one to the next; 0 for none.
    #[serde(with = "column")]
    pub(crate) restored_at: UnixSeconds,
    pub(crate) root_der: Vec<u8>,
    /// Until format 4; empty since: the CAs of devices have rows of their own.
    pub(crate) issuing_der: Vec<u8>,
    pub(crate) infrastructure_der: Vec<u8>,
    /// Sealed under the root key: PKCS#8 documents and a raw key. Empty where the key is in another process.
    pub(crate) root_key: Vec<u8>,
    /// Until format 4.
    pub(crate) issuing_key: Vec<u8>,
    pub(crate) infrastructure_key: Vec<u8>,
    pub(crate) identity_key: Vec<u8>,
    pub(crate) challenge_key: Vec<u8>,
}

/// The authority's time, as it was when the row was written; at [`CLOCK_KEY`]. The last audit entry may say a later time.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ClockRow {
    #[serde(with = "column")]
    pub(crate) at: UnixMillis,
    /// Since when it has agreed with the wall clock; none where they were apart.
    #[serde(with = "column::maybe")]
    pub(crate) agreed_since: Option<UnixMillis>,
    /// How often the wall clock was accepted.
    pub(crate) acceptances: u32,
    /// When each era but the first began: the times at which a wall clock was accepted that was behind.
    #[serde(with = "column::list")]
    pub(crate) eras: Vec<UnixMillis>,
}

/// The format that rows are written in; at [`FORMAT_KEY`]. A store without it is of format 1.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FormatRow {
    pub(crate) format: u8,
}

/// The numbers of revocation lists, at [`CRL_KEY`].
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CrlRow {
    /// Numbers up to this one may have been given, without what is in front of them.
    pub(crate) limit: u64,
}

/// The root's revocation list as it was signed when the root's key was exported, at [`ROOT_CRL_KEY`]: while that key is offline nobody signs
/// another.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct RootCrlRow {
    /// DER.
    pub(crate) der: Vec<u8>,
}

/// The root before the present one, at [`FORMER_ROOT_KEY`], as long as it is trusted. Its key is erased. All are DER.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct FormerRootRow {
    pub(crate) der: Vec<u8>,
    /// It certified by the present root.
    pub(crate) old_with_new: Vec<u8>,
    /// The present root certified by it.
    pub(crate) new_with_old: Vec<u8>,
    /// The last revocation list that it signed.
    pub(crate) crl: Vec<u8>,
}

/// Which state of the roots is published, at [`ROOTS_KEY`], once they have changed. It rises with each change.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RootsRow {
    pub(crate) sequence: u64,
}

/// The last backup that is complete, at [`LAST_BACKUP_KEY`]. What is restored from it tells of the one before.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LastBackupRow {
    /// When it was taken: it has all that was acknowledged until then.
    #[serde(with = "column")]
    pub(crate) taken: UnixMillis,
}

pub(crate) const CRL_KEY: &[u8] = b"crl";
pub(crate) const FORMER_ROOT_KEY: &[u8] = b"former-root";
pub(crate) const ROOT_CRL_KEY: &[u8] = b"root-crl";
pub(crate) const ROOTS_KEY: &[u8] = b"roots";
pub(crate) const CLOCK_KEY: &[u8] = b"clock";
pub(crate) const LAST_BACKUP_KEY: &[u8] = b"last-backup";
pub(crate) const FORMAT_KEY: &[u8] = b"format";

impl AuthorityRow {
    /// The columns that are sealed under the root key.
    pub(crate) fn sealed_columns(&mut self) -> impl Iterator<Item = (&'static str, &mut Vec<u8>)> {
        let columns = [
            ("root", &mut self.root_key),
            ("infrastructure", &mut self.infrastructure_key),
            ("identity", &mut self.identity_key),
            ("challenge", &mut self.challenge_key),
        ];
        columns.into_iter().filter(|(_, sealed)| !sealed.is_empty())
    }
}
