//! The kinds of keys that certificates may be for.

use crate::name::NameError;
use core::fmt;
use core::str::FromStr;

/// An algorithm of public keys, with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// On P-256.
    P256,
    /// On P-384.
    P384,
    /// RSA of 2048 bits: legacy, of 112 bits of security (SP 800-57 part 1, table 2), for equipment that has nothing better.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::P256, Self::P384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl FromStr for KeyKind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NameError::Unknown {
            kind: "kind of key",
            allowed: "p256, p384, rsa-2048, rsa-3072, rsa-4096",
        })
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyKinds(u8);

impl KeyKinds {
    /// P-256 alone.
    pub const P256: Self = Self::of(&[KeyKind::P256]);
    /// All but the legacy one.
    pub const STRONG: Self = Self::of(&[KeyKind::P256, KeyKind::P384, KeyKind::Rsa3072, KeyKind::Rsa4096]);

    /// The set of these.
    pub const fn of(kinds: &[KeyKind]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < kinds.len() {
            bits |= 1 << kinds[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether it has this one.
    pub const fn contains(self, kind: KeyKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = KeyKind> {
        KeyKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl fmt::Display for KeyKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(at, kind)| {
            f.write_str(if at == 0 { "" } else { ", " })?;
            f.write_str(kind.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        for kind in KeyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(KeyKinds::of(&[kind]).iter().collect::<Vec<_>>(), [kind]);
            assert_eq!(KeyKinds::STRONG.contains(kind), kind != KeyKind::Rsa2048);
        }
        assert_eq!(KeyKinds::of(&KeyKind::ALL).to_string(), "p256, p384, rsa-2048, rsa-3072, rsa-4096");
        assert!("rsa-1024".parse::<KeyKind>().is_err());
    }
}
