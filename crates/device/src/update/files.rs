//! `update/` in the state directory: the metadata that is trusted, artifacts, and how far an installation has come.

use crate::error::Error;
use crate::lock::Lock;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wardein_crypto::{Digest, hex};
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
        Ok(Self { path, _lock: lock })
    }

    /// The same without waiting; `None` where there is none yet, or another process has it.
    pub(super) fn take(of: &Path) -> Result<Option<Self>, Error> {
        let path = of.join(UPDATE);
        if !path.is_dir() {
            return Ok(None);
        }
        Ok(Lock::take(&path)?.map(|lock| Self { path, _lock: lock }))
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
const RECEIPTS: &str = "receipts.json";
const PROGRESS: &str = "progress.json";
pub(super) const MAX_PROGRESS: u64 = 64 << 10;
pub(super) const MAX_RECEIPTS: u64 = 64 << 10;
