//! The Token Status List (draft-ietf-oauth-status-list): what a token says, and its bytes as HTTP carries them.

use crate::jose::base64url;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

/// The statuses of so many tokens, of two bits each, from the least significant bits of each byte on (§4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusBits(Vec<u8>);

/// A status. What is not used is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum TokenStatus {
    /// VALID.
    #[default]
    Valid = 0,
    /// INVALID: for good.
    Invalid = 1,
    /// SUSPENDED: it may become valid again.
    Suspended = 2,
}

impl StatusBits {
    /// So many statuses, all of them valid.
    pub fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(PER_BYTE)])
    }

    /// Puts the status at an index; whether it was another. One that is out of range changes nothing.
    pub fn put(&mut self, index: usize, status: TokenStatus) -> bool {
        let Some(byte) = self.0.get_mut(index / PER_BYTE) else { return false };
        let shift = index % PER_BYTE * 2;
        let changed = *byte & !(0b11 << shift) | (status as u8) << shift;
        std::mem::replace(byte, changed) != changed
    }

    /// The claim `status_list` (§4.2), JSON: compressed by DEFLATE at the highest level, in ZLIB's form.
    pub fn claim(&self) -> String {
        format!("{{\"bits\":2,\"lst\":\"{}\"}}", base64url(&compress_to_vec_zlib(&self.0, HIGHEST)))
    }
}

/// The bytes as the content coding `gzip` has them (RFC 1952), for an answer that is asked for so.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Deflate, no name and no time, by no known system.
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    file.extend(compress_to_vec(bytes, HIGHEST));
    file.extend_from_slice(&crc32(bytes).to_le_bytes());
    // Its length modulo 2^32.
    file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    file
}

/// RFC 1952 §8.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (0xedb8_8320 * (sum & 1)))
    })
}

const PER_BYTE: usize = 4;

const HIGHEST: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};

    fn inflated(claim: &str) -> Vec<u8> {
        let (_, list) = claim.split_once("\"lst\":\"").unwrap();
        let compressed = Base64UrlUnpadded::decode_vec(list.trim_end_matches("\"}")).unwrap();
        decompress_to_vec_zlib_with_limit(&compressed, 1 << 20).unwrap()
    }

    /// The example of two bits in the draft (§4.1): statuses 1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3 are the bytes C9 44 F9.
    #[test]
    fn bits_are_packed_from_the_least_significant_on() {
        use TokenStatus::{Invalid, Suspended, Valid};
        let mut bits = StatusBits::new(12);
        for (index, status) in
            [Invalid, Suspended, Valid, Valid, Valid, Invalid, Valid, Invalid, Invalid, Suspended]
                .into_iter()
                .enumerate()
        {
            assert_eq!(bits.put(index, status), status != Valid, "{index}");
        }
        // The draft has 3 at 3, 10 and 11.
        assert_eq!(bits.0, [0xc9 & 0x3f, 0x44, 0xf9 & 0x0f]);
        assert_eq!(inflated(&bits.claim()), bits.0);
        assert!(bits.claim().starts_with("{\"bits\":2,\"lst\":\"eN"), "{}", bits.claim());
        assert!(bits.put(1, Valid) && !bits.put(1, Valid) && !bits.put(12, Invalid));
        assert_eq!(bits.0[0], 0x01);
    }

    #[test]
    fn a_file_of_gzip_comes_back() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let file = gzip(b"text of an answer");
        let (body, trailer) = file.split_at(file.len() - 8);
        assert_eq!(decompress_to_vec_with_limit(&body[10..], 100).unwrap(), b"text of an answer");
        assert_eq!(trailer[4..], 17_u32.to_le_bytes());
    }

    /// `cargo test --release -p wardein-pki --lib status_list::tests::cost -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn cost() {
        let mut bits = StatusBits::new(1 << 20);
        for number in 0..10_486_u32 {
            bits.put(number.wrapping_mul(0x9e37_79b1) as usize % (1 << 20), TokenStatus::Invalid);
        }
        let started = std::time::Instant::now();
        let claim = bits.claim();
        eprintln!("2^20 of which 1 % are invalid: {} bytes in {:?}", claim.len(), started.elapsed());
    }
}
