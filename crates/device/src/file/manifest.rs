//! The device's manifest of the files that it sealed: the statement of the last, with its number and the digest that the next will name.
//!
//! One file, replaced whole, and written before the sealed file takes its name. So a number is spent before it is seen, and a power cut
//! behind that leaves enough to bring the file to its end: a complete copy under a temporary name, and here where it belongs.

use crate::config::Config;
use crate::directory::{Directory, Files};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wardein_crypto::Digest;
use wardein_files::{FIRST, MAX_SIGNED, SignedStatement, signed_path};

/// The last file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    /// Its signed statement.
    signed: String,
    /// Where it belongs, absolute.
    path: PathBuf,
    /// Where it was until it had its name.
    part: PathBuf,
}

/// What the next statement says of its place.
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) previous: Digest,
}

impl Next {
    /// After the last file of `config`'s device; what it sealed as another tenant's is another order.
    pub(super) fn after(files: &Files, config: &Config) -> Result<Self, Error> {
        let Some(last) = read(files)? else { return Ok(Self::FIRST) };
        let signed = last.parsed(files)?;
        let statement = signed.statement();
        if statement.device != config.device {
            return Ok(Self::FIRST);
        }
        let number = statement.number.checked_add(1).ok_or(Error::Fault("counting files"))?;
        Ok(Self { number, previous: statement.digest() })
    }

    const FIRST: Self = Self { number: 1, previous: FIRST };
}

impl Last {
    /// That `signed` is the last, whose file is complete and synced in `part`, and belongs to `path`.
    pub(super) fn of(signed: &SignedStatement, path: &Path, part: &Path) -> Self {
        Self { signed: signed.text(), path: path.to_owned(), part: part.to_owned() }
    }

    pub(super) fn save(&self, directory: &Directory) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(|_| Error::Fault("writing JSON"))?;
        directory.save_manifest(&text)
    }

    /// Gives statement and file their names. It is safe to do so again, wherever it was cut short.
    pub(super) fn place(&self) -> Result<(), Error> {
        let statement = signed_path(&self.path);
        wardein_durable::replace(&statement, self.signed.as_bytes(), 0o644)
            .map_err(Error::file("write", &statement))?;
        wardein_durable::give_name(&self.part, &self.path).map_err(Error::file("write", &self.path))
    }

    fn parsed(&self, files: &Files) -> Result<SignedStatement, Error> {
        SignedStatement::parse(self.signed.as_bytes()).map_err(|error| files.manifest_damaged(error))
    }
}

/// Brings the last file to its end, where a power cut kept it from its name.
pub(super) fn recover(directory: &Directory) -> Result<(), Error> {
    let Some(last) = read(directory.files())? else { return Ok(()) };
    let Ok(part) = last.part.symlink_metadata() else { return Ok(()) };
    match last.path.symlink_metadata() {
        Err(_) => {
            last.place()?;
            tracing::warn!(path = %last.path.display(), "a file that a power cut left under its temporary name has its own now");
        }
        // It had its name already, and the temporary one was still there.
        Ok(named) if (named.dev(), named.ino()) == (part.dev(), part.ino()) => {
            std::fs::remove_file(&last.part).map_err(Error::file("remove", &last.part))?;
        }
        Ok(_) => {
            let (part, path) = (last.part.display(), last.path.display());
            tracing::warn!(%part, %path, "a sealed file has no name: another one took it; move it where it belongs");
        }
    }
    Ok(())
}

fn read(files: &Files) -> Result<Option<Last>, Error> {
    let Some(bytes) = files.manifest(MAX_MANIFEST)? else { return Ok(None) };
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|error| files.manifest_damaged(error))
}

/// A statement as JSON has its line feeds escaped, and two paths.
const MAX_MANIFEST: usize = 2 * MAX_SIGNED + 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{read, write};
    use wardein_crypto::P256SigningKey;
    use wardein_files::Statement;

    fn signed(number: u64, previous: Digest) -> SignedStatement {
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let statement = Statement {
            device: config().device,
            number,
            previous,
            sha256: Digest::of(b"sealed"),
            length: 6,
            key: None,
            sealed_at: 5,
            heard_at: 5,
        };
        SignedStatement::sign(statement, &key, String::new()).unwrap()
    }

    fn config() -> Config {
        let text = format!(
            "tenant = \"t\"\ndevice_id = \"d\"\nendpoint = \"https://localhost:7443\"\nidentity_key = \"04{}\"\n\
             trust_roots = \"-----BEGIN CERTIFICATE-----\"\n",
            "ab".repeat(64)
        );
        Config::parse(&text).unwrap()
    }

    #[test]
    fn a_power_cut_at_any_step_leaves_the_file_under_its_name_after_the_next_start_and_never_half_of_it() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let (path, part) = (parent.path().join("log.age"), parent.path().join("log.age.part"));
        let signed = signed(1, FIRST);
        let last = Last::of(&signed, &path, &part);
        let names = |count: usize| {
            assert_eq!(read(&path).unwrap(), b"sealed");
            assert_eq!(read(signed_path(&path)).unwrap(), signed.text().as_bytes());
            assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), count, "nothing else is left");
        };
        // Behind the note; behind the statement; between the two names of the file; behind the end.
        for step in 0..4 {
            write(&part, b"sealed").unwrap();
            last.save(&directory).unwrap();
            match step {
                0 => {}
                1 => write(signed_path(&path), signed.text()).unwrap(),
                2 => {
                    write(signed_path(&path), signed.text()).unwrap();
                    std::fs::hard_link(&part, &path).unwrap();
                }
                _ => last.place().unwrap(),
            }
            recover(&directory).unwrap();
            names(3);
            recover(&directory).unwrap();
            names(3);
            std::fs::remove_file(&path).unwrap();
            std::fs::remove_file(signed_path(&path)).unwrap();
        }
        // Who moved it away gets it back nowhere, and what took its name is not written over.
        recover(&directory).unwrap();
        assert!(!path.exists());
        write(&part, b"sealed").unwrap();
        write(&path, b"another").unwrap();
        recover(&directory).unwrap();
        assert_eq!((read(&path).unwrap(), read(&part).unwrap()), (b"another".to_vec(), b"sealed".to_vec()));
    }

    #[test]
    fn numbers_rise_by_one_and_name_the_statement_before() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let next = || Next::after(directory.files(), &config()).unwrap();
        assert_eq!((next().number, next().previous), (1, FIRST));
        let signed = signed(7, FIRST);
        Last::of(&signed, Path::new("/a"), Path::new("/a.part")).save(&directory).unwrap();
        assert_eq!((next().number, next().previous), (8, signed.statement().digest()));
        // Of another tenant's name it is another order.
        let mut other = config();
        other.device.tenant = "u".parse().unwrap();
        assert_eq!(Next::after(directory.files(), &other).unwrap().number, 1);
        for damaged in ["", "{}", "{\"signed\":\"\",\"path\":\"/a\",\"part\":\"/a.part\"}"] {
            directory.save_manifest(damaged.as_bytes()).unwrap();
            assert!(
                matches!(Next::after(directory.files(), &config()), Err(Error::Damaged { .. })),
                "{damaged}"
            );
        }
    }
}
