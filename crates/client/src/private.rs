//! Files with a secret in them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wardein_crypto::SecretBytes;

/// A file of at most `max` bytes that its owner alone may read; one that is open to others is refused. Mode and contents are those of
/// one file, whatever has its name in the meantime.
pub(crate) fn read(path: &Path, max: usize) -> io::Result<SecretBytes> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "is open to others (mode {mode:o}); run: chmod 600 {}",
            path.display()
        )));
    }
    // Of its whole size at once: a buffer that grows leaves copies behind.
    let mut content = Vec::with_capacity(max + 1);
    let read = file.take(max as u64 + 1).read_to_end(&mut content);
    let content = SecretBytes::from_vec(content);
    match read? {
        length if length > max => Err(io::Error::other(format!("has more than {max} bytes"))),
        _ => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn a_private_file_is_read_only_while_it_is_private_and_within_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, b"12345").unwrap();
        for mode in [0o640, 0o604, 0o620] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = read(&path, 5).err().unwrap().to_string();
            assert!(refused.contains("is open to others") && refused.contains("chmod 600"), "{refused}");
        }
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path, 5).unwrap().expose(), b"12345");
        assert!(read(&path, 4).err().unwrap().to_string().contains("more than 4 bytes"));
    }
}
