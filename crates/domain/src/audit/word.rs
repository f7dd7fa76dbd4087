//! Words of lists that grow from version to version.

use alloc::string::String;
use core::fmt;

/// A closed list of stable words.
pub trait Code: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The stable word: never given to another meaning.
    fn code(self) -> &'static str;
}

/// A word of such a list, or one that another version of this software wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// One that this version knows.
    Known(T),
    /// One that it does not know.
    Other(String),
}

impl<T: Code> Word<T> {
    /// The text that [`Word::as_str`] wrote.
    pub fn from_text(text: &str) -> Self {
        let known = T::ALL.iter().copied().find(|word| word.code() == text);
        known.map_or_else(|| Self::Other(text.into()), Self::Known)
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => word.code(),
            Self::Other(text) => text,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: Code> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(word) if word == other)
    }
}

impl<T: Code> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Event, FieldName};
    use alloc::collections::BTreeSet;

    fn each_reads_back_and_no_word_is_of_two<T: Code + fmt::Debug>() {
        let words: BTreeSet<_> = T::ALL.iter().map(|word| word.code()).collect();
        assert_eq!(words.len(), T::ALL.len());
        for word in T::ALL {
            assert_eq!(Word::<T>::from_text(word.code()), Word::Known(*word));
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
            assert!(word.code().bytes().all(is_plain), "{word:?}");
        }
    }

    #[test]
    fn words_are_read_as_they_were_written() {
        each_reads_back_and_no_word_is_of_two::<Event>();
        each_reads_back_and_no_word_is_of_two::<FieldName>();
    }

    #[test]
    fn a_word_of_a_newer_version_stays_as_it_is() {
        let word = Word::<Event>::from_text("device.dream");
        assert_eq!((word.as_str(), word == Event::DeviceEnrolled), ("device.dream", false));
        assert!(Word::from_text("device.enroll") == Event::DeviceEnrolled);
    }
}
