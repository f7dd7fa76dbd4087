//! Files that have come and are not placed yet: at most one batch for each device and audience, and so many bytes in all.
//!
//! They are whole under their names, or not there. What a crash leaves is taken when the other part comes again.

use crate::name::{BatchName, Part};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wardein_crypto::{Entropy, SystemEntropy, hex};
use wardein_domain::DeviceId;

/// The directory of them.
pub(crate) struct Incoming {
    directory: PathBuf,
    most: u64,
    used: Mutex<u64>,
    /// When abandoned files were looked for last.
    swept: Mutex<Option<Instant>>,
}

/// A file on its way, removed again unless it is put in its place.
pub(crate) struct Arriving {
    pub(crate) path: PathBuf,
    _reserved: Reserved,
}

/// Bytes that something on its way may take; they are free again when this is dropped.
pub(crate) struct Reserved {
    incoming: Arc<Incoming>,
    bytes: u64,
}

impl Incoming {
    /// Opens the directory, which is made where it is not there, for at most so many bytes.
    pub(crate) fn open(directory: PathBuf, most: u64) -> io::Result<Arc<Self>> {
        make_directory(&directory, 0o700)?;
        let incoming = Self { directory, most, used: Mutex::new(0), swept: Mutex::default() };
        let mut used = 0;
        for device in subdirectories(&incoming.directory)? {
            for file in fs::read_dir(&device)? {
                let file = file?;
                // It was on its way when the process ended.
                if file.file_name().as_encoded_bytes().ends_with(PART.as_bytes()) {
                    fs::remove_file(file.path())?;
                } else {
                    used += file.metadata()?.len();
                }
            }
        }
        *incoming.used() = used;
        Ok(Arc::new(incoming))
    }

