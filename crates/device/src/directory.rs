//! The state directory: who may enter it, which files it has, and what to do when one is damaged.

mod codes;
mod key;
mod pins;
#[cfg(feature = "files")]
mod readers;
mod renewal;
mod roots;
mod state;
mod transfer;

pub use key::StoredKey;

use crate::at_rest::StateKey;
use crate::certificate::Certificate;
use crate::config::Config;
use crate::error::Error;
use crate::lock::Lock;
use crate::signing::SigningKey;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wardein_crypto::{Digest, SecretBytes};
use wardein_pki::pem;

/// The files of a state directory, for reading. Every file is replaced whole, so that reading needs no lock.
pub struct Files {
    path: PathBuf,
    /// What the TPM opened, where the state is sealed, so that it is asked once.
    state_key: OnceLock<StateKey>,
}

/// A state directory that this process alone may change: for as long as the value lives, but for when it rests.
pub struct Directory {
    files: Files,
    lock: Option<Lock>,
    /// The digest of the state as it was left, while this rests.
    left: Option<Digest>,
}

/// The authority's last word, for people to see. Nothing of the protocol rests on it; of the platform's pins, whether they have expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The authority's time then, in Unix seconds.
    pub server_time: u64,
    /// What was asked for.
    pub action: String,
}

impl Files {
    /// The files of `path`, which others can neither read nor enter.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(path).map_err(Error::file("open", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Open { path: path.into(), mode });
        }
        Ok(Self { path: path.into(), state_key: OnceLock::new() })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What device.toml says; `None` where there is none. During a transfer, the device's name is that of its state.
    pub fn config(&self) -> Result<Option<Config>, Error> {
        let Some(bytes) = self.read(CONFIG, MAX_CONFIG)? else { return Ok(None) };
        let text = std::str::from_utf8(bytes.expose())
            .map_err(|error| Error::Config { field: "syntax", why: error.to_string() })?;
        self.of_present_name(Config::parse(text)?).map(Some)
    }

    /// The key in the TPM that the device was enrolled with; `None` where it is not.
    pub fn signing_key(&self) -> Result<Option<SigningKey>, Error> {
        let Some(text) = self.read(SIGNING, MAX_SIGNING)? else { return Ok(None) };
        SigningKey::parse(text.expose())
            .map(Some)
            .map_err(|error| self.damaged(SIGNING, error, "remove it and run: wardein-device enroll"))
    }

    /// Whether the device was enrolled, by whatever kind of proof.
    pub(crate) fn is_enrolled(&self) -> bool {
        [STATE, SIGNING].iter().any(|name| self.path.join(name).exists())
    }

    /// The error of a command that needs one where there is none.
    pub(crate) fn no_signing_key(&self) -> Error {
        Error::NotEnrolled(self.path.join(SIGNING))
    }

    /// The certificates, PEM, leaf first; `None` where there are none yet.
    pub fn certificate(&self) -> Result<Option<String>, Error> {
        let Some(bytes) = self.read(CERTIFICATE, MAX_CERTIFICATE)? else { return Ok(None) };
        let text = std::str::from_utf8(bytes.expose())
            .map_err(|error| self.damaged(CERTIFICATE, error, CERTIFICATE_DAMAGED))?;
        Ok(Some(text.to_owned()))
    }

    /// The last contact; `None` where there was none, or its note is damaged: nothing rests on it.
    pub fn contact(&self) -> Option<Contact> {
        let bytes = self.read(CONTACT, MAX_CONTACT).ok()??;
        serde_json::from_slice(bytes.expose()).ok()
    }

    /// What was noted of the last file that was sealed, at most `max` bytes; `None` where there was none.
    #[cfg(feature = "files")]
    pub(crate) fn manifest(&self, max: usize) -> Result<Option<SecretBytes>, Error> {
        self.read(MANIFEST, max)
    }

    #[cfg(feature = "files")]
    pub(crate) fn manifest_damaged(&self, why: impl std::fmt::Display) -> Error {
        self.damaged(MANIFEST, why, "restore it; without it, remove it: numbers of files begin again at 1, and who verifies them sees it")
    }

    pub(crate) fn certificate_damaged(&self, why: impl std::fmt::Display) -> Error {
        self.damaged(CERTIFICATE, why, CERTIFICATE_DAMAGED)
    }

    /// The error of a command that needs a state where there is none.
    pub fn not_enrolled(&self) -> Error {
        Error::NotEnrolled(self.path.join(STATE))
    }

    /// The error of a command that needs device.toml where there is none.
    pub fn not_configured(&self) -> Error {
        Error::NotConfigured(self.path.join(CONFIG))
    }

    fn damaged(&self, name: &str, why: impl std::fmt::Display, next: &'static str) -> Error {
        Error::Damaged { path: self.path.join(name), why: why.to_string(), next }
    }

    /// At most `max` bytes of a file; one more is damage. `None` where there is no file.
    fn read(&self, name: &str, max: usize) -> Result<Option<SecretBytes>, Error> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", path)(error)),
        };
        // With room for all of it, so that the buffer does not grow and leave a copy of a secret behind.
        let mut bytes = Vec::with_capacity(max + 2);
        let read = file.take(max as u64 + 1).read_to_end(&mut bytes);
        let bytes = SecretBytes::from_vec(bytes);
        read.map_err(Error::file("read", &path))?;
        if bytes.expose().len() > max {
            return Err(self.damaged(name, format_args!("it has more than {max} bytes"), "restore the file"));
        }
        Ok(Some(bytes))
    }
}

