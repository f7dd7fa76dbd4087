//! The root key wrapped and unwrapped.
//!
//! From the secret comes, by Argon2id or HKDF, one pseudorandom key, and from that by HKDF-Expand two: the key-encryption key and a
//! check value of 16 bytes that the file holds. The check value tells a wrong passphrase (it does not fit) from a damaged wrap (it fits, and
//! the AEAD refuses). It gives an attacker nothing: who has the file can try passphrases by the AEAD's tag as well, at the same cost.

use crate::format::{CustodyFile, Hex, HexText, MAX_KEYS, MAX_LEN, ProtectionRecord, VERSION, WrappedKey};
use crate::kms::{Environment, KmsProtection, unwrap as unwrap_by_kms};
use crate::protection::{Argon2Cost, Kind, Protection, Status};
use crate::tpm::{TpmProtection, unseal};
use crate::{CustodyError, Passphrase, file, key_file, recovery};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fs::File;
use std::path::{Path, PathBuf};
use wardein_crypto::{AeadKey, Entropy, MacKey, Prk, Secret};

/// Writes `path` with version 1 of the root key under `protection`, durably, for its owner alone, and never over another file. A key
/// file is made first, where there is none; one that is there is used, so that after a crash in between the same call goes on with it.
pub fn create(
    path: &Path,
    protection: &Protection,
    root_key: &Secret<32>,
    entropy: &mut impl Entropy,
) -> Result<(), CustodyError> {
    // Refused before a key file is made that nothing is to be under; the write refuses it again, without a gap.
    if path.symlink_metadata().is_ok() {
        return Err(CustodyError::Exists(path.to_owned()));
    }
    let custody = protect(protection, [(1, root_key)], entropy)?;
    file::write_new(path, &text(path, &custody)?)
}

/// What the custody file `path` says to everybody.
pub fn status(path: &Path) -> Result<Status, CustodyError> {
    let custody = load(path)?;
    let versions = custody.keys.iter().map(|key| key.version).collect();
    let (kind, cost) = (custody.protection.kind(), custody.protection.cost());
    let mut status = Status { kind, cost, registers: None, kms_key: None, authority: None, versions };
    match custody.protection {
        ProtectionRecord::Passphrase { .. } | ProtectionRecord::KeyFile { .. } => (),
        ProtectionRecord::Tpm { registers, .. } => status.registers = Some(registers),
        ProtectionRecord::AwsKms { key, authority, .. } => {
            (status.kms_key, status.authority) = (Some(key), Some(authority));
        }
    }
    Ok(status)
}

/// What the root key in the custody file `path` is under, so that a human can be asked for it.
pub fn kind(path: &Path) -> Result<Kind, CustodyError> {
    Ok(load(path)?.protection.kind())
}

/// What is in the custody file `path`, which stands in a backup so that the passphrase or key file opens it. Nothing in it is secret
/// without them.
pub fn copy(path: &Path) -> Result<Vec<u8>, CustodyError> {
    text(path, &load(path)?)
}

/// Writes a custody file that was copied, durably, for its owner alone, and never over another file.
pub fn put(path: &Path, copied: &[u8]) -> Result<(), CustodyError> {
    let custody = parse_copied(path, copied)?;
    file::write_new(path, &text(path, &custody)?)
}

/// A custody file that was opened: the versions of the root key, and what they are wrapped with.
pub struct Opened {
    path: PathBuf,
    prk: Prk,
    check: [u8; 16],
    keys: Vec<(u32, Secret<32>)>,
}

/// Opens the custody file `path` by the TPM at `tcti`.
///
/// # Errors
///
/// [`CustodyError::Tpm`] where the TPM does not give the key, as after an update of the firmware: the recovery passphrase then opens
/// the file by [`open`].
pub fn open_by_tpm(path: &Path, tcti: &str) -> Result<Opened, CustodyError> {
    let custody = load(path)?;
    let ProtectionRecord::Tpm { salt, sealed, .. } = &custody.protection else {
        return Err(CustodyError::Kind { expected: custody.protection.kind(), given: Kind::Tpm });
    };
    // What the TPM gives is authentic; if it does not fit, the rest of the file is another's.
    let prk = Prk::extract(&salt.0, unseal(tcti, &sealed.0)?.expose());
    opened(path, &custody, prk, CustodyError::Wrapped)
}

