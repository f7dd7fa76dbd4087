//! Opening a sealed batch, within the bytes that a batch may have.

use crate::refusal::{Code, Refused};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::Path;
use wardein_ddkg::message::FileStanza;
use wardein_files::{FileError, Opening, ReaderKey, SealedFile};
use wardein_logs::batch::{self, Batch};

/// The stanza by which the authority opens a file; none where its readers alone do.
pub(crate) fn stanza(path: &Path) -> Result<Option<FileStanza>, Refused> {
    match read(path)?.stanza() {
        Ok(stanza) => Ok(Some(stanza)),
        Err(FileError::NoStanza) => Ok(None),
        Err(error) => Err(not_opened(error)),
    }
}

/// The batch in a file whose key is there.
pub(crate) fn open(path: &Path, by: &Opening<'_>) -> Result<Batch, Refused> {
    let mut plaintext = Bounded(Vec::new());
    // Nothing of it is looked at before all of it is authenticated.
    read(path)?.open(by, &mut plaintext, &mut |_| {}).map_err(not_opened)?;
    batch::read(plaintext.0.as_slice()).map_err(|error| Refused::new(Code::BatchMalformed, error))
}

/// The key of a reader, where there is one.
pub(crate) fn of_reader(key: Option<&ReaderKey>) -> Result<Opening<'_>, Refused> {
    let message = "it is sealed for readers, and the receiver has no reader's key; set open.reader-key";
    key.map(Opening::Reader).ok_or_else(|| Refused::new(Code::NoKey, message))
}

fn read(path: &Path) -> Result<SealedFile<BufReader<File>>, Refused> {
    let file = File::open(path).map_err(|error| Refused::storage(&error))?;
    SealedFile::read(BufReader::new(file)).map_err(not_opened)
}

fn not_opened(error: FileError) -> Refused {
    match error {
        // Digest and signature are right, so that the device meant it so: the readers are others.
        FileError::WrongKey => {
            Refused::new(Code::NoKey, "the receiver's key does not open it; is it sealed for another reader?")
        }
        FileError::Io(error) if !is_of_the_stream(&error) => Refused::storage(&error),
        error => Refused::new(Code::NotOpened, error),
    }
}

/// Whether it is the stream that is wrong, or too long, and not the disk.
fn is_of_the_stream(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::FileTooLarge
    )
}

/// The compressed batch, in memory: a thousandth of it is its overhead at worst.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_COMPRESSED {
            let words = format!("it has more than {MAX_COMPRESSED} bytes, and a batch has not");
            return Err(io::Error::new(ErrorKind::FileTooLarge, words));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What does not compress grows by 3 bytes in each block of 128 KiB (RFC 8878 section 3.1.1.2).
const MAX_COMPRESSED: usize = batch::MAX_BATCH + (64 << 10);
