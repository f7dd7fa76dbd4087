//! Devices that live through every deed of theirs, until the server dies.

use super::gifts::{self, Left};
use super::witness::Witness;
use super::world::World;
use std::cell::RefCell;
use std::rc::Rc;
use wardein_client::v1;
use wardein_crypto::{Entropy, P256SigningKey, SecretBytes, SystemEntropy};
use wardein_ddkg::device::{Acknowledged, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{ProofRequest, Token};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, CallError, Remote, Reply, Station};
use wardein_pki::Csr;

pub(crate) struct TestDevice {
    pub(crate) name: DeviceName,
    /// None while a message is under way: the device died with the server, and its flash carries on.
    state: Option<DeviceState>,
    flash: Rc<RefCell<Vec<u8>>>,
    measured: AttributeDigests,
    /// Whether its enrollment was acknowledged, and confirmed.
    pub(crate) is_confirmed: bool,
    /// The states that it may have: one, or two while a change is under way.
    pub(crate) states: Vec<&'static str>,
    /// Since its keys and attributes are what they are.
    pub(crate) spent: Vec<Spent>,
    pub(crate) tokens: Vec<Token>,
    /// Replies with the certificates that it got.
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) revoked: Vec<String>,
    pub(crate) is_shredded: bool,
    /// Whether its transfer to the other tenant was acknowledged to both, and has yet to be carried out.
    pub(crate) is_given: bool,
    /// What it had in the tenants that it left, in their order.
    pub(crate) left: Vec<Left>,
    /// Whether the first proof since it left the last of them was acknowledged.
    pub(crate) has_arrived: bool,
}

/// A proof, and its body.
pub(crate) type Spent = (ProofRequest, Vec<u8>);

/// Enrolls one device after the other, and has each do everything that devices do.
pub(crate) async fn live(world: &World, witness: &Witness, stream: usize) {
    for number in 0.. {
        let id = format!("d-{}-{stream}-{number}", world.kill);
        if live_one(world, witness, &id).await.is_none() {
            return;
        }
    }
}

async fn live_one(world: &World, witness: &Witness, id: &str) -> Option<()> {
    let at = TestDevice::enroll(world, witness, id).await?;
    let mut authority = world.authority();
    for action in ["authenticate", "certificate", "token", "attributes", "payload", "rekey", "trust-bundle"] {
        act(world, witness, at, &mut authority, action).await?;
    }
    for action in ["authenticate", "token", "certificate"] {
        act(world, witness, at, &mut authority, action).await?;
    }
    Some(())
}

/// Has the device number `at` do something; none where the server died, and then the device did too.
pub(crate) async fn act(
    world: &World,
    witness: &Witness,
    at: usize,
    authority: &mut Remote,
    action: &str,
) -> Option<()> {
    // Not borrowed while anybody else works.
    let mut device = take(world, at);
    let done = match action {
        "token" => device.log_in(world, witness).await,
        "payload" => device.have_opened(world, witness).await,
        action => device.prove(witness, authority, action).await,
    };
    world.devices.borrow_mut()[at] = device;
    done
}

/// Leaves a device that died, which is what there is if the server dies now.
fn take(world: &World, at: usize) -> TestDevice {
    let mut devices = world.devices.borrow_mut();
    let left = devices[at].as_left_by_a_power_cut();
    std::mem::replace(&mut devices[at], left)
}

