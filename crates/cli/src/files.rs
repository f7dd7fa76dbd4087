//! Files that are made once, durable and with their mode from the first moment.

use crate::Failure;
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wardein_crypto::SecretBytes;
use wardein_files::Target;

/// The mode of what others may read.
pub const PUBLIC: u32 = 0o644;

/// The mode of what the owner alone may read.
pub const PRIVATE: u32 = 0o600;

/// Makes a directory that the owner alone may enter. It must not be there yet.
pub fn make_private_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| Failure::file("make", path, error))
}

/// Writes a file that must not be there yet: durable and whole, or not at all.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    wardein_durable::create(path, content, mode).map_err(|error| Failure::file("write", path, error))
}

/// Begins a large file that must not be there yet. What lies under its temporary name may be somebody's, and stays.
pub(crate) fn begin(path: &Path, mode: u32) -> Result<Target, Failure> {
    let temporary = wardein_durable::temporary(path);
    if temporary.symlink_metadata().is_ok() {
        let why = format!("{} is in the way. If an earlier command left it, remove it", temporary.display());
        return Err(Failure::file("write", path, why));
    }
    Target::begin(path, mode).map_err(|why| Failure::file("write", path, why))
}

/// A new file that its owner alone may read, created before its contents are available. Unless it is filled, it is removed again.
pub struct Reserved {
    path: PathBuf,
    is_filled: bool,
}

impl Reserved {
    /// Makes the file; it must not be there yet.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        write_new(path, b"", PRIVATE)?;
        Ok(Self { path: path.to_owned(), is_filled: false })
    }

    /// Fills it, durably.
    pub(crate) fn fill(self, secret: &SecretBytes) -> Result<(), Failure> {
        self.put(secret.expose(), PRIVATE)
    }

    /// Fills it, durably, with what everybody may read.
    pub fn publish(self, content: &[u8]) -> Result<(), Failure> {
        self.put(content, PUBLIC)
    }

    fn put(mut self, content: &[u8], mode: u32) -> Result<(), Failure> {
        wardein_durable::replace(&self.path, content, mode)
            .map_err(|error| Failure::file("write", &self.path, error))?;
        self.is_filled = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.is_filled {
            // It is empty; where it stays, the next attempt says so.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> Result<(), Failure> {
    wardein_durable::sync_directory(path).map_err(|error| Failure::file("sync", path, error))
}

/// A text file.
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, error))
}

/// A file of at most so many bytes.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file("read", path, error);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Failure::file("read", path, format_args!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// The certificates in a file: PEM in any columns, or the DER of one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, error))?;
    wardein_pki::pem::read_certificates(&bytes).map_err(|error| Failure::file("read", path, error))
}

/// A file that the owner alone may read, or that root gave to a group of the service; one that is open to others is refused, for anyone who
/// reads it is its owner.
pub fn read_private(path: &Path) -> Result<SecretBytes, Failure> {
    read_opened(path, |_| {})
}

/// Mode and contents are those of one file, whatever has its name in the meantime.
fn read_opened(path: &Path, meanwhile: impl FnOnce(&Path)) -> Result<SecretBytes, Failure> {
    let failed = |error| Failure::file("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    meanwhile(path);
    let facts = file.metadata().map_err(failed)?;
    if !wardein_durable::is_private(&facts) {
        let mode = facts.permissions().mode() & 0o777;
        let reason = format!("{} is open to others (mode {mode:o}); run: chmod 600 {0}", path.display());
        return Err(Failure::Failed(reason));
    }
    let mut content = Vec::new();
    let read = file.read_to_end(&mut content);
    let content = SecretBytes::from_vec(content);
    read.map(|_| content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_a_private_one_is_read_only_while_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write_new(&path, b"secret", PRIVATE).unwrap();
        assert!(write_new(&path, b"other", PRIVATE).is_err());
        assert_eq!(read_private(&path).unwrap().expose(), b"secret");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_private(&path).err().unwrap().to_string().contains("mode 640"));
    }

    #[test]
    fn nothing_is_removed_from_under_a_temporary_name() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("pump"), directory.path().join("pump.part"));
        drop(begin(&path, PRIVATE).unwrap());
        assert!(!other.exists(), "a file that was not filled leaves nothing");
        std::fs::write(&other, b"somebody's").unwrap();
        let refused = begin(&path, PRIVATE).err().unwrap().to_string();
        assert!(refused.contains("pump.part is in the way"), "{refused}");
        assert_eq!(std::fs::read(&other).unwrap(), b"somebody's");
    }

    #[test]
    fn what_was_reserved_and_not_filled_is_gone_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        drop(Reserved::new(&path).unwrap());
        assert!(!path.exists());
        Reserved::new(&path).unwrap().fill(&SecretBytes::from_vec(b"key".to_vec())).unwrap();
        assert_eq!(read_private(&path).unwrap().expose(), b"key");
        assert!(Reserved::new(&path).is_err(), "nothing is written over");
        assert!(path.exists());
    }

    #[test]
    fn a_private_file_is_judged_and_read_as_the_one_file_that_was_opened() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("key"), directory.path().join("other"));
        let swap = |path: &Path| std::fs::rename(&other, path).unwrap();
        write_new(&path, b"open to others", PUBLIC).unwrap();
        write_new(&other, b"private", PRIVATE).unwrap();
        assert!(read_opened(&path, swap).is_err());
        write_new(&other, b"open to others", PUBLIC).unwrap();
        assert_eq!(read_opened(&path, swap).unwrap().expose(), b"private");
    }
}
