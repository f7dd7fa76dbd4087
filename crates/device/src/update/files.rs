//! `update/` in the state directory: the metadata that is trusted, artifacts, and how far an installation has come.

use crate::directory::remove;
use crate::error::Error;
use crate::lock::Lock;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wardein_crypto::{Digest, SecretBytes, hex};
use wardein_tuf::{Offer, Role};

/// The directory, for one process at a time. It has a lock of its own: a download takes hours, and the agent goes on beside it.
pub(super) struct UpdateFiles {
    path: PathBuf,
    _lock: Lock,
}

impl UpdateFiles {
    /// That of the state directory `of`; made where it is missing.
    pub(super) async fn open(of: &Path) -> Result<Self, Error> {
        let path = of.join(UPDATE);
        for directory in [&path, &path.join(METADATA), &path.join(ARTIFACTS)] {
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::file("make", directory)(error));
                }
                _ => {}
            }
        }
        let lock = Lock::wait(&path).await?;
        let files = Self { path, _lock: lock };
        files.remove_opened()?;
        Ok(files)
    }

    /// The same without waiting, for the agent; `None` where there is none yet, or another process has it.
    pub(super) fn take(of: &Path) -> Result<Option<Self>, Error> {
        let path = of.join(UPDATE);
        if !path.is_dir() {
            return Ok(None);
        }
        let Some(lock) = Lock::take(&path)? else { return Ok(None) };
        let files = Self { path, _lock: lock };
        files.remove_opened()?;
        Ok(Some(files))
    }

    /// Where the metadata of a role is kept: under its name, without a version.
    pub(super) fn metadata_path(&self, role: &Role) -> PathBuf {
        self.path.join(METADATA).join(format!("{}.json", role.stem()))
    }

    /// The metadata that is kept, up to one byte more than may be read of it.
    pub(super) fn metadata(&self, role: &Role, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        read(&self.metadata_path(role), limit)
    }

    pub(super) fn keep_metadata(&self, role: &Role, bytes: &[u8]) -> Result<(), Error> {
        let path = self.metadata_path(role);
        wardein_durable::replace(&path, bytes, 0o600).map_err(Error::file("write", path))
    }

    pub(super) fn progress(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.progress_path(), MAX_PROGRESS)
    }

    pub(super) fn progress_path(&self) -> PathBuf {
        self.path.join(PROGRESS)
    }

    pub(super) fn keep_progress(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.progress_path();
        wardein_durable::replace(&path, bytes, 0o600).map_err(Error::file("write", path))
    }

    pub(super) fn receipts(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.receipts_path(), MAX_RECEIPTS)
    }

    pub(super) fn receipts_path(&self) -> PathBuf {
        self.path.join(RECEIPTS)
    }

    pub(super) fn keep_receipts(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.receipts_path();
        wardein_durable::replace(&path, bytes, 0o600).map_err(Error::file("write", path))
    }

    /// The authority's last offer as it came.
    pub(super) fn offer(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path.join(OFFER), Offer::MAX_LEN as u64)
    }

    pub(super) fn keep_offer(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path.join(OFFER);
        wardein_durable::replace(&path, bytes, 0o600).map_err(Error::file("write", path))
    }

    /// What is kept of the key of a sealed artifact, as [`UpdateFiles::keep_artifact_key`] got it.
    #[cfg(feature = "files")]
    pub(super) fn artifact_key(&self) -> Result<Option<SecretBytes>, Error> {
        let path = self.path.join(ARTIFACT_KEY);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        // With room for all of it, so that the buffer does not grow and leave a copy behind.
        let mut bytes = Vec::with_capacity(MAX_KEPT_KEY + 2);
        let read = file.take(MAX_KEPT_KEY as u64 + 1).read_to_end(&mut bytes);
        let bytes = SecretBytes::from_vec(bytes);
        read.map_err(Error::file("read", path))?;
        Ok(Some(bytes))
    }

    /// Keeps the key of an artifact, sealed or not, in the place of the former one.
    pub(super) fn keep_artifact_key(&self, kept: &SecretBytes) -> Result<(), Error> {
        let path = self.path.join(ARTIFACT_KEY);
        wardein_durable::replace(&path, kept.expose(), 0o600).map_err(Error::file("write", path))
    }

    pub(super) fn has_artifact_key(&self) -> bool {
        self.path.join(ARTIFACT_KEY).exists()
    }

    pub(super) fn forget_artifact_key(&self) -> Result<(), Error> {
        remove(&self.path.join(ARTIFACT_KEY))
    }

    /// Forgets the key, and the offer that it came with: that would install nothing, and keep another from being asked for.
    pub(super) fn forget_offer_of_key(&self) -> Result<(), Error> {
        if self.has_artifact_key() {
            self.forget_artifact_key()?;
            remove(&self.path.join(OFFER))?;
        }
        Ok(())
    }

    /// Where the file in a sealed artifact is while it is installed.
    pub(super) fn opened_path(&self) -> PathBuf {
        self.path.join(OPENED)
    }

    /// Removes what a cut of the power left there.
    fn remove_opened(&self) -> Result<(), Error> {
        remove(&self.opened_path())
    }

    /// Where the artifact of that digest is once it is whole.
    pub(super) fn artifact_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(ARTIFACTS).join(hex::encode(&digest.0))
    }

    /// Where it is until then.
    pub(super) fn part_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(ARTIFACTS).join(format!("{}.part", hex::encode(&digest.0)))
    }

    /// Removes all artifacts but that of `digest`, whole and in part, so that no more than one takes room.
    pub(super) fn remove_other_artifacts(&self, digest: Option<&Digest>) -> Result<(), Error> {
        let keep = digest.map(|digest| [self.artifact_path(digest), self.part_path(digest)]);
        let directory = self.path.join(ARTIFACTS);
        let failed = |error| Error::file("read", &directory)(error);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if keep.as_ref().is_none_or(|keep| !keep.contains(&path)) {
                std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    Ok(Some(bytes))
}

const UPDATE: &str = "update";
const METADATA: &str = "metadata";
const ARTIFACTS: &str = "artifacts";
const OFFER: &str = "offer";
const ARTIFACT_KEY: &str = "artifact-key";
#[cfg(feature = "files")]
const MAX_KEPT_KEY: usize = 48 + crate::at_rest::OVERHEAD;
const OPENED: &str = "opened";
const RECEIPTS: &str = "receipts.json";
const PROGRESS: &str = "progress.json";
pub(super) const MAX_PROGRESS: u64 = 64 << 10;
pub(super) const MAX_RECEIPTS: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cut_left_of_a_sealed_artifact_goes_with_the_agents_next_contact() {
        let home = tempfile::tempdir().unwrap();
        assert!(UpdateFiles::take(home.path()).unwrap().is_none(), "there are no updates here");
        std::fs::create_dir(home.path().join(UPDATE)).unwrap();
        let opened = home.path().join(UPDATE).join(OPENED);
        std::fs::write(&opened, b"half of the file in it").unwrap();
        let held = UpdateFiles::take(home.path()).unwrap().unwrap();
        assert!(!opened.exists());
        // While an installation has the directory, what it installs stays.
        std::fs::write(&opened, b"what is installed").unwrap();
        assert!(UpdateFiles::take(home.path()).unwrap().is_none());
        assert!(opened.exists());
        drop(held);
    }
}
