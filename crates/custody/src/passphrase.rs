//! Passphrases, and where they come from: a file, a file descriptor or a terminal; never a flag or an environment variable, which
//! other processes can see.

use crate::{CustodyError, file};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use wardein_crypto::SecretBytes;

/// A passphrase of [`Passphrase::MIN_LEN`] to [`Passphrase::MAX_LEN`] bytes. It is not shown, copied or compared.
pub struct Passphrase(SecretBytes);

impl Passphrase {
    /// The fewest bytes.
    pub const MIN_LEN: usize = 8;
    /// The most bytes.
    pub const MAX_LEN: usize = 1024;

    /// The passphrase in `bytes`, less one newline (LF or CR LF) at the end, as a file has one that was written with an editor.
    pub fn new(bytes: SecretBytes) -> Result<Self, CustodyError> {
        let text = without_newline(bytes.expose());
        let length = text.len();
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&length) {
            return Err(too_long_or_short(length));
        }
        let mut passphrase = SecretBytes::with_capacity(length);
        passphrase.extend(text);
        Ok(Self(passphrase))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Where a passphrase comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file, `/dev/stdin` and the like included.
    File(PathBuf),
    /// An open file descriptor, handed down by the process that started us.
    Descriptor(u32),
    /// The terminal, where it is typed unseen.
    Prompt,
}

impl PassphraseSource {
    /// The passphrase of what exists already.
    pub fn read(&self) -> Result<Passphrase, CustodyError> {
        match self {
            Self::File(path) => read_file(path),
            // Opening the name rather than adopting the number needs no unsafe code and closes nothing that is not ours.
            Self::Descriptor(number) => read_file(&PathBuf::from(format!("/dev/fd/{number}"))),
            Self::Prompt => prompt("Passphrase of the authority: "),
        }
    }

    /// A new passphrase: at a terminal it is typed twice.
    pub fn read_new(&self) -> Result<Passphrase, CustodyError> {
        if *self != Self::Prompt {
            return self.read();
        }
        let first = prompt("New passphrase of the authority: ")?;
        let second = prompt("The same again: ")?;
        confirmed(first, &second)
    }
}

fn confirmed(first: Passphrase, second: &Passphrase) -> Result<Passphrase, CustodyError> {
    // Both are typed by the same hand at the same terminal; the time of the comparison tells nobody anything.
    (first.expose() == second.expose()).then_some(first).ok_or(CustodyError::PassphraseMismatch)
}

fn read_file(path: &Path) -> Result<Passphrase, CustodyError> {
    let mut opened = File::open(path).map_err(CustodyError::io("cannot read the passphrase in", path))?;
    read(&mut opened).map_err(CustodyError::io("cannot read the passphrase in", path))?
}

fn read(reader: &mut impl Read) -> io::Result<Result<Passphrase, CustodyError>> {
    let bytes = file::read_bounded(reader, Passphrase::MAX_LEN + NEWLINE)?;
    Ok(bytes.ok_or_else(|| too_long_or_short(Passphrase::MAX_LEN + NEWLINE + 1)).and_then(Passphrase::new))
}

fn prompt(text: &str) -> Result<Passphrase, CustodyError> {
    let typed = rpassword::prompt_password(text)
        .map_err(CustodyError::io("cannot read the passphrase from", Path::new("/dev/tty")))?;
    Passphrase::new(SecretBytes::from_vec(typed.into_bytes()))
}

fn without_newline(bytes: &[u8]) -> &[u8] {
    match bytes.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => bytes,
    }
}

fn too_long_or_short(length: usize) -> CustodyError {
    CustodyError::PassphraseLength { length, min: Passphrase::MIN_LEN, max: Passphrase::MAX_LEN }
}

/// Bytes in CR LF.
const NEWLINE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(bytes: &[u8]) -> Result<Vec<u8>, CustodyError> {
        read(&mut &bytes[..]).unwrap().map(|passphrase| passphrase.expose().to_vec())
    }

    #[test]
    fn one_newline_is_cut_and_the_length_is_bounded() {
        assert_eq!(passphrase(b"12345678\n").unwrap(), b"12345678");
        assert_eq!(passphrase(b"12345678\r\n").unwrap(), b"12345678");
        assert_eq!(passphrase(b"12345678\n\n").unwrap(), b"12345678\n");
        assert_eq!(passphrase(b" 12345678 ").unwrap(), b" 12345678 ");
        let longest = [b'x'; Passphrase::MAX_LEN];
        assert_eq!(passphrase(&longest).unwrap(), longest);
        assert_eq!(passphrase(&[&longest[..], b"\r\n"].concat()).unwrap(), longest);
        for bad in [&b""[..], b"1234567", b"1234567\n", &[b'x'; Passphrase::MAX_LEN + 1], &[b'x'; 1 << 20]] {
            assert!(matches!(passphrase(bad), Err(CustodyError::PassphraseLength { .. })), "{}", bad.len());
        }
    }

    #[test]
    fn two_that_differ_are_not_taken() {
        let typed = |text: &[u8]| Passphrase::new(SecretBytes::from_vec(text.to_vec())).unwrap();
        assert!(confirmed(typed(b"12345678"), &typed(b"12345678")).is_ok());
        let differing = confirmed(typed(b"12345678"), &typed(b"12345679"));
        assert!(matches!(differing, Err(CustodyError::PassphraseMismatch)));
    }
}
