//! Sealing a file: the key's number is durable before it wraps anything, the sealed file is before its number is, and its number before
//! its name.

use super::manifest::{self, MAX_TOGETHER, Next, Noted};
use crate::authority::Authority;
use crate::certificate;
use crate::config::Config;
use crate::directory::{Directory, Files, StoredKey};
use crate::error::Error;
use crate::session::Session;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use wardein_crypto::{Entropy, P256SigningKey, Secret};
use wardein_ddkg::KeyName;
use wardein_ddkg::device::{Clock, DeviceState};
use wardein_files::{
    self as files, FileError, Opening, Reader, ReaderList, SealFor, Sealed, SealedFile, SignedStatement,
    Statement, Target, signed_path,
};

/// A file to be sealed.
#[derive(Clone, Copy)]
pub struct FileOrder<'a> {
    /// What is in it.
    pub input: Plaintext<'a>,
    /// The sealed file, which is not there yet. Its statement goes beside it, with `.sig` behind its name.
    pub out: &'a Path,
    /// For whom it is sealed end to end, at most 62: the authority does not open it then. Where the device has a list of the tenant's readers,
    /// those of it alone. Where it is empty, the list says for whom; without one, the authority opens it, and has its key released to
    /// platforms.
    pub readers: &'a [Reader],
}

