//! The receiver: takes the two files of a batch, its statement first, and places the batch once both are there.
//!
//! The statement first: a sealed batch without it is not waited for, so that a device that delivers both and hears that the last
//! one was taken knows that the batch is placed.

use crate::MAX_SEALED;
use crate::authority::{Authority, Standing};
use crate::incoming::{Arriving, Incoming};
use crate::name::{BatchName, Part};
use crate::refusal::{Code, Refused};
use crate::segment::{Last, Segments};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use serde::Serialize;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout, timeout_at};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, TenantId};
use wardein_files::{MAX_SIGNED, ReaderKey};
use wardein_logs::AudienceName;
use wardein_pki::{CertificateError, verify_device_chain};

/// What a receiver is told.
pub struct Settings {
    /// Where it keeps what it receives; made where it is not there. One receiver at a time has it.
    pub directory: PathBuf,
    /// Whose devices deliver.
    pub tenant: TenantId,
    /// For whom the batches are that it takes.
    pub audiences: Vec<AudienceName>,
    /// The roots that devices' certificates lead to, DER.
    pub roots: Vec<Vec<u8>>,
    /// The key that opens batches which are sealed for readers; without one they are refused.
    pub reader_key: Option<ReaderKey>,
    /// What it may take.
    pub limits: Limits,
}

/// What a receiver may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The bytes of all files together that are on their way or not placed yet; at least twice [`MAX_SEALED`].
    pub incoming_bytes: u64,
    /// The time that one file may take.
    pub body_time: Duration,
    /// The time in which a byte of it comes at least.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (body_time, silence) = (Duration::from_secs(900), Duration::from_secs(30));
        Self { incoming_bytes: 2 << 30, body_time, silence }
    }
}

/// A device that has shown its certificate.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(crate) device: DeviceName,
    certificate: Vec<u8>,
}

impl Sender {
    /// The device whose certificates (DER, the device's first) lead to one of `roots`. That the peer has the certificate's key, and
    /// that the certificate is valid now, the handshake has shown.
    pub fn of(chain: &[&[u8]], roots: &[&[u8]]) -> Result<Self, CertificateError> {
        let (identity, _) = verify_device_chain(chain, roots)?;
        let device = DeviceName { tenant: identity.tenant, device: identity.device };
        let certificate = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
        Ok(Self { device, certificate })
    }

    /// The device.
    pub fn device(&self) -> &DeviceName {
        &self.device
    }
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The statement is here, durably, and its batch may come.
    Announced,
    /// The batch is taken: it is placed, durably, now or earlier.
    Taken(Receipt),
}

/// What the device hears of a batch that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The number of its statement.
    pub number: u64,
    /// The SHA-256 of the sealed file, in hex.
    pub sha256: String,
    /// The number of the batch.
    pub batch: u64,
    /// Whether it had been taken before.
    #[serde(skip)]
    pub is_repeated: bool,
}

/// Why a receiver cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process receives into this directory.
    #[error("another process receives into {}; one at a time does", .0.display())]
    Locked(PathBuf),
    /// The directory cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The receiver. Clones share it.
pub struct Receiver<A>(pub(crate) Arc<Inner<A>>);

pub(crate) struct Inner<A> {
    pub(crate) tenant: TenantId,
    audiences: Vec<AudienceName>,
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) reader_key: Option<ReaderKey>,
    limits: Limits,
    pub(crate) authority: A,
    pub(crate) incoming: Arc<Incoming>,
    pub(crate) segments: Segments,
    devices: Mutex<HashMap<DeviceId, Arc<Known>>>,
    /// Held while this is open.
    _lock: File,
}

/// What is known of a device, loaded when it first delivers. Who holds it is the one delivery of the device that is under way.
type Known = tokio::sync::Mutex<Option<Last>>;

