//! An authority in the test's own process: a DDKG record, an issuing CA, a clock that the test sets, and faults on demand.

pub(crate) mod signing;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use wardein_crypto::{
    Entropy, P256SigningKey, P256VerifyingKey, Secret, SecretBytes, SystemEntropy, hex, public_half,
};
use wardein_ddkg::authority::{Accepted, EnrollTerms, Record, Refusal, TransferTerms};
use wardein_ddkg::message::{
    ChallengeOffer, Confirmation, EmergencyReport, EnrollReply, EnrollRequest, ProofRequest, RekeyAsk,
    ServiceKey,
};
use wardein_ddkg::{Attributes, AuthorityTime, ChallengeKey, DeviceName, Policy, Purposes, Recipe};
use wardein_device::{
    Authority, CallError, Config, Directory, Enrolled, Error, Refused, Reply, Session, Station, enroll,
};
use wardein_domain::{CertificateNames, KeyPurposes, Schedule, Serial, TenantId};
use wardein_pki::{Csr, DeviceCsr, DeviceIdentity, IssuingCa, RootCa, Validity, pem};

pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const VALIDITY: u64 = 36_000;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is lost.
    Lost,
    /// The request is carried out, and its answer is lost.
    AnswerLost,
    /// The answer is changed on its way.
    AnswerChanged,
    /// Refused with this code, before it is looked at.
    Refused(&'static str),
    /// The answer comes, and the device's disk takes nothing any more.
    DiskFails,
    /// The same, for one file.
    FileFails(&'static str),
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) away: bool,
    pub(crate) record: Option<Record>,
    /// Who the device is to be, and the record that awaits it.
    pub(crate) transfer_to: Option<DeviceName>,
    pub(crate) arriving: Option<Record>,
    /// The record that it left.
    pub(crate) left: Option<Record>,
    /// Faults of the next calls of `prove` and of the station, in turn.
    pub(crate) faults: VecDeque<Option<Fault>>,
    pub(crate) calls: Vec<&'static str>,
    /// The codes of proofs that the record refused.
    pub(crate) refusals: Vec<String>,
    /// How long the next proof is on its way.
    pub(crate) slow: Option<std::time::Duration>,
    /// The kind of key that is made, where not the one that is asked for.
    pub(crate) make: Option<&'static str>,
    /// Whom the certificates are for, where not for the device.
    pub(crate) certify_as: Option<&'static str>,
    pub(crate) tenant: TenantId,
    pub(crate) schedule: Schedule,
    pub(crate) is_rekey_due: bool,
    /// When it says that certificates are to be renewed.
    pub(crate) renewal: Option<wardein_domain::RenewalWindow>,
    pub(crate) is_rekey_required: bool,
    pub(crate) is_revoked: bool,
    /// The one suite that a rekey may have, where not every one may.
    pub(crate) only_suite: Option<u16>,
    /// The state directory of the device, for [`Fault::DiskFails`].
    pub(crate) disk: PathBuf,
    pub(crate) root_pem: String,
    /// The roots that the device's connections were told to trust, in turn.
    pub(crate) trusted: Vec<String>,
    /// The trust bundle's second version.
    pub(crate) pins: Vec<u8>,
    /// The receipts of updates that were taken.
    pub(crate) receipts: Vec<Vec<u8>>,
    /// The protocols of visits that were taken.
    pub(crate) protocols: Vec<Vec<u8>>,
    /// What it says of visits that wait for their release, and the bodies that released some.
    pub(crate) pending: Vec<u8>,
    pub(crate) released: Vec<Vec<u8>>,
    /// The offer that it makes, and the key of a sealed artifact.
    pub(crate) offered: Option<(Vec<u8>, Option<[u8; 16]>)>,
    /// The key of a device that signs.
    pub(crate) signs_with: Option<P256VerifyingKey>,
    /// The TPM that seals the device's state.
    pub(crate) sealed_by: Option<String>,
    /// What its TPM is to quote, and the transcript and quote that came last.
    pub(crate) registers: Option<wardein_domain::PcrSelection>,
    pub(crate) quoted: Option<([u8; 32], wardein_domain::Quote)>,
    /// The code for emergencies that it would show, with its key; whether it was shown, and those that it heard were used.
    pub(crate) emergency: Option<(ServiceKey, Vec<u8>)>,
    pub(crate) is_emergency_shown: bool,
    pub(crate) emergency_used: Vec<ServiceKey>,
    pub(crate) identity: P256SigningKey,
    issuing: IssuingCa,
    challenges: ChallengeKey,
    policy: Policy,
    serials: u8,
}

