//! The devices: their side of enrollment and proofs, worked out between the measurements.

use crate::clients::{Clients, FAR, IN_FLIGHT, cores};
use std::convert::Infallible;
use std::thread;
use std::time::Instant;
use wardein_client::v1;
use wardein_client::v1::enroll_stream_request::Step;
use wardein_client::v1::enroll_stream_response::Result as Answer;
use wardein_crypto::{Entropy, P256SigningKey, P256VerifyingKey, SecretBytes, SystemEntropy, Tag};
use wardein_ddkg::device::{ChallengeAsk, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, EnrollReply};
use wardein_ddkg::{
    AttributeDigests, Attributes, AuthorityShare, Challenge, DeviceName, Purposes, Recipe, Suite,
};
use wardein_domain::{Action, Purpose, Schedule, TenantId};
use wardein_pki::Csr;
use wardein_port::{Clock as _, SystemClock};

/// All devices that are enrolled.
pub(crate) struct Fleet {
    tenant: TenantId,
    identity: P256VerifyingKey,
    attributes: Attributes,
    devices: Vec<DeviceState>,
}

/// Proofs that are ready to be sent, and the replies that their devices await.
pub(crate) struct Proofs {
    first: usize,
    pub(crate) requests: Vec<v1::ProveRequest>,
    in_flight: Vec<InFlight>,
    /// Challenges a second while they were taken.
    pub(crate) challenges: f64,
}

/// The actions that devices request by their proofs.
pub(crate) struct Asked {
    action: Action,
    pub(crate) body: Vec<u8>,
}

impl Fleet {
    pub(crate) fn new(tenant: TenantId, identity: P256VerifyingKey) -> Self {
        let mut attributes = Attributes::new();
        for (name, value) in [("serial", "4711-0815"), ("board", "rev-c"), ("firmware", "2.14.3")] {
            attributes.insert(name.parse().unwrap(), value.as_bytes()).unwrap();
        }
        Self { tenant, identity, attributes, devices: Vec::new() }
    }

