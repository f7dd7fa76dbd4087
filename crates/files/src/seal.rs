//! Sealing: one pass over the plaintext, within two buffers of 64 KiB.

use crate::CHUNK;
use crate::error::FileError;
use crate::header::MAX_STANZAS;
use crate::reader::Reader;
use age::{EncryptError, Encryptor, Recipient};
use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Write};
use wardein_crypto::{Digest, Secret, Sha256};
use wardein_ddkg::message::FileStanza;

/// What wraps a file's key in a device's `ddkg1` stanza. It has spent the number of the wrapping key durably when it returns: a number
/// that a power cut gave back would wrap two files' keys under one nonce.
pub type Wrap<'a, E> = &'a mut dyn FnMut(&Secret<16>) -> Result<FileStanza, E>;

/// Whether the authority can open a file, and have it released to platforms.
pub enum Authority<'a, E> {
    /// It can, by the stanza that this makes.
    Opens(Wrap<'a, E>),
    /// It cannot: only the readers can, end to end.
    Excluded,
}

/// A file that was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes of plaintext.
    pub plaintext: u64,
    /// The bytes of the sealed file.
    pub length: u64,
    /// The SHA-256 of the sealed file.
    pub sha256: Digest,
}

/// Seals all that `input` has into `output`. `progress` is told how many bytes of plaintext were read, each 64 KiB. What was written before
/// an error does not open, since its last chunk is missing.
pub fn seal<E: From<FileError>>(
    input: impl Read,
    output: impl Write,
    readers: &[Reader],
    authority: Authority<'_, E>,
    progress: &mut dyn FnMut(u64),
) -> Result<Sealed, E> {
    if readers.len() > MAX_STANZAS - 2 {
        return Err(FileError::TooManyReaders.into());
    }
    Ok(stream(encryptor(readers, authority)?, input, output, progress)?)
}

/// Seals all that `input` has, under the key of `encryptor`.
pub(crate) fn stream(
    encryptor: Encryptor,
    mut input: impl Read,
    output: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Sealed, FileError> {
    // The header is written in small pieces; chunks are larger than this buffer, and pass it by.
    let output = BufWriter::with_capacity(8 << 10, Hashing::new(output));
    let mut sealing = encryptor.wrap_output(output).map_err(FileError::Io)?;
    let mut plaintext = 0;
    let mut chunk = Chunk::new();
    loop {
        let read = chunk.fill(&mut input).map_err(FileError::Input)?;
        if read.is_empty() {
            break;
        }
        sealing.write_all(read).map_err(FileError::Io)?;
        plaintext += read.len() as u64;
        progress(plaintext);
    }
    let output = sealing.finish().map_err(FileError::Io)?;
    let mut hashing = output.into_inner().map_err(|error| FileError::Io(error.into_error()))?;
    hashing.flush().map_err(FileError::Io)?;
    let (sha256, length) = hashing.finish();
    Ok(Sealed { plaintext, length, sha256 })
}

fn encryptor<E: From<FileError>>(readers: &[Reader], authority: Authority<'_, E>) -> Result<Encryptor, E> {
    match authority {
        Authority::Excluded => {
            let recipients = readers.iter().map(|reader| &reader.0 as &dyn Recipient);
            Ok(Encryptor::with_recipients(recipients).map_err(FileError::from)?)
        }
        // age would refuse it by their labels; it is refused here before a number is spent on it.
        Authority::Opens(_) if !readers.is_empty() => Err(FileError::MixedReaders.into()),
        Authority::Opens(wrap) => {
            let device = Device { wrap: RefCell::new(wrap), failed: RefCell::new(None) };
            let made = Encryptor::with_recipients(std::iter::once(&device as &dyn Recipient));
            match (device.failed.into_inner(), made) {
                (Some(error), _) => Err(error),
                (None, made) => Ok(made.map_err(FileError::from)?),
            }
        }
    }
}

/// The stanza's label (C2SP age, labels): it is symmetric, hence safe from a quantum computer.
pub(crate) fn post_quantum() -> HashSet<String> {
    HashSet::from(["postquantum".to_owned()])
}

/// The authority as a recipient of age's.
struct Device<'a, E> {
    wrap: RefCell<Wrap<'a, E>>,
    failed: RefCell<Option<E>>,
}

impl<E> Recipient for Device<'_, E> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let file_key = Secret::copied_from(file_key.expose_secret());
        let stanza = match (self.wrap.borrow_mut())(&file_key) {
            Ok(stanza) => stanza,
            Err(error) => {
                *self.failed.borrow_mut() = Some(error);
                // What is said here is not heard: the caller finds the error above.
                return Err(EncryptError::MissingRecipients);
            }
        };
        let mut words = stanza.arguments().split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter();
        let tag = words.next().unwrap_or_default();
        let stanza = Stanza { tag, args: words.collect(), body: stanza.body().to_vec() };
        Ok((vec![stanza], post_quantum()))
    }
}

/// A buffer of plaintext. It is not wiped, as age's own is not: what it holds is in a file.
pub(crate) struct Chunk(Box<[u8]>);

impl Chunk {
    pub(crate) fn new() -> Self {
        Self(vec![0; CHUNK].into())
    }

    /// As much as comes at one time, at most 64 KiB; empty at the end.
    pub(crate) fn fill(&mut self, input: &mut impl Read) -> io::Result<&[u8]> {
        loop {
            match input.read(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) => return Ok(&self.0[..length]),
            }
        }
    }
}

/// Counts and hashes what passes.
struct Hashing<W> {
    inner: W,
    sha256: Sha256,
    length: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, sha256: Sha256::new(), length: 0 }
    }

    fn finish(self) -> (Digest, u64) {
        (self.sha256.finish(), self.length)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
