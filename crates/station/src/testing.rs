//! What the tests of lines share: pseudo-terminals, an authority that is a file, and devices that are nothing but their messages.

use crate::Authority;
use crate::port::{Deadline, Direction};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wardein_crypto::{Digest, SecretBytes, Tag};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest,
};
use wardein_ddkg::{Attributes, AuthorityShare, Challenge, DeviceName, DeviceShare, Recipe, Suite};
use wardein_device::{
    CallError, LineStation, PinStation, ProofStation, Refused, Reply, Station, TpmActivation, TpmStation,
    Vouched,
};
use wardein_domain::{Assurance, EnrolledKey, ErrorCode, Schedule, TenantId, TpmChallenge, TpmEvidence};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A serial cable: its end at the device, and the name of its end at the station.
pub(crate) struct Cable {
    pub(crate) master: File,
    pub(crate) path: PathBuf,
}

impl Cable {
    pub(crate) fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_bytes();
        Self { master: master.into(), path: std::ffi::OsString::from_vec(path).into() }
    }

    /// One that has the name `link` at the station, in the place of any other; as udev names an adapter that is plugged in.
    pub(crate) fn plugged(link: &Path) -> Self {
        let cable = Self::new();
        let beside = link.with_extension("new");
        drop(std::fs::remove_file(&beside));
        symlink(&cable.path, &beside).unwrap();
        std::fs::rename(&beside, link).unwrap();
        cable
    }

    /// The device's end of what is said, which waits for an answer for `patience`.
    pub(crate) fn device(
        &self,
        patience: Duration,
    ) -> (LineStation<BufReader<Direction>, Direction>, Deadline) {
        let deadline = Deadline::default();
        deadline.set(Some(patience));
        let direction = || Direction::new(self.master.try_clone().unwrap(), deadline.clone());
        (LineStation::new(BufReader::new(direction()), direction()), deadline)
    }
}

/// An authority that agrees with everybody once, and knows who confirmed, also where the process is another one.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    enrolled: Arc<Mutex<BTreeSet<String>>>,
    /// What was asked: the deed and the device.
    asked: Arc<Mutex<Vec<String>>>,
    record: Option<PathBuf>,
}

impl Scripted {
    /// One that remembers in a file.
    pub(crate) fn in_file(record: &Path) -> Self {
        let known = std::fs::read_to_string(record).unwrap_or_default();
        let enrolled = Arc::new(Mutex::new(known.lines().map(str::to_owned).collect()));
        Self { enrolled, record: Some(record.to_owned()), ..Self::default() }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, deed: &str, device: &DeviceName) {
        self.asked.lock().unwrap().push(format!("{deed} {}", device.device));
    }
}

impl Authority for Scripted {
    type Station = Self;

    fn station(&self, _: Vouched) -> Self {
        self.clone()
    }
}

impl Station for Scripted {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        self.note("enroll", &request.device);
        if self.enrolled.lock().unwrap().contains(request.device.device.as_str()) {
            let refused = Refused::new(ErrorCode::AlreadyEnrolled, "it is enrolled".to_owned());
            return Err(CallError::Refused(refused));
        }
        Ok((tenant(), reply()))
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let device = &confirmation.device;
        self.note("confirm", device);
        if self.enrolled.lock().unwrap().insert(device.device.to_string())
            && let Some(record) = &self.record
        {
            let mut file = OpenOptions::new().append(true).create(true).open(record).unwrap();
            file.write_all(format!("{}\n", device.device).as_bytes()).unwrap();
        }
        Ok(())
    }
}

impl PinStation for Scripted {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        self.note("bundle", device);
        Ok(None)
    }
}