    /// Enrolls and confirms `count` more devices; devices a second. The time is that of the two streams, of enrollments and of
    /// confirmations; the devices' own work before and between is not in it.
    pub(crate) fn enroll(&mut self, clients: &Clients, count: usize) -> f64 {
        let numbers = (self.devices.len()..).take(count).collect();
        let begun = parallel(numbers, |number| self.begin(number));
        let (begun, requests): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
        let (answers, enrolling) = clients.stream(requests);
        let pairs = begun.into_iter().zip(in_order(answers)).collect();
        let finished = parallel(pairs, |(begun, answer)| finish(begun, answer));
        let (devices, requests): (Vec<_>, Vec<_>) = finished.into_iter().unzip();
        let (answers, confirming) = clients.stream(requests);
        assert_eq!(answers.len(), count);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Confirmed(_))));
        self.devices.extend(devices);
        count as f64 / (enrolling + confirming).as_secs_f64()
    }

    fn begin(&self, number: usize) -> (Enrolling, Step) {
        let device = format!("pump-{number:06}").parse().unwrap();
        let name = DeviceName { tenant: self.tenant.clone(), device };
        let entropy = &mut SystemEntropy::default();
        let begun =
            Enrolling::begin(self.identity, Suite::P256, name, self.attributes.clone(), entropy).unwrap();
        let request = begun.request();
        let attributes = [("serial", "4711-0815"), ("board", "rev-c"), ("firmware", "2.14.3")];
        let step = Step::Enroll(v1::EnrollRequest {
            device_id: request.device.device.to_string(),
            suite: request.share.suite().number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: attributes
                .map(|(name, value)| v1::Attribute { name: name.into(), value: value.into() })
                .into(),
            ..v1::EnrollRequest::default()
        });
        (begun, step)
    }

    /// A question to `TrustService.Check` about each device.
    pub(crate) fn checks(&self) -> Vec<v1::CheckRequest> {
        let check = |device: &DeviceState| {
            let device_id = device.device().device.to_string();
            v1::CheckRequest { subject: Some(v1::check_request::Subject::DeviceId(device_id)), receipt: None }
        };
        self.devices.iter().map(check).collect()
    }

    /// Questions to `TrustService.CheckStream` about all devices, which follow one another in no order of memory.
    pub(crate) fn batches(&self) -> Vec<v1::CheckStreamRequest> {
        let count = self.devices.len();
        let id = |turn: usize| self.devices[turn * FAR % count].device().device.to_string();
        let ids: Vec<_> = (0..count).map(id).collect();
        ids.chunks_exact(BATCH).map(|ids| v1::CheckStreamRequest { device_ids: ids.to_vec() }).collect()
    }

    /// One proof of each of `count` devices from the `first` on, under challenges that are taken here.
    pub(crate) fn prepare(&mut self, clients: &Clients, first: usize, count: usize, asked: &Asked) -> Proofs {
        let devices = &mut self.devices[first..first + count];
        let asks: Vec<_> = devices.iter_mut().map(DeviceState::ask_challenge).collect();
        let names: Vec<_> = devices.iter().map(|device| device.device().clone()).collect();
        let (offers, took) = clients.drive(IN_FLIGHT, |lane, connection| {
            let names = names.iter().enumerate().skip(lane).step_by(IN_FLIGHT * crate::CONNECTIONS);
            async move {
                let (mut client, mut offers) = (connection.device(), Vec::new());
                for (index, name) in names {
                    let (tenant, device_id) = (name.tenant.to_string(), name.device.to_string());
                    let request = v1::GetChallengeRequest { tenant, device_id };
                    offers.push((index, client.get_challenge(request).await.unwrap().into_inner()));
                }
                offers
            }
        });
        let challenges = count as f64 / took.as_secs_f64();
        let offers = in_order(offers.into_iter().flatten().collect());
        let measured = self.attributes.digests();
        let work = devices.iter_mut().zip(asks).zip(offers).collect();
        let proofs = parallel(work, |((device, ask), offer)| asked.prove(device, ask, offer, &measured));
        let (requests, in_flight) = proofs.into_iter().unzip();
        Proofs { first, requests, in_flight, challenges }
    }

    /// Every device checks its reply, as it would; a wrong one ends the measurement.
    pub(crate) fn acknowledge(&mut self, proofs: Proofs, replies: Vec<(usize, v1::ProveResponse)>) {
        let devices = self.devices.iter_mut().skip(proofs.first);
        let replies = in_order(replies);
        assert_eq!(replies.len(), proofs.in_flight.len());
        for ((device, in_flight), reply) in devices.zip(proofs.in_flight).zip(replies) {
            believe(device, in_flight, reply);
        }
    }

    /// `count` proofs of the one device `number`, in the order of their challenges, which are taken here.
    pub(crate) fn prepare_alone(&mut self, clients: &Clients, number: usize, count: usize) -> Proofs {
        let (device, measured) = (&mut self.devices[number], self.attributes.digests());
        let (asked, started) = (Asked::authenticate(), Instant::now());
        let proofs = clients.alone(|connection| async move {
            let (mut client, mut proofs) = (connection.device(), Vec::with_capacity(count));
            let (tenant, device_id) =
                (device.device().tenant.to_string(), device.device().device.to_string());
            let request = v1::GetChallengeRequest { tenant, device_id };
            for _ in 0..count {
                let ask = device.ask_challenge();
                let offer = client.get_challenge(request.clone()).await.unwrap().into_inner();
                proofs.push(asked.prove(device, ask, offer, &measured));
            }
            proofs
        });
        let (requests, in_flight) = proofs.into_iter().unzip();
        let challenges = count as f64 / started.elapsed().as_secs_f64();
        Proofs { first: number, requests, in_flight, challenges }
    }

    /// The one device checks the replies that there are, as it would.
    pub(crate) fn acknowledge_alone(&mut self, proofs: Proofs, replies: Vec<(usize, v1::ProveResponse)>) {
        let device = &mut self.devices[proofs.first];
        let mut in_flight: Vec<_> = proofs.in_flight.into_iter().map(Some).collect();
        for (index, reply) in replies {
            believe(device, in_flight[index].take().unwrap(), reply);
        }
    }

    /// `count` payloads that the device `number` seals, to be opened.
    pub(crate) fn seal_alone(&mut self, number: usize, count: usize) -> Vec<v1::OpenRequest> {
        let (device, entropy) = (&mut self.devices[number], &mut SystemEntropy::default());
        let wall = SystemClock.wall_ms() / 1000;
        let mut seal = || {
            let clock = Clock { elapsed: 0, wall: Some(wall) };
            let sealed = device.seal(clock, b"load", &[7; PAYLOAD], entropy).unwrap();
            let sealed = sealed.save(|_| Ok::<_, Infallible>(())).unwrap();
            v1::OpenRequest {
                sealed: sealed.encode(),
                additional_data: b"load".to_vec(),
                reason: "load".to_owned(),
                idempotency_key: entropy.array::<16>().unwrap().to_vec(),
            }
        };
        (0..count).map(|_| seal()).collect()
    }
}

