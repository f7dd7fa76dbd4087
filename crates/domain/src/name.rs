//! Names from outside, judged once (DDKG-1 §1).

use core::fmt;
use core::str::FromStr;
use smol_str::SmolStr;

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty or too long.
    #[error("{kind} has {length} bytes; it takes {min} to {max}")]
    Length {
        /// The kind of name expected.
        kind: &'static str,
        /// Bytes that it has.
        length: usize,
        /// The fewest it may have.
        min: usize,
        /// The most it may have.
        max: usize,
    },
    /// The text has a character that its kind does not allow there.
    #[error(
        "{kind} has a character at byte {position} that is not allowed there, U+{code:04X}; {allowed}",
        code = u32::from(*character)
    )]
    Character {
        /// The kind of name expected.
        kind: &'static str,
        /// Offset of the character, in bytes.
        position: usize,
        /// The character, which may be one that cannot be seen.
        character: char,
        /// The allowed characters.
        allowed: &'static str,
    },
    /// The text is not a word of a closed list.
    #[error("{kind} is not one of {allowed}")]
    Unknown {
        /// The kind of name expected.
        kind: &'static str,
        /// The list.
        allowed: &'static str,
    },
    /// The text is a template that gives several devices one name.
    #[error("{kind} lacks {place}, without which devices would share a name")]
    Shared {
        /// The kind of name expected.
        kind: &'static str,
        /// What it lacks.
        place: &'static str,
    },
}

/// Whether free text may have the character: not one that moves a cursor, breaks a line, cannot be seen, or turns the direction of
/// the text after it (Unicode, general categories Cc, Cf, Zl and Zp; UAX #9 §2).
#[cfg(feature = "unicode")]
pub fn is_plain(c: char) -> bool {
    use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
    // Most text is ASCII, which needs no table.
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Whether free text may have the character: without a table of all others, one of ASCII that can be seen, or the space.
#[cfg(not(feature = "unicode"))]
pub fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// What [`is_plain`] lets through.
const PLAIN_TEXT: &str = if cfg!(feature = "unicode") {
    "text without control, format and line-breaking characters"
} else {
    "printable ASCII characters"
};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $min:literal..=$max:literal, $allowed:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The fewest bytes of such a name.
            pub const MIN_LEN: usize = $min;
            /// The most bytes of such a name.
            pub const MAX_LEN: usize = $max;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let length = text.len();
                if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&length) {
                    return Err(NameError::Length { kind: $kind, length, min: Self::MIN_LEN, max: Self::MAX_LEN });
                }
                let allowed: fn(&str, usize, char) -> bool = $check;
                match text.char_indices().find(|&(position, c)| !allowed(text, position, c)) {
                    Some((position, character)) => {
                        Err(NameError::Character { kind: $kind, position, character, allowed: $allowed })
                    }
                    None => Ok(Self(SmolStr::new(text))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A tenant: the owner of devices, separate from every other to the key.
    TenantId, "tenant", 1..=63, "a-z, 0-9 and '-', with a letter or digit first and last",
    |text, position, c| {
        let end = position == 0 || position + 1 == text.len();
        c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && !end)
    }
}

name! {
    /// A device's id, unique within its tenant.
    DeviceId, "device id", 1..=128, "A-Z, a-z, 0-9 and '.', '_', ':', '-'",
    |_, _, c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-')
}

name! {
    /// The action of a proved request, such as `certificate` (DDKG-1 §8).
    Action, "action", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// The name of a measured attribute, such as `firmware`.
    AttributeName, "attribute name", 1..=64, "letters, digits and punctuation of ASCII without space",
    |_, _, c| c.is_ascii_graphic()
}

name! {
    /// Whom a platform token is for, such as a platform's host name.
    Audience, "audience", 1..=255, PLAIN_TEXT,
    |_, _, c| is_plain(c)
}

