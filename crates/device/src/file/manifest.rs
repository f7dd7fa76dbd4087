//! The device's manifest of the files that it sealed: the statement of the last, with its number and the digest that the next will name.
//!
//! One file, replaced whole, and written before the sealed files take their names. So a number is spent before it is seen, and a power cut
//! behind that leaves enough to bring the files to their end: complete copies under temporary names, and here where they belong. Files that
//! are sealed together are noted together: after a power cut all of them are there, or none.

use crate::config::Config;
use crate::directory::{Directory, Files};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wardein_crypto::Digest;
use wardein_files::{FIRST, MAX_SIGNED, SignedStatement, Statement, signed_path};

/// A file with its number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Noted {
    /// Its signed statement.
    signed: String,
    /// Where it belongs, absolute.
    path: PathBuf,
    /// Where it was until it had its name.
    part: PathBuf,
}

/// The manifest as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<T> {
    /// The last file, which was sealed alone.
    One(T),
    /// The last files, which were sealed together, in the order of their numbers.
    Several(Vec<T>),
}

/// What the next statement says of its place.
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) previous: Digest,
}

impl Next {
    /// After the last file of `config`'s device; what it sealed as another tenant's is another order.
    pub(super) fn after(files: &Files, config: &Config) -> Result<Self, Error> {
        let noted = read(files)?;
        let Some(last) = noted.last() else { return Ok(Self::FIRST) };
        let signed = last.parsed(files)?;
        if signed.statement().device != config.device {
            return Ok(Self::FIRST);
        }
        Self::behind(signed.statement())
    }

    /// After the file of `statement`.
    pub(super) fn behind(statement: &Statement) -> Result<Self, Error> {
        let number = statement.number.checked_add(1).ok_or(Error::Fault("counting files"))?;
        Ok(Self { number, previous: statement.digest() })
    }

    const FIRST: Self = Self { number: 1, previous: FIRST };
}

impl Noted {
    /// That `signed` has its number, whose file is complete and synced in `part`, and belongs to `path`.
    pub(super) fn of(signed: &SignedStatement, path: &Path, part: &Path) -> Self {
        Self { signed: signed.text(), path: path.to_owned(), part: part.to_owned() }
    }

    /// Gives statement and file their names. It is safe to do so again, wherever it was cut short.
    pub(super) fn place(&self) -> Result<(), Error> {
        let statement = signed_path(&self.path);
        wardein_durable::replace(&statement, self.signed.as_bytes(), 0o644)
            .map_err(Error::file("write", &statement))?;
        wardein_durable::give_name(&self.part, &self.path).map_err(Error::file("write", &self.path))
    }

    /// Brings it to its end, where a power cut kept it from its name.
    fn recover(&self) -> Result<(), Error> {
        let Ok(part) = self.part.symlink_metadata() else { return Ok(()) };
        match self.path.symlink_metadata() {
            Err(_) => {
                self.place()?;
                tracing::warn!(path = %self.path.display(), "a file that a power cut left under its temporary name has its own now");
            }
            // It had its name already, and the temporary one was still there.
            Ok(named) if (named.dev(), named.ino()) == (part.dev(), part.ino()) => {
                std::fs::remove_file(&self.part).map_err(Error::file("remove", &self.part))?;
            }
            Ok(_) => {
                let (part, path) = (self.part.display(), self.path.display());
                tracing::warn!(%part, %path, "a sealed file has no name: another one took it; move it where it belongs");
            }
        }
        Ok(())
    }

    fn parsed(&self, files: &Files) -> Result<SignedStatement, Error> {
        SignedStatement::parse(self.signed.as_bytes()).map_err(|error| files.manifest_damaged(error))
    }
}

/// Notes that `noted` are the last files, in the order of their numbers: from here on they are sealed.
pub(super) fn save(directory: &Directory, noted: &[Noted]) -> Result<(), Error> {
    let written = match noted {
        [alone] => Written::One(alone),
        several => Written::Several(several.iter().collect()),
    };
    let text = serde_json::to_vec(&written).map_err(|_| Error::Fault("writing JSON"))?;
    directory.save_manifest(&text)
}