/// A handle on the one authority, which device, station and test share.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<World>>);

fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

impl Shared {
    pub(crate) fn new() -> Self {
        let domain = "wardein.example".parse().unwrap();
        let years = Validity::new(START - 86_400, START + 10 * 366 * 86_400).unwrap();
        let root = RootCa::found(&domain, key(), Serial::from_random([1; 16]), years).unwrap();
        let issuing = root.found_issuing(key(), Serial::from_random([2; 16]), years).unwrap();
        Self(Rc::new(RefCell::new(World {
            now: START,
            away: false,
            record: None,
            transfer_to: None,
            arriving: None,
            left: None,
            faults: VecDeque::new(),
            calls: Vec::new(),
            refusals: Vec::new(),
            slow: None,
            make: None,
            certify_as: None,
            tenant: "clinic".parse().unwrap(),
            schedule: Schedule { period: 3600, max_uses: 0, not_before: START },
            is_rekey_due: false,
            renewal: None,
            is_rekey_required: false,
            is_revoked: false,
            emergency: None,
            is_emergency_shown: false,
            emergency_used: Vec::new(),
            only_suite: None,
            disk: PathBuf::new(),
            trusted: Vec::new(),
            pins: Vec::new(),
            receipts: Vec::new(),
            protocols: Vec::new(),
            pending: Vec::new(),
            released: Vec::new(),
            offered: None,
            root_pem: pem::encode_certificates([root.certificate().der()]).unwrap(),
            signs_with: None,
            sealed_by: None,
            registers: None,
            quoted: None,
            identity: key(),
            issuing,
            challenges: ChallengeKey::new(Secret::filled(|bytes| bytes.fill(9))),
            policy: Policy::default(),
            serials: 10,
        })))
    }

    /// device.toml for one device of this authority.
    pub(crate) fn config(&self) -> Config {
        let world = self.0.borrow();
        let point = hex::encode(&world.identity.verifying_key().0);
        let text = format!(
            "tenant = \"clinic\"\ndevice_id = \"pump-1\"\nendpoint = \"https://localhost:1\"\nidentity_key = \
             \"{point}\"\nauthenticate_every = 600\ntrust_roots = \"\"\"\n{}\"\"\"\n[attributes]\n\
             firmware = \"file:/firmware\"\ntag = \"text:x\"\n",
            world.root_pem
        );
        Config { sealed_by: world.sealed_by.clone(), ..Config::parse(&text).unwrap() }
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.borrow_mut().calls)
    }

    pub(crate) fn fault(&self, faults: &[Option<Fault>]) {
        self.0.borrow_mut().faults = faults.iter().copied().collect();
    }

    pub(crate) fn at(&self, now: u64) {
        self.0.borrow_mut().now = now;
    }
}

impl World {
    fn enter(&mut self, call: &'static str) -> Result<Option<Fault>, CallError> {
        self.calls.push(call);
        if self.away {
            return Err(CallError::Unreachable("nobody there".into()));
        }
        match self.faults.pop_front().flatten() {
            Some(Fault::Lost) => Err(CallError::Unreachable("lost".into())),
            Some(Fault::Refused(code)) => {
                Err(CallError::Refused(Refused { code: code.into(), ..Refused::default() }))
            }
            fault => Ok(fault),
        }
    }

