//! Failures of a token, each with what to do about it.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use std::path::PathBuf;

/// A token, or what leads to it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// The library of the token cannot be loaded.
    #[error(
        "the PKCS#11 module {} cannot be loaded: {reason}; set pkcs11.module to the library of the token", .path.display()
    )]
    Module {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No slot has that token.
    #[error("no slot has a token labeled {label:?}; {}; plug it in, start what connects to it, or correct pkcs11.token", listed(.present))]
    NoToken {
        /// The label.
        label: String,
        /// The labels of those that are there.
        present: Vec<String>,
    },
    /// More than one slot has a token of that label.
    #[error("{count} slots have a token labeled {label:?}; give each another label, or unplug the others")]
    Ambiguous {
        /// The label.
        label: String,
        /// How many.
        count: usize,
    },
    /// The file with the PIN cannot be used.
    #[error("the file with the token's PIN, {}: {reason}", .path.display())]
    PinFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The token refused the PIN.
    #[error(
        "the token refuses the PIN in {}; correct the file, and start again: it is not tried a second time, for the token counts", .path.display()
    )]
    PinRefused {
        /// The file.
        path: PathBuf,
    },
    /// The next wrong PIN locks the token, or the last one did.
    #[error("the token {}; log in with the token's own tools, or have its security officer reset the PIN", if *.is_locked { "is locked: too many wrong PINs" } else { "has one try left for its PIN, which is not made here" })]
    PinSpent {
        /// Whether it is locked.
        is_locked: bool,
    },
    /// The key is not in the token, or not once.
    #[error(
        "the token has {count} private keys with CKA_ID {id}; bring the key back from the token's backup, or have another CA follow the one that had it"
    )]
    Key {
        /// Its CKA_ID, hexadecimal.
        id: String,
        /// How many there are.
        count: usize,
    },
    /// The key could leave the token.
    #[error(
        "the key with CKA_ID {id} can leave the token (CKA_EXTRACTABLE, or not CKA_SENSITIVE), and is not used"
    )]
    Exportable {
        /// Its CKA_ID, hexadecimal.
        id: String,
    },
    /// The key is of another kind than the token was asked for, or is known to be weak.
    #[error("the token made a key that is not fit for a CA")]
    Unfit,
    /// All sessions are in use.
    #[error(
        "no session with the token became free within {seconds} seconds: the token answers slowly, or pkcs11.sessions is too small"
    )]
    Busy {
        /// How long it was waited.
        seconds: u64,
    },
    /// What the token signed is not a signature.
    #[error("the token gave {length} bytes for a signature")]
    Signature {
        /// How many bytes it gave.
        length: usize,
    },
    /// No random bytes for a key's id.
    #[error("the operating system gave no random bytes")]
    NoEntropy,
    /// A function of the token failed.
    #[error("the token failed at {function:?}: {code:?}{}", hint(.code))]
    Failed {
        /// Which.
        function: Function,
        /// By which code.
        code: RvError,
    },
    /// The library misbehaved.
    #[error("the PKCS#11 module misbehaves: {0}")]
    Library(String),
}

impl Pkcs11Error {
    /// Whether another session may do better: this one ended, its login did, or its handles mean nothing any more.
    pub(crate) fn is_of_session(&self) -> bool {
        let code = match self {
            Self::Failed { code, .. } => code,
            // Without a login no private key is seen (PKCS#11 v2.40 §2.4).
            Self::Key { count, .. } => return *count == 0,
            _ => return false,
        };
        matches!(
            code,
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::UserNotLoggedIn
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::DeviceError
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::OperationActive
                | RvError::OperationNotInitialized
                | RvError::CryptokiNotInitialized
        )
    }

    pub(crate) fn is(&self, wanted: RvError) -> bool {
        matches!(self, Self::Failed { code, .. } if *code == wanted)
    }
}

impl From<Error> for Pkcs11Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(code, function) => Self::Failed { function, code },
            error => Self::Library(error.to_string()),
        }
    }
}

fn listed(labels: &[String]) -> String {
    match labels {
        [] => "there is none at all".to_owned(),
        labels => format!("there are: {}", labels.join(", ")),
    }
}

fn hint(code: &RvError) -> &'static str {
    match code {
        RvError::SessionCount => "; it has no session left: lower pkcs11.sessions",
        RvError::MechanismInvalid
        | RvError::CurveNotSupported
        | RvError::DomainParamsInvalid
        | RvError::KeySizeRange => "; it has no keys of this algorithm: choose another one",
        RvError::TokenWriteProtected => "; it is write-protected",
        RvError::DeviceMemory => "; it is full",
        _ => "",
    }
}
