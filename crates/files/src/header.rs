//! The header of an age file, read within bounds before anything parses it.

use crate::error::FileError;
use std::io::{BufRead, Read};

/// The most bytes of a header: 64 KiB. A stanza for a post-quantum reader has some 1.7 KiB, all others less than 300 bytes.
pub const MAX_HEADER: usize = 64 << 10;

/// The most stanzas of a header, the one that age adds at random among them.
pub const MAX_STANZAS: usize = 64;

/// The bytes of the header up to its MAC's line, which is the last. `age` parses what it has read again at each line, so that an unbounded
/// header would cost its square in time.
pub(crate) fn read(input: &mut impl BufRead) -> Result<Vec<u8>, FileError> {
    let (mut header, mut stanzas, mut in_body) = (Vec::new(), 0, false);
    loop {
        let start = header.len();
        let room = (MAX_HEADER - start) as u64;
        input.by_ref().take(room).read_until(b'\n', &mut header)?;
        let line = &header[start..];
        if start == 0 && !line.starts_with(MAGIC) {
            return Err(FileError::NotAge);
        }
        if !line.ends_with(b"\n") {
            return Err(if header.len() >= MAX_HEADER {
                FileError::HeaderTooLong
            } else {
                FileError::HeaderCut
            });
        }
        match (start, in_body) {
            (0, _) => {}
            // A body ends with the first line that is not full, which may be empty. `age` also takes one that ends without, as early versions
            // wrote it; the format does not.
            (_, true) if line.starts_with(b"-") => return Err(FileError::NotAge),
            (_, true) => in_body = line.len() > BODY_LINE,
            (_, false) if line.starts_with(b"-> ") => {
                stanzas += 1;
                if stanzas > MAX_STANZAS {
                    return Err(FileError::TooManyStanzas);
                }
                in_body = true;
            }
            (_, false) if line.starts_with(b"---") => return Ok(header),
            (_, false) => return Err(FileError::NotAge),
        }
    }
}

const MAGIC: &[u8] = b"age-encryption.org/";
/// The characters of a full line of a body.
const BODY_LINE: usize = 64;
