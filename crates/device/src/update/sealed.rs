//! A sealed artifact: opened for what installs it, once the sealed file is known to be the one that its maker signed.
//!
//! The file that was in it is judged while it is written, and is there for as long as the installation takes. Where the power is
//! cut, the next command removes it and opens the artifact again: nothing rests on it.

use super::catalog::Listed;
use super::error::UpdateError;
use super::files::UpdateFiles;
use crate::at_rest::Content;
use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use std::path::{Path, PathBuf};
use wardein_crypto::{Digest, Secret, SecretBytes};
use wardein_tuf::Plaintext;

/// Refuses what this build cannot open, before it is fetched.
pub(super) fn require_opener(listed: &Listed) -> Result<(), Error> {
    match listed.release.plaintext.is_some() && cfg!(not(feature = "files")) {
        true => Err(UpdateError::Unopenable { version: listed.release.version }.into()),
        false => Ok(()),
    }
}

/// The key of an artifact as it is kept: behind the artifact's digest, and sealed where the device's state is.
pub(super) fn kept(
    (state, config): (&Files, &Config),
    artifact: &Digest,
    key: &Secret<16>,
) -> Result<SecretBytes, Error> {
    let mut bytes = SecretBytes::with_capacity(artifact.0.len() + key.expose().len());
    bytes.extend(&artifact.0);
    bytes.extend(key.expose());
    state.seal_secret(config, Content::ArtifactKey, bytes)
}

/// The inverse of [`kept`]; `None` for the key of another artifact, and for what does not open or is cut off: another comes with
/// the next offer.
#[cfg(feature = "files")]
fn key_of(
    (state, config): (&Files, &Config),
    artifact: &Digest,
    kept: SecretBytes,
) -> Result<Option<Secret<16>>, Error> {
    let Some(bytes) = state.open_secret(config, Content::ArtifactKey, kept)? else { return Ok(None) };
    let key = bytes.expose().strip_prefix(&artifact.0).and_then(|key| key.try_into().ok());
    Ok(key.map(Secret::copied_from))
}

/// The file that was in a sealed artifact. It is removed when this is dropped.
#[cfg_attr(not(feature = "files"), allow(dead_code, reason = "such a build opens none"))]
pub(super) struct OpenedFile(PathBuf);

impl OpenedFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OpenedFile {
    fn drop(&mut self) {
        // Where it stays, the next command removes it, and says so if it cannot.
        drop(std::fs::remove_file(&self.0));
    }
}

/// Opens the artifact of `listed`, which was verified; `each` gets every piece of the file in it. That is good once this has
/// returned.
#[cfg(feature = "files")]
pub(super) fn open(
    files: &UpdateFiles,
    of: (&Files, &Config),
    listed: &Listed,
    plaintext: &Plaintext,
    each: &mut dyn FnMut(&[u8]),
) -> Result<OpenedFile, Error> {
    use super::artifact::make_room;
    use std::fs::{File, OpenOptions};
    use std::io::BufReader;
    use std::os::unix::fs::OpenOptionsExt;
    use wardein_files::{Opening, SealedFile};
    use wardein_tuf::{TargetCheck, TargetFile};

    let version = listed.release.version;
    let digest = &listed.file.sha256;
    let key = match files.artifact_key()? {
        Some(kept) => key_of(of, digest, kept)?,
        None => None,
    };
    let key = key.ok_or(UpdateError::NoKey { version })?;
    let sealed = files.artifact_path(digest);
    let input = File::open(&sealed).map_err(Error::file("open", &sealed))?;
    let path = files.opened_path();
    // The one of an earlier command is gone, and no link is followed.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(Error::file("make", &path))?;
    let opened = OpenedFile(path);
    make_room(&file, opened.path(), plaintext.length)?;
    let signed = TargetFile { length: plaintext.length, sha256: plaintext.sha256, custom: None };
    let check = TargetCheck::new(&listed.path, &signed);
    let mut output = Judged { file, path: opened.path(), left: plaintext.length, check, each, failed: None };
    let done = SealedFile::read(BufReader::new(input))
        .and_then(|sealed| sealed.open(&Opening::FileKey(&key), &mut output, &mut |_| ()));
    let Judged { check, failed, .. } = output;
    match (failed, done) {
        // What the stream says of it is no more than that it could not write.
        (Some(error), _) => Err(error),
        (None, Ok(_)) => {
            check.finish().map_err(UpdateError::from)?;
            Ok(opened)
        }
        (None, Err(error)) => Err(not_opened(version, &sealed, error)),
    }
}