impl TestDevice {
    /// Its place among the world's devices.
    pub(crate) async fn enroll(world: &World, witness: &Witness, id: &str) -> Option<usize> {
        let name = DeviceName { tenant: world.tenant.parse().unwrap(), device: id.parse().unwrap() };
        let attributes = attributes(b"1.0");
        let measured = attributes.digests();
        let (suite, entropy) = (Suite::P256, &mut SystemEntropy::default());
        let enrolling = Enrolling::begin(world.pinned, suite, name.clone(), attributes, entropy).unwrap();
        let (mut factory, target) = (world.factory(), format!("device/{}/{id}", world.tenant));
        let request = enrolling.request().clone();
        let (_, reply) = witness.ask("device.enroll", &target, factory.enroll(&request)).await?;
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let flash = Rc::new(RefCell::new(Vec::new()));
        let confirmation = state.confirmation().unwrap().save(|bytes| keep(&flash, bytes)).unwrap();
        let at = world.devices.borrow().len();
        world.devices.borrow_mut().push(Self {
            name,
            state: Some(state),
            flash,
            measured,
            is_confirmed: false,
            states: vec!["pending", "active"],
            spent: Vec::new(),
            tokens: Vec::new(),
            certificates: Vec::new(),
            revoked: Vec::new(),
            is_shredded: false,
            is_given: false,
            left: Vec::new(),
            has_arrived: true,
        });
        witness.ask("device.confirm", &target, factory.confirm(&confirmation)).await?;
        let device = &mut world.devices.borrow_mut()[at];
        (device.is_confirmed, device.states) = (true, vec!["active"]);
        Some(at)
    }

    fn as_left_by_a_power_cut(&self) -> Self {
        Self {
            name: self.name.clone(),
            state: None,
            flash: Rc::clone(&self.flash),
            measured: self.measured.clone(),
            states: self.states.clone(),
            spent: self.spent.clone(),
            tokens: self.tokens.clone(),
            certificates: self.certificates.clone(),
            revoked: self.revoked.clone(),
            left: self.left.clone(),
            ..*self
        }
    }

    pub(crate) fn target(&self) -> String {
        gifts::target(&self.name)
    }

    fn state(&mut self) -> &mut DeviceState {
        let flash = &self.flash;
        self.state.get_or_insert_with(|| DeviceState::restore(&flash.borrow(), 0).unwrap())
    }

    /// A proved request whose reply is believed.
    pub(crate) async fn prove(
        &mut self,
        witness: &Witness,
        authority: &mut Remote,
        action: &str,
    ) -> Option<()> {
        match self.try_prove(witness, authority, action).await {
            Ok(()) => Some(()),
            Err(CallError::Unreachable(_)) => None,
            Err(error) => unreachable!("{action} of {}: {error:?}", self.name.device),
        }
    }

    pub(crate) async fn try_prove(
        &mut self,
        witness: &Witness,
        authority: &mut Remote,
        action: &str,
    ) -> Result<(), CallError> {
        let announced = attributes(b"2.0");
        let body = match action {
            "certificate" => {
                let key = P256SigningKey::generate_pkcs8().unwrap();
                Csr::create(&P256SigningKey::from_pkcs8(&key).unwrap()).unwrap()
            }
            "attributes" => announced.encode(),
            _ => Vec::new(),
        };
        let flash = Rc::clone(&self.flash);
        let measured = self.measured.clone();
        let state = self.state();
        let ask = state.ask_challenge();
        let offer = authority.challenge(&state.device().clone()).await?;
        let entropy = &mut SystemEntropy::default();
        let (request, body, in_flight) = if action == "rekey" {
            let rekey = state.rekey(ask, &offer, &measured, Suite::P256, entropy).unwrap();
            let (request, ask, in_flight) = rekey.save(|bytes| keep(&flash, bytes)).unwrap();
            (request, ask.encode(), in_flight)
        } else if action == "transfer" {
            let asked = state.transfer(ask, &offer, &measured, Suite::P256, entropy).unwrap();
            let (request, ask, in_flight) = asked.save(|bytes| keep(&flash, bytes)).unwrap();
            (request, ask.encode(), in_flight)
        } else {
            let proof = state.prove(ask, &offer, &measured, action.parse().unwrap(), &body, entropy).unwrap();
            let (request, in_flight) = proof.save(|bytes| keep(&flash, bytes)).unwrap();
            (request, body, in_flight)
        };
        let event = match action {
            "certificate" => "certificate.issue".to_owned(),
            "transfer" => "device.agree-transfer".to_owned(),
            action => format!("device.{action}"),
        };
        let mut refused = None;
        let call = async {
            match authority.prove(&request, &body).await {
                // Nothing is on record of it as done.
                Err(CallError::Refused(why)) => {
                    refused = Some(why);
                    Err(CallError::Unreachable(String::new()))
                }
                answer => answer,
            }
        };
        let mut targets = vec![self.target()];
        if action == "transfer" {
            targets.push(gifts::target(&gifts::other(&self.name)));
        }
        // Of each time that it went over, both tenants have it on record that it did, once.
        let (arrived, times) = ([&self.name, &gifts::other(&self.name)].map(gifts::target), self.left.len());
        if !self.has_arrived {
            witness.at_most("device.transfer", &arrived, times);
        }
        let reply = witness.ask_all(&event, &targets, call).await;
        if let Some(why) = refused {
            return Err(CallError::Refused(why));
        }
        let reply = reply.ok_or_else(|| CallError::Unreachable(String::new()))?;
        let acknowledged = self.acknowledge(in_flight, reply);
        if action == "transfer" {
            self.spent.push((request, body));
            self.leave();
            return Ok(());
        }
        if !self.has_arrived {
            witness.exactly("device.transfer", &arrived, times);
            (self.has_arrived, self.states) = (true, vec!["active"]);
        }
        match action {
            "rekey" => (self.spent, self.tokens) = (Vec::new(), Vec::new()),
            "certificate" => self.certificates.push(acknowledged.body),
            // From the next proof on, those before it count as of another device.
            "attributes" => (self.measured, self.spent) = (announced.digests(), Vec::new()),
            _ => {}
        }
        if !["rekey", "attributes"].contains(&action) {
            self.spent.push((request, body));
        }
        Ok(())
    }

