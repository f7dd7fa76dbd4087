//! From the bytes of a line to text. What cannot be text is replaced and counted, never dropped.

use std::fmt;
use std::str::FromStr;

/// The encoding of a source's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, little endian, with or without a byte order mark.
    Utf16Le,
}

/// Text, and whether anything of it was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) is_replaced: bool,
}

impl Encoding {
    /// Its name in logs.toml.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "latin-1",
            Self::Utf16Le => "utf-16le",
        }
    }

    /// How many bytes a unit of it has: lines begin and end at whole units.
    pub(super) const fn unit(self) -> usize {
        match self {
            Self::Utf8 | Self::Latin1 => 1,
            Self::Utf16Le => 2,
        }
    }

    /// Where the first line in `bytes` ends, behind its line feed.
    pub(super) fn line_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Utf8 | Self::Latin1 => bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            Self::Utf16Le => bytes.chunks_exact(2).position(|unit| unit == [b'\n', 0]).map(|at| 2 * (at + 1)),
        }
    }

    /// The text of a line or message, without the line feed at its end, a carriage return before it, and a byte order mark at its
    /// start. NUL characters become U+FFFD, too: some readers of records would take them for an end.
    pub(super) fn decode(self, bytes: &[u8]) -> Decoded {
        let (mut text, mut is_replaced) = match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => (text.to_owned(), false),
                Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
            },
            Self::Latin1 => (bytes.iter().copied().map(char::from).collect(), false),
            Self::Utf16Le => utf16_le(bytes),
        };
        let ending =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        text.truncate(ending.len());
        if self != Self::Latin1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        if text.contains('\0') {
            text = text.replace('\0', REPLACED);
            is_replaced = true;
        }
        Decoded { text, is_replaced }
    }
}

fn utf16_le(bytes: &[u8]) -> (String, bool) {
    let units = bytes.chunks_exact(2);
    let mut is_replaced = !units.remainder().is_empty();
    let rest = if is_replaced { REPLACED } else { "" };
    let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let mut text: String = char::decode_utf16(units)
        .map(|c| {
            c.unwrap_or_else(|_| {
                is_replaced = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    text.push_str(rest);
    (text, is_replaced)
}

impl FromStr for Encoding {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        [Self::Utf8, Self::Latin1, Self::Utf16Le]
            .into_iter()
            .find(|encoding| encoding.as_str() == text)
            .ok_or("takes utf-8, latin-1 or utf-16le")
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';
const REPLACED: &str = "\u{fffd}";

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, bytes: &[u8]) -> (String, bool) {
        let Decoded { text, is_replaced } = encoding.decode(bytes);
        (text, is_replaced)
    }

    #[test]
    fn each_encoding_is_read() {
        assert_eq!(decoded(Encoding::Utf8, "Grüße\r\n".as_bytes()), ("Grüße".into(), false));
        assert_eq!(decoded(Encoding::Utf8, b"\xef\xbb\xbfx\n"), ("x".into(), false));
        assert_eq!(decoded(Encoding::Latin1, b"Gr\xfc\xdfe\n"), ("Grüße".into(), false));
        let wide: Vec<u8> = "\u{feff}Grüße 𝄞\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(Encoding::Utf16Le, &wide), ("Grüße 𝄞".into(), false));
        for encoding in [Encoding::Utf8, Encoding::Latin1, Encoding::Utf16Le] {
            assert_eq!(encoding.to_string().parse(), Ok(encoding));
            assert_eq!(decoded(encoding, b""), (String::new(), false));
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_said_to_be() {
        assert_eq!(decoded(Encoding::Utf8, b"a\xff\xfeb\n"), ("a\u{fffd}\u{fffd}b".into(), true));
        assert_eq!(decoded(Encoding::Utf8, b"a\0b"), ("a\u{fffd}b".into(), true));
        assert_eq!(decoded(Encoding::Latin1, b"\0"), ("\u{fffd}".into(), true));
        // Half of a surrogate pair, and half of a unit.
        assert_eq!(decoded(Encoding::Utf16Le, b"\x00\xd8a\0"), ("\u{fffd}a".into(), true));
        assert_eq!(decoded(Encoding::Utf16Le, b"a\0b"), ("a\u{fffd}".into(), true));
    }

    #[test]
    fn a_line_of_two_byte_units_ends_at_a_unit() {
        // U+0A00 and U+000A: only the latter ends a line.
        assert_eq!(Encoding::Utf16Le.line_end(&[0x00, 0x0a, b'a', 0, 0x0a, 0, b'b', 0]), Some(6));
        assert_eq!(Encoding::Utf16Le.line_end(&[b'a', 0x0a, 0, 0]), None);
    }
}