impl<A> Clone for Receiver<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Authority> Receiver<A> {
    /// Opens its directory.
    pub fn open(settings: Settings, authority: A) -> Result<Self, OpenError> {
        let Settings { directory, tenant, audiences, roots, reader_key, limits } = settings;
        let failed = |source| OpenError::Directory { path: directory.clone(), source };
        let segments = Segments::open(directory.join("records")).map_err(failed)?;
        let lock = File::create(directory.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(directory)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let incoming = Incoming::open(directory.join("incoming"), limits.incoming_bytes).map_err(failed)?;
        let devices = Mutex::default();
        let inner = Inner {
            tenant,
            audiences,
            roots,
            reader_key,
            limits,
            authority,
            incoming,
            segments,
            devices,
            _lock: lock,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Goes on with the batches whose keys were asked for when the process ended: the authority repeats its answer for some minutes
    /// only.
    pub async fn resume(&self) -> io::Result<()> {
        for (device, name) in self.0.incoming.begun()? {
            let known = self.0.hold(&device).await;
            let Ok(known) = known else { continue };
            match self.finish(device.clone(), name.clone(), known).await {
                Ok(receipt) => {
                    tracing::info!(%device, %name, number = receipt.number, "taken after a restart")
                }
                Err(refused) => {
                    tracing::warn!(%device, %name, code = refused.code.as_str(), "not taken after a restart")
                }
            }
        }
        Ok(())
    }

    /// Takes a file of a batch from the device that delivers it. Whatever it answers is so after a crash, too.
    pub async fn put<B>(&self, from: &Sender, name: &BatchName, part: Part, body: B) -> Result<Put, Refused>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let inner = &self.0;
        let device = &from.device.device;
        if from.device.tenant != inner.tenant {
            let message = format!("the receiver takes batches of the tenant {} alone", inner.tenant);
            return Err(Refused::new(Code::OtherTenant, message));
        }
        // It becomes the name of a directory. The authority enrolls no such device; one that has the name from before keeps it.
        if device.as_str().starts_with('.') {
            return Err(Refused::new(
                Code::WrongDevice,
                "the receiver takes nothing of a device whose id begins with a dot",
            ));
        }
        if !inner.audiences.contains(&name.audience) {
            let message = format!(
                "the receiver takes no batches for {}; correct where they are delivered",
                name.audience
            );
            return Err(Refused::new(Code::UnknownAudience, message));
        }
        match inner.authority.standing(device, &from.certificate).await {
            Standing::Trusted => {}
            Standing::NotTrusted(reasons) => {
                return Err(Refused::new(
                    Code::NotTrusted,
                    format!("the authority does not trust the device: {reasons}"),
                ));
            }
            Standing::Unknown(why) => return Err(Refused::new(Code::AuthorityUnreachable, why)),
        }
        let known = inner.hold(device).await?;
        if part == Part::Sealed && !inner.incoming.has(device, name, Part::Statement) {
            let message = format!("its statement comes first: put {}", name.file(Part::Statement));
            return Err(Refused::new(Code::StatementFirst, message));
        }
        let arrived = inner.receive(device, name, part, body).await?;
        // On a task of its own: where the peer goes, what was begun is ended before another delivery of the device begins.
        let (this, device, name) = (self.clone(), device.clone(), name.clone());
        let ended = tokio::spawn(async move {
            let (inner, of, named) = (this.0.clone(), device.clone(), name.clone());
            blocking(move || {
                let put = inner.incoming.put(&of, (&named, part), arrived);
                put.map_err(|error| Refused::storage(&error))
            })
            .await?;
            match part {
                Part::Statement => this.announce(device, name, known).await.map(|()| Put::Announced),
                Part::Sealed => this.finish(device, name, known).await.map(Put::Taken),
            }
        });
        ended.await.unwrap_or_else(|_| Err(internal()))
    }

    /// Judges a statement that is here.
    async fn announce(&self, device: DeviceId, name: BatchName, mut known: Held) -> Result<(), Refused> {
        let (inner, of, named, before) = (self.0.clone(), device.clone(), name.clone(), known.take());
        match blocking(move || inner.judge_statement(&of, &named, before)).await {
            Ok(announced) => {
                *known = Some(announced.last);
                Ok(())
            }
            Err(refused) => Err(self.over(refused, device, name).await),
        }
    }

    /// Takes a batch of which both files are here.
    async fn finish(&self, device: DeviceId, name: BatchName, mut known: Held) -> Result<Receipt, Refused> {
        match self.0.clone().take(&device, &name, &mut known).await {
            Ok(receipt) => {
                self.clear(device, name).await;
                Ok(receipt)
            }
            Err(refused) => Err(self.over(refused, device, name).await),
        }
    }

    /// Removes what is never taken. What may be taken later stays, for the number under which its key was asked for.
    async fn over(&self, refused: Refused, device: DeviceId, name: BatchName) -> Refused {
        if refused.code.is_final() {
            self.clear(device, name).await;
        }
        refused
    }

    async fn clear(&self, device: DeviceId, name: BatchName) {
        let inner = self.0.clone();
        let cleared =
            blocking(move || inner.incoming.clear(&device, &name).map_err(|error| Refused::storage(&error)));
        // What stays gives way to the next batch.
        drop(cleared.await);
    }
}

/// The place of the one delivery of a device that is under way.
pub(crate) type Held = OwnedMutexGuard<Option<Last>>;

impl<A: Authority> Inner<A> {
    async fn hold(&self, device: &DeviceId) -> Result<Held, Refused> {
        let known = {
            let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
            devices.entry(device.clone()).or_default().clone()
        };
        let message = "another delivery of this device is under way; deliver one after the other";
        timeout(TURN, known.lock_owned()).await.map_err(|_| Refused::new(Code::Busy, message))
    }

    /// Writes a body to the disk, within its bytes and its time.
    async fn receive<B>(
        &self,
        device: &DeviceId,
        name: &BatchName,
        part: Part,
        mut body: B,
    ) -> Result<Arriving, Refused>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let most = match part {
            Part::Sealed => MAX_SEALED,
            Part::Statement => MAX_SIGNED as u64,
        };
        let too_large =
            || Refused::new(Code::TooLarge, format!("{} has at most {most} bytes", name.file(part)));
        let stated = body.size_hint();
        if stated.lower() > most {
            return Err(too_large());
        }
        let bytes = stated.exact().unwrap_or(most);
        let storage = |error: io::Error| Refused::storage(&error);
        let reserved = self.incoming.reserve(bytes).map_err(storage)?;
        let message = "too many files wait to be taken; deliver it again later";
        let reserved = reserved.ok_or_else(|| Refused::new(Code::IncomingFull, message))?;
        let arriving = self.incoming.begin(device, (name, part), reserved).map_err(storage)?;
        self.write(&arriving.path, &mut body, bytes.min(most), too_large).await?;
        Ok(arriving)
    }

    async fn write<B>(
        &self,
        path: &Path,
        body: &mut B,
        most: u64,
        too_large: impl Fn() -> Refused,
    ) -> Result<(), Refused>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let storage = |error: io::Error| Refused::storage(&error);
        let slow = || Refused::new(Code::TooSlow, "it came too slowly; deliver it again");
        // `create_new` follows no link.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await.map_err(storage)?;
        let (end, mut written) = (Instant::now() + self.limits.body_time, 0);
        loop {
            let frame = timeout_at(end, timeout(self.limits.silence, body.frame())).await;
            let Some(frame) = frame.map_err(|_| slow())?.map_err(|_| slow())? else { break };
            let cut = |_| Refused::new(Code::CutOff, "it was cut off on its way; deliver it again");
            // Trailers mean nothing here.
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            written += data.len() as u64;
            if written > most {
                return Err(too_large());
            }
            file.write_all(&data).await.map_err(storage)?;
        }
        file.flush().await.map_err(storage)?;
        file.sync_all().await.map_err(storage)
    }
}

/// Does something on a thread that may wait for a disk.
pub(crate) async fn blocking<T: Send + 'static>(
    deed: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(deed).await.unwrap_or_else(|_| Err(internal()))
}

fn internal() -> Refused {
    tracing::error!("a delivery ended by a fault of the receiver's");
    Refused::new(Code::Internal, "a fault of the receiver's; deliver it again later")
}

/// How long a delivery waits for the one before it.
const TURN: Duration = Duration::from_secs(30);
