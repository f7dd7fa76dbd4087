//! TPM2_MakeCredential in software (TPM 2.0 Library, part 1, §24): a secret that only the TPM with the endorsement key opens, and only
//! if the attestation key is in that same TPM.

use crate::public::{Key, Name};
use crate::{AkPublic, Endorsed, Refusal};
use wardein_crypto::tpm::{HashAlgorithm, cfb_encrypt, hmac, kdfa, kdfe};
use wardein_crypto::{Entropy, EntropyError, Secret, SecretBytes};

/// What `TPM2_ActivateCredential` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The contents of a TPM2B_ID_OBJECT, without its two bytes of length.
    pub id_object: Vec<u8>,
    /// The contents of a TPM2B_ENCRYPTED_SECRET, without its two bytes of length.
    pub encrypted_secret: Vec<u8>,
}

/// Hides `secret` for the TPM that has both keys. The one that returns it has shown that it does.
///
/// All randomness is of `entropy`, except for the padding of OAEP, which the library draws by itself.
pub fn make_credential(
    endorsed: &Endorsed,
    ak: &AkPublic,
    secret: &Secret<32>,
    entropy: &mut dyn Entropy,
) -> Result<Credential, Refusal> {
    let public = &endorsed.ek().public;
    let hash = public.name_hash;
    let (seed, encrypted_secret) = make_seed(&public.key, hash, entropy)?;
    let id_object = seal(endorsed, &seed, ak.name(), secret).ok_or(Refusal::Fault)?;
    Ok(Credential { id_object, encrypted_secret })
}

/// The seed that the credential's keys are derived from, and the form in which it travels (part 1, §B.10.4 and §C.6.4).
fn make_seed(
    key: &Key,
    hash: HashAlgorithm,
    entropy: &mut dyn Entropy,
) -> Result<(SecretBytes, Vec<u8>), EntropyError> {
    match key {
        Key::Rsa(key) => {
            let seed = SecretBytes::try_filled(hash.len(), |bytes| {
                entropy.fill(bytes)?;
                Ok(bytes.len())
            })?;
            // The zero byte is part of the label.
            let encrypted = key.oaep(hash, b"IDENTITY\0", &seed)?;
            Ok((seed, encrypted))
        }
        Key::Ec(key) => {
            let (ephemeral, shared) = key.agree(entropy)?;
            let seed = kdfe(hash, &shared, b"IDENTITY", ephemeral.x(), key.x(), hash.len() as u16);
            let coordinate = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
            Ok((seed, [coordinate(ephemeral.x()), coordinate(ephemeral.y())].concat()))
        }
    }
}

/// Encrypts, then authenticates together with the name (part 1, §24.4 and §24.5).
fn seal(endorsed: &Endorsed, seed: &SecretBytes, name: &Name, secret: &Secret<32>) -> Option<Vec<u8>> {
    let (hash, aes) = (endorsed.ek().public.name_hash, endorsed.ek().aes);
    let key = kdfa(hash, seed, b"STORAGE", name.as_bytes(), &[], aes.bytes());
    let mut identity = [&32_u16.to_be_bytes()[..], secret.expose()].concat();
    cfb_encrypt(aes, &key, &mut identity)?;
    let key = kdfa(hash, seed, b"INTEGRITY", &[], &[], hash.len() as u16);
    let mac = hmac(hash, key.expose(), &[&identity, name.as_bytes()]);
    Some([&(hash.len() as u16).to_be_bytes()[..], mac.as_ref(), &identity].concat())
}
