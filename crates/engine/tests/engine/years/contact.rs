//! One contact of a device with the authority, and all that can come between.

use super::authority::Authority;
use super::device::{Cut, Device, PowerCut};
use super::figures::Figures;
use super::random::Random;
use wardein_crypto::SystemEntropy;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::device::{ChallengeAsk, DeviceError, InFlight};
use wardein_ddkg::message::{ChallengeOffer, ProofRequest};
use wardein_ddkg::{Attributes, Suite};
use wardein_engine::{Detail, Error, ErrorKind, Proved};

/// How a contact ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was acknowledged.
    Done,
    /// Something came between; the device tries again later.
    Lost,
    /// The authority believes that there are two of it.
    Alarm,
    /// It has agreed on keys with another tenant, and has yet to prove itself there.
    GoneOver,
    /// It was refused for good, for all that it did about it.
    Refused(&'static str),
}

pub(crate) struct Contact<'a> {
    pub(crate) authority: &'a mut Authority,
    pub(crate) figures: &'a mut Figures,
    pub(crate) random: &'a mut Random,
    /// Whether nothing comes between.
    pub(crate) is_calm: bool,
    /// Everything that was accepted: device, generation, number.
    pub(crate) accepted: &'a mut std::collections::HashSet<(usize, u64, u64)>,
    pub(crate) number: usize,
}

/// A request on its way, with its body.
struct Sent {
    request: ProofRequest,
    body: Vec<u8>,
}

/// What a device does before anything else.
#[derive(Clone, Copy)]
struct Due {
    rekey: bool,
    transfer: bool,
}

impl Due {
    fn asks_transfer(self) -> bool {
        self.transfer && !self.rekey
    }
}

