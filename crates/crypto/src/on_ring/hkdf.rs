use crate::TooLong;
use ring::hkdf::{self, HKDF_SHA256, KeyType, Salt};

pub(crate) struct Prk(hkdf::Prk);

impl Prk {
    pub(crate) fn uniform(key: &[u8; 32]) -> Self {
        Self(hkdf::Prk::new_less_safe(HKDF_SHA256, key))
    }

    pub(crate) fn extract(salt: &[u8], input: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, salt).extract(input))
    }

    pub(crate) fn expand_into(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), TooLong> {
        self.0.expand(info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| TooLong)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
