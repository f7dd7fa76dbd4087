//! Files in their places: a sealed one with its statement beside it, and an opened one that is whole or not there.

use crate::error::FileError;
use crate::open::{Opening, SealedFile};
use crate::verify::{self, MAX_SIGNED, Order, SignedStatement, Verified};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, Read};
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
/// is told how many bytes were read of the file at hand.
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

/// A file that is there when all of it is, readable by its owner alone.
pub struct Target {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Target {
    /// Sees to it that `path`, which is not there yet, can be written: before a key is spent on it.
    pub fn begin(path: &Path) -> Result<Self, FileError> {
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already").into());
        }
        let (file, temporary) = wardein_durable::begin(path, 0o600)?;
        Ok(Self { file, temporary, path: path.to_owned() })
    }

    /// Opens a sealed file into it. Gives the bytes of plaintext.
    pub fn fill(
        mut self,
        sealed: SealedFile<impl BufRead>,
        by: &Opening<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, FileError> {
        let length = sealed.open(by, &mut self.file, progress)?;
        self.file.sync_all()?;
        wardein_durable::give_name(&self.temporary, &self.path)?;
        Ok(length)
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