name! {
    /// The name of a profile.
    ProfileName, "profile", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// The name of a reader of files, unique within its profile.
    ReaderName, "reader", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// A webhook's name, unique within its tenant.
    WebhookName, "webhook name", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// The name of a place to which the audit log is delivered.
    SinkName, "audit sink", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// The name of a maker's repository of updates.
    RepositoryName, "repository", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// The name of a product line, unique within its repository.
    LineName, "product line", 1..=32, "a-z, 0-9 and '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

name! {
    /// What a maker says of a release: a model, or the value of an attribute that a device will show. ASCII alone, whose canonical form is
    /// the same to every reader.
    ReleaseText, "text of a release", 1..=256, "printable ASCII characters",
    |_, _, c| matches!(c, ' '..='~')
}

name! {
    /// An operator's name, unique within tenant and role.
    OperatorName, "operator name", 1..=64, "A-Z, a-z, 0-9 and '.', '_', '-'",
    |_, _, c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

name! {
    /// The common name in a device's certificate: at most as many characters as X.520 gives it (`ub-common-name`, RFC 5280 appendix A.1),
    /// and none that a distinguished name escapes (RFC 4514 §2.4) or that is a wildcard or separator in a topic of MQTT.
    CommonName, "common name", 1..=64, "A-Z, a-z, 0-9 and '.', '_', ':', '@', '-'",
    |_, _, c| is_of_common_name(c)
}

name! {
    /// The serial number in the subject of a device's certificate (X.520 `serialNumber`, a PrintableString of at most
    /// `ub-serial-number` characters, RFC 5280 appendix A.1), by which IEEE 802.1AR and some brokers know a device.
    SubjectSerial, "serial number of a subject", 1..=64, "A-Z, a-z, 0-9 and '.', ':', '-'",
    |_, _, c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-')
}

name! {
    /// The maker's name of a device's model.
    ModelName, "model", 1..=64, PLAIN_TEXT,
    |_, _, c| is_plain(c)
}

name! {
    /// The trust domain of the authority's SPIFFE ids (SPIFFE-ID §2.1).
    TrustDomain, "trust domain", 1..=255, "a-z, 0-9 and '.', '_', '-'",
    |_, _, c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

name! {
    /// Why an administrator did something.
    Reason, "reason", 1..=256, PLAIN_TEXT,
    |_, _, c| is_plain(c)
}

name! {
    /// The serial number of a device, as a UDI has it.
    DeviceSerial, "serial number", 1..=20, "printable ASCII characters",
    |_, _, c| matches!(c, ' '..='~')
}

name! {
    /// By what the devices of a batch were chosen, in the words of the program that chose them.
    Selector, "selector", 1..=512, PLAIN_TEXT,
    |_, _, c| is_plain(c)
}

name! {
    /// A work order, by its number in the system that it comes from. It is in the command of a certificate, which a shell reads.
    WorkOrder, "work order", 1..=64, "A-Z, a-z, 0-9 and '.', '_', '/', ':', '-', not first '-'",
    |_, position, c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':') || (c == '-' && position > 0)
}

name! {
    /// What a visit may do, in a word of the tenant's own, such as `maintenance`.
    ServiceScope, "scope", 1..=32, "a-z, 0-9 and '-', with a letter or digit first",
    |_, position, c| c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && position > 0)
}

name! {
    /// What a technician did at a device, in a word of the maker's, such as `calibration`.
    ActionCategory, "category of actions", 1..=32, "a-z, 0-9 and '-', with a letter or digit first",
    |_, position, c| c.is_ascii_lowercase() || c.is_ascii_digit() || (c == '-' && position > 0)
}

/// Whether a [`CommonName`] may have the character.
pub(crate) fn is_of_common_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '@' | '-')
}

impl ProfileName {
    /// The profile that every tenant has.
    pub const DEFAULT: &'static str = "default";
}

impl Action {
    /// The action that agrees on a new generation (DDKG-1 §6).
    pub const REKEY: &'static str = "rekey";

    /// The action that announces other attributes (DDKG-1 §8.1).
    pub const ATTRIBUTES: &'static str = "attributes";

    /// The action by which a device goes over to another tenant (DDKG-1 §6.2).
    pub const TRANSFER: &'static str = "transfer";

    /// The action that has the authority make a key, and certify it (DDKG-1 §8.2).
    pub const MADE_KEY: &'static str = "made-key";

    /// The action that asks which release of its maker a device may install (DDKG-1 §8.3).
    pub const UPDATE_OFFER: &'static str = "update-offer";

    /// Whether this is [`Action::REKEY`].
    pub fn is_rekey(&self) -> bool {
        self.0 == Self::REKEY
    }

    /// Whether this is [`Action::TRANSFER`].
    pub fn is_transfer(&self) -> bool {
        self.0 == Self::TRANSFER
    }

