//! What comes in floods: of each kind the first has a line of its own, and the others one line a second, with their number and an
//! example. Anybody can have calls and handshakes refused as fast as they can send them; the log would carry the flood on to the
//! disk.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use tracing::Level;
use wardein_engine::{ErrorCode, ErrorKind};

/// The refusals and failures of this second. Their kinds are few: codes, and the names of one place each.
#[derive(Default)]
pub(crate) struct Floods(Mutex<HashMap<Kind, Tally>>);

/// What counts as alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A call without an operator's certificate.
    Call(ErrorCode),
    /// A call of an operator: no flood without a certificate hides it.
    OfOperator(ErrorCode),
    /// A handshake.
    Handshake,
    /// The acceptance of a connection, by the system.
    Accept,
    /// The delivery of webhooks.
    Webhook,
}

/// Those of a kind behind the first.
#[derive(Debug, Default)]
struct Tally {
    more: u64,
    example: Option<String>,
}

impl Floods {
    /// Whether this one has a line of its own; otherwise it is counted.
    pub(crate) fn is_first(&self, kind: Kind, example: impl FnOnce() -> String) -> bool {
        // A poisoned map still has nothing but numbers and texts in it.
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind) {
            Entry::Vacant(place) => {
                place.insert(Tally::default());
                true
            }
            Entry::Occupied(place) => {
                let tally = place.into_mut();
                tally.more += 1;
                tally.example.get_or_insert_with(example);
                false
            }
        }
    }

    /// Logs what was counted, a line a kind. Called once a second; a kind of which nothing came in that time begins again with a
    /// line of its own.
    pub(crate) fn tell(&self) {
        for (kind, Tally { more, example }) in self.take() {
            let example = example.unwrap_or_default();
            kind.log(more, &example);
        }
    }

    fn take(&self) -> Vec<(Kind, Tally)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.retain(|_, tally| tally.more > 0);
        kinds.iter_mut().map(|(kind, tally)| (*kind, std::mem::take(tally))).collect()
    }
}

impl Kind {
    fn log(self, more: u64, example: &str) {
        let (code, has_certificate) = match self {
            Self::Call(code) => (code, false),
            Self::OfOperator(code) => (code, true),
            Self::Handshake => return tracing::info!(more, example, "more handshakes refused"),
            Self::Webhook => {
                return tracing::warn!(more, example, "more messages of webhooks were not taken");
            }
            Self::Accept => return tracing::warn!(more, example, "more connections could not be accepted"),
        };
        let (level, code) = (level(code), code.as_str());
        if level == Level::ERROR {
            tracing::error!(code, has_certificate, more, example, "more calls failed");
        } else if level == Level::WARN {
            tracing::warn!(code, has_certificate, more, example, "more calls were not served");
        } else {
            tracing::info!(code, has_certificate, more, example, "more calls refused");
        }
    }
}

/// The level at which a refusal or a failure is logged. What a caller can bring about by itself is no error of ours, whichever
/// status it leaves with: it breaks its own call off, or asks for more than is given.
pub(super) fn level(code: ErrorCode) -> Level {
    match code {
        ErrorCode::BrokenOff | ErrorCode::StreamIdle => Level::INFO,
        ErrorCode::Overloaded | ErrorCode::RequestTimeout | ErrorCode::Contended | ErrorCode::Stopping => {
            Level::WARN
        }
        code if matches!(code.kind(), ErrorKind::Internal | ErrorKind::Unavailable) => Level::ERROR,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_has_a_line_and_the_others_are_counted_with_an_example() {
        let floods = Floods::default();
        let kind = Kind::Call(ErrorCode::RateLimited);
        let first = |n: u32| floods.is_first(kind, || n.to_string());
        assert_eq!([1, 2, 3].map(first), [true, false, false]);
        assert!(floods.is_first(Kind::OfOperator(ErrorCode::RateLimited), || unreachable!("it has a line")));
        let told = floods.take();
        let [(of, tally)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((*of, tally.more, tally.example.as_deref()), (kind, 2, Some("2")));
        // It goes on: no line of its own, until a second without any.
        assert!(!first(4));
        assert_eq!(floods.take().len(), 1);
        assert_eq!(floods.take().len(), 0);
        assert!(first(5));
    }

    #[test]
    fn what_a_caller_brings_about_is_no_error_of_ours() {
        for code in [
            ErrorCode::BrokenOff,
            ErrorCode::Overloaded,
            ErrorCode::RequestTimeout,
            ErrorCode::StreamIdle,
            ErrorCode::RateLimited,
            ErrorCode::MethodUnknown,
            ErrorCode::Malformed,
            ErrorCode::TooLarge,
        ] {
            assert_ne!(level(code), Level::ERROR, "{code}");
        }
        for code in [ErrorCode::Internal, ErrorCode::StoreUnavailable] {
            assert_eq!(level(code), Level::ERROR, "{code}");
        }
    }
}
