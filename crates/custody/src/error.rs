//! Why the root key is not kept, or not given.

use std::io;
use std::path::{Path, PathBuf};
use wardein_domain::ErrorCode;

/// Why custody refuses or fails. None of them tells anything of a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The file is there already. What protects a root key is never overwritten.
    #[error("{} exists already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{} {}", .doing, .path.display())]
    Io {
        /// What was being done, such as `cannot read`.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The custody file is not JSON of the form that this version writes.
    #[error("{} is not a custody file: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why, without any of its values.
        reason: String,
    },
    /// The custody file has a version that this program does not know.
    #[error("{} has version {found}; this program reads version {}", .path.display(), crate::format::VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A number in the custody file is out of its bounds.
    #[error("{field} is {value}; it takes {min} to {max}")]
    Bounds {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The least that it may be.
        min: u32,
        /// The greatest that it may be.
        max: u32,
    },
    /// The key is protected by the other kind.
    #[error("the root key is protected by a {expected}, and a {given} was given")]
    Kind {
        /// What protects it.
        expected: crate::Kind,
        /// What was given.
        given: crate::Kind,
    },
    /// The passphrase does not fit the check value: it is wrong. (Of a changed salt, cost or check value the same would be seen.)
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The key file is not the one that the root key is under, by its check value.
    #[error("the key file is not the one that the root key is under")]
    WrongKeyFile,
    /// The passphrase or key file fits, and the wrapped key does not open: the custody file is damaged.
    #[error("the wrapped root key is damaged; restore the custody file from a backup")]
    Wrapped,
    /// A passphrase has too few or too many bytes.
    #[error("the passphrase has {length} bytes; it takes {min} to {max}")]
    PassphraseLength {
        /// Its bytes.
        length: usize,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The two passphrases that were typed differ.
    #[error("the two passphrases differ")]
    PassphraseMismatch,
    /// The key file can be read or written by others than its owner.
    #[error("{} has mode {mode:04o}; a key file is for its owner alone: chmod 600 it", .path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The custody file is not the one that was opened: the protection was changed since.
    #[error("{} was put under another protection since it was opened; restart the service with that", .0.display())]
    Replaced(PathBuf),
    /// The root key is being changed, and its protection stays as it is meanwhile.
    #[error(
        "the root key is being changed; let `wardein key rotate --root` end, or start the service, which ends it"
    )]
    Changing,
    /// A version of the root key does not fit those that are kept.
    #[error("version {0} of the root key does not fit those that are kept")]
    Versions(u32),
    /// The key file that is to be used is another user's, who knows it.
    #[error("{} belongs to another user; name a key file of your own, or a path where none is yet", .0.display())]
    Owner(PathBuf),
    /// The key file is not a regular file of 32 bytes.
    #[error("{} is not a key file: a regular file of {} bytes", .0.display(), crate::key_file::LEN)]
    KeyFile(PathBuf),
    /// There is not enough memory for the Argon2 cost.
    #[error("Argon2 could not run: {0} KiB of memory are needed")]
    Memory(u32),
    /// The TPM does not give the key.
    #[error(
        "{reason}. The recovery passphrase opens the root key: give it with --passphrase-file or --passphrase-fd; once the machine is as it \
         should be, `wardein custody reseal` seals it again"
    )]
    Tpm {
        /// The code of the TPM's own error.
        code: ErrorCode,
        /// What the TPM said.
        reason: String,
    },
    /// This build cannot speak to a TPM.
    #[error(
        "this program was built without its feature `tpm`; the recovery passphrase opens what is under a TPM: give it with \
         --passphrase-file or --passphrase-fd"
    )]
    NoTpm,
    /// KMS does not wrap or give the key.
    #[error("AWS KMS: {reason}")]
    Kms {
        /// The code of the error.
        code: ErrorCode,
        /// Whether it may pass without anybody's doing.
        is_passing: bool,
        /// What happened, and what to do.
        reason: String,
    },
    /// This build cannot speak to KMS.
    #[error(
        "this program was built without its feature `aws-kms`; a recovery passphrase, if the root key has one, opens what is under a key of KMS: \
         give it with --passphrase-file or --passphrase-fd"
    )]
    NoKms,
    /// The text says not where a TPM is.
    #[error("{0:?} is no place of a TPM; write device:/dev/tpmrm0, or swtpm:host=HOST,port=PORT")]
    Tcti(String),
    /// The text names no registers.
    #[error(
        "{0:?} are no registers of a TPM; write numbers from 0 to 23 such as 0,2,4,7, for another bank sha384:0,2,4,7"
    )]
    Registers(String),
    /// The source of random bytes failed.
    #[error("the operating system gave no random bytes")]
    Entropy,
}

impl CustodyError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Exists(_) => ErrorCode::CustodyExists,
            Self::Io { .. } => ErrorCode::CustodyIo,
            Self::Damaged { .. } => ErrorCode::CustodyDamaged,
            Self::Version { .. } => ErrorCode::CustodyVersion,
            Self::Bounds { .. } => ErrorCode::CustodyBounds,
            Self::Kind { .. } => ErrorCode::CustodyKind,
            Self::WrongPassphrase => ErrorCode::CustodyWrongPassphrase,
            Self::WrongKeyFile => ErrorCode::CustodyWrongKeyFile,
            Self::Wrapped => ErrorCode::CustodyWrapped,
            Self::PassphraseLength { .. } => ErrorCode::CustodyPassphraseLength,
            Self::PassphraseMismatch => ErrorCode::CustodyPassphraseMismatch,
            Self::Permissions { .. } => ErrorCode::CustodyPermissions,
            Self::Replaced(_) => ErrorCode::CustodyReplaced,
            Self::Changing => ErrorCode::CustodyChanging,
            Self::Versions(_) => ErrorCode::CustodyVersions,
            Self::Owner(_) => ErrorCode::CustodyOwner,
            Self::KeyFile(_) => ErrorCode::CustodyKeyFile,
            Self::Memory(_) => ErrorCode::CustodyMemory,
            Self::Tpm { code, .. } => *code,
            Self::NoTpm => ErrorCode::CustodyNoTpm,
            Self::Kms { code, .. } => *code,
            Self::NoKms => ErrorCode::CustodyNoKms,
            Self::Tcti(_) => ErrorCode::CustodyTcti,
            Self::Registers(_) => ErrorCode::CustodyRegisters,
            Self::Entropy => ErrorCode::CustodyEntropy,
        }
    }

    /// Whether the same may succeed later without anybody's doing, so that a start waits.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Kms { is_passing: true, .. })
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<wardein_crypto::EntropyError> for CustodyError {
    fn from(_: wardein_crypto::EntropyError) -> Self {
        Self::Entropy
    }
}