/// Why the sealed file at `sealed` does not open: by what it is, or by the disk that it is on.
#[cfg(feature = "files")]
fn not_opened(version: u64, sealed: &Path, error: wardein_files::FileError) -> Error {
    use wardein_files::FileError;
    match error {
        FileError::WrongKey => UpdateError::WrongKey { version }.into(),
        FileError::Io(error) if error.raw_os_error().is_some() => Error::file("read", sealed)(error),
        error => UpdateError::NotOpened { version, why: error.to_string() }.into(),
    }
}

/// A build without age opens nothing, and says so before.
#[cfg(not(feature = "files"))]
pub(super) fn open(
    _: &UpdateFiles,
    _: (&Files, &Config),
    listed: &Listed,
    _: &Plaintext,
    _: &mut dyn FnMut(&[u8]),
) -> Result<OpenedFile, Error> {
    Err(UpdateError::Unopenable { version: listed.release.version }.into())
}

/// Writes what comes, and judges it before: nothing that is longer than it was signed fills the disk.
#[cfg(feature = "files")]
struct Judged<'a> {
    file: std::fs::File,
    path: &'a Path,
    /// How many bytes are to come.
    left: u64,
    check: wardein_tuf::TargetCheck,
    each: &'a mut dyn FnMut(&[u8]),
    failed: Option<Error>,
}

#[cfg(feature = "files")]
impl std::io::Write for Judged<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Err(error) = self.check.update(bytes) {
            return self.fails(UpdateError::from(error).into());
        }
        if let Err(error) = self.file.write_all(bytes) {
            return self.fails(super::artifact::written(error, self.path, self.left));
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        (self.each)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "files")]
impl Judged<'_> {
    fn fails(&mut self, error: Error) -> std::io::Result<usize> {
        self.failed = Some(error);
        Err(std::io::Error::other("the file in the artifact was not written"))
    }
}

#[cfg(all(test, feature = "files"))]
mod tests {
    use super::*;
    use std::io;
    use wardein_files::FileError;

    #[test]
    fn a_disk_that_fails_is_not_taken_for_an_artifact_that_was_changed() {
        let sealed = Path::new("/artifacts/x");
        let error = not_opened(3, sealed, FileError::Io(io::Error::from_raw_os_error(5)));
        assert!(matches!(&error, Error::File { path, .. } if path == sealed), "{error}");
        assert_eq!(error.exit_code(), 1);
        // What age says of a chunk that is not as it was written.
        let changed = not_opened(3, sealed, FileError::Io(io::Error::from(io::ErrorKind::InvalidData)));
        assert_eq!(changed.exit_code(), 5);
        let Error::Update(changed) = changed else { unreachable!() };
        assert_eq!(changed.code(), "update-not-opened");
    }

    #[test]
    fn a_full_disk_is_said_to_be_one_and_nothing_is_left_on_it() {
        use std::io::Write;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("opened");
        let opened = OpenedFile(path.clone());
        std::fs::write(&path, b"").unwrap();
        // It takes no byte.
        let file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let signed = wardein_tuf::TargetFile { length: 9, sha256: Digest::of(b"the third"), custom: None };
        let check = wardein_tuf::TargetCheck::new(&wardein_tuf::TargetPath::new("a/b").unwrap(), &signed);
        let mut each = |_: &[u8]| ();
        let mut judged = Judged { file, path: &path, left: 9, check, each: &mut each, failed: None };
        assert!(judged.write_all(b"the third").is_err());
        let Some(Error::Update(failed)) = judged.failed else { unreachable!() };
        assert!(
            matches!(&*failed, UpdateError::NoRoom { needed: 9, path } if path == directory.path()),
            "{failed}"
        );
        drop(opened);
        assert!(!path.exists());
    }
}
