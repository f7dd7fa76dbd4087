//! Opening and looking: the header first, within its bounds; then the stream, chunk by chunk, each authenticated before it is given.

use crate::error::FileError;
use crate::header;
use crate::reader::ReaderKey;
use crate::seal::Chunk;
use age::{DecryptError, Decryptor, Identity};
use age_core::format::{FileKey, Stanza};
use serde::Serialize;
use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, Cursor, Read, Write};
use wardein_crypto::Secret;
use wardein_ddkg::KeyName;
use wardein_ddkg::message::FileStanza;

/// A sealed file whose header was read.
pub struct SealedFile<R> {
    header: Vec<u8>,
    stanzas: Vec<Stanza>,
    input: R,
}

/// What opens a file.
pub enum Opening<'a> {
    /// Its file key, as the authority releases it, or the device itself unwraps it.
    FileKey(&'a Secret<16>),
    /// A reader's key.
    Reader(&'a ReaderKey),
}

/// What can be seen of a sealed file without a key. Nothing vouches for it: who changes it makes a file that opens no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// The name of the key by which the authority opens it; none where it cannot.
    pub key_name: Option<String>,
    /// Who sealed it, TENANT/DEVICE, by that name.
    pub device: Option<String>,
    /// The types of its other stanzas, in their order; age adds one at random that ends in `-grease`.
    pub readers: Vec<String>,
    /// The bytes of its header.
    pub header_bytes: usize,
}

impl<R: BufRead> SealedFile<R> {
    /// Reads the header.
    pub fn read(mut input: R) -> Result<Self, FileError> {
        let header = header::read(&mut input)?;
        // With a nonce of zeros behind it, which is not looked at: nothing is opened here.
        let head = Cursor::new(header.as_slice()).chain(&[0; 16][..]);
        let decryptor = Decryptor::new_buffered(head)?;
        let seen = Seen::default();
        // It finds no key; what it leaves behind is what it has seen.
        drop(decryptor.decrypt(std::iter::once(&seen as &dyn Identity)));
        Ok(Self { header, stanzas: seen.0.into_inner(), input })
    }

    /// The stanza by which the authority opens it.
    pub fn stanza(&self) -> Result<FileStanza, FileError> {
        let mut found = self.stanzas.iter().filter(|stanza| stanza.tag == DDKG);
        let stanza = found.next().ok_or(FileError::NoStanza)?;
        // Two would let one file be two: each key another's.
        if found.next().is_some() {
            return Err(FileError::ManyStanzas);
        }
        parse_stanza(stanza)
    }

    /// What can be seen without a key.
    pub fn inspect(&self) -> Result<Inspected, FileError> {
        let stanza = match self.stanza() {
            Ok(stanza) => Some(stanza),
            Err(FileError::NoStanza) => None,
            Err(error) => return Err(error),
        };
        let owner = stanza.as_ref().map(|stanza| &stanza.name().owner);
        let others = self.stanzas.iter().filter(|stanza| stanza.tag != DDKG);
        Ok(Inspected {
            device: owner.map(|owner| format!("{}/{}", owner.tenant, owner.device)),
            key_name: stanza.map(|stanza| stanza.name().to_string()),
            readers: others.map(|stanza| stanza.tag.clone()).collect(),
            header_bytes: self.header.len(),
        })
    }

    /// Writes the plaintext to `output`, and gives its length. What was written before an error is a beginning of it and no more: a caller
    /// that needs the whole uses it only after this has returned. `progress` is told how many bytes were written, each 64 KiB.
    pub fn open(
        self,
        by: &Opening<'_>,
        output: &mut impl Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, FileError> {
        let input = Cursor::new(self.header).chain(self.input);
        let decryptor = Decryptor::new_buffered(input)?;
        if decryptor.is_scrypt() {
            return Err(FileError::Passphrase);
        }
        let given;
        let identity: &dyn Identity = match by {
            Opening::Reader(key) => &key.0,
            Opening::FileKey(key) => {
                given = Given(key);
                &given
            }
        };
        let mut plaintext = decryptor.decrypt(std::iter::once(identity))?;
        let (mut chunk, mut length) = (Chunk::new(), 0);
        loop {
            let read = chunk.fill(&mut plaintext)?;
            if read.is_empty() {
                output.flush()?;
                return Ok(length);
            }
            output.write_all(read)?;
            length += read.len() as u64;
            progress(length);
        }
    }
}

/// A device's stanza. Its body's length is judged here, before anybody tries a key (C2SP age: partitioning oracles).
pub(crate) fn parse_stanza(stanza: &Stanza) -> Result<FileStanza, FileError> {
    let arguments = match stanza.args.as_slice() {
        [name] if name.len() <= KeyName::MAX_LEN => format!("{DDKG} {name}"),
        _ => DDKG.to_owned(),
    };
    FileStanza::parse(&arguments, &stanza.body).map_err(FileError::Stanza)
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.device, &self.key_name) {
            (Some(device), Some(name)) => write!(f, "sealed by: {device}\nkey:       {name}\n")?,
            _ => f.write_str("sealed by: not said; the authority does not open it\n")?,
        }
        let readers = if self.readers.is_empty() { "none".to_owned() } else { self.readers.join(", ") };
        write!(f, "stanzas:   {readers}\nheader:    {} bytes", self.header_bytes)
    }
}

/// Sees the stanzas, and opens none.
#[derive(Default)]
struct Seen(RefCell<Vec<Stanza>>);

impl Identity for Seen {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let Stanza { tag, args, body } = stanza;
        let copy = Stanza { tag: tag.clone(), args: args.clone(), body: body.clone() };
        self.0.borrow_mut().push(copy);
        None
    }
}

/// A file key that is known already. The header's MAC, which age checks under it, tells whether it is this file's.
struct Given<'a>(&'a Secret<16>);

impl Identity for Given<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(FileKey::init_with_mut(|key| key.copy_from_slice(self.0.expose()))))
    }
}

const DDKG: &str = "ddkg1";