/// Brings the last files to their end, where a power cut kept them from their names.
pub(super) fn recover(directory: &Directory) -> Result<(), Error> {
    read(directory.files())?.iter().try_for_each(Noted::recover)
}

/// The files that were sealed last; none where none ever was.
fn read(files: &Files) -> Result<Vec<Noted>, Error> {
    let Some(bytes) = files.manifest(MAX_MANIFEST)? else { return Ok(Vec::new()) };
    match serde_json::from_slice(bytes.expose()) {
        Ok(Written::One(alone)) => Ok(vec![alone]),
        Ok(Written::Several(several)) if !several.is_empty() => Ok(several),
        Ok(Written::Several(_)) => Err(files.manifest_damaged("it names no file")),
        Err(error) => Err(files.manifest_damaged(error)),
    }
}

/// The most files that are sealed together: the manifest has all their statements.
pub(super) const MAX_TOGETHER: usize = 8;

/// A statement as JSON has its line feeds escaped, and two paths.
const MAX_MANIFEST: usize = MAX_TOGETHER * (2 * MAX_SIGNED + 16 * 1024);

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
        let last = [Noted::of(&signed, &path, &part)];
        let names = |count: usize| {
            assert_eq!(read(&path).unwrap(), b"sealed");
            assert_eq!(read(signed_path(&path)).unwrap(), signed.text().as_bytes());
            assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), count, "nothing else is left");
        };
        // Behind the note; behind the statement; between the two names of the file; behind the end.
        for step in 0..4 {
            write(&part, b"sealed").unwrap();
            save(&directory, &last).unwrap();
            match step {
                0 => {}
                1 => write(signed_path(&path), signed.text()).unwrap(),
                2 => {
                    write(signed_path(&path), signed.text()).unwrap();
                    std::fs::hard_link(&part, &path).unwrap();
                }
                _ => last[0].place().unwrap(),
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
        save(&directory, &[Noted::of(&signed, Path::new("/a"), Path::new("/a.part"))]).unwrap();
        assert_eq!((next().number, next().previous), (8, signed.statement().digest()));
        // Of another tenant's name it is another order.
        let mut other = config();
        other.device.tenant = "u".parse().unwrap();
        assert_eq!(Next::after(directory.files(), &other).unwrap().number, 1);
        for damaged in ["", "{}", "[]", "[{}]", "{\"signed\":\"\",\"path\":\"/a\",\"part\":\"/a.part\"}"] {
            directory.save_manifest(damaged.as_bytes()).unwrap();
            assert!(
                matches!(Next::after(directory.files(), &config()), Err(Error::Damaged { .. })),
                "{damaged}"
            );
        }
    }

    #[test]
    fn a_power_cut_between_files_that_were_sealed_together_leaves_all_of_them() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::create(&parent.path().join("device")).unwrap();
        let paths = ["a.age", "b.age", "c.age"].map(|name| parent.path().join(name));
        for placed in 0..=paths.len() {
            let mut previous = FIRST;
            let noted: Vec<Noted> = (1..)
                .zip(&paths)
                .map(|(number, path)| {
                    let part = path.with_extension("age.part");
                    write(&part, b"sealed").unwrap();
                    let signed = signed(number, previous);
                    previous = signed.statement().digest();
                    Noted::of(&signed, path, &part)
                })
                .collect();
            save(&directory, &noted).unwrap();
            noted.iter().take(placed).for_each(|noted| noted.place().unwrap());
            recover(&directory).unwrap();
            for path in &paths {
                assert_eq!(read(path).unwrap(), b"sealed", "{placed}");
                assert!(!path.with_extension("age.part").exists());
                std::fs::remove_file(path).unwrap();
                std::fs::remove_file(signed_path(path)).unwrap();
            }
            let next = Next::after(directory.files(), &config()).unwrap();
            assert_eq!((next.number, next.previous), (4, previous));
        }
    }
}