impl Directory {
    /// Makes the directory where it is missing, then opens it.
    pub fn create(path: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::file("make", path)(error));
            }
            _ => {}
        }
        Self::open(path)
    }

    /// Opens the directory, for this process alone; an error where another is at work in it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let files = Files::open(path)?;
        let lock = Lock::take(path)?.ok_or_else(|| Error::Locked(path.into()))?;
        Ok(Self { files, lock: Some(lock), left: None })
    }

    /// The same, waiting up to [`PATIENCE`](crate::PATIENCE) for another process to leave it.
    pub async fn open_when_free(path: &Path) -> Result<Self, Error> {
        let files = Files::open(path)?;
        let lock = Some(Lock::wait(path).await?);
        Ok(Self { files, lock, left: None })
    }

    /// Lets other processes work in the directory. Nothing can be saved until [`Directory::wake`].
    pub fn rest(&mut self) {
        if self.lock.is_some() {
            self.left = self.files.state_digest();
            self.lock = None;
        }
    }

    /// The same where the state that is there could not be read: the next [`Directory::wake`] has it read again, for nobody may go on from
    /// one that another process has left behind.
    pub(crate) fn rest_unread(&mut self) {
        (self.left, self.lock) = (None, None);
    }

    /// Takes the directory for this process again, and tells whether the state must be read again, because it is not as it was left.
    /// It waits up to [`PATIENCE`](crate::PATIENCE). Where it does not rest, it does nothing.
    pub async fn wake(&mut self) -> Result<bool, Error> {
        if self.lock.is_some() {
            return Ok(false);
        }
        // As others may have changed it since.
        let files = Files::open(self.files.path())?;
        self.lock = Some(Lock::wait(files.path()).await?);
        let is_other = self.left.is_none() || self.left != files.state_digest();
        if is_other {
            // With it goes the key, which another enrollment may have replaced.
            self.files = files;
        }
        Ok(is_other)
    }

    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Stores the configuration.
    pub fn save_config(&self, config: &Config) -> Result<(), Error> {
        self.write(CONFIG, config.to_text()?.as_bytes(), 0o600)
    }

    /// Stores what is known of the key in the TPM, with which the device is enrolled.
    pub fn save_signing_key(&self, key: &SigningKey) -> Result<(), Error> {
        self.write(SIGNING, key.to_text().as_bytes(), 0o600)
    }

    /// Stores the certificates, PEM, leaf first, of which that is `certificate`.
    pub fn save_certificate(&self, certificate: &Certificate, pem: &str) -> Result<(), Error> {
        self.write(CERTIFICATE, pem.as_bytes(), 0o644)?;
        // The certificate is there, and is renewed at the usual time.
        if let Err(error) = self.save_renewal(certificate) {
            tracing::warn!(%error, "when the certificate is to be renewed is not noted");
        }
        Ok(())
    }

    /// Notes the last file that was sealed.
    #[cfg(feature = "files")]
    pub(crate) fn save_manifest(&self, text: &[u8]) -> Result<(), Error> {
        self.write(MANIFEST, text, 0o600)
    }

    /// Notes the authority's last word.
    pub fn save_contact(&self, contact: &Contact) -> Result<(), Error> {
        let text = serde_json::to_vec(contact).map_err(|_| Error::Fault("writing JSON"))?;
        self.write(CONTACT, &text, 0o600)
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        if self.lock.is_none() {
            return Err(Error::Fault("having the directory to itself"));
        }
        let path = self.files.path().join(name);
        wardein_durable::replace(&path, bytes, mode).map_err(Error::file("write", path))
    }

    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> Result<(), Error> {
        remove(&self.files.path().join(name))
    }
}

