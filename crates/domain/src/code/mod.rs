//! Error codes: what a caller acts on. Each has one kind, and so one gRPC status, and one sentence of what to do; `deploy/TROUBLESHOOTING.md`
//! is made of this table.

mod device;
mod table;

use core::fmt;

/// Who is at fault, and what the caller may do about it. The edge maps each to one gRPC status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or out of bounds; changing it helps.
    Invalid,
    /// The object is not there, or not the caller's to see.
    NotFound,
    /// The object to be made exists.
    Exists,
    /// The state of things does not allow it now.
    Precondition,
    /// The caller is known and may not.
    Denied,
    /// The proof or certificate does not show who calls.
    Unauthenticated,
    /// The request goes on from a place that is not there any more, or not there yet; beginning again helps.
    OutOfRange,
    /// A rate is used up, or a span of time is not over: the same call succeeds after a pause.
    Exhausted,
    /// This version does not offer it.
    Unimplemented,
    /// A fault of ours that passes: the store is full or restarting.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The enum, from a row for each code: its meaning, name, text, kind and remedy.
macro_rules! codes {
    ($(#[doc = $meaning:literal] $name:ident = $text:literal, $kind:ident, $remedy:literal;)*) => {
        /// A stable error code. Codes are never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name,)*
        }

        impl ErrorCode {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it is sent, logged and recorded.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Who is at fault.
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind,)* }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning.trim_start(),)* }
            }

            /// What to do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }

            /// After how many milliseconds the same call may succeed; none where it must be changed, or something else must
            /// happen first.
            pub const fn retry_after_ms(self) -> Option<u32> {
                match self.kind() {
                    ErrorKind::Unavailable | ErrorKind::Exhausted => Some(match self {
                        Self::Contended => 100,
                        Self::SignaturesExhausted | Self::ClockHeld => 60_000,
                        Self::MadeKeyQuota => 600_000,
                        Self::UnderWay => 10_000,
                        _ => 1_000,
                    }),
                    _ => None,
                }
            }

            /// The code of a text that was received; none of one that a later release may send.
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}
use codes;

pub use device::DeviceAction;
pub use table::ErrorCode;

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn each_code_is_one_word_with_a_meaning_and_a_remedy() {
        let mut texts = BTreeSet::new();
        for &code in ErrorCode::ALL {
            let text = code.as_str();
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{text}");
            assert!(texts.insert(text), "{text} comes twice");
            assert_eq!(ErrorCode::from_text(text), Some(code));
            for sentence in [code.meaning(), code.remedy()] {
                assert!(sentence.ends_with('.'), "{text}: {sentence}");
                assert!(!sentence.starts_with(' '), "{text}: {sentence}");
            }
        }
        assert_eq!(ErrorCode::from_text("of-a-later-release"), None);
    }

    /// `deploy/TROUBLESHOOTING.md`, of this table.
    fn troubleshooting() -> String {
        let mut text = String::from(HEAD);
        let mut codes = ErrorCode::ALL.to_vec();
        codes.sort_unstable_by_key(|code| code.as_str());
        for code in codes {
            let (text_of, kind, meaning, remedy) =
                (code.as_str(), code.kind(), code.meaning(), code.remedy());
            text += &format!("| `{text_of}` | {} | {meaning} | {remedy} |\n", status(kind));
        }
        text
    }

    fn status(kind: ErrorKind) -> &'static str {
        match kind {
            ErrorKind::Invalid => "INVALID_ARGUMENT",
            ErrorKind::NotFound => "NOT_FOUND",
            ErrorKind::Exists => "ALREADY_EXISTS",
            ErrorKind::Precondition => "FAILED_PRECONDITION",
            ErrorKind::Denied => "PERMISSION_DENIED",
            ErrorKind::Unauthenticated => "UNAUTHENTICATED",
            ErrorKind::OutOfRange => "OUT_OF_RANGE",
            ErrorKind::Exhausted => "RESOURCE_EXHAUSTED",
            ErrorKind::Unimplemented => "UNIMPLEMENTED",
            ErrorKind::Unavailable => "UNAVAILABLE",
            ErrorKind::Internal => "INTERNAL",
        }
    }

    #[test]
    fn the_document_of_codes_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/TROUBLESHOOTING.md");
        if std::env::var_os("WARDEIN_BLESS").is_some() {
            std::fs::write(path, troubleshooting()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let again = "write it again with WARDEIN_BLESS=1 cargo test -p wardein-domain";
        assert!(committed == troubleshooting(), "deploy/TROUBLESHOOTING.md is not current; {again}");
    }

    /// A code that is written as text somewhere else is one that no map is exhaustive about.
    #[test]
    fn no_code_is_a_literal_elsewhere() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut folders = vec![root.join("crates"), root.join("src")];
        let (mut files, mut found) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir()
                    && !matches!(name.as_str(), "tests" | "benches" | "examples" | "fuzz" | "target")
                {
                    folders.push(path);
                } else if name.ends_with(".rs") && !matches!(name.as_str(), "table.rs" | "tests.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                    let literals =
                        ErrorCode::ALL.iter().map(|code| code.as_str()).filter(|text| text.contains('-'));
                    found.extend(
                        literals
                            .filter(|text| code.contains(&format!("\"{text}\"")))
                            .map(|text| (name.clone(), text)),
                    );
                    files += 1;
                }
            }
        }
        assert!(files > 300, "{files} files are not all of them");
        found.retain(|(name, text)| !NOT_CODES.contains(&(name.as_str(), text)));
        assert!(found.is_empty(), "{found:?}");
    }

    /// Words of other lists that are spelled as a code is: a field of the audit log, a reason of a verdict, how an enrollment ended, why a
    /// device is offered nothing, what the receiving end of logs and the listener for work orders answer.
    const NOT_CODES: [(&str, &str); 11] = [
        ("field.rs", "pcr-digest"),
        ("trust.rs", "certificate-unknown"),
        ("outcome.rs", "already-enrolled"),
        ("report.rs", "already-enrolled"),
        ("refusal.rs", "too-large"),
        ("refusal.rs", "wrong-device"),
        ("refusal.rs", "key-spent"),
        ("incoming.rs", "too-large"),
        ("incoming.rs", "signature-wrong"),
        ("offer.rs", "line-unknown"),
        ("offer.rs", "release-unknown"),
    ];

    const HEAD: &str = "\
# Troubleshooting

<!-- Generated from crates/domain/src/code; write it again with WARDEIN_BLESS=1 cargo test -p wardein-domain -->

A refusal names its code in the metadata `wardein-code`, in the log, in the audit entry and in what the command line prints. A code is never
given another meaning, and always comes with the same gRPC status.

| status | try again? |
| --- | --- |
| `UNAVAILABLE` | yes, after a pause that grows |
| `RESOURCE_EXHAUSTED` | yes, after the pause that `RetryInfo` names |
| all others | not unchanged: follow the remedy |

A refusal carries `google.rpc.Status` in `grpc-status-details-bin`; `proto/README.md` says which details.

| code | status | meaning | what to do |
| --- | --- | --- | --- |
";
}
