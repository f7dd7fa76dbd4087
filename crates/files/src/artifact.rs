//! A maker's artifact that lies where everybody reads: sealed under a key that is made for it and is in no stanza.
//!
//! What: an age v1 file whose one stanza of ours wraps its key for nobody; the file key itself is what the authority keeps and
//! gives to the devices that are offered the release. Why no recipient of age's: the file lies on an open share for years, and a
//! stanza with a wrapped key could be recorded today and opened later. A key of 128 bits that is nowhere in the file is all that
//! there is to guess.

use crate::error::FileError;
use crate::seal::{Sealed, post_quantum, stream};
use age::{EncryptError, Encryptor, Recipient};
use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use wardein_crypto::{Digest, Secret, Sha256};

/// An artifact that was sealed.
pub struct SealedArtifact {
    /// What was written: lengths, and the digest of the sealed file.
    pub sealed: Sealed,
    /// The SHA-256 of the plaintext.
    pub plaintext_sha256: Digest,
    /// What opens it ([`crate::Opening::FileKey`]).
    pub key: Secret<16>,
}

/// Seals all that `input` has into `output`, under a key of its own. `progress` receives how many bytes of plaintext were read,
/// each 64 KiB. What was written before an error does not open.
pub fn seal_artifact(
    input: impl Read,
    output: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<SealedArtifact, FileError> {
    let taken = Taken(RefCell::new(None));
    let encryptor = Encryptor::with_recipients(std::iter::once(&taken as &dyn Recipient))?;
    // age asks its recipients while it makes the header, and not later.
    let key = taken.0.into_inner().ok_or(FileError::Nobody)?;
    let mut hashing = Hashing { inner: input, sha256: Sha256::new() };
    let sealed = stream(encryptor, &mut hashing, output, progress)?;
    Ok(SealedArtifact { sealed, plaintext_sha256: hashing.sha256.finish(), key })
}

/// Takes a copy of the file key, and wraps nothing.
struct Taken(RefCell<Option<Secret<16>>>);

impl Recipient for Taken {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        *self.0.borrow_mut() = Some(Secret::copied_from(file_key.expose_secret()));
        let stanza = Stanza { tag: TAG.to_owned(), args: Vec::new(), body: Vec::new() };
        Ok((vec![stanza], post_quantum()))
    }
}

/// Hashes what is read.
struct Hashing<R> {
    inner: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Tells a reader what the file is; age requires one stanza.
const TAG: &str = "wardein-artifact";
