//! The PIN of a token, from a file for the owner's eyes alone.

use crate::Pkcs11Error;
use cryptoki::types::AuthPin;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wardein_crypto::SecretBytes;

/// Reads it: the file's only line, of 1 to [`MOST`] bytes.
pub(crate) fn read(path: &Path) -> Result<AuthPin, Pkcs11Error> {
    let wrong = |reason: String| Pkcs11Error::PinFile { path: path.to_owned(), reason };
    let failed = |error: io::Error| wrong(error.to_string());
    let mut file = File::open(path).map_err(failed)?;
    // The opened file is asked, not the name: between two looks at a name it can become another file's.
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(wrong("it is not a file".to_owned()));
    }
    if !wardein_durable::is_private(&facts) {
        let mode = facts.mode() & 0o7777;
        return Err(wrong(format!("others can read it (mode {mode:o}); chmod 600 it")));
    }
    let bytes = SecretBytes::try_filled(MOST + 3, |room| fill(&mut file, room)).map_err(failed)?;
    let text = bytes.expose();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match str::from_utf8(text) {
        // Exactly as large as the PIN, so that it is not copied again.
        Ok(pin) if (1..=MOST).contains(&pin.len()) && !pin.contains(['\n', '\0']) => {
            Ok(pin.to_owned().into())
        }
        _ => Err(wrong(format!("it is to hold the PIN alone, in UTF-8, of 1 to {MOST} bytes"))),
    }
}

fn fill(file: &mut File, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match file.read(&mut room[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Bytes: as long as PKCS#11 has a length for in one byte, which is more than tokens take.
const MOST: usize = 255;
