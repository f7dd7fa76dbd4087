//! Batches as files that the device seals, numbers and signs.

use crate::authority::Authority;
use crate::error::Error;
use crate::file::{FileOrder, Plaintext};
use crate::session::Session;
use std::collections::BTreeMap;
use std::io::{self, Read};
use wardein_crypto::Entropy;
use wardein_files::{FileError, Reader};
use wardein_logs::agent::{Sealer, Sealing};
use wardein_logs::config::Readers;
use wardein_logs::{AudienceName, LogsConfig};

/// Seals by a session of its own each time: in between, `wardein-device run` works in the directory, and may bring other keys, roots or
/// readers.
pub(super) struct BatchSealer<S> {
    open: S,
    readers: BTreeMap<AudienceName, Vec<Reader>>,
}

impl<S> BatchSealer<S> {
    pub(super) fn new(open: S, config: &LogsConfig) -> Result<Self, Error> {
        let parse = |key: &String| {
            key.parse().map_err(|why: FileError| Error::LogSetting {
                field: "readers",
                why: format!("{key}: {why}"),
            })
        };
        let mut readers = BTreeMap::new();
        for (name, audience) in &config.audiences {
            let keys = match &audience.readers {
                // Where the tenant made a list of readers, it says for whom (DDKG-1 section 8.5).
                Readers::OfTheTenant | Readers::Authority => Vec::new(),
                Readers::Keys(keys) => keys.iter().map(parse).collect::<Result<_, _>>()?,
            };
            readers.insert(name.clone(), keys);
        }
        Ok(Self { open, readers })
    }
}

impl<S, A, E> Sealer for BatchSealer<S>
where
    S: AsyncFnMut() -> Result<Session<A, E>, Error>,
    A: Authority,
    E: Entropy,
{
    type Error = Error;

    async fn seal(&mut self, batches: &[Sealing<'_>]) -> Result<(), Error> {
        // One is compressed and sealed after the other, so that no two of them are in memory twice.
        let makers: Vec<_> = batches.iter().map(|batch| move || make(batch)).collect();
        let orders: Vec<_> = batches
            .iter()
            .zip(&makers)
            .map(|(batch, make)| FileOrder {
                input: Plaintext::Made(make),
                out: &batch.path,
                readers: self.readers.get(&batch.audience).map(Vec::as_slice).unwrap_or_default(),
            })
            .collect();
        (self.open)().await?.seal_files(&orders, &mut |_| {}).map(|_| ())
    }

    async fn recover(&mut self) -> Result<(), Error> {
        (self.open)().await?.recover_files()
    }
}

/// What is in a batch, made while it is read.
fn make<'a>(batch: &Sealing<'a>) -> io::Result<Box<dyn Read + 'a>> {
    let plaintext = batch.plaintext().map_err(io::Error::other)?;
    Ok(Box::new(plaintext))
}
