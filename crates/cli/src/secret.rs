//! An operator's private key in its file, which may be under a passphrase; and where that comes from: a file, a descriptor, or a person.

use crate::{Failure, files};
use clap::Args;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use wardein_crypto::{
    KeyEncryptionError, P256SigningKey, SecretBytes, SystemEntropy, decrypt_private_key, encrypt_private_key,
};
use wardein_pki::pem;

/// Where the passphrase of a key comes from; with neither, a person is asked for it, if the key is under one.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct KeyPassphraseArgs {
    /// Read the passphrase of an identity's key from this file, where the key is encrypted
    #[arg(long, value_name = "FILE")]
    pub key_passphrase_file: Option<PathBuf>,
    /// Read it from this open file descriptor
    #[arg(long, value_name = "N")]
    pub key_passphrase_fd: Option<u32>,
}

/// Whether a new key is put under a passphrase, and which.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NewKeyArgs {
    /// Put the new key under a passphrase (PKCS#8, scrypt and AES-256), which is asked for where neither file nor descriptor is given
    #[arg(long)]
    encrypt_key: bool,
    /// Read the new key's passphrase from this file
    #[arg(long, value_name = "FILE", requires = "encrypt_key", conflicts_with = "new_passphrase_fd")]
    new_passphrase_file: Option<PathBuf>,
    /// Read it from this open file descriptor
    #[arg(long, value_name = "N", requires = "encrypt_key")]
    new_passphrase_fd: Option<u32>,
}

/// Where the passphrase of a key that is always under one comes from; with neither, a person is asked for it twice.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct NewPassphraseArgs {
    /// Read the passphrase of the new file from this file
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Read it from this open file descriptor
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}

/// A passphrase of a key.
pub struct Passphrase(SecretBytes);

/// A private key as a file has it.
pub(crate) struct PrivateKey {
    /// In PEM, and not encrypted.
    pub(crate) pem: SecretBytes,
    /// What it is under.
    pub(crate) passphrase: Option<Passphrase>,
}

impl KeyPassphraseArgs {
    fn source(&self) -> Source {
        Source::of(self.key_passphrase_file.as_deref(), self.key_passphrase_fd)
    }
}

impl NewKeyArgs {
    /// The passphrase for a new key, if it is to have one. It is read before the key is made.
    pub(crate) fn passphrase(&self) -> Result<Option<Passphrase>, Failure> {
        if !self.encrypt_key {
            return Ok(None);
        }
        chosen(&Source::of(self.new_passphrase_file.as_deref(), self.new_passphrase_fd)).map(Some)
    }
}

impl NewPassphraseArgs {
    /// The passphrase.
    pub fn passphrase(&self) -> Result<Passphrase, Failure> {
        chosen(&Source::of(self.new_passphrase_file.as_deref(), self.new_passphrase_fd))
    }
}

/// A new passphrase, of which a person is sure.
fn chosen(source: &Source) -> Result<Passphrase, Failure> {
    let passphrase = source.read("New passphrase of the key: ")?;
    if passphrase.0.expose().len() < MIN_NEW {
        return Err(Failure::Failed(format!("a new passphrase has at least {MIN_NEW} bytes")));
    }
    if matches!(source, Source::Prompt) {
        let again = source.read("The same again: ")?;
        // Both are typed by the same hand at the same terminal; the time of the comparison tells nobody anything.
        if again.0.expose() != passphrase.0.expose() {
            return Err(Failure::failed("the two passphrases differ"));
        }
    }
    Ok(passphrase)
}

impl PrivateKey {
    /// The key in a file that its owner alone may read; its passphrase is asked for if it is under one.
    pub(crate) fn read(path: &Path, args: &KeyPassphraseArgs) -> Result<Self, Failure> {
        let text = files::read_private(path)?;
        let wrong = |why: &dyn std::fmt::Display| Failure::file("open the key", path, why);
        let Some(encrypted) = pem::decode_encrypted_key(text.expose()).map_err(|error| wrong(&error))? else {
            return Ok(Self { pem: text, passphrase: None });
        };
        let source = args.source();
        let passphrase = source.read(&format!("Passphrase of {}: ", path.display()));
        let passphrase = passphrase.map_err(|error| match source {
            Source::Prompt => wrong(&format_args!(
                "it is encrypted, and there is nobody to ask ({error}); give --key-passphrase-file or --key-passphrase-fd"
            )),
            Source::File(_) => error,
        })?;
        let pem = decrypted(&encrypted, &passphrase).map_err(|error| wrong(&error))?;
        Ok(Self { pem, passphrase: Some(passphrase) })
    }

    /// The key in a file that was made a short time ago, under that passphrase or under none.
    pub(crate) fn read_again(path: &Path, passphrase: Option<&Passphrase>) -> Result<SecretBytes, Failure> {
        let text = files::read_private(path)?;
        let wrong = |why: &dyn std::fmt::Display| Failure::file("open the key", path, why);
        match (pem::decode_encrypted_key(text.expose()).map_err(|error| wrong(&error))?, passphrase) {
            (None, None) => Ok(text),
            (Some(encrypted), Some(passphrase)) => {
                decrypted(&encrypted, passphrase).map_err(|error| wrong(&error))
            }
            (None, Some(_)) => Err(wrong(&"it is there already, and not encrypted; name another directory")),
            (Some(_), None) => Err(wrong(&"it is there already, and encrypted; add --encrypt-key again")),
        }
    }
}

