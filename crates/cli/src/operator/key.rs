//! The key of an identity that is being made. It is durable before anybody certifies it, and it stays unless nothing was certified:
//! where an answer is lost, it is the only way to the certificate, and the same command again completes.

use crate::identity::{self, DESCRIPTION, KEY};
use crate::secret::Passphrase;
use crate::{Failure, files};
use std::path::Path;
use wardein_client::Refusal;
use wardein_crypto::P256SigningKey;
use wardein_domain::{ErrorCode, ErrorKind};

/// A key in the directory of an identity that is not complete.
pub(super) struct NewKey<'a> {
    directory: &'a Path,
    pub(super) key: P256SigningKey,
    is_new: bool,
}

/// Whether there is a key in `directory` that an unfinished command left; an identity that is complete is refused.
pub(super) fn is_there(directory: &Path) -> Result<bool, Failure> {
    if directory.join(DESCRIPTION).exists() {
        let words = format!("{} has an identity already; name another directory", directory.display());
        return Err(Failure::Failed(words));
    }
    Ok(directory.join(KEY).exists())
}

impl<'a> NewKey<'a> {
    /// Makes a key in a directory that is made for it.
    pub(super) fn make(directory: &'a Path, passphrase: Option<&Passphrase>) -> Result<Self, Failure> {
        files::make_private_directory(directory)?;
        let key = durable(directory, passphrase).inspect_err(|_| {
            // What is in it was made just now, and nobody has heard of it.
            let _ = std::fs::remove_dir_all(directory);
        })?;
        Ok(Self { directory, key, is_new: true })
    }

    /// One that was there.
    pub(super) fn there(directory: &'a Path, key: P256SigningKey) -> Self {
        Self { directory, key, is_new: false }
    }

    pub(super) const fn directory(&self) -> &'a Path {
        self.directory
    }

    /// What to say of a refusal. A key that was made for this call goes where nothing was certified for it.
    pub(super) fn refused(&self, refusal: Refusal) -> Failure {
        if refusal.known() == Some(ErrorCode::ApprovalRequired) {
            let words = format!(
                "Its key stays in {}: once another person has approved it, the same command again completes it",
                self.directory.display()
            );
            return Failure::from(refusal).and(&words);
        }
        if !is_certainly_unused(&refusal) {
            return self.kept(refusal.into());
        }
        if self.is_new {
            let _ = std::fs::remove_dir_all(self.directory);
        }
        refusal.into()
    }

    /// What to say of a failure after which a certificate may be there.
    pub(super) fn kept(&self, failure: Failure) -> Failure {
        let directory = self.directory.display();
        failure.and(&format!(
            "A certificate may have been issued. Its key stays in {directory}: the same command again completes it"
        ))
    }
}

fn durable(directory: &Path, passphrase: Option<&Passphrase>) -> Result<P256SigningKey, Failure> {
    let key = identity::make_key(directory, passphrase)?;
    files::sync_directory(directory)?;
    files::sync_directory(wardein_durable::directory_of(directory))?;
    Ok(key)
}

/// Whether nothing was certified: the authority says what is wrong with the request. Where it does not, as with `deadline-exceeded`, a
/// fault of its own or a connection that broke, a certificate may be there.
fn is_certainly_unused(refusal: &Refusal) -> bool {
    refusal.known().is_some_and(|code| match code.kind() {
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Exists
        | ErrorKind::Precondition
        | ErrorKind::Denied
        | ErrorKind::Unauthenticated
        | ErrorKind::OutOfRange
        | ErrorKind::Exhausted
        | ErrorKind::Unimplemented => true,
        ErrorKind::Unavailable | ErrorKind::Internal => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_client::Status;

    fn refused(code: &str) -> Refusal {
        let mut status = Status::unavailable("words");
        status.metadata_mut().insert("wardein-code", code.parse().unwrap());
        Refusal::from(status)
    }

    #[test]
    fn a_key_is_thrown_away_only_if_the_authority_refused_the_request() {
        for code in
            ["invitation-invalid", "operator-exists", "role-insufficient", "malformed", "rate-limited"]
        {
            assert!(is_certainly_unused(&refused(code)), "{code}");
        }
        for code in ["signer-unavailable", "store-unavailable", "internal", "of-a-later-release"] {
            assert!(!is_certainly_unused(&refused(code)), "{code}");
        }
        assert!(!is_certainly_unused(&Refusal::from(Status::unavailable("the connection broke"))));
        assert!(!is_certainly_unused(&Refusal::from(Status::deadline_exceeded("too late"))));
    }

    #[test]
    fn a_key_that_was_there_stays_and_one_that_was_made_goes_with_a_refusal() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("identity");
        let made = NewKey::make(&directory, None).unwrap();
        let lost = made.refused(Refusal::from(Status::unavailable("the connection broke"))).to_string();
        assert!(lost.contains("the same command again") && directory.join(KEY).exists(), "{lost}");
        let key = identity::read_key_again(&directory, None).unwrap();
        let there = NewKey::there(&directory, key);
        let waiting = made.refused(refused("approval-required")).to_string();
        assert!(waiting.contains("the same command again") && directory.join(KEY).exists(), "{waiting}");
        assert!(!there.refused(refused("operator-exists")).to_string().contains("again"));
        assert!(directory.join(KEY).exists());
        assert!(!made.refused(refused("operator-exists")).to_string().contains("again"));
        assert!(!directory.exists());
    }
}
