//! Requests in the path of a GET (RFC 6960 appendix A.1): base64, as clients and proxies have been seen to write it.

use super::{OcspMalformed, OcspRequest};

impl OcspRequest {
    /// Reads what follows `/ocsp/` in a path: base64 of which `/`, `+` and `=` may be escaped or not, `+` may have become a space,
    /// the padding may be missing, and slashes may stand in front. It gives one request; where one of two neighboring slashes was lost
    /// on the way, which proxies do, each that it may have been.
    pub fn parse_path(path: &str) -> Result<Vec<Self>, OcspMalformed> {
        // Each byte of base64 may be escaped in three.
        if path.len() > Self::MAX_LEN * 4 {
            return Err(OcspMalformed);
        }
        let text = unescaped(path).ok_or(OcspMalformed)?;
        // The first byte of a request is 0x30, and so its first letter M.
        let first = text.iter().position(|byte| *byte != b'/').unwrap_or(text.len());
        let text = &text[first..];
        if let Some(request) = decoded(text).and_then(|der| Self::parse(&der).ok()) {
            return Ok(vec![request]);
        }
        let slashes = text.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let restored = slashes.take(MOST_SLASHES).filter_map(|at| {
            let text = [&text[..at], b"/", &text[at..]].concat();
            // One of several certificates is posted: each that it may have been costs a look-up.
            Self::parse(&decoded(&text)?).ok().filter(|request| request.certificates.len() == 1)
        });
        let found: Vec<_> = restored.collect();
        (!found.is_empty()).then_some(found).ok_or(OcspMalformed)
    }
}

fn unescaped(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.bytes();
    let mut text = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    Some(text)
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Base64 with whatever padding. No library of the house reads it without.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut bytes = Vec::with_capacity(end / 4 * 3 + 3);
    for letters in text[..end].chunks(4) {
        let mut bits = 0_u32;
        for letter in letters {
            bits = bits << 6 | u32::from(value(*letter)?);
        }
        let [_, first, second, third] = (bits << (6 * (4 - letters.len()))).to_be_bytes();
        match letters.len() {
            4 => bytes.extend_from_slice(&[first, second, third]),
            3 => bytes.extend_from_slice(&[first, second]),
            2 => bytes.push(first),
            _ => return None,
        }
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b' ' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// In so many places a lost slash is looked for: a request of one certificate has some two.
const MOST_SLASHES: usize = 8;