impl Contact<'_> {
    /// Asks for something until it is acknowledged or in vain, by the rules of the agent.
    pub(crate) async fn run(mut self, device: &mut Device) -> Ended {
        let mut due = Due {
            rekey: device.is_rekey_due && self.random.chance(500),
            transfer: device.is_transfer_due && self.random.chance(500),
        };
        let mut last = "nothing";
        let mut delayed: Option<Sent> = None;
        for _ in 0..ATTEMPTS {
            let overtaken = delayed.take();
            let ended = self.attempt(device, due, &mut delayed).await;
            // A request that was overtaken comes after all: it may count or not, and must not look like another holder.
            if let Some(Sent { request, body }) = overtaken
                && self.deliver(&request, &body).await.is_err_and(|error| error.code.as_str() == CLONE)
            {
                return Ended::Alarm;
            }
            match ended {
                Ok(Ended::Refused("rekey-required")) => due.rekey = true,
                // It was withdrawn meanwhile.
                Ok(Ended::Refused("transfer-unknown")) if due.transfer => {
                    (due.transfer, device.is_transfer_due) = (false, false);
                }
                Ok(Ended::GoneOver) => (due.transfer, last) = (false, "overtaken"),
                Ok(Ended::Refused(code)) if is_asked_anew(code) => last = code,
                Ok(ended) => return ended,
                Err(PowerCut) => {
                    self.figures.count("power cuts at a device");
                    return Ended::Lost;
                }
            }
        }
        Ended::Refused(last)
    }

    async fn attempt(
        &mut self,
        device: &mut Device,
        due: Due,
        delayed: &mut Option<Sent>,
    ) -> Result<Ended, PowerCut> {
        self.authority.clock.pass(self.random.below(5));
        let ask = device.state.ask_challenge();
        let offer = self.authority.engine.challenge(device.name()).unwrap();
        if self.happens(50) {
            self.figures.count("challenges lost");
            return Ok(Ended::Lost);
        }
        let left = if due.asks_transfer() { Some(device.leave(self.random.below(60))?) } else { None };
        let (Sent { request, body }, in_flight, next_firmware) = self.make(device, due, ask, &offer)?;
        if self.happens(100) {
            self.figures.count("requests lost");
            return Ok(Ended::Lost);
        }
        if self.happens(100) {
            // The device gives up waiting and asks again; this request arrives when the next one was answered.
            self.figures.count("requests overtaken");
            *delayed = Some(Sent { request, body });
            return Ok(Ended::Refused("overtaken"));
        }
        let answer = self.deliver(&request, &body).await;
        if self.happens(100) {
            self.figures.count("requests repeated by the network");
            self.authority.clock.pass(self.random.below(30));
            match self.deliver(&request, &body).await {
                Err(error) if error.code.as_str() == CLONE => return Ok(Ended::Alarm),
                Ok(_) if answer.is_ok() => {
                    self.figures.wrong(format!("{} was accepted twice", device.name().device))
                }
                _ => {}
            }
        }
        let Proved { reply, rekey_due, transfer_due, .. } = match answer {
            Ok(proved) => proved,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(Ended::Lost),
            Err(error) if error.kind() == ErrorKind::Internal => {
                self.figures.wrong(format!("{}: {error}", device.name().device));
                return Ok(Ended::Lost);
            }
            Err(error) => {
                self.figures.refused(error.code.as_str());
                teach(device, &request, &error);
                return Ok(if error.code.as_str() == CLONE {
                    Ended::Alarm
                } else {
                    Ended::Refused(error.code.as_str())
                });
            }
        };
        if self.happens(100) {
            self.figures.count("replies lost");
            return Ok(Ended::Lost);
        }
        let cut = self.cut();
        match device.step(cut, |state, _| state.acknowledge(in_flight, reply))? {
            Ok(_) => {}
            Err(DeviceError::RekeyOvertaken) => return Ok(Ended::Refused("overtaken")),
            Err(error) => {
                self.figures.wrong(format!("{} does not believe its reply: {error}", device.name().device));
                return Ok(Ended::Lost);
            }
        }
        (device.is_rekey_due, device.is_transfer_due) = (rekey_due, transfer_due);
        if due.rekey {
            self.figures.count("rekeys adopted");
        }
        if due.asks_transfer() {
            self.figures.count("transfers agreed on");
            device.has_changed = true;
            device.left = left;
            return Ok(Ended::GoneOver);
        }
        if let Some(left) = device.left.take() {
            self.authority.judge_arrival(left, self.figures).await;
        }
        if let Some(next) = next_firmware {
            // The new firmware starts only after it was announced.
            device.measured = next.digests();
            device.has_changed = true;
            self.figures.count("attributes changed");
        }
        self.figures.count("contacts acknowledged");
        Ok(Ended::Done)
    }

    /// What the device asks for, as its flash has it; for a change of firmware, what it is to measure then.
    fn make(
        &mut self,
        device: &mut Device,
        due: Due,
        ask: ChallengeAsk,
        offer: &ChallengeOffer,
    ) -> Result<(Sent, InFlight, Option<Attributes>), PowerCut> {
        let mut entropy = SystemEntropy::default();
        let cut = self.cut();
        if due.rekey || due.transfer {
            let suite = if self.random.chance(50) { Suite::P256MlKem768 } else { Suite::P256 };
            let sent = device.step(cut, |state, measured| match due.rekey {
                true => state.rekey(ask, offer, measured, suite, &mut entropy),
                false => state.transfer(ask, offer, measured, suite, &mut entropy),
            })?;
            let (request, ask, in_flight) = sent.unwrap();
            return Ok((Sent { request, body: ask.encode() }, in_flight, None));
        }
        let mut next_firmware = None;
        let (action, body) = match self.random.below(100) {
            0 => {
                let next = firmware(self.random.next());
                let body = next.encode();
                next_firmware = Some(next);
                ("attributes", body)
            }
            1..=10 => ("trust-bundle", Vec::new()),
            _ => ("authenticate", Vec::new()),
        };
        let sent = device.step(cut, |state, measured| {
            state.prove(ask, offer, measured, action.parse().unwrap(), &body, &mut entropy)
        })?;
        let (request, in_flight) = sent.unwrap();
        Ok((Sent { request, body }, in_flight, next_firmware))
    }

    /// Hands a request to the authority, whose process may die over it.
    async fn deliver(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Proved, Error> {
        let answer = self
            .authority
            .engine
            .prove(&wardein_domain::Call::new("years"), request.clone(), body.to_vec())
            .await;
        self.authority.revive().await;
        if answer.is_ok() {
            self.figures.count("proofs accepted");
            if request.action.is_transfer() {
                self.authority.judge_trust(self.number, false, self.figures).await;
            }
            if !self.accepted.insert((self.number, request.generation, request.number)) {
                self.figures.wrong(format!("a key of {} was used twice", request.device.device));
            }
        }
        answer
    }

    fn happens(&mut self, parts: u64) -> bool {
        !self.is_calm && self.random.chance(parts)
    }

    fn cut(&mut self) -> Cut {
        match self.random.below(100) {
            _ if self.is_calm => Cut::Never,
            0..3 => Cut::BeforeWrite,
            3..6 => Cut::AfterWrite,
            _ => Cut::Never,
        }
    }
}

fn firmware(version: u64) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), &version.to_be_bytes()).unwrap();
    attributes
}

/// What the agent makes of a refusal that concerns the epoch.
fn teach(device: &mut Device, request: &ProofRequest, error: &Error) {
    let hint = match error.detail {
        Some(Detail::NextEpoch(epoch) | Detail::HighestEpoch(epoch)) => epoch,
        _ => 0,
    };
    let refusal = match error.code.as_str() {
        "epoch-spent" => Refusal::EpochSpent { next: hint },
        "epoch-ahead" => Refusal::EpochAhead { highest: hint },
        _ => return,
    };
    device.state.refused(request, &refusal);
}

fn is_asked_anew(code: &str) -> bool {
    matches!(
        code,
        "epoch-spent" | "epoch-ahead" | "challenge-expired" | "challenge-unknown" | "replayed" | "overtaken"
    )
}

const CLONE: &str = "clone-suspected";

/// As the agent has it.
const ATTEMPTS: usize = 6;
