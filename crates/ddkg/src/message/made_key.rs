//! A key that the authority gives to the device alone, at the beginning of a reply body: one that it made, with its certificates
//! (action `made-key`, specification, section 8.2), or that of a sealed artifact, with the offer of it (`update-offer`, section
//! 8.3).

use crate::key::MadeKeySeal;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, Digest, OpenError, SecretBytes, TAG_LEN};

/// The most bytes of a key, PKCS#8: one of RSA with 4096 bits has some 2,400.
pub const MAX_MADE_KEY: usize = 4096;

/// A key under a key that the proof's number alone gives, and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeKeyAnswer {
    nonce: [u8; AES_256_GCM_NONCE_LEN],
    /// The ciphertext with its 16-byte tag.
    ciphertext: Vec<u8>,
    /// What comes with it. Of a key that was made: the certificates, leaf first, each framed, as the action `certificate` answers
    /// them.
    pub rest: Vec<u8>,
}

impl MadeKeyAnswer {
    /// Seals a key for the holder of `key`, bound to the proof whose transcript is `proof`. What comes with it follows:
    /// [`MadeKeyAnswer::encode`] of an answer with a rest is this one's, and the rest.
    pub(crate) fn seal(
        key: &MadeKeySeal,
        proof: &Digest,
        nonce: [u8; AES_256_GCM_NONCE_LEN],
        made: SecretBytes,
    ) -> Result<Self, DecodeError> {
        let (length, min, max) = (made.expose().len(), 1, MAX_MADE_KEY);
        let wrong = || Problem::Length { length, min, max }.of("made key");
        if !(min..=max).contains(&length) {
            return Err(wrong());
        }
        let ciphertext = key.aead().seal_behind(&nonce, proof.as_ref(), 0, made).map_err(|_| wrong())?;
        Ok(Self { nonce, ciphertext, rest: Vec::new() })
    }

    /// The key, if `key` is that of the proof whose transcript is `proof`.
    pub(crate) fn open(self, key: &MadeKeySeal, proof: &Digest) -> Result<SecretBytes, OpenError> {
        let mut opened = self.ciphertext;
        key.aead().open(&self.nonce, proof.as_ref(), &mut opened)?;
        Ok(SecretBytes::from_vec(opened))
    }

    /// The body: `nonce ‖ frame(ciphertext)`, then the rest.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&self.nonce);
        out.frame(&self.ciphertext);
        out.put(&self.rest);
        out
    }

    /// The inverse of [`MadeKeyAnswer::encode`]. The rest is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let nonce = reader.array("nonce")?;
        let ciphertext = reader.frame("made key", 1 + TAG_LEN, MAX_MADE_KEY + TAG_LEN)?.to_vec();
        Ok(Self { nonce, ciphertext, rest: reader.rest().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;
    use crate::key::EpochSecret;
    use wardein_crypto::Secret;

    fn seal(number: u64, binding: u8) -> MadeKeySeal {
        let secret = EpochSecret(Secret::copied_from(&[7; 32]));
        secret.key(number).made_key(&Binding(Digest([binding; 32])))
    }

    fn sealed() -> MadeKeyAnswer {
        let pkcs8 = SecretBytes::from_vec(b"a private key".to_vec());
        let sealed = MadeKeyAnswer::seal(&seal(1, 2), &Digest([3; 32]), [4; 12], pkcs8).unwrap();
        MadeKeyAnswer { rest: b"certificates".to_vec(), ..sealed }
    }

    #[test]
    fn it_comes_back_and_opens_by_the_key_of_its_number_alone() {
        let bytes = sealed().encode();
        assert_eq!(MadeKeyAnswer::decode(&bytes), Ok(sealed()));
        let opened = sealed().open(&seal(1, 2), &Digest([3; 32])).unwrap();
        assert_eq!(opened.expose(), b"a private key");
        for (key, proof) in [(seal(2, 2), 3), (seal(1, 1), 3), (seal(1, 2), 4)] {
            assert!(
                sealed().open(&key, &Digest([proof; 32])).is_err(),
                "another number, measurement or proof"
            );
        }
        assert!(!bytes.windows(7).any(|part| part == b"private"));
    }

    /// Computed from the specification by Python's `hmac` and the AES-GCM of its package `cryptography`.
    #[test]
    fn its_bytes_are_those_of_the_specification() {
        let bytes = "0404040404040404040404040000001def5357da127081f13e95be00b4fb1ceed0d326e645e43a05dfda8fb1f6636572746966696361746573";
        assert_eq!(wardein_crypto::hex::encode(&sealed().encode()), bytes);
    }

    #[test]
    fn every_byte_of_the_key_is_authentic() {
        let bytes = sealed().encode();
        let sealed_len = bytes.len() - sealed().rest.len();
        for at in 0..sealed_len {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = MadeKeyAnswer::decode(&changed)
                .ok()
                .and_then(|answer| answer.open(&seal(1, 2), &Digest([3; 32])).ok());
            assert!(opened.is_none(), "byte {at}");
        }
        for cut in 0..sealed_len {
            assert!(MadeKeyAnswer::decode(&bytes[..cut]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn a_key_has_a_bound() {
        let sealing = |length| {
            let pkcs8 = SecretBytes::from_vec(alloc::vec![1; length]);
            MadeKeyAnswer::seal(&seal(1, 2), &Digest([3; 32]), [4; 12], pkcs8).map(|sealed| sealed.encode())
        };
        let longest = sealing(MAX_MADE_KEY).unwrap();
        assert!(MadeKeyAnswer::decode(&longest).is_ok());
        for length in [0, MAX_MADE_KEY + 1] {
            assert_eq!(sealing(length).unwrap_err().field, "made key", "{length} bytes");
        }
        let mut longer = longest.clone();
        longer[12..16].copy_from_slice(&(MAX_MADE_KEY as u32 + 17).to_be_bytes());
        assert_eq!(MadeKeyAnswer::decode(&[&longer[..], &[0]].concat()).unwrap_err().field, "made key");
    }
}
