//! Issuing CAs: how one is named, and what it may do.

use core::fmt;
use core::str::FromStr;

/// The name of an issuing CA: the key identifier in its certificate, which its certificates carry as well (RFC 5280 §4.2.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaId([u8; 20]);

impl CaId {
    /// That of a key identifier.
    pub const fn new(key_id: [u8; 20]) -> Self {
        Self(key_id)
    }

    /// The key identifier.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

/// The text is not 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a CA's id has 40 lower-case hexadecimal digits")]
pub struct CaIdError;

impl FromStr for CaId {
    type Err = CaIdError;

    fn from_str(text: &str) -> Result<Self, CaIdError> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Ok(c - b'0'),
            b'a'..=b'f' => Ok(c - b'a' + 10),
            _ => Err(CaIdError),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let pairs: &[[u8; 2]; 20] = pairs.try_into().map_err(|_| CaIdError)?;
        if !rest.is_empty() {
            return Err(CaIdError);
        }
        let mut id = [0; 20];
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(id))
    }
}

impl fmt::Display for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an issuing CA may do. It goes from one to the next, and from any of the first four to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaState {
    /// Made and published ahead, so that who keeps a list of CAs has it in time. It issues nothing yet.
    Next,
    /// It issues.
    Active,
    /// It issues no more; certificates of it may be valid.
    Retiring,
    /// All that it issued has expired, and its key is erased in the store; one in an HSM stays there, and is used no more.
    Retired,
    /// Its key leaked: nothing that it signed is trusted.
    Distrusted,
}

impl CaState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Next, Self::Active, Self::Retiring, Self::Retired, Self::Distrusted];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Distrusted => "distrusted",
        }
    }

    /// Whether it is in the trust bundle.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retiring)
    }
}

impl fmt::Display for CaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn an_id_has_one_spelling() {
        let id = CaId::new(core::array::from_fn(|n| 13 * n as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 40);
        for bad in [
            "",
            "0",
            &"a".repeat(39),
            &"a".repeat(41),
            &"a".repeat(42),
            &"A".repeat(40),
            &"g".repeat(40),
            &format!("+{}", "0".repeat(39)),
        ] {
            assert_eq!(bad.parse::<CaId>(), Err(CaIdError), "{bad}");
        }
    }

    #[test]
    fn what_is_trusted_no_more_is_not_published() {
        let published: alloc::vec::Vec<_> =
            CaState::ALL.into_iter().filter(|state| state.is_published()).map(CaState::as_str).collect();
        assert_eq!(published, ["next", "active", "retiring"]);
    }
}
