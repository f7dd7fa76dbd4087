use crate::TooLong;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

pub(crate) struct Prk(Hkdf<Sha256>);

impl Prk {
    pub(crate) fn uniform(key: &[u8; 32]) -> Self {
        Self(Hkdf::from_prk(key).expect("the key is as long as the hash"))
    }

    pub(crate) fn extract(salt: &[u8], input: &[u8]) -> Self {
        let (mut copy, prk) = Hkdf::extract(Some(salt), input);
        copy.as_mut_slice().zeroize();
        Self(prk)
    }

    pub(crate) fn expand_into(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), TooLong> {
        self.0.expand_multi_info(info, out).map_err(|_| TooLong)
    }
}
