//! An artifact, judged while it is read (TUF §5.7).

use crate::role::TargetFile;
use crate::{Error, Role, TargetPath};
use wardein_crypto::Sha256;

/// Judges an artifact that comes in pieces. What was read is good only once [`TargetCheck::finish`] says so.
pub struct TargetCheck {
    path: TargetPath,
    signed: TargetFile,
    read: u64,
    hash: Sha256,
}

impl TargetCheck {
    /// Of the artifact at `path`, which is trusted as `signed`.
    pub fn new(path: &TargetPath, signed: &TargetFile) -> Self {
        Self { path: path.clone(), signed: signed.clone(), read: 0, hash: Sha256::new() }
    }

    /// Takes the next bytes. The first one too many is refused, so that a sender who does not end is not listened to.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.read = self.read.saturating_add(bytes.len() as u64);
        if self.read > self.signed.length {
            return Err(Error::TooLong { role: self.role(), limit: self.signed.length });
        }
        self.hash.update(bytes);
        Ok(())
    }

    /// Whether all that was read is what was signed.
    pub fn finish(self) -> Result<(), Error> {
        let role = self.role();
        if self.read != self.signed.length {
            return Err(Error::Length { role, signed: self.signed.length, actual: self.read });
        }
        if self.hash.finish() != self.signed.sha256 {
            return Err(Error::Hash { role });
        }
        Ok(())
    }

    fn role(&self) -> Role {
        Role::Artifact(self.path.clone())
    }
}