    /// Room for so many bytes; none while there is none, also where batches are removed that have waited for too long.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> io::Result<Option<Reserved>> {
        let take = || {
            let mut used = self.used();
            let is_free = used.checked_add(bytes).is_some_and(|sum| sum <= self.most);
            is_free.then(|| {
                *used += bytes;
                Reserved { incoming: self.clone(), bytes }
            })
        };
        if let Some(reserved) = take() {
            return Ok(Some(reserved));
        }
        if self.is_time_to_sweep() {
            self.remove_abandoned(ABANDONED)?;
        }
        Ok(take())
    }

    /// Where a part is written that is on its way. The caller sees to it that no other one of the device's is.
    pub(crate) fn begin(
        &self,
        device: &DeviceId,
        (name, part): (&BatchName, Part),
        reserved: Reserved,
    ) -> io::Result<Arriving> {
        let directory = self.of(device);
        make_directory(&directory, 0o700)?;
        let path = directory.join(format!("{}{PART}", name.file(part)));
        remove(&path)?;
        Ok(Arriving { path, _reserved: reserved })
    }

    /// Gives a part that is complete and synced its name. What there was of other batches for that audience gives way to it.
    pub(crate) fn put(
        &self,
        device: &DeviceId,
        (name, part): (&BatchName, Part),
        arrived: Arriving,
    ) -> io::Result<()> {
        for file in self.files(device)? {
            let other = BatchName::of_file(&file).map(|(other, _)| other).or_else(|| asked(&file));
            if other.is_some_and(|other| other.audience == name.audience && other != *name) {
                self.remove(device, &file)?;
            }
        }
        let path = self.path(device, name, part);
        self.remove(device, &name.file(part))?;
        fs::rename(&arrived.path, &path)?;
        // The drop frees all that was reserved.
        *self.used() += path.metadata()?.len();
        wardein_durable::sync_directory(&self.of(device))
    }

    /// Whether a part is there.
    pub(crate) fn has(&self, device: &DeviceId, name: &BatchName, part: Part) -> bool {
        self.path(device, name, part).is_file()
    }

    /// Where a part is.
    pub(crate) fn path(&self, device: &DeviceId, name: &BatchName, part: Part) -> PathBuf {
        self.of(device).join(name.file(part))
    }

    /// The random number under which the key of this batch's file is asked for: the same after a crash, so that the authority
    /// repeats an answer that was lost. `sha256` is the file's digest in hex.
    pub(crate) fn ask(&self, device: &DeviceId, name: &BatchName, sha256: &str) -> io::Result<[u8; 32]> {
        let path = self.of(device).join(format!("{name}{ASK}"));
        let kept = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let kept = kept.as_deref().and_then(|text| text.split_once(' '));
        if let Some(number) =
            kept.filter(|(of, _)| *of == sha256).and_then(|(_, number)| hex::decode_array(number))
        {
            return Ok(number);
        }
        let number: [u8; 32] = SystemEntropy::default()
            .array()
            .map_err(|_| io::Error::other("the system gives no random bytes"))?;
        self.remove_file(&path)?;
        wardein_durable::replace(&path, format!("{sha256} {}", hex::encode(&number)).as_bytes(), 0o600)?;
        let length = path.metadata()?.len();
        *self.used() += length;
        Ok(number)
    }

    /// The batches whose key was asked for, and that are not placed yet.
    pub(crate) fn begun(&self) -> io::Result<Vec<(DeviceId, BatchName)>> {
        let mut begun = Vec::new();
        for directory in subdirectories(&self.directory)? {
            let device = directory.file_name().and_then(|name| name.to_str()?.parse::<DeviceId>().ok());
            let Some(device) = device else { continue };
            let files = self.files(&device)?;
            begun.extend(files.iter().filter_map(|file| Some((device.clone(), asked(file)?))));
        }
        Ok(begun)
    }

    /// Removes all there is of a batch.
    pub(crate) fn clear(&self, device: &DeviceId, name: &BatchName) -> io::Result<()> {
        for file in [name.file(Part::Sealed), name.file(Part::Statement), format!("{name}{ASK}")] {
            self.remove(device, &file)?;
        }
        // Where another audience's batch waits there, it stays.
        drop(fs::remove_dir(self.of(device)));
        Ok(())
    }

    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept.is_none_or(|swept| swept.elapsed() > SWEPT_APART);
        if is_time {
            *swept = Some(Instant::now());
        }
        is_time
    }

    fn remove_abandoned(&self, after: Duration) -> io::Result<()> {
        for directory in subdirectories(&self.directory)? {
            for file in fs::read_dir(&directory)? {
                let path = file?.path();
                // By the clock of the files themselves; one that is in the future is as new as can be.
                let age = path
                    .metadata()
                    .and_then(|facts| facts.modified())
                    .map(|at| at.elapsed().unwrap_or_default());
                if age.is_ok_and(|age| age > after) {
                    self.remove_file(&path)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&self, device: &DeviceId, file: &str) -> io::Result<()> {
        self.remove_file(&self.of(device).join(file))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let length = path.symlink_metadata().map(|facts| facts.len()).unwrap_or(0);
        if remove(path)? && !path.as_os_str().as_encoded_bytes().ends_with(PART.as_bytes()) {
            let mut used = self.used();
            *used = used.saturating_sub(length);
        }
        Ok(())
    }

    fn files(&self, device: &DeviceId) -> io::Result<Vec<String>> {
        let names = fs::read_dir(self.of(device))?
            .map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn of(&self, device: &DeviceId) -> PathBuf {
        self.directory.join(device.as_str())
    }

    fn used(&self) -> std::sync::MutexGuard<'_, u64> {
        // A number is never half written.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Where it has its name, nothing is under this one. Where it cannot be removed, the next one does so.
        drop(fs::remove_file(&self.path));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut used = self.incoming.used();
        *used = used.saturating_sub(self.bytes);
    }
}

/// Whether a file was there.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The batch whose key was asked for under that file's name.
fn asked(file: &str) -> Option<BatchName> {
    BatchName::parse(file.strip_suffix(ASK)?)
}

pub(crate) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

pub(crate) fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What a file has behind its name while it is on its way.
const PART: &str = ".part";
const ASK: &str = ".ask";

/// How long a part waits for the other one, while others need its room.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// How often abandoned files are looked for at most.
const SWEPT_APART: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        "pump-1".parse().unwrap()
    }

    fn name(text: &str) -> BatchName {
        BatchName::parse(text).unwrap()
    }

    fn put(incoming: &Arc<Incoming>, batch: &str, part: Part, bytes: &[u8]) {
        let name = name(batch);
        let reserved = incoming.reserve(100).unwrap().unwrap();
        let arriving = incoming.begin(&device(), (&name, part), reserved).unwrap();
        fs::write(&arriving.path, bytes).unwrap();
        incoming.put(&device(), (&name, part), arriving).unwrap();
    }

    #[test]
    fn a_device_has_one_batch_of_an_audience_waiting_and_every_byte_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("incoming");
        let incoming = Incoming::open(path.clone(), 250).unwrap();
        put(&incoming, "maker-000000000001", Part::Sealed, &[1; 50]);
        put(&incoming, "maker-000000000001", Part::Sealed, &[1; 60]);
        put(&incoming, "ward-000000000001", Part::Statement, &[2; 40]);
        assert_eq!(*incoming.used(), 100);
        put(&incoming, "maker-000000000002", Part::Statement, &[3; 10]);
        assert!(!incoming.has(&device(), &name("maker-000000000001"), Part::Sealed));
        assert!(incoming.has(&device(), &name("ward-000000000001"), Part::Statement));
        assert_eq!(*incoming.used(), 50);

        let held = incoming.reserve(200).unwrap().unwrap();
        assert!(incoming.reserve(1).unwrap().is_none(), "all of it is taken");
        let batch = name("maker-000000000003");
        let arriving = incoming.begin(&device(), (&batch, Part::Sealed), held).unwrap();
        fs::write(&arriving.path, [4; 90]).unwrap();
        drop(arriving);
        assert_eq!(fs::read_dir(path.join("pump-1")).unwrap().count(), 2, "what broke off is gone");
        assert!(incoming.reserve(u64::MAX).unwrap().is_none());
        fs::write(path.join("pump-1/maker-000000000009.age.part"), [0; 70]).unwrap();
        let again = Incoming::open(path, 250).unwrap();
        assert_eq!(*again.used(), 50, "what was on its way is gone");
        again.clear(&device(), &name("maker-000000000002")).unwrap();
        again.clear(&device(), &name("ward-000000000001")).unwrap();
        assert_eq!(*again.used(), 0);
    }

    #[test]
    fn what_was_abandoned_gives_way_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let incoming = Incoming::open(directory.path().join("incoming"), 120).unwrap();
        put(&incoming, "maker-000000000001", Part::Sealed, &[1; 50]);
        assert!(incoming.reserve(100).unwrap().is_none(), "it has not waited for long");
        incoming.remove_abandoned(Duration::ZERO).unwrap();
        assert!(incoming.reserve(100).unwrap().is_some());
    }

    #[test]
    fn a_key_is_asked_for_under_one_number_until_the_file_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("incoming");
        let incoming = Incoming::open(path.clone(), 1000).unwrap();
        let batch = name("maker-000000000001");
        put(&incoming, "maker-000000000001", Part::Sealed, b"sealed");
        let first = incoming.ask(&device(), &batch, "aa").unwrap();
        let again = Incoming::open(path, 1000).unwrap();
        assert_eq!(again.ask(&device(), &batch, "aa").unwrap(), first);
        assert_eq!(again.begun().unwrap(), [(device(), batch.clone())]);
        assert_ne!(again.ask(&device(), &batch, "bb").unwrap(), first);
        again.clear(&device(), &batch).unwrap();
        assert!(again.begun().unwrap().is_empty());
    }
}