/// Opens the custody file `path` by AWS KMS: by the key that the file names, or by `replica`, where that is the same multi-Region
/// key.
///
/// # Errors
///
/// [`CustodyError::Kms`] where KMS does not give the key. A recovery passphrase, if there is one, then opens the file by [`open`].
pub fn open_by_kms(
    path: &Path,
    replica: Option<&str>,
    environment: &Environment,
) -> Result<Opened, CustodyError> {
    opened_by_kms(path, &load(path)?, replica, environment)
}

/// The same of a copy of a custody file: the versions of the root key, oldest first.
pub fn copied_keys_by_kms(
    from: &Path,
    copied: &[u8],
    environment: &Environment,
) -> Result<Vec<(u32, Secret<32>)>, CustodyError> {
    Ok(opened_by_kms(from, &parse_copied(from, copied)?, None, environment)?.keys)
}

fn opened_by_kms(
    path: &Path,
    custody: &CustodyFile,
    replica: Option<&str>,
    environment: &Environment,
) -> Result<Opened, CustodyError> {
    let ProtectionRecord::AwsKms { key, authority, salt, wrapped, .. } = &custody.protection else {
        return Err(CustodyError::Kind { expected: custody.protection.kind(), given: Kind::AwsKms });
    };
    // What KMS gives is for this file by its context; if it does not fit, the rest of the file is another's.
    let given = unwrap_by_kms(key, replica, environment, (authority.as_str(), salt), &wrapped.0)?;
    opened(path, custody, Prk::extract(&salt.0, given.expose()), CustodyError::Wrapped)
}

/// Opens the custody file `path`. What is under a TPM or a key of KMS is opened by its recovery passphrase, given as a passphrase.
pub fn open(path: &Path, protection: &Protection) -> Result<Opened, CustodyError> {
    opened_by(path, &load(path)?, protection)
}

/// What the root key in a copy of a custody file is under; `from` names the file that the copy is in.
pub fn copied_kind(from: &Path, copied: &[u8]) -> Result<Kind, CustodyError> {
    Ok(parse_copied(from, copied)?.protection.kind())
}

/// The versions of the root key in a copy of a custody file, oldest first. Nothing is written: there is no file of which [`Opened`] could
/// keep another version.
pub fn copied_keys(
    from: &Path,
    copied: &[u8],
    protection: &Protection,
) -> Result<Vec<(u32, Secret<32>)>, CustodyError> {
    Ok(opened_by(from, &parse_copied(from, copied)?, protection)?.keys)
}

fn parse_copied(from: &Path, copied: &[u8]) -> Result<CustodyFile, CustodyError> {
    if copied.len() > MAX_LEN {
        let reason = format!("it has more than {MAX_LEN} bytes");
        return Err(CustodyError::Damaged { path: from.to_owned(), reason });
    }
    CustodyFile::parse(from, copied)
}

fn opened_by(path: &Path, custody: &CustodyFile, protection: &Protection) -> Result<Opened, CustodyError> {
    let record = &custody.protection;
    let (prk, wrong) = match (record, protection) {
        (ProtectionRecord::Passphrase { .. }, Protection::Passphrase(passphrase)) => {
            let cost = record.cost().unwrap_or(Argon2Cost::RECOMMENDED);
            (stretch(passphrase, cost, record.salt())?, CustodyError::WrongPassphrase)
        }
        (ProtectionRecord::KeyFile { salt }, Protection::KeyFile(key_path)) => {
            let key = key_file::read(key_path)?;
            (Prk::extract(&salt.0, key.expose()), CustodyError::WrongKeyFile)
        }
        (
            ProtectionRecord::Tpm { salt, recovery, .. }
            | ProtectionRecord::AwsKms { salt, recovery: Some(recovery), .. },
            Protection::Passphrase(passphrase),
        ) => {
            let key = recovery::unwrap(passphrase, recovery)?;
            (Prk::extract(&salt.0, key.expose()), CustodyError::Wrapped)
        }
        (record, given) => return Err(CustodyError::Kind { expected: record.kind(), given: given.kind() }),
    };
    opened(path, custody, prk, wrong)
}

/// What `prk` opens; `wrong` if it does not fit.
fn opened(path: &Path, custody: &CustodyFile, prk: Prk, wrong: CustodyError) -> Result<Opened, CustodyError> {
    // The check value is in the file for all to see; only whether it fits is told.
    let check = check_value(&prk);
    if check != custody.check.0 {
        return Err(wrong);
    }
    let unwrap = |key: &WrappedKey| Ok((key.version, unwrap_root_key(&custody.protection, key, &prk)?));
    let keys = custody.keys.iter().map(unwrap).collect::<Result<_, CustodyError>>()?;
    Ok(Opened { path: path.to_owned(), check, keys, prk })
}