impl Asked {
    pub(crate) fn authenticate() -> Self {
        Self { action: "authenticate".parse().unwrap(), body: Vec::new() }
    }

    /// The offer of an update, by the body that asks for it.
    pub(crate) fn offer(body: Vec<u8>) -> Self {
        Self { action: "update-offer".parse().unwrap(), body }
    }

    /// A certificate, by one request for all devices: the cost of their keys does not concern the authority. With the key.
    pub(crate) fn certificate() -> (Self, SecretBytes) {
        let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
        let body = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
        (Self { action: "certificate".parse().unwrap(), body }, pkcs8)
    }

    fn prove(
        &self,
        device: &mut DeviceState,
        ask: ChallengeAsk,
        offer: v1::GetChallengeResponse,
        measured: &AttributeDigests,
    ) -> (v1::ProveRequest, InFlight) {
        let (entropy, offer) = (&mut SystemEntropy::default(), offered(offer));
        let proof = device.prove(ask, &offer, measured, self.action.clone(), &self.body, entropy).unwrap();
        let (request, in_flight) = proof.save(|_| Ok::<_, Infallible>(())).unwrap();
        let request = v1::ProveRequest {
            tenant: request.device.tenant.to_string(),
            device_id: request.device.device.to_string(),
            challenge: request.challenge.as_bytes().to_vec(),
            device_nonce: request.nonce.to_vec(),
            generation: request.generation,
            epoch: request.epoch,
            number: request.number,
            action: request.action.to_string(),
            body: self.body.clone(),
            mac: request.mac.0.to_vec(),
        };
        (request, in_flight)
    }
}

/// The same question, whose answer is to be a receipt as well.
pub(crate) fn signed(check: &v1::CheckRequest) -> v1::CheckRequest {
    let receipt = v1::ReceiptRequest { audience: "thingworx".to_owned(), nonce: vec![7; 16] };
    v1::CheckRequest { receipt: Some(receipt), ..check.clone() }
}

fn believe(device: &mut DeviceState, in_flight: InFlight, reply: v1::ProveResponse) {
    let ack = Tag(reply.ack.try_into().unwrap());
    let reply = AckedReply { server_time: reply.server_time_seconds, ack, body: reply.body };
    device.acknowledge(in_flight, reply).unwrap().save(|_| Ok::<_, Infallible>(())).unwrap();
}

fn finish(begun: Enrolling, answer: Answer) -> (DeviceState, Step) {
    let Answer::Enrolled(reply) = answer else { panic!("not enrolled: {answer:?}") };
    let schedule = reply.schedule.unwrap();
    let reply = EnrollReply {
        share: AuthorityShare::new(Suite::P256, &reply.authority_share).unwrap(),
        generation: reply.generation,
        schedule: Schedule {
            period: schedule.period_seconds,
            max_uses: schedule.max_uses,
            not_before: schedule.not_before_seconds,
        },
        signature: reply.signature,
        confirmation: Tag(reply.authority_confirmation.try_into().unwrap()),
    };
    let mut device = begun.finish(&reply, Purposes::of([Purpose::Proof, Purpose::Data])).unwrap();
    let confirmation = device.confirmation().unwrap().save(|_| Ok::<_, Infallible>(())).unwrap();
    let step = Step::Confirm(v1::ConfirmRequest {
        device_id: confirmation.device.device.to_string(),
        device_confirmation: confirmation.tag.0.to_vec(),
    });
    (device, step)
}

fn offered(offer: v1::GetChallengeResponse) -> ChallengeOffer {
    let names = offer.recipe.iter().map(|name| name.parse().unwrap()).collect();
    ChallengeOffer {
        challenge: Challenge::new(&offer.challenge).unwrap(),
        server_time: offer.server_time_seconds,
        recipe: Recipe::new(names).unwrap(),
    }
}

fn in_order<T>(mut numbered: Vec<(usize, T)>) -> Vec<T> {
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, one)| one).collect()
}

/// Maps by all cores.
fn parallel<T: Send, R: Send>(work: Vec<T>, map: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (map, size) = (&map, work.len().div_ceil(cores()).max(1));
    let mut rest = work.into_iter();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        loop {
            let share: Vec<T> = rest.by_ref().take(size).collect();
            if share.is_empty() {
                break;
            }
            threads.push(scope.spawn(move || share.into_iter().map(map).collect::<Vec<R>>()));
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Devices of a batch of questions: as many as one takes.
const BATCH: usize = 1_024;

/// Bytes of a payload that is sealed: a reading with its units.
const PAYLOAD: usize = 64;
