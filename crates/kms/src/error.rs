//! Why KMS does not wrap or unwrap.

use std::path::PathBuf;
use wardein_domain::ErrorCode;

/// Why a call failed. None of them has a secret in it: what AWS said is shown, cut to some length, and of files the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The text is not the ARN of a key.
    #[error(
        "{0:?} is not the ARN of a key; write arn:aws:kms:REGION:ACCOUNT:key/ID (`aws kms describe-key` shows it; an alias can be moved to \
         another key)"
    )]
    KeyName(String),
    /// The address is not one that a request may go to.
    #[error(
        "{variable} is {value:?}; it takes https://HOST, and http:// for this machine's own addresses alone"
    )]
    Address {
        /// Which variable has it.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A file that is needed cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There are no credentials.
    #[error(
        "there are no credentials for AWS: {reason}. Give the machine or the container a role, or write a file of credentials \
         (~/.aws/credentials, or AWS_SHARED_CREDENTIALS_FILE)"
    )]
    NoCredentials {
        /// Where they were looked for, and what was there.
        reason: String,
    },
    /// A server did not answer, or answered that it cannot now.
    #[error("{host} {reason}")]
    Unavailable {
        /// The server.
        host: String,
        /// What happened.
        reason: String,
    },
    /// AWS does not know the credentials, or they are over.
    #[error(
        "AWS does not take the credentials: {said}. See that they are of this account, and that the clock of this machine is right"
    )]
    Credentials {
        /// What AWS said.
        said: String,
    },
    /// The credentials may not use the key.
    #[error("KMS denies it: {said}. Allow kms:{action} on the key, in its policy or the role's")]
    Denied {
        /// Which call it was.
        action: &'static str,
        /// What AWS said.
        said: String,
    },
    /// The key is disabled, to be deleted, not there, or of another kind.
    #[error(
        "the key cannot be used: {said}. Enable it, or cancel its deletion; it must be a symmetric key for encryption"
    )]
    Unusable {
        /// What AWS said.
        said: String,
    },
    /// The key, or the encryption context, is another than that of the wrapping.
    #[error(
        "KMS does not open it with this key and encryption context: {said}. It was wrapped by another key or for another authority, or was \
         changed since"
    )]
    Mismatch {
        /// What AWS said, or what differed.
        said: String,
    },
    /// Anything else.
    #[error("KMS refused: {said}")]
    Refused {
        /// What AWS said.
        said: String,
    },
}

impl KmsError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::KeyName(_) => ErrorCode::KmsKeyName,
            Self::Address { .. } | Self::File { .. } => ErrorCode::KmsSettings,
            Self::NoCredentials { .. } | Self::Credentials { .. } => ErrorCode::KmsCredentials,
            Self::Unavailable { .. } => ErrorCode::KmsUnavailable,
            Self::Denied { .. } => ErrorCode::KmsDenied,
            Self::Unusable { .. } => ErrorCode::KmsKeyUnusable,
            Self::Mismatch { .. } => ErrorCode::KmsMismatch,
            Self::Refused { .. } => ErrorCode::KmsRefused,
        }
    }

    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// What a server said, fit for one line of a log: printable, and of at most 400 characters.
pub(crate) fn said(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(shown).take(400).collect()
}