impl Opened {
    /// The versions of the root key, with their numbers, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = (u32, &Secret<32>)> {
        self.keys.iter().map(|(version, key)| (*version, key))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a further version of the root key beside the one that is kept, under the same protection, durably. The same again is fine:
    /// who was told of an error cannot know whether the file was written.
    pub fn keep(
        &self,
        version: u32,
        key: &Secret<32>,
        entropy: &mut impl Entropy,
    ) -> Result<(), CustodyError> {
        let nonce = entropy.array()?;
        self.rewrite(|custody| {
            if let Some(kept) = custody.keys.iter().find(|kept| kept.version == version) {
                let kept = unwrap_root_key(&custody.protection, kept, &self.prk)?;
                // Secrets are not compared byte by byte.
                let shown = MacKey::new(key.duplicate()).tag(b"");
                let is_same = MacKey::new(kept).verify(b"", &shown).is_ok();
                return if is_same { Ok(()) } else { Err(CustodyError::Versions(version)) };
            }
            if custody.keys.iter().any(|kept| kept.version > version) || custody.keys.len() >= MAX_KEYS {
                return Err(CustodyError::Versions(version));
            }
            custody.keys.push(wrap(&custody.protection, &self.prk, version, key, nonce)?);
            Ok(())
        })
    }

    /// Keeps that version alone, durably.
    pub fn keep_only(&self, version: u32) -> Result<(), CustodyError> {
        self.rewrite(|custody| {
            custody.keys.retain(|kept| kept.version == version);
            if custody.keys.is_empty() { Err(CustodyError::Versions(version)) } else { Ok(()) }
        })
    }

    /// Puts the root key under another protection, without a change of what lies below it.
    pub fn change(self, protection: &Protection, entropy: &mut impl Entropy) -> Result<(), CustodyError> {
        let mut keys = self.keys.iter().map(|(version, key)| (*version, key));
        let anew = match (keys.next(), keys.next()) {
            (Some(only), None) => protect(protection, [only], entropy)?,
            // The service that is changing it holds what these are wrapped with.
            _ => return Err(CustodyError::Changing),
        };
        self.rewrite(|custody| {
            // Looked at again: a change of the root key may have begun since it was opened.
            if custody.keys.iter().map(|kept| kept.version).ne(self.keys.iter().map(|(version, _)| *version))
            {
                return Err(CustodyError::Changing);
            }
            *custody = anew;
            Ok(())
        })
    }

    /// Replaces the file in one step, while nobody else does. It must be the one that was opened: under another protection,
    /// what we wrap could not be opened by who has the new passphrase.
    fn rewrite(
        &self,
        alter: impl FnOnce(&mut CustodyFile) -> Result<(), CustodyError>,
    ) -> Result<(), CustodyError> {
        let _lock = file::lock(&self.path)?;
        let mut custody = load(&self.path)?;
        if custody.check.0 != self.check {
            return Err(CustodyError::Replaced(self.path.clone()));
        }
        alter(&mut custody)?;
        file::replace(&self.path, &text(&self.path, &custody)?)
    }
}

fn text(path: &Path, custody: &CustodyFile) -> Result<Vec<u8>, CustodyError> {
    custody.to_json().map_err(|error| CustodyError::Damaged {
        path: path.to_owned(),
        reason: format!("cannot be written: {error}"),
    })
}

fn load(path: &Path) -> Result<CustodyFile, CustodyError> {
    let mut opened = File::open(path).map_err(CustodyError::io("cannot read", path))?;
    let text = file::read_bounded(&mut opened, MAX_LEN).map_err(CustodyError::io("cannot read", path))?;
    let text = text.ok_or_else(|| CustodyError::Damaged {
        path: path.to_owned(),
        reason: format!("it has more than {MAX_LEN} bytes"),
    })?;
    CustodyFile::parse(path, text.expose())
}

