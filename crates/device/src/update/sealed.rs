//! A sealed artifact: opened for what installs it, once the sealed file is known to be the one that its maker signed.
//!
//! The file that was in it is judged while it is written, and is there for as long as the installation takes. Where the power is
//! cut, the next command removes it and opens the artifact again: nothing rests on it.

use super::catalog::Listed;
#[cfg(feature = "files")]
use super::error::UpdateError;
use super::files::UpdateFiles;
use crate::error::Error;
use std::path::{Path, PathBuf};
use wardein_tuf::Plaintext;

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
    listed: &Listed,
    plaintext: &Plaintext,
    each: &mut dyn FnMut(&[u8]),
) -> Result<OpenedFile, Error> {
    use super::artifact::make_room;
    use std::fs::{File, OpenOptions};
    use std::io::BufReader;
    use std::os::unix::fs::OpenOptionsExt;
    use wardein_files::{FileError, Opening, SealedFile};
    use wardein_tuf::{TargetCheck, TargetFile};

    let version = listed.release.version;
    let digest = &listed.file.sha256;
    let key = files.artifact_key(digest)?.ok_or(UpdateError::NoKey { version })?;
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
        (None, Err(FileError::WrongKey)) => Err(UpdateError::WrongKey { version }.into()),
        (None, Err(error)) => Err(UpdateError::NotOpened { version, why: error.to_string() }.into()),
    }
}

/// A build without age opens nothing.
#[cfg(not(feature = "files"))]
pub(super) fn open(
    _: &UpdateFiles,
    listed: &Listed,
    _: &Plaintext,
    _: &mut dyn FnMut(&[u8]),
) -> Result<OpenedFile, Error> {
    let why = "this build opens no sealed artifacts; it needs the feature `files`".to_owned();
    Err(super::error::UpdateError::NotOpened { version: listed.release.version, why }.into())
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