    fn leave<T>(fault: Option<Fault>, answer: T) -> Result<T, CallError> {
        match fault {
            Some(Fault::AnswerLost) => Err(CallError::Unreachable("the answer is lost".into())),
            _ => Ok(answer),
        }
    }

    fn recipe(&self) -> Recipe {
        Recipe::new(vec!["tag".parse().unwrap(), "firmware".parse().unwrap()]).unwrap()
    }

    pub(crate) fn answer(&mut self, request: &EnrollRequest) -> Result<EnrollReply, Refusal> {
        let schedule = Schedule { not_before: self.now, ..self.schedule };
        let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
        let identity = &self.identity;
        let sign = |digest: &wardein_crypto::Digest| identity.sign(digest.as_ref());
        let enrolled =
            Record::enroll(self.record.as_ref(), request, &terms, sign, &mut SystemEntropy::default())?;
        if let Some(record) = enrolled.record {
            self.record = Some(record);
        }
        Ok(enrolled.reply)
    }

    pub(crate) fn confirmed(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let unknown = Refused { code: "device-unknown".into(), ..Refused::default() };
        let record = self.record.as_mut().ok_or(CallError::Refused(unknown))?;
        record.confirm(confirmation).map(|_| ()).map_err(|refusal| refused(&refusal))
    }

