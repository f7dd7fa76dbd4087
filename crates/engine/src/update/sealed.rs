//! Sealed artifacts: the maker's file lies on the share as an age file that nobody can read, and its key is here, under the root
//! key. It is given with an offer alone ([`super::offers`]), sealed for the one proof that asked, and is erased when the release is
//! recalled.

use super::releases::releases_of;
use super::views::{ArtifactKey, Release, ReleaseOrder};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, SealedColumn, update_key};
use wardein_crypto::{Digest, SecretBytes};
use wardein_domain::{LineName, RepositoryName};
use wardein_port::{Change, Table};

impl Engine {
    /// Puts a release on record whose artifact is sealed, as [`Engine::add_release`] does; length and digest in `order` are those
    /// of the sealed file. The same order and key again change nothing. An order of that file without a key, such as one that signs
    /// a downgrade, leaves the key as it is; another key, or another file in it, is refused.
    pub async fn add_sealed_release(
        &self,
        caller: &Caller,
        order: ReleaseOrder,
        key: ArtifactKey,
    ) -> Result<Release, Error> {
        let most = ReleaseOrder::MAX_NUMBER;
        if !(1..=most).contains(&key.plaintext.length) {
            let why = format_args!("is {}; it takes 1 to {most}", key.plaintext.length);
            return Err(Error::wrong("release.plaintext.length", why));
        }
        self.put_release(caller, &order, Some(&key)).await
    }

    /// Whether `given` is what is on record. Without one it is any.
    pub(super) fn has_artifact_key(
        &self,
        (name, line): (&RepositoryName, &LineName),
        known: Option<&SealedColumn>,
        given: Option<&ArtifactKey>,
    ) -> Result<bool, Error> {
        let Some(given) = given else { return Ok(true) };
        let Some(known) = known.filter(|known| known.plaintext() == given.plaintext) else {
            return Ok(false);
        };
        // That of a recalled release is gone, and there is nothing to compare with.
        if known.key.is_empty() {
            return Ok(true);
        }
        // Digests, so that the time that it takes says nothing of the keys.
        let key = self.artifact_key((name, line), known)?;
        Ok(Digest::of(key.expose()) == Digest::of(given.key.expose()))
    }

    /// The key under the root key, for the row. The change must rest on the authority's row, so that a change of the root key
    /// misses none.
    pub(super) fn seal_artifact_key(
        &self,
        tx: &Tx<'_>,
        (name, line, version): (&RepositoryName, &LineName, u64),
        given: &ArtifactKey,
    ) -> Result<SealedColumn, Stop> {
        let place = rows::artifact_key(name, line, version);
        let key = self.root.ring().seal(tx.nonce()?, rows::artifact_place(&place), given.key.expose())?;
        let (length, sha256) = (given.plaintext.length, given.plaintext.sha256.0);
        Ok(SealedColumn { version, length, sha256, key })
    }

    /// The key in the clear, to be sealed for a device.
    pub(super) fn artifact_key(
        &self,
        (name, line): (&RepositoryName, &LineName),
        sealed: &SealedColumn,
    ) -> Result<SecretBytes, Error> {
        let place = rows::artifact_key(name, line, sealed.version);
        self.root.ring().open(rows::artifact_place(&place), &sealed.key)
    }

    /// Seals the keys of artifacts under the newest version of the root key. One that is added meanwhile rests on the authority's
    /// row, and is under the newest version already.
    pub(crate) async fn renew_artifact_keys(&self) -> Result<(), Error> {
        for (name, repository) in self.each_repository().await? {
            for line in &repository.lines {
                self.transact(|tx| self.renew_keys_of(tx, &name, &line.name)).await?;
            }
        }
        Ok(())
    }

    fn renew_keys_of(
        &self,
        tx: &Tx<'_>,
        name: &RepositoryName,
        line: &LineName,
    ) -> Result<Decision<()>, Stop> {
        let (version, mut row) = releases_of(tx, name, line)?;
        let mut is_renewed = false;
        for sealed in row.sealed.iter_mut().filter(|sealed| !sealed.key.is_empty()) {
            let place = rows::artifact_key(name, line, sealed.version);
            let place = rows::artifact_place(&place);
            if let Some(renewed) = self.root.ring().renew(tx.nonce()?, place, &sealed.key)? {
                sealed.key = renewed;
                is_renewed = true;
            }
        }
        let mut change = Change::default();
        if is_renewed {
            let key = update_key(name, line.as_str());
            change.update(Table::ProductLine, key, version, rows::encode(&row)?);
        }
        Ok(Decision::new(change, ()))
    }
}