/// Keys under a protection of today's cost, with a salt of their own.
fn protect<'a>(
    protection: &Protection,
    keys: impl IntoIterator<Item = (u32, &'a Secret<32>)>,
    entropy: &mut impl Entropy,
) -> Result<CustodyFile, CustodyError> {
    let salt = Hex(entropy.array()?);
    let Argon2Cost { memory_kib, passes, lanes } = Argon2Cost::RECOMMENDED;
    let (record, prk) = match protection {
        Protection::Passphrase(passphrase) => {
            let record = ProtectionRecord::Passphrase { memory_kib, passes, lanes, salt };
            let prk = stretch(passphrase, Argon2Cost::RECOMMENDED, record.salt())?;
            (record, prk)
        }
        Protection::KeyFile(key_path) => {
            let key = key_file::read_or_create(key_path, entropy)?;
            let record = ProtectionRecord::KeyFile { salt };
            let prk = Prk::extract(record.salt(), key.expose());
            (record, prk)
        }
        Protection::Tpm(TpmProtection { target, recovery: passphrase }) => {
            let key = entropy.secret()?;
            let (sealed, registers) = (HexText(target.seal(&key)?), target.registers());
            let recovery = recovery::wrap(passphrase, &key, entropy)?;
            let prk = Prk::extract(&salt.0, key.expose());
            (ProtectionRecord::Tpm { registers, salt, sealed, recovery }, prk)
        }
        Protection::AwsKms(KmsProtection { target, recovery: passphrase }) => {
            let wrapped_key = entropy.secret()?;
            let wrapped = HexText(target.wrap(&salt, &wrapped_key)?);
            let recovery =
                passphrase.as_ref().map(|words| recovery::wrap(words, &wrapped_key, entropy)).transpose()?;
            let prk = Prk::extract(&salt.0, wrapped_key.expose());
            let (key, authority) = (target.key(), target.authority().to_owned());
            (ProtectionRecord::AwsKms { key, authority, salt, wrapped, recovery }, prk)
        }
    };
    under(record, &prk, keys, entropy)
}

/// Keys wrapped with `prk`, which comes of what `protection` records.
pub(crate) fn under<'a>(
    protection: ProtectionRecord,
    prk: &Prk,
    keys: impl IntoIterator<Item = (u32, &'a Secret<32>)>,
    entropy: &mut impl Entropy,
) -> Result<CustodyFile, CustodyError> {
    let keys = keys.into_iter().map(|(version, key)| wrap(&protection, prk, version, key, entropy.array()?));
    let keys = keys.collect::<Result<_, _>>()?;
    Ok(CustodyFile { version: VERSION, check: Hex(check_value(prk)), protection, keys })
}

/// Argon2id, version 1.3 (RFC 9106). It takes the time and memory that it is for; call it off an async runtime.
pub(crate) fn stretch(
    passphrase: &Passphrase,
    cost: Argon2Cost,
    salt: &[u8; 16],
) -> Result<Prk, CustodyError> {
    cost.check()?;
    let refused = |_| CustodyError::Memory(cost.memory_kib);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let stretched = Secret::try_filled(|out: &mut [u8; 32]| {
        argon2.hash_password_into(passphrase.expose(), salt, out).map_err(refused)
    })?;
    Ok(Prk::uniform(&stretched))
}

fn wrap(
    protection: &ProtectionRecord,
    prk: &Prk,
    version: u32,
    root_key: &Secret<32>,
    nonce: [u8; 12],
) -> Result<WrappedKey, CustodyError> {
    // Room for the tag, so that the plaintext is not left behind by a Vec that grows.
    let mut buffer = Vec::with_capacity(32 + wardein_crypto::TAG_LEN);
    buffer.extend_from_slice(root_key.expose());
    key_encryption_key(prk)?
        .seal(&nonce, &protection.additional(version), &mut buffer)
        .map_err(|_| CustodyError::Wrapped)?;
    let wrapped = Hex(buffer[..].try_into().map_err(|_| CustodyError::Wrapped)?);
    Ok(WrappedKey { version, nonce: Hex(nonce), wrapped })
}

fn unwrap_root_key(
    protection: &ProtectionRecord,
    key: &WrappedKey,
    prk: &Prk,
) -> Result<Secret<32>, CustodyError> {
    let mut buffer = key.wrapped.0.to_vec();
    key_encryption_key(prk)?
        .open(&key.nonce.0, &protection.additional(key.version), &mut buffer)
        .map_err(|_| CustodyError::Wrapped)?;
    let plain = wardein_crypto::SecretBytes::from_vec(buffer);
    plain.expose().try_into().map(Secret::copied_from).map_err(|_| CustodyError::Wrapped)
}

pub(crate) fn key_encryption_key(prk: &Prk) -> Result<AeadKey, CustodyError> {
    let expanded =
        Secret::try_filled(|out: &mut [u8; 32]| prk.expand_into(&[b"wardein custody 1 wrap"], out));
    expanded.map(|key| AeadKey::aes_256_gcm(&key)).map_err(|_| CustodyError::Wrapped)
}

fn check_value(prk: &Prk) -> [u8; 16] {
    let mut check = [0; 16];
    prk.expand_into(&[b"wardein custody 1 check"], &mut check).expect("16 bytes are fewer than 255 × 32");
    check
}