/// What is sealed.
#[derive(Clone, Copy)]
pub enum Plaintext<'a> {
    /// A file of any size.
    File(&'a Path),
    /// Bytes in memory, which are written nowhere in the clear.
    Bytes(&'a [u8]),
    /// What this makes when it is sealed, likewise.
    Made(&'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>),
}

/// A file that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSealed {
    /// What the device has signed of it.
    pub statement: Statement,
    /// The bytes of plaintext.
    pub plaintext: u64,
    /// Where the signed statement is.
    pub signed: PathBuf,
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// Seals a file of any size, numbers it and signs what it is. It asks nobody. `progress` is told how many bytes were read.
    ///
    /// A power cut leaves the sealed file whole under its name, or not at all; where its number was spent already, the next call gives it its
    /// name. Never is a number used twice.
    pub fn seal_file(
        &mut self,
        order: &FileOrder<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<FileSealed, Error> {
        let mut sealed = self.seal_files(std::slice::from_ref(order), progress)?;
        sealed.pop().ok_or(Error::Fault("sealing a file"))
    }

    /// The same for at most 8 files, with numbers in a row: a power cut or an error leaves all of them, or none. `progress` is told how many
    /// bytes of the file at hand were read.
    pub fn seal_files(
        &mut self,
        orders: &[FileOrder<'_>],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<FileSealed>, Error> {
        if orders.is_empty() || orders.len() > MAX_TOGETHER {
            return Err(Error::Fault("sealing files together, which are 1 to 8,"));
        }
        let (directory, config, state, clock, _) = self.keys();
        manifest::recover(directory)?;
        let Certified { key, certificates, not_after } = Certified::of(directory.files(), config)?;
        let heard_at = state.known_time();
        let list = directory.files().readers(config)?;
        let at = sealing_time(heard_at, clock, not_after);
        let mut sealing = Sealing { directory, config, state, clock, begun: Parts(Vec::new()) };
        for order in orders {
            let readers = readers_of(list.as_ref(), order.readers, at)?;
            sealing.seal(order, &readers, progress)?;
        }
        let mut begun = sealing.begun;
        let mut next = Next::after(directory.files(), config)?;
        let (mut done, mut noted) = (Vec::new(), Vec::new());
        for Part { out, part, sealed, key: wrapped } in &begun.0 {
            let statement = Statement {
                device: config.device.clone(),
                number: next.number,
                previous: next.previous,
                sha256: sealed.sha256,
                length: sealed.length,
                key: wrapped.clone(),
                sealed_at: sealing_time(heard_at, clock, not_after),
                heard_at,
            };
            if statement.sealed_at > not_after {
                tracing::warn!(
                    "the certificate has ended: who verifies the file will not take its statement; get another, then seal"
                );
            }
            next = Next::behind(&statement)?;
            let signed = SignedStatement::sign(statement.clone(), &key, certificates.clone())
                .map_err(|_| Error::Fault("signing with the device's key"))?;
            noted.push(Noted::of(&signed, out, part));
            done.push(FileSealed { statement, plaintext: sealed.plaintext, signed: signed_path(out) });
        }
        // Whatever comes of it: what is noted has its name to come.
        begun.0.clear();
        manifest::save(directory, &noted)?;
        noted.iter().try_for_each(Noted::place)?;
        Ok(done)
    }

    /// Brings the files that were sealed last to their ends, where a power cut or an error kept them from their names. Each sealing does so
    /// first.
    pub fn recover_files(&mut self) -> Result<(), Error> {
        let (directory, ..) = self.keys();
        manifest::recover(directory)
    }

    /// Opens a file that this device sealed, as long as its epoch's secret is not erased, into a new file; gives the bytes of plaintext.
    pub fn open_file(
        &mut self,
        input: &Path,
        out: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let (_, _, state, _, _) = self.keys();
        let of = |why| Error::sealed(input, why);
        let file = File::open(input).map_err(Error::file("read", input))?;
        let sealed = SealedFile::read(BufReader::new(file)).map_err(of)?;
        let file_key = state.unwrap_file_key(&sealed.stanza().map_err(of)?)?;
        let target = Target::begin(out, 0o600).map_err(|why| Error::sealed(out, why))?;
        target.fill(sealed, &Opening::FileKey(&file_key), progress).map_err(of)
    }
}

/// Files that are being sealed together, none of which has its number yet.
struct Sealing<'a> {
    directory: &'a Directory,
    config: &'a Config,
    state: &'a mut DeviceState,
    clock: Clock,
    begun: Parts,
}

/// A file that is complete and synced under its temporary name.
struct Part {
    out: PathBuf,
    part: PathBuf,
    sealed: Sealed,
    /// The key by which the authority opens it.
    key: Option<KeyName>,
}

/// They are of no use without numbers, and go with this. Where one cannot be removed, the next one that is begun in its place does so.
struct Parts(Vec<Part>);

impl Drop for Parts {
    fn drop(&mut self) {
        for part in &self.0 {
            drop(std::fs::remove_file(&part.part));
        }
    }
}

impl Sealing<'_> {
    fn seal(
        &mut self,
        order: &FileOrder<'_>,
        readers: &[Reader],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let out = std::path::absolute(order.out).map_err(Error::file("write", order.out))?;
        let there = || io::Error::new(io::ErrorKind::AlreadyExists, "it is there already");
        if self.begun.0.iter().any(|begun| begun.out == out) {
            return Err(Error::file("write", &out)(there()));
        }
        // Judged before a number is taken.
        for taken in [out.as_path(), &signed_path(&out)] {
            if taken.symlink_metadata().is_ok() {
                return Err(Error::file("write", taken)(there()));
            }
        }
        let (mut input, name): (Box<dyn Read + '_>, &Path) = match order.input {
            Plaintext::File(path) => (Box::new(File::open(path).map_err(Error::file("read", path))?), path),
            Plaintext::Bytes(bytes) => (Box::new(bytes), order.out),
            Plaintext::Made(make) => (make().map_err(Error::file("make", order.out))?, order.out),
        };
        let (mut file, part) = wardein_durable::begin(&out, 0o644).map_err(Error::file("write", &out))?;
        let (directory, config, state, clock) = (self.directory, self.config, &mut *self.state, self.clock);
        let mut key = None;
        let mut wrap = |file_key: &Secret<16>| {
            let stanza =
                directory.save(config, state.wrap_file_key(clock, file_key).map_err(Error::from)?)?;
            key = Some(stanza.name().clone());
            Ok::<_, Failed>(stanza)
        };
        let by = match readers {
            [] => files::Authority::Opens(&mut wrap),
            _ => files::Authority::Excluded,
        };
        // Its name, too, is durable before a number rests on it.
        let sealed = files::seal(&mut input, &mut file, readers, by, progress).and_then(|sealed| {
            let synced = file
                .sync_all()
                .and_then(|()| wardein_durable::sync_directory(wardein_durable::directory_of(&part)));
            synced.map(|()| sealed).map_err(|error| FileError::Io(error).into())
        });
        match sealed {
            Ok(sealed) => {
                self.begun.0.push(Part { out, part, sealed, key });
                Ok(())
            }
            Err(failed) => {
                // It is of no use; where it cannot be removed, the next one that is begun here does so.
                drop(std::fs::remove_file(&part));
                Err(failed.of(name, &out))
            }
        }
    }
}

/// Why sealing failed: by the device's state, or by the file.
enum Failed {
    Device(Error),
    File(FileError),
}

impl Failed {
    fn of(self, input: &Path, out: &Path) -> Error {
        match self {
            Self::Device(error) => error,
            Self::File(FileError::Io(error)) => Error::file("write", out)(error),
            Self::File(why) => Error::sealed(input, why),
        }
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Device(error)
    }
}

/// The key that signs statements, and what certifies it.
struct Certified {
    key: Box<P256SigningKey>,
    certificates: String,
    not_after: u64,
}

impl Certified {
    fn of(files: &Files, config: &Config) -> Result<Self, Error> {
        let key = match files.key(config)? {
            Some(StoredKey::Own(key)) => key,
            Some(StoredKey::Made(_)) => {
                return Err(Error::NoSigner("the key that the authority made is for other programs"));
            }
            None => return Err(Error::NoSigner("it has no certificate; run: wardein-device certificate")),
        };
        let public = (*key.verifying_key()).into();
        let certificate = certificate::stored(files, config, &public)?;
        match certificate.zip(files.certificate()?) {
            Some((certificate, certificates)) => {
                Ok(Self { key, certificates, not_after: certificate.not_after })
            }
            None => Err(Error::NoSigner("it has no certificate; run: wardein-device certificate")),
        }
    }
}

/// For whom a file is sealed at Unix second `at`; nobody where the authority opens it. A list that the tenant has made is the whole of it: what
/// the caller names may choose from it, and adds nobody.
fn readers_of(list: Option<&ReaderList>, named: &[Reader], at: u64) -> Result<Vec<Reader>, Error> {
    let Some(list) = list.filter(|list| list.number > 0) else { return Ok(named.to_vec()) };
    let current = || list.readers.iter().filter(|reader| reader.is_current(at)).map(|reader| &reader.key);
    if let Some(other) = named.iter().find(|reader| !current().any(|key| key == *reader)) {
        let why = format!("{other} is not one of the tenant's readers now (wardein-device file readers)");
        return Err(Error::Config { field: "--reader", why });
    }
    match list.seal_for {
        _ if !named.is_empty() => Ok(named.to_vec()),
        SealFor::Authority => Ok(Vec::new()),
        SealFor::Readers if current().next().is_none() => Err(Error::NoReaders),
        SealFor::Readers => Ok(current().cloned().collect()),
    }
}

/// The wall clock where it lies between what the authority said last and the end of the certificate; otherwise what is known since then.
/// So neither a clock that is years ahead nor one that stands still makes a statement that nobody takes.
fn sealing_time(heard_at: u64, clock: Clock, not_after: u64) -> u64 {
    let known = heard_at.saturating_add(clock.elapsed);
    clock.wall.filter(|wall| (known..=not_after).contains(wall)).unwrap_or(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_files::ListedReader;

    const HOSPITAL: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    const MAKER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

    /// What the caller names opens nothing that the tenant's list does not.
    #[test]
    fn files_are_for_the_readers_of_the_list() {
        let [hospital, maker]: [Reader; 2] = [HOSPITAL, MAKER].map(|key| key.parse().unwrap());
        let listed = ListedReader {
            name: "hospital".parse().unwrap(),
            key: hospital.clone(),
            from: 100,
            until: Some(200),
        };
        let list = |number, seal_for| ReaderList {
            tenant: "klinik".parse().unwrap(),
            profile: "pumps".parse().unwrap(),
            number,
            seal_for,
            readers: vec![listed.clone()],
        };
        let (alone, authority) = (list(7, SealFor::Readers), list(7, SealFor::Authority));
        assert_eq!(readers_of(Some(&alone), &[], 150).unwrap(), std::slice::from_ref(&hospital));
        assert_eq!(readers_of(Some(&authority), &[], 150).unwrap(), []);
        for list in [&alone, &authority] {
            assert_eq!(
                readers_of(Some(list), std::slice::from_ref(&hospital), 150).unwrap(),
                std::slice::from_ref(&hospital)
            );
            for (named, at) in [(&maker, 150), (&hospital, 99), (&hospital, 200)] {
                let refused = readers_of(Some(list), std::slice::from_ref(named), at);
                assert!(matches!(refused, Err(Error::Config { field: "--reader", .. })), "{named:?} at {at}");
            }
        }
        assert!(matches!(readers_of(Some(&alone), &[], 99), Err(Error::NoReaders)));
        // Where the tenant never made a list, the caller says for whom.
        for none in [None, Some(&list(0, SealFor::Authority))] {
            assert_eq!(
                readers_of(none, std::slice::from_ref(&maker), 150).unwrap(),
                std::slice::from_ref(&maker)
            );
            assert_eq!(readers_of(none, &[], 150).unwrap(), []);
        }
    }

    #[test]
    fn a_wrong_wall_clock_does_not_date_a_file() {
        let at = |elapsed, wall| sealing_time(1_000, Clock { elapsed, wall }, 2_000);
        assert_eq!(at(50, None), 1_050);
        assert_eq!(at(0, Some(1_500)), 1_500);
        assert_eq!(at(50, Some(0)), 1_050);
        assert_eq!(at(50, Some(2_001)), 1_050);
        assert_eq!(at(5_000, Some(7_000)), 6_000, "the certificate has ended, and the statement says so");
    }
}