    /// Whether this is [`Action::MADE_KEY`].
    pub fn is_made_key(&self) -> bool {
        self.0 == Self::MADE_KEY
    }

    /// Whether its reply may have a key in it that is sealed for the one proof that asked.
    pub fn may_bring_key(&self) -> bool {
        self.is_made_key() || self.0 == Self::UPDATE_OFFER
    }

    /// Whether a later one takes the place of an earlier one, so that one that was overtaken on the way must not count any more
    /// (DDKG-1 §5).
    pub fn is_ordered(&self) -> bool {
        self.is_rekey() || self.is_transfer() || self.0 == Self::ATTRIBUTES
    }
}

/// The purpose of a key (DDKG-1 §3). Each purpose has a tree of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A device's request to the authority.
    Proof,
    /// Logging in to a platform.
    Token,
    /// A sealed payload.
    Data,
    /// A sealed file's key.
    File,
    /// A code by which a technician is let in where there is no network. A device has it agreed by a rekey that names it.
    Service,
}

impl Purpose {
    /// All purposes, in the order in which they are stored.
    pub const ALL: [Self; 5] = [Self::Proof, Self::Token, Self::Data, Self::File, Self::Service];

    /// The word that enters derivations and key names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Token => "token",
            Self::Data => "data",
            Self::File => "file",
            Self::Service => "service",
        }
    }
}

impl FromStr for Purpose {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(NameError::Unknown { kind: "purpose", allowed: "proof, token, data, file, service" })
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_at_their_bounds() {
        for good in ["a", "klinik-nord", "0", &"a".repeat(63)] {
            assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
        for good in ["pump-0001", "A.b_c:d-9", &"x".repeat(128)] {
            assert!(good.parse::<DeviceId>().is_ok(), "{good:?}");
        }
        for bad in ["", "a/b", "a b", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad:?}");
        }
        assert!("trust-bundle".parse::<Action>().is_ok());
        assert!("Rekey".parse::<Action>().is_err());
        assert!("a".repeat(33).parse::<Action>().is_err());
    }

    /// ASCII is judged without the table, and as the table has it.
    #[cfg(feature = "unicode")]
    #[test]
    fn ascii_without_the_table() {
        use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
        for c in '\0'..='\u{7f}' {
            assert_eq!(is_plain(c), c.general_category() != GeneralCategory::Control, "{c:?}");
        }
    }

    /// What would have another text read than the one that is there, or none.
    #[test]
    fn text_has_nothing_that_hides_or_turns_it() {
        for (hidden, name) in [
            ('\u{1b}', "U+001B"),
            ('\u{85}', "U+0085"),
            ('\u{ad}', "U+00AD"),
            ('\u{200b}', "U+200B"),
            ('\u{200d}', "U+200D"),
            ('\u{202e}', "U+202E"),
            ('\u{2028}', "U+2028"),
            ('\u{2029}', "U+2029"),
            ('\u{2066}', "U+2066"),
            ('\u{feff}', "U+FEFF"),
            ('\u{e0041}', "U+E0041"),
        ] {
            let text = alloc::format!("Pump {hidden}etsurt");
            let refusals = [
                text.parse::<ModelName>().unwrap_err(),
                text.parse::<Reason>().unwrap_err(),
                text.parse::<Audience>().unwrap_err(),
                text.parse::<crate::LoginTemplate>().unwrap_err(),
            ];
            for refused in refusals {
                let words = refused.to_string();
                assert!(words.contains(name) && words.contains("at byte 5"), "{words}");
            }
        }
        for good in ["Gerät „1“ → ok", "ポンプ", "مضخة", "a\u{a0}b"] {
            assert!(good.parse::<ModelName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn an_error_names_kind_place_and_bound() {
        let length = "x".repeat(129).parse::<DeviceId>().unwrap_err().to_string();
        assert_eq!(length, "device id has 129 bytes; it takes 1 to 128");
        let character = "a/b".parse::<DeviceId>().unwrap_err().to_string();
        assert!(
            character.starts_with("device id has a character at byte 1 that is not allowed"),
            "{character}"
        );
        assert!(character.contains("U+002F"), "{character}");
        assert!("log".parse::<Purpose>().unwrap_err().to_string().contains("proof, token, data, file"));
    }
}