/// The key in PEM.
fn decrypted(encrypted: &[u8], passphrase: &Passphrase) -> Result<SecretBytes, String> {
    let pkcs8 = decrypt_private_key(encrypted, passphrase.0.expose()).map_err(words)?;
    // Of 256 wrong passphrases one gives well-formed padding, and what is under it is not a key.
    P256SigningKey::from_pkcs8(&pkcs8).map_err(|_| words(KeyEncryptionError::Passphrase))?;
    pem::encode_private_key(pkcs8.expose()).map_err(|error| error.to_string())
}

/// The key in a file that its owner alone may read and that is under a passphrase, PKCS#8 DER. Whether it is one is not judged here: of
/// 256 wrong passphrases one gives well-formed padding.
pub(crate) fn encrypted(path: &Path, args: &KeyPassphraseArgs) -> Result<SecretBytes, Failure> {
    opened(path, || args.source().read(&format!("Passphrase of {}: ", path.display())))
}

/// The same under a passphrase that is known.
pub(crate) fn encrypted_under(path: &Path, passphrase: &Passphrase) -> Result<SecretBytes, Failure> {
    opened(path, || Passphrase::new(&passphrase.0))
}

fn opened(
    path: &Path,
    passphrase: impl FnOnce() -> Result<Passphrase, Failure>,
) -> Result<SecretBytes, Failure> {
    let text = files::read_private(path)?;
    let wrong = |why: &dyn std::fmt::Display| Failure::file("open the key", path, why);
    let encrypted = pem::decode_encrypted_key(text.expose()).map_err(|error| wrong(&error))?;
    let encrypted = encrypted.ok_or_else(|| wrong(&"it is not an encrypted PKCS#8 key in PEM"))?;
    let passphrase = passphrase()?;
    decrypt_private_key(&encrypted, passphrase.0.expose()).map_err(|error| wrong(&words(error)))
}

/// The text of a file for a private key.
pub(crate) fn encoded(pkcs8: &[u8], passphrase: Option<&Passphrase>) -> Result<SecretBytes, Failure> {
    let Some(Passphrase(passphrase)) = passphrase else {
        return pem::encode_private_key(pkcs8).map_err(Failure::failed);
    };
    let encrypted = encrypt_private_key(pkcs8, passphrase.expose(), &mut SystemEntropy::default());
    let text = pem::encode_encrypted_key(&encrypted.map_err(|error| Failure::failed(words(error)))?);
    Ok(SecretBytes::from_vec(text.map_err(Failure::failed)?.into_bytes()))
}

/// Where a passphrase comes from.
enum Source {
    File(PathBuf),
    /// The terminal, where it is typed unseen.
    Prompt,
}

impl Source {
    fn of(file: Option<&Path>, descriptor: Option<u32>) -> Self {
        // Opening the name rather than adopting the number needs no unsafe code and closes nothing that is not ours.
        let descriptor = descriptor.map(|number| PathBuf::from(format!("/dev/fd/{number}")));
        file.map(Path::to_owned).or(descriptor).map_or(Self::Prompt, Self::File)
    }

    fn read(&self, question: &str) -> Result<Passphrase, Failure> {
        let bytes = match self {
            Self::File(path) => {
                let failed = |error| Failure::file("read the passphrase in", path, error);
                let mut bytes = Vec::with_capacity(MAX + NEWLINE + 1);
                let read = File::open(path)
                    .and_then(|file| file.take((MAX + NEWLINE + 1) as u64).read_to_end(&mut bytes));
                let bytes = SecretBytes::from_vec(bytes);
                read.map(|_| bytes).map_err(failed)?
            }
            Self::Prompt => {
                let typed = rpassword::prompt_password(question).map_err(Failure::failed)?;
                SecretBytes::from_vec(typed.into_bytes())
            }
        };
        Passphrase::new(&bytes)
    }
}

impl Passphrase {
    /// The bytes less one newline at the end, as a file has one that was written with an editor.
    fn new(bytes: &SecretBytes) -> Result<Self, Failure> {
        let text = bytes.expose();
        let line = text.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let text = line.unwrap_or(text);
        if text.is_empty() || text.len() > MAX {
            return Err(Failure::Failed(format!("a passphrase has 1 to {MAX} bytes")));
        }
        let mut passphrase = SecretBytes::with_capacity(text.len());
        passphrase.extend(text);
        Ok(Self(passphrase))
    }
}

fn words(error: KeyEncryptionError) -> &'static str {
    match error {
        KeyEncryptionError::Malformed | KeyEncryptionError::Unsupported => {
            "it is not PKCS#8 by PBES2, with scrypt or PBKDF2 with SHA-2, and AES; openssl pkcs8 -topk8 makes one"
        }
        KeyEncryptionError::TooCostly => {
            "its passphrase is to be stretched at a cost that nobody needs; encrypt it again"
        }
        KeyEncryptionError::Passphrase => "the passphrase is wrong, or the file is damaged",
        KeyEncryptionError::Entropy => "the source of randomness failed",
    }
}

/// The fewest bytes of a passphrase that is chosen here.
const MIN_NEW: usize = 8;

/// The most bytes of any.
const MAX: usize = 1024;

/// Bytes in CR LF.
const NEWLINE: usize = 2;
