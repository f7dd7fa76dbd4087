//! How a TPM derives keys (TPM 2.0 Library, part 1, §11.4.10).

use super::{HashAlgorithm, hmac};
use crate::SecretBytes;

/// KDFa (§11.4.10.2): the counter mode of NIST SP 800-108 with HMAC; `length` bytes of key. The label comes without its final zero
/// byte, which is added here.
pub fn kdfa(
    hash: HashAlgorithm,
    key: &SecretBytes,
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    length: u16,
) -> SecretBytes {
    let bits = (u32::from(length) * 8).to_be_bytes();
    blocks(length, |counter, out| {
        let parts = [&counter, label, &[0], context_u, context_v, &bits];
        out.extend(hmac(hash, key.expose(), &parts).as_ref());
    })
}

/// KDFe (§11.4.10.3): the one-step derivation of NIST SP 800-56A from the shared secret `z` of an agreement; `length` bytes.
pub fn kdfe(
    hash: HashAlgorithm,
    z: &SecretBytes,
    label: &[u8],
    party_u: &[u8],
    party_v: &[u8],
    length: u16,
) -> SecretBytes {
    blocks(length, |counter, out| {
        out.extend(hash.digest(&[&counter, z.expose(), label, &[0], party_u, party_v]).as_ref());
    })
}

fn blocks(length: u16, mut block: impl FnMut([u8; 4], &mut SecretBytes)) -> SecretBytes {
    let length = usize::from(length);
    let mut whole = SecretBytes::with_capacity(length);
    let mut counter: u32 = 0;
    while whole.expose().len() < length {
        counter += 1;
        block(counter.to_be_bytes(), &mut whole);
    }
    let mut key = SecretBytes::with_capacity(length);
    key.extend(&whole.expose()[..length]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::kdf;

    /// The library's own SP 800-108 and SP 800-56C, which take one blob of fixed info, are the second opinion.
    #[test]
    fn both_derive_as_the_library_does() {
        let secret = SecretBytes::from_vec((0..32).collect());
        for (hash, counter_mode, one_step) in [
            (
                HashAlgorithm::Sha256,
                kdf::KbkdfCtrHmacAlgorithmId::Sha256,
                kdf::SskdfDigestAlgorithmId::Sha256,
            ),
            (
                HashAlgorithm::Sha384,
                kdf::KbkdfCtrHmacAlgorithmId::Sha384,
                kdf::SskdfDigestAlgorithmId::Sha384,
            ),
        ] {
            for length in [16, 32, 48, 100] {
                let mut expected = std::vec![0; usize::from(length)];
                let bits = (u32::from(length) * 8).to_be_bytes();
                let info = [b"STORAGE\0uuvvv", &bits[..]].concat();
                let algorithm = kdf::get_kbkdf_ctr_hmac_algorithm(counter_mode).unwrap();
                kdf::kbkdf_ctr_hmac(algorithm, secret.expose(), &info, &mut expected).unwrap();
                assert_eq!(kdfa(hash, &secret, b"STORAGE", b"uu", b"vvv", length).expose(), expected);

                let algorithm = kdf::get_sskdf_digest_algorithm(one_step).unwrap();
                kdf::sskdf_digest(algorithm, secret.expose(), b"IDENTITY\0uuvvv", &mut expected).unwrap();
                assert_eq!(kdfe(hash, &secret, b"IDENTITY", b"uu", b"vvv", length).expose(), expected);
            }
        }
    }
}