impl ProofStation for Scripted {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        self.note("challenge", device);
        let challenge = Challenge::new(&[7; 40]).unwrap();
        Ok(ChallengeOffer { challenge, server_time: 1_800_000_000, recipe: Recipe::default() })
    }

    /// Takes it of whom it knows.
    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        self.note("prove", &request.device);
        if !self.enrolled.lock().unwrap().contains(request.device.device.as_str()) {
            let refused = Refused::new(ErrorCode::MacWrong, "it is not known".to_owned());
            return Err(CallError::Refused(refused));
        }
        let acked = AckedReply { server_time: 1_800_000_000, ack: Tag([4; 32]), body: body.to_vec() };
        Ok(Reply { acked, rekey_due: false, transfer_due: false, renewal: None })
    }
}

impl TpmStation for Scripted {
    async fn begin(&mut self, device: &DeviceName, _: &TpmEvidence) -> Result<TpmChallenge, CallError> {
        self.note("begin", device);
        let bytes = vec![7; 32];
        let (ticket, id_object, encrypted_secret) = (bytes.clone(), bytes.clone(), bytes);
        Ok(TpmChallenge { ticket, id_object, encrypted_secret, nonce: [7; 32], quote: None })
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        self.note("finish", &activation.device);
        Ok(EnrolledKey { tenant: tenant(), key_id: [0xab; 32], assurance: Assurance::TpmVendor })
    }
}

pub(crate) fn tenant() -> TenantId {
    "klinik".parse().unwrap()
}

pub(crate) fn name(id: &str) -> DeviceName {
    DeviceName { tenant: tenant(), device: id.parse().unwrap() }
}

pub(crate) fn request(id: &str) -> EnrollRequest {
    let share = DeviceShare::new(Suite::P256, &GENERATOR).unwrap();
    EnrollRequest { device: name(id), nonce: [1; 32], share, attributes: Attributes::new() }
}

pub(crate) fn confirmation(id: &str) -> Confirmation {
    Confirmation { device: name(id), tag: Tag([2; 32]) }
}

pub(crate) fn proof(id: &str) -> ProofRequest {
    ProofRequest {
        device: name(id),
        challenge: Challenge::new(&[7; 40]).unwrap(),
        nonce: [1; 32],
        generation: 1,
        epoch: 0,
        number: 1,
        action: "made-key".parse().unwrap(),
        body_digest: Digest::of(b"p256"),
        mac: Tag([2; 32]),
    }
}

pub(crate) fn activation(id: &str) -> TpmActivation {
    let bytes = vec![7; 32];
    TpmActivation {
        device: name(id),
        ticket: bytes.clone(),
        secret: SecretBytes::from_vec(bytes.clone()),
        device_key: bytes.clone(),
        attested: bytes.clone(),
        signature: bytes,
        quote: None,
    }
}

pub(crate) fn evidence() -> TpmEvidence {
    TpmEvidence { ek_public: vec![7; 32], ek_certificates: Vec::new(), ak_public: vec![7; 32] }
}

fn reply() -> EnrollReply {
    EnrollReply {
        share: AuthorityShare::new(Suite::P256, &GENERATOR).unwrap(),
        generation: 1,
        schedule: Schedule { period: 86_400, max_uses: 0, not_before: 1_800_000_000 },
        signature: vec![0x30; 70],
        confirmation: Tag([3; 32]),
    }
}

/// What a device says, as the bytes of a line.
pub(crate) fn said(speak: impl AsyncFnOnce(&mut LineStation<&[u8], &mut Vec<u8>>)) -> String {
    let mut line = Vec::new();
    runtime().block_on(speak(&mut LineStation::new(&b""[..], &mut line)));
    String::from_utf8(line).unwrap()
}

pub(crate) fn says_request(id: &str) -> String {
    said(async |station| drop(station.enroll(&request(id)).await))
}

pub(crate) fn says_confirmation(id: &str) -> String {
    said(async |station| drop(station.confirm(&confirmation(id)).await))
}

pub(crate) const DONE: &str = "{\"type\":\"done\",\"generation\":1,\"confirmed\":true}\n";

/// A point of the curve whose key nobody here has: its generator (SEC 2 §2.4.2).
const GENERATOR: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
