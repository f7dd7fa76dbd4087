//! Why a file is not sealed, opened or believed.

use crate::header::{MAX_HEADER, MAX_STANZAS};
use age::{DecryptError, EncryptError};
use std::io;
use wardein_ddkg::DecodeError;
use wardein_pki::{CertificateError, pem::PemError};

/// Why a file is not sealed, opened or believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Reading or writing failed. What is sealed and was changed fails so too, in the stream.
    #[error("{0}")]
    Io(io::Error),
    /// Reading what is to be sealed failed.
    #[error("it cannot be read: {0}")]
    Input(io::Error),
    /// It is not an age file of version 1.
    #[error("it is not an age file of version 1, or its header is damaged")]
    NotAge,
    /// It ends within its header.
    #[error("it ends within its header")]
    HeaderCut,
    /// Its header has too many bytes.
    #[error("its header has more than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// Its header has too many stanzas.
    #[error("its header has more than {MAX_STANZAS} stanzas")]
    TooManyStanzas,
    /// It was sealed under a passphrase, which only people have.
    #[error("it is sealed under a passphrase; open it with age or rage")]
    Passphrase,
    /// It has no stanza of a device.
    #[error("it has no ddkg1 stanza: no key of a device opens it, only its readers do")]
    NoStanza,
    /// It has more than one stanza of a device.
    #[error("it has more than one ddkg1 stanza; a device writes one")]
    ManyStanzas,
    /// Its stanza is malformed.
    #[error("its ddkg1 stanza: {0}")]
    Stanza(DecodeError),
    /// The key does not open it.
    #[error("the key does not open it: it is another file's, or the header was changed")]
    WrongKey,
    /// Nobody could open what would be sealed.
    #[error("it would be sealed for nobody; name a reader, or let the authority open it")]
    Nobody,
    /// The authority and readers in one file.
    #[error(
        "the authority's stanza is safe from a quantum computer, readers' keys of the form age1 are not, and one that is not makes the other so: \
         seal for the readers without the authority, or in another file"
    )]
    MixedReaders,
    /// Too many readers.
    #[error("a file has at most {} readers", MAX_STANZAS - 2)]
    TooManyReaders,
    /// It is not a reader's public key.
    #[error("it is not an age recipient of the form age1...")]
    Reader,
    /// It is not a reader's private key.
    #[error("it is not an age identity of the form AGE-SECRET-KEY-1...")]
    ReaderKey,
    /// A list of readers is malformed.
    #[error("the list of readers is not of the form wardein-readers 1: {0}")]
    Readers(&'static str),
    /// Its signature is wrong.
    #[error("the list of readers is not signed by the authority's identity key")]
    ReadersSignature,
    /// It is of another tenant.
    #[error("the list of readers is of another tenant")]
    ReadersOfAnother,
    /// It is older than the one that is held.
    #[error("the list of readers has number {number}, and the device holds number {held}")]
    ReadersRollback {
        /// Its number.
        number: u64,
        /// That of the one that is held.
        held: u64,
    },
    /// It is another of the same number.
    #[error("the list of readers is another than the one of the same number that the device holds")]
    ReadersFork,
    /// It is not an identity of the plugin.
    #[error("an identity names an absolute directory and a reason of 1 to 256 bytes, each on one line")]
    PluginIdentity,
    /// A statement is malformed.
    #[error("the statement is not of the form wardein-file 1: {0}")]
    Statement(&'static str),
    /// Its signature is wrong.
    #[error("the statement is not signed by the key of its certificate")]
    Signature,
    /// Its certificates cannot be read.
    #[error("the certificates of the statement: {0}")]
    Pem(PemError),
    /// Its certificate is not one of the authority's.
    #[error("the certificate of the statement: {0}")]
    Certificate(CertificateError),
    /// Its certificate is another device's.
    #[error("the statement is of {stated}, its certificate of {certified}")]
    OtherDevice {
        /// Whom the statement names.
        stated: String,
        /// Whom the certificate names.
        certified: String,
    },
    /// The certificate was not valid when the file was sealed.
    #[error(
        "the certificate was not valid at {at}, when the file was sealed: only from {from} to {until} (Unix seconds)"
    )]
    NotValidThen {
        /// When the file was sealed.
        at: u64,
        /// From when it was valid.
        from: u64,
        /// Until when.
        until: u64,
    },
    /// The file is not the one that was signed.
    #[error("the file is not the one that was signed: another one, or changed")]
    OtherFile,
}

impl FileError {
    /// Whether something is there that is not what it is said to be; otherwise it is missing, malformed, or wrongly asked for.
    pub fn is_distrust(&self) -> bool {
        matches!(
            self,
            Self::WrongKey
                | Self::Signature
                | Self::Certificate(_)
                | Self::OtherDevice { .. }
                | Self::NotValidThen { .. }
                | Self::OtherFile
        )
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<DecryptError> for FileError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::HeaderCut,
            DecryptError::Io(error) => Self::Io(error),
            DecryptError::InvalidHeader | DecryptError::UnknownFormat => Self::NotAge,
            _ => Self::WrongKey,
        }
    }
}

impl From<EncryptError> for FileError {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::Io(error) => Self::Io(error),
            EncryptError::MissingRecipients => Self::Nobody,
            _ => Self::MixedReaders,
        }
    }
}