/// Removes a file that may be there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

const STATE: &str = "state";
const CONFIG: &str = "device.toml";
const KEY: &str = "device.key";
const SEALED_KEY: &str = "device.key.sealed";
const SIGNING: &str = "signing.json";
const CERTIFICATE: &str = "certificate.pem";
const CONTACT: &str = "contact.json";
#[cfg(feature = "files")]
const MANIFEST: &str = "files.json";
const MAX_CONFIG: usize = 256 << 10;
const MAX_SIGNING: usize = 4 << 10;
const MAX_CERTIFICATE: usize = pem::MAX_LEN;
const MAX_CONTACT: usize = 4 << 10;
const CERTIFICATE_DAMAGED: &str = "remove it and run: wardein-device certificate";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("device");
        (parent, path)
    }

    #[test]
    fn one_process_at_a_time_and_nobody_else() {
        let (_parent, path) = directory();
        assert!(matches!(Directory::open(&path), Err(Error::File { .. })));
        let first = Directory::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(Directory::open(&path), Err(Error::Locked(_))));
        assert!(Files::open(&path).is_ok(), "reading needs no lock");
        drop(first);
        set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Directory::open(&path), Err(Error::Open { mode: 0o750, .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_rests_is_free_for_others_and_takes_nothing() {
        let (_parent, path) = directory();
        let mut first = Directory::create(&path).unwrap();
        let contact = Contact { server_time: 5, action: "authenticate".into() };
        first.rest();
        assert!(matches!(first.save_contact(&contact), Err(Error::Fault(_))));
        let mut second = Directory::open(&path).unwrap();
        assert!(matches!(first.wake().await, Err(Error::Locked(_))), "after a while");
        second.write(STATE, b"one", 0o600).unwrap();
        second.rest();
        assert!(first.wake().await.unwrap(), "there is a state now");
        first.save_contact(&contact).unwrap();
        first.rest();
        assert!(!second.wake().await.unwrap(), "it is as it was left");
        second.rest();
        first.wake().await.unwrap();
        first.write(STATE, b"two", 0o600).unwrap();
        first.rest();
        assert!(second.wake().await.unwrap());
        assert!(!second.wake().await.unwrap(), "it was not asleep");
    }

    #[test]
    fn a_note_of_the_last_contact_may_be_damaged() {
        let (_parent, path) = directory();
        let directory = Directory::create(&path).unwrap();
        let contact = Contact { server_time: 5, action: "authenticate".into() };
        directory.save_contact(&contact).unwrap();
        assert_eq!(directory.files().contact(), Some(contact));
        write(path.join(CONTACT), b"{").unwrap();
        assert_eq!(directory.files().contact(), None);
    }
}
