use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(ring::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    out
}

pub(crate) struct Sha1(Context);

impl Sha1 {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA1_FOR_LEGACY_USE_ONLY))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 20] {
        let mut out = [0; 20];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

pub(crate) struct Sha256(Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}
