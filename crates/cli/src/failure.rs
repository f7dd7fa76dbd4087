//! How a command ends when it does not end well, and the exit codes, which scripts may rely on.

use serde_json::json;
use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// It failed here: a file, a directory, a device that was left out. Exit code 1.
    Failed(String),
    /// It was not asked in a way that can be followed. Exit code 2, which clap uses as well.
    Usage(String),
    /// The authority refused. Exit code 3.
    Refused {
        /// The stable code, such as `device-unknown`.
        code: String,
        /// What was wrong, and what to do next.
        reason: String,
        /// What to name to someone who reads the authority's log.
        request_id: Option<String>,
        /// The proposal that waits for a second person, where the call needs one.
        proposal: Option<String>,
    },
    /// What somebody showed as signed by the authority is not to be accepted. Exit code 3.
    NotAccepted {
        /// The stable code, such as `receipt-expired`.
        code: &'static str,
        /// What is wrong with it, and what to do next.
        reason: String,
    },
    /// The authority cannot be reached, or is not the one that the roots vouch for. Exit code 4.
    Unreachable(String),
    /// The identity to call with is not valid any more. Exit code 1.
    Identity(String),
    /// This machine's clock rules the connection out. Exit code 1.
    Clock(String),
    /// The authority answered, and the answer is not to trust: the verdict. Exit code 5.
    NotTrusted(String),
    /// A file, or a set of them, is not what it is said to be. Exit code 5.
    NotWhole(String),
    /// Devices of the expected list are missing, or there are others. Exit code 6.
    NotAsExpected(String),
    /// The reader of the output went away, such as `head`: no more can be said. Exit code 1.
    ReaderGone,
}

impl Failure {
    /// A failure here.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// A failure to do `what` with a file.
    pub fn file(what: &str, path: &std::path::Path, reason: impl fmt::Display) -> Self {
        Self::Failed(format!("cannot {what} {}: {reason}", path.display()))
    }

    /// The same, with more to say.
    pub(crate) fn and(mut self, more: &str) -> Self {
        match &mut self {
            Self::Failed(message)
            | Self::Usage(message)
            | Self::Refused { reason: message, .. }
            | Self::NotAccepted { reason: message, .. }
            | Self::Unreachable(message)
            | Self::Identity(message)
            | Self::Clock(message)
            | Self::NotTrusted(message)
            | Self::NotWhole(message)
            | Self::NotAsExpected(message) => *message = format!("{message}\n  {more}"),
            Self::ReaderGone => {}
        }
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Identity(_) | Self::Clock(_) | Self::ReaderGone => 1,
            Self::Usage(_) => 2,
            Self::Refused { .. } | Self::NotAccepted { .. } => 3,
            Self::Unreachable(_) => 4,
            Self::NotTrusted(_) | Self::NotWhole(_) => 5,
            Self::NotAsExpected(_) => 6,
        }
    }

    /// Says on standard error what happened, as text or as one JSON document, and gives the exit code.
    pub fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            eprintln!("{}", self.to_json());
        } else if !matches!(self, Self::ReaderGone) {
            eprintln!("error: {self}");
        }
        ExitCode::from(self.code())
    }

    fn to_json(&self) -> serde_json::Value {
        let error = match self {
            Self::Failed(message) => json!({ "kind": "failed", "message": message }),
            Self::Usage(message) => json!({ "kind": "usage", "message": message }),
            Self::Refused { code, reason, request_id, proposal } => {
                let mut error =
                    json!({ "kind": "refused", "code": code, "message": reason, "request_id": request_id });
                if let Some(proposal) = proposal {
                    error["proposal"] = json!(proposal);
                }
                error
            }
            Self::NotAccepted { code, reason } => {
                json!({ "kind": "not-accepted", "code": code, "message": reason })
            }
            Self::Identity(message) => json!({ "kind": "identity", "message": message }),
            Self::Clock(message) => json!({ "kind": "clock", "message": message }),
            Self::Unreachable(message) => json!({ "kind": "unreachable", "message": message }),
            Self::NotTrusted(verdict) => json!({ "kind": "not-trusted", "verdict": verdict }),
            Self::NotWhole(message) => json!({ "kind": "not-whole", "message": message }),
            Self::NotAsExpected(message) => json!({ "kind": "not-as-expected", "message": message }),
            Self::ReaderGone => json!({ "kind": "reader-gone" }),
        };
        json!({ "error": error })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message)
            | Self::Usage(message)
            | Self::Identity(message)
            | Self::Clock(message)
            | Self::NotWhole(message)
            | Self::NotAsExpected(message) => f.write_str(message),
            Self::Refused { code, reason, request_id, .. } => {
                write!(f, "the authority refused ({code}): {reason}")?;
                request_id.iter().try_for_each(|id| write!(f, "\n  request id: {id}"))
            }
            Self::NotAccepted { code, reason } => write!(f, "it is not to be accepted ({code}): {reason}"),
            Self::Unreachable(message) => write!(f, "the authority cannot be reached: {message}"),
            Self::NotTrusted(verdict) => write!(f, "the verdict is {verdict}"),
            Self::ReaderGone => f.write_str("the reader of the output went away"),
        }
    }
}

impl std::error::Error for Failure {}

/// What every `--help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed here, 2 usage error, 3 refused by the authority (with code, reason and \
     request id) or not to be accepted (a receipt), 4 the authority cannot be reached, 5 the verdict is not `trusted` (trust check and \
     verify-receipt), or a file is not what it is said to be (file), 6 devices are missing or surplus (device enroll and relay with \
     --expected).";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_code_reason_and_request_in_words_and_in_json() {
        let refused = Failure::Refused {
            code: "device-unknown".into(),
            reason: "there is no device x".into(),
            request_id: Some("r-1".into()),
            proposal: None,
        };
        assert_eq!(
            refused.to_string(),
            "the authority refused (device-unknown): there is no device x\n  request id: r-1"
        );
        assert_eq!(refused.to_json()["error"]["code"], "device-unknown");
        assert_eq!(refused.to_json()["error"]["request_id"], "r-1");
        assert_eq!(refused.code(), 3);
    }
}
