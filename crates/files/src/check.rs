//! Files in their places: a sealed one with its statement beside it, and an opened one that is whole or not there.

use crate::error::FileError;
use crate::open::{Opening, SealedFile};
use crate::verify::{self, MAX_SIGNED, Order, SignedStatement, Verified};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files whose statements and digests are right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The files, in the order in which they were named.
    pub files: Vec<CheckedFile>,
    /// What the numbers of each device, TENANT/DEVICE, tell.
    pub devices: BTreeMap<String, Order>,
}

/// A file whose statement and digest are right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Who sealed it, TENANT/DEVICE.
    pub device: String,
    /// Its number among the device's files.
    pub number: u64,
    /// When it was sealed, by the device's clock, in Unix seconds, within the validity of its certificate.
    pub sealed_at: u64,
    /// The authority's time that the device had heard last, in Unix seconds.
    pub heard_at: u64,
    /// The serial of the certificate.
    pub serial: String,
}

impl Checked {
    /// Whether no file is missing before the last of each device, and none is in another's place.
    pub fn is_complete(&self) -> bool {
        self.devices.values().all(|order| order.gaps.is_empty() && order.broken.is_empty())
    }
}

/// Where the statement of a file is: beside it.
pub fn signed_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Verifies each file by the statement beside it, under `roots` (DER), and sees what their numbers tell. The error names the file. `progress`
/// receives how many bytes were read of the file at hand.
pub fn check(
    paths: &[PathBuf],
    roots: &[&[u8]],
    progress: &mut dyn FnMut(u64),
) -> Result<Checked, (PathBuf, FileError)> {
    let (mut files, mut statements) = (Vec::new(), BTreeMap::<String, Vec<_>>::new());
    for path in paths {
        let Verified { statement, serial } =
            check_one(path, roots, progress).map_err(|error| (path.clone(), error))?;
        let device = format!("{}/{}", statement.device.tenant, statement.device.device);
        files.push(CheckedFile {
            path: path.clone(),
            device: device.clone(),
            number: statement.number,
            sealed_at: statement.sealed_at,
            heard_at: statement.heard_at,
            serial: serial.to_string(),
        });
        statements.entry(device).or_default().push(statement);
    }
    let devices = statements.into_iter().filter_map(|(device, all)| Some((device, verify::in_order(&all)?)));
    Ok(Checked { files, devices: devices.collect() })
}

fn check_one(path: &Path, roots: &[&[u8]], progress: &mut dyn FnMut(u64)) -> Result<Verified, FileError> {
    let mut signed = Vec::new();
    File::open(signed_path(path))?.take(MAX_SIGNED as u64 + 1).read_to_end(&mut signed)?;
    // The signature first: nobody hashes gigabytes for who has no certificate.
    let verified = SignedStatement::parse(&signed)?.verify(roots)?;
    verified.is_of(verify::digest(File::open(path)?, progress)?)?;
    Ok(verified)
}

/// A file that is there when all of it is.
pub struct Target {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Target {
    /// Sees to it that `path`, which is not there yet, can be written: before a key is spent on it. `mode` says who may read it.
    /// What is under its temporary name ([`wardein_durable::temporary`]) is removed.
    pub fn begin(path: &Path, mode: u32) -> Result<Self, FileError> {
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already").into());
        }
        let (file, temporary) = wardein_durable::begin(path, mode)?;
        Ok(Self { file, temporary, path: path.to_owned() })
    }

    /// Opens a sealed file into it. Gives the bytes of plaintext.
    pub fn fill(
        self,
        sealed: SealedFile<impl BufRead>,
        by: &Opening<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, FileError> {
        self.fill_by(|file| sealed.open(by, file, progress))
    }

    /// Has `write` fill it, and gives what that gives.
    pub fn fill_by<T>(
        mut self,
        write: impl FnOnce(&mut File) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let written = write(&mut self.file)?;
        self.file.sync_all()?;
        if let Err(error) = wardein_durable::give_name(&self.temporary, &self.path) {
            self.take_name_back();
            return Err(error.into());
        }
        Ok(written)
    }

    /// Removes the file under its own name, where it had that before the error. Another's of that name stays.
    fn take_name_back(&self) {
        let id = |facts: io::Result<Metadata>| facts.ok().map(|facts| (facts.dev(), facts.ino()));
        let own = id(self.file.metadata());
        if own.is_some() && id(self.path.symlink_metadata()) == own {
            // The error that led here is what is said.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Where it has its name, nothing is under this one. Else it is of no use, and may be plaintext that nobody vouches for.
        drop(std::fs::remove_file(&self.temporary));
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |file: &CheckedFile| {
            let CheckedFile { path, device, number, .. } = file;
            format!("{}: number {number} of {device}, as it was signed", path.display())
        };
        let mut lines: Vec<_> = self.files.iter().map(file).collect();
        for (device, Order { first, last, gaps, broken }) in &self.devices {
            lines.extend(
                gaps.iter()
                    .map(|(after, missing)| format!("{device}: {missing} missing before number {after}")),
            );
            lines.extend(broken.iter().map(|number| {
                format!("{device}: number {number} does not follow the one before it, or is there twice")
            }));
            lines.push(format!("{device}: numbers {first} to {last}"));
        }
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_name_that_is_not_durable_is_taken_back_and_that_of_another_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let target = Target::begin(&path, 0o600).unwrap();
        fs::hard_link(&target.temporary, &path).unwrap();
        target.take_name_back();
        assert!(!path.exists());
        fs::write(&path, b"another's").unwrap();
        target.take_name_back();
        assert!(path.exists());
        let refused = target.fill_by(|_| Ok(())).unwrap_err();
        assert!(matches!(refused, FileError::Io(error) if error.kind() == io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"another's");
    }
}
