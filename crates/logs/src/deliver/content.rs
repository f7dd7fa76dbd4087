//! A file that is delivered. It is read again for each attempt, and is never in memory as a whole: audiences deliver at the same
//! time, and a batch of each would be most of what the agent may take.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use wardein_crypto::{Digest, Sha256};

/// An open file, with its length and digest.
#[derive(Debug)]
pub struct Content {
    file: Arc<File>,
    length: u64,
    sha256: Digest,
}

impl Content {
    /// What `file` has, which is at most `max` bytes; `None` where it is more.
    pub fn of(file: File, max: u64) -> io::Result<Option<Self>> {
        let file = Arc::new(file);
        let mut reader = Reader { file: file.clone(), at: 0, end: max.saturating_add(1) };
        let (mut sha256, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
        loop {
            match reader.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(0) => break,
                Ok(read) => sha256.update(&chunk[..read]),
            }
        }
        let length = reader.at;
        Ok((length <= max).then(|| Self { file, length, sha256: sha256.finish() }))
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Their SHA-256.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// The bytes, from the first one.
    pub fn reader(&self) -> impl Read + Send + use<> {
        Reader { file: self.file.clone(), at: 0, end: self.length }
    }

    /// The bytes, all in memory.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads by places of its own: one that a broken connection still has disturbs no other.
struct Reader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn readers_do_not_disturb_one_another_and_a_file_has_a_bound() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        assert!(Content::of(file.try_clone().unwrap(), 9).unwrap().is_none());
        let content = Content::of(file.try_clone().unwrap(), 10).unwrap().unwrap();
        assert_eq!((content.length(), content.sha256()), (10, Digest::of(b"0123456789")));
        let (mut half, mut other) = ([0; 5], content.reader());
        other.read_exact(&mut half).unwrap();
        assert_eq!((content.bytes().unwrap(), half), (b"0123456789".to_vec(), *b"01234"));
        // What was added since is not of it.
        file.write_all(b"x").unwrap();
        assert_eq!(content.bytes().unwrap(), b"0123456789");
        other.read_exact(&mut half).unwrap();
        assert_eq!((half, other.read(&mut half).unwrap()), (*b"56789", 0));
    }
}
