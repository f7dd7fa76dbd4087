//! Why a delivery is not taken, with the status by which a device knows whether to come again.

use std::fmt;

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: Code,
    /// What was wrong, and what to do next. It holds nothing of a batch's contents.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// A fault of this machine's disk, of which the device hears no more than that; the log has the rest.
    pub(crate) fn storage(error: &std::io::Error) -> Self {
        tracing::error!(%error, "a delivery cannot be stored");
        Self::new(Code::Storage, "the receiver cannot store it now; deliver it again later")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Refused {}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $status:literal;)*) => {
        /// The codes of refusals. By its status a device knows what to do: with 409 and 422 this file is never taken, with every
        /// other it may be taken later.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// The code as it is answered.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status of HTTP.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The path is not `/v1/DEVICE/AUDIENCE-BATCH.age` or the same with `.sig` behind it.
    UnknownPath = "unknown-path", 404;
    /// Files are put, and nothing else.
    WrongMethod = "wrong-method", 405;
    /// The path names another device than the certificate.
    WrongDevice = "wrong-device", 403;
    /// The device is of another tenant.
    OtherTenant = "other-tenant", 403;
    /// The authority does not trust the device now.
    NotTrusted = "not-trusted", 403;
    /// The receiver does not take batches for that audience.
    UnknownAudience = "unknown-audience", 403;
    /// The authority does not give the receiver the file's key.
    KeyRefused = "key-refused", 403;
    /// The receiver has no key that opens it.
    NoKey = "no-key", 403;
    /// The statement of the batch is not here.
    StatementFirst = "statement-first", 428;
    /// The batch was taken before with other contents.
    BatchTaken = "batch-taken", 409;
    /// The batch is so far behind the last one that the receiver does not know any more whether it has it.
    OutsideWindow = "outside-window", 409;
    /// The authority gave out the file's key before, and does so once.
    KeySpent = "key-spent", 409;
    /// It has more bytes than a file may have.
    TooLarge = "too-large", 422;
    /// The statement is malformed, or not signed by a device of the authority's.
    StatementRefused = "statement-refused", 422;
    /// The statement is of another device than the one that delivers.
    StatementOfOther = "statement-of-other", 422;
    /// The file is not the one that the statement is of.
    OtherFile = "other-file", 422;
    /// It does not open.
    NotOpened = "not-opened", 422;
    /// What is in it is not a batch.
    BatchMalformed = "batch-malformed", 422;
    /// What is in it is another batch than its name says.
    OtherBatch = "other-batch", 422;
    /// It came too slowly.
    TooSlow = "too-slow", 503;
    /// It was cut off on its way.
    CutOff = "cut-off", 503;
    /// Another delivery of the device is under way.
    Busy = "busy", 503;
    /// Too many bytes wait to be taken.
    IncomingFull = "incoming-full", 503;
    /// The authority is not reached, and what is known of the device is too old.
    AuthorityUnreachable = "authority-unreachable", 503;
    /// The receiver's disk fails it.
    Storage = "storage", 507;
    /// A fault of the receiver's.
    Internal = "internal", 500;
}

impl Code {
    /// Whether it is never taken, however often it is delivered.
    pub(crate) fn is_final(self) -> bool {
        matches!(self.status(), 409 | 422)
    }
}
