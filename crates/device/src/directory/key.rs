//! The key that the certificate is for: in a file that other programs use, or sealed as the state is.

use super::{Directory, Files, KEY, SEALED_KEY};
use crate::at_rest::{Content, OVERHEAD};
use crate::config::Config;
use crate::error::Error;
use std::path::Path;
#[cfg(feature = "logs")]
use wardein_client::Identity;
use wardein_crypto::{P256SigningKey, SecretBytes, VerifyingKey, public_half};
use wardein_pki::{SubjectKey, pem};

/// The key that the certificate is for.
pub enum StoredKey {
    /// One that the device signs with itself.
    Own(Box<P256SigningKey>),
    /// One of a kind that the device does not make: the authority made it, and other programs sign with it.
    Made(SubjectKey),
}

impl StoredKey {
    /// Its public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        match self {
            Self::Own(key) => (*key.verifying_key()).into(),
            Self::Made(key) => key.verifying_key().clone(),
        }
    }
}

impl Files {
    /// The key that the certificate is for; `None` where none was made yet.
    pub fn key(&self, config: &Config) -> Result<Option<StoredKey>, Error> {
        let Some(text) = self.key_pem(config)? else { return Ok(None) };
        let name = name(config);
        let der =
            pem::decode_private_key(text.expose()).map_err(|error| self.damaged(name, error, KEY_DAMAGED))?;
        if let Ok(key) = P256SigningKey::from_pkcs8(&der) {
            return Ok(Some(StoredKey::Own(Box::new(key))));
        }
        let made = public_half(&der).ok_or_else(|| self.damaged(name, "it holds no key", KEY_DAMAGED))?;
        Ok(Some(StoredKey::Made(made.into())))
    }

    /// Writes the key, PEM, to `out`, for a program on this device that needs the file. It goes to memory alone: sealing would be for
    /// nothing if it came to the disk that way.
    pub fn give_key_out(&self, config: &Config, out: &Path) -> Result<(), Error> {
        let directory = wardein_durable::directory_of(out);
        let found = rustix::fs::statfs(directory).map_err(std::io::Error::from);
        let kind = found.map_err(Error::file("look at", directory))?.f_type;
        if !IN_MEMORY.contains(&(kind as u32)) {
            let why = format!("{} is on no tmpfs; name a file below /run", out.display());
            return Err(Error::Config { field: "--out", why });
        }
        let missing = || self.damaged(name(config), "it is missing", "run: wardein-device certificate");
        let pem = self.key_pem(config)?.ok_or_else(missing)?;
        wardein_durable::replace(out, pem.expose(), 0o600).map_err(Error::file("write", out))
    }

    /// The device's certificate and its key, to show to servers; `None` where there is none yet.
    #[cfg(feature = "logs")]
    pub(crate) fn identity(&self, config: &Config) -> Result<Option<Identity>, Error> {
        let certificates = self.certificate()?.map(String::into_bytes);
        let identity = certificates.zip(self.key_pem(config)?);
        Ok(identity.map(|(certificates, key)| Identity { certificates, key }))
    }

    fn key_pem(&self, config: &Config) -> Result<Option<SecretBytes>, Error> {
        let Some(bytes) = self.read(name(config), MAX_KEY + OVERHEAD)? else { return Ok(None) };
        if config.sealed_by.is_none() {
            return Ok(Some(bytes));
        }
        let opened = self.state_key(config)?.open(&config.device, Content::CertificateKey, bytes.expose());
        let why = "it was changed, or sealed for another device or under another key";
        opened.map(Some).ok_or_else(|| self.damaged(SEALED_KEY, why, KEY_DAMAGED))
    }
}

impl Directory {
    /// The key that the certificate is for, made here where there is none yet. It never leaves the device.
    pub fn key_or_new(&self, config: &Config) -> Result<StoredKey, Error> {
        if let Some(key) = self.files.key(config)? {
            return Ok(key);
        }
        let der = P256SigningKey::generate_pkcs8().map_err(|_| Error::Fault("the source of randomness"))?;
        let key = P256SigningKey::from_pkcs8(&der).map_err(|_| Error::Fault("making the device's key"))?;
        self.save_key(config, &der)?;
        Ok(StoredKey::Own(Box::new(key)))
    }

    /// Stores the key that the certificate is for, PKCS#8, in the place of what there was.
    pub(crate) fn save_key(&self, config: &Config, pkcs8: &SecretBytes) -> Result<(), Error> {
        let pem = pem::encode_private_key(pkcs8.expose())
            .map_err(|_| Error::Fault("writing the device's key as PEM"))?;
        // A key that lay in the clear is not sealed afterward: flash keeps its old contents. Nor is one used on that was sealed.
        let former = match &config.sealed_by {
            None => {
                self.write(KEY, pem.expose(), 0o600)?;
                SEALED_KEY
            }
            Some(_) => {
                let key = self.files.state_key(config)?;
                self.write(SEALED_KEY, &key.seal(&config.device, Content::CertificateKey, &pem)?, 0o600)?;
                KEY
            }
        };
        self.remove(former)
    }
}

fn name(config: &Config) -> &'static str {
    if config.sealed_by.is_some() { SEALED_KEY } else { KEY }
}

/// The types of file systems in memory: tmpfs, which may be swapped out, and ramfs (statfs(2)).
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
const MAX_KEY: usize = 4 << 10;
const KEY_DAMAGED: &str =
    "remove it and certificate.pem, and run: wardein-device certificate; a new key is made";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{metadata, read_to_string, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_kept_and_its_damage_found() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("device");
        let (directory, config) = (Directory::create(&path).unwrap(), Config::parse(&text()).unwrap());
        let key = directory.key_or_new(&config).unwrap();
        assert_eq!(directory.key_or_new(&config).unwrap().verifying_key(), key.verifying_key());
        let file = path.join(KEY);
        assert_eq!(metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let pem = read_to_string(&file).unwrap();
        let (cut, other) = (pem.split_at(90).0.to_owned(), pem.replace("PRIVATE KEY", "CERTIFICATE"));
        for damaged in [cut, other, String::new(), "a".repeat(MAX_KEY + OVERHEAD + 1)] {
            write(&file, damaged).unwrap();
            let error = directory.key_or_new(&config).err().unwrap();
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    }

    fn text() -> String {
        format!(
            "tenant = \"t\"\ndevice_id = \"d\"\nendpoint = \"https://localhost:7443\"\nidentity_key = \"04{}\"\n\
             trust_roots = \"-----BEGIN CERTIFICATE-----\"\n",
            "ab".repeat(64)
        )
    }
}