    /// It has agreed on keys with the other tenant, and has nothing but them.
    fn leave(&mut self) {
        let left = Left {
            name: self.name.clone(),
            spent: std::mem::take(&mut self.spent),
            tokens: std::mem::take(&mut self.tokens),
            certificates: std::mem::take(&mut self.certificates),
        };
        self.left.push(left);
        self.name = self.state().device().clone();
        (self.is_given, self.has_arrived, self.states) = (false, false, vec!["pending", "active"]);
    }

    fn acknowledge(&mut self, in_flight: InFlight, reply: Reply) -> Acknowledged {
        let flash = Rc::clone(&self.flash);
        let acknowledged = self.state().acknowledge(in_flight, reply.acked).unwrap();
        acknowledged.save(|bytes| keep(&flash, bytes)).unwrap()
    }

    /// Logs in at a platform, which has the token verified.
    async fn log_in(&mut self, world: &World, witness: &Witness) -> Option<()> {
        let flash = Rc::clone(&self.flash);
        let token = self.state().token(CLOCK, "iot".parse().unwrap(), b"").unwrap();
        let token = token.save(|bytes| keep(&flash, bytes)).unwrap();
        let call = world.platform.platform();
        witness.ask("token.verify", &self.target(), call.verify_token(verify(&token))).await?;
        self.tokens.push(token);
        Some(())
    }

    /// Seals a payload, and has it opened.
    async fn have_opened(&mut self, world: &World, witness: &Witness) -> Option<()> {
        let flash = Rc::clone(&self.flash);
        let sealed = self.state().seal(CLOCK, b"", b"37.2", &mut SystemEntropy::default()).unwrap();
        let sealed = sealed.save(|bytes| keep(&flash, bytes)).unwrap().encode();
        let (idempotency_key, reason) = (fresh(), "a test".to_owned());
        let request = v1::OpenRequest { sealed, additional_data: Vec::new(), reason, idempotency_key };
        let call = world.platform.platform();
        let opened = witness.ask("payload.open", &self.target(), call.open(request)).await?;
        assert_eq!(&opened.plaintext[..], b"37.2");
        Some(())
    }
}

/// Asked under a new key, so that an answer is not one that was given before.
pub(crate) fn verify(token: &Token) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest { token: token.encode(), platform_nonce: Vec::new(), idempotency_key: fresh() }
}

fn fresh() -> Vec<u8> {
    SystemEntropy::default().array::<16>().unwrap().to_vec()
}

fn attributes(firmware: &[u8]) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), firmware).unwrap();
    attributes
}

fn keep(flash: &RefCell<Vec<u8>>, bytes: &SecretBytes) -> Result<(), ()> {
    *flash.borrow_mut() = bytes.expose().to_vec();
    Ok(())
}

const CLOCK: Clock = Clock { elapsed: 0, wall: None };