    fn perform(
        &mut self,
        request: &ProofRequest,
        accepted: &Accepted,
        body: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let schedule = Schedule { not_before: self.now, ..self.schedule };
        let record = self.record.as_mut().unwrap();
        match request.action.as_str() {
            "certificate" => Ok(self.certify_request(&request.device, body)),
            "made-key" => {
                let pkcs8 = made_key(self.make.unwrap_or(std::str::from_utf8(body).unwrap()));
                let csr = DeviceCsr::of_made(&public_half(&pkcs8).unwrap().into());
                let sealed = accepted.seal_key(SystemEntropy::default().array().unwrap(), pkcs8).unwrap();
                Ok([sealed.encode(), self.certify(&request.device, &csr)].concat())
            }
            "trust-bundle" if body == [2] => Ok(self.pins.clone()),
            "trust-bundle" => Ok(self.root_pem.clone().into_bytes()),
            "rekey" => {
                let ask = RekeyAsk::decode(body).unwrap();
                (self.is_rekey_due, self.is_rekey_required) = (false, false);
                record
                    .rekey(accepted, &ask, schedule, &mut SystemEntropy::default())
                    .map(|answer| answer.encode())
            }
            "transfer" => {
                let Some(device) = self.transfer_to.clone() else {
                    return Err(Refusal::GenerationUnknown { claimed: 0, active: 0 });
                };
                let ask = RekeyAsk::decode(body).unwrap();
                let previous = self.arriving.take();
                let terms = TransferTerms { device, previous, least: 1, schedule };
                let (answer, arriving) =
                    record.transfer(accepted, &ask, terms, &mut SystemEntropy::default())?;
                self.arriving = Some(arriving);
                Ok(answer.encode())
            }
            "attributes" => {
                record.announce(accepted, Attributes::decode(body).unwrap().digests())?;
                Ok(Vec::new())
            }
            "visit-protocol" => {
                self.protocols.push(body.to_vec());
                Ok(Vec::new())
            }
            "pending-visits" => Ok(self.pending.clone()),
            "visit-release" => {
                self.released.push(body.to_vec());
                Ok(Vec::new())
            }
            "update-offer" => Ok(crate::update::offer_reply(self, accepted)),
            "update-receipt" => {
                self.receipts.push(body.to_vec());
                Ok(Vec::new())
            }
            "service-access" => Ok([&[1][..], &[0; 12]].concat()),
            "emergency-code" => {
                let EmergencyReport { current, used } = EmergencyReport::decode(body).unwrap();
                self.emergency_used.extend(used);
                if self.emergency.as_ref().is_some_and(|(key, _)| *key == current) {
                    return Ok(vec![1, self.is_emergency_shown.into()]);
                }
                let code = record.emergency_code(current)?.to_text().expose().to_vec();
                (self.emergency, self.is_emergency_shown) = (Some((current, code)), false);
                Ok(vec![1, 0])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn certify_request(&mut self, device: &DeviceName, csr: &[u8]) -> Vec<u8> {
        self.certify(device, &DeviceCsr::from(&Csr::parse(csr).unwrap()))
    }

    fn certify(&mut self, device: &DeviceName, csr: &DeviceCsr) -> Vec<u8> {
        self.serials += 1;
        let identity = DeviceIdentity {
            serial: Serial::from_random([self.serials; 16]),
            tenant: device.tenant.clone(),
            device: self.certify_as.map_or_else(|| device.device.clone(), |name| name.parse().unwrap()),
            names: CertificateNames::default(),
            validity: Validity::new(self.now, self.now + VALIDITY).unwrap(),
            assurance: None,
            purposes: KeyPurposes::CLIENT,
            no_rev_avail: false,
        };
        let leaf = self.issuing.issue_device(csr, &identity).unwrap();
        let mut body = Vec::new();
        for der in [leaf.der(), self.issuing.certificate().der()] {
            body.extend_from_slice(&(der.len() as u32).to_be_bytes());
            body.extend_from_slice(der);
        }
        body
    }
}

/// A key of that kind, PKCS#8.
fn made_key(kind: &str) -> SecretBytes {
    let bits = match kind {
        "p256" => return P256SigningKey::generate_pkcs8().unwrap(),
        "rsa-2048" => "rsa_keygen_bits:2048",
        "rsa-3072" => "rsa_keygen_bits:3072",
        other => panic!("{other}"),
    };
    let order = ["genpkey", "-algorithm", "RSA", "-pkeyopt", bits];
    let made = std::process::Command::new("openssl").args(order).output().unwrap();
    pem::decode_private_key(&made.stdout).unwrap()
}

fn refused(refusal: &Refusal) -> CallError {
    CallError::Refused(Refused {
        code: refusal.code().to_string(),
        message: refusal.to_string(),
        next_epoch: if let Refusal::EpochSpent { next } = refusal { Some(*next) } else { None },
        highest_epoch: if let Refusal::EpochAhead { highest } = refusal { Some(*highest) } else { None },
        request_id: String::new(),
    })
}

impl Authority for Shared {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        let mut world = self.0.borrow_mut();
        world.calls.push("challenge");
        if world.away {
            return Err(CallError::Unreachable("nobody there".into()));
        }
        let recipe = world.recipe();
        let challenge =
            world.challenges.issue(device, &recipe, world.now * 1000, &mut SystemEntropy::default()).unwrap();
        Ok(ChallengeOffer { challenge, server_time: world.now, recipe })
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        let slow = self.0.borrow_mut().slow.take();
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        let mut world = self.0.borrow_mut();
        let fault = world.enter("prove")?;
        if world.is_revoked {
            return Err(CallError::Refused(Refused { code: "revoked".into(), ..Refused::default() }));
        }
        let suite = body.first_chunk().map(|number| u16::from_be_bytes(*number));
        if request.action.is_rekey() && world.only_suite.is_some_and(|only| Some(only) != suite) {
            let code = "suite-not-allowed".into();
            return Err(CallError::Refused(Refused { code, ..Refused::default() }));
        }
        let (now, policy, recipe) = (world.now, world.policy.clone(), world.recipe());
        let checked = world
            .challenges
            .check(&request.challenge, &request.device, &recipe, now * 1000, &policy)
            .expect("the challenge is fresh");
        let is_arriving = world.arriving.as_ref().is_some_and(|record| *record.device() == request.device);
        let world = &mut *world;
        let awaited = if is_arriving { world.arriving.as_mut() } else { world.record.as_mut() };
        let Some(record) = awaited else {
            return Err(CallError::Refused(Refused { code: "proof-wrong".into(), ..Refused::default() }));
        };
        let accepted = match record.verify(request, checked, &recipe, body, AuthorityTime::sure(now), &policy)
        {
            Ok(accepted) => accepted,
            Err(refusal) => {
                world.refusals.push(refusal.code().to_string());
                return Err(refused(&refusal));
            }
        };
        let is_rekey = accepted.is_rekey();
        if is_arriving {
            let arrived = world.arriving.take().unwrap();
            let mut left = world.record.replace(arrived).unwrap();
            let (time, entropy) = (AuthorityTime::sure(now), &mut SystemEntropy::default());
            left.hand_over(world.record.as_ref().unwrap(), time, &policy, entropy).unwrap();
            world.left = Some(left);
            world.transfer_to = None;
        }
        if world.is_rekey_required && !is_rekey {
            let code = "rekey-required".into();
            return Err(CallError::Refused(Refused { code, ..Refused::default() }));
        }
        let body = world.perform(request, &accepted, body).map_err(|refusal| refused(&refusal))?;
        let mut acked = accepted.reply(now, body);
        match fault {
            Some(Fault::AnswerChanged) => acked.server_time += 1,
            // In the way of every write of the state: a power cut after the authority's commit and before the device's.
            Some(Fault::DiskFails) => std::fs::create_dir(world.disk.join("state.new")).unwrap(),
            Some(Fault::FileFails(name)) => {
                std::fs::create_dir(world.disk.join(format!("{name}.new"))).unwrap();
            }
            _ => {}
        }
        let rekey_due = world.is_rekey_due && !is_rekey;
        let transfer_due = world.transfer_to.is_some() && !request.action.is_transfer();
        let renewal = world.renewal;
        World::leave(fault, Reply { acked, rekey_due, transfer_due, renewal })
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let mut world = self.0.borrow_mut();
        world.calls.push("confirm by device");
        world.confirmed(confirmation)
    }

    fn trust(&mut self, roots: &str) {
        self.0.borrow_mut().trusted.push(roots.to_owned());
    }
}

impl Station for Shared {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let mut world = self.0.borrow_mut();
        let fault = world.enter("enroll")?;
        let reply = world.answer(request).map_err(|refusal| refused(&refusal))?;
        let tenant = world.tenant.clone();
        World::leave(fault, (tenant, reply))
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let mut world = self.0.borrow_mut();
        let fault = world.enter("confirm")?;
        world.confirmed(confirmation)?;
        World::leave(fault, ())
    }
}

/// A device with a disk of its own.
pub(crate) struct Device {
    pub(crate) home: tempfile::TempDir,
    pub(crate) authority: Shared,
}

impl Device {
    pub(crate) fn new(authority: &Shared) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("firmware"), b"v1").unwrap();
        Self { home, authority: authority.clone() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("state")
    }

    pub(crate) fn root(&self) -> &Path {
        self.home.path()
    }

    pub(crate) async fn enroll(&self, again: bool) -> Result<Enrolled, Error> {
        let directory = Directory::create(&self.path())?;
        let (config, mut station) = (self.authority.config(), self.authority.clone());
        enroll(&directory, &config, self.root(), again, &mut station, &mut SystemEntropy::default()).await
    }

    /// Another process beside those that are there.
    pub(crate) async fn beside(&self) -> Result<Session<Shared, SystemEntropy>, Error> {
        let (directory, config) = (Directory::open_when_free(&self.path()).await?, self.authority.config());
        Session::new(directory, config, self.authority.clone(), SystemEntropy::default(), self.root().into())
    }

    /// A restart: everything is read from the disk again.
    pub(crate) fn session(&self) -> Result<Session<Shared, SystemEntropy>, Error> {
        let (directory, config) = (Directory::open(&self.path())?, self.authority.config());
        Session::new(directory, config, self.authority.clone(), SystemEntropy::default(), self.root().into())
    }
}
