//! Devices that one tenant gives to another. The people of both offer, accept, withdraw and let offers expire; a device that hears of
//! its transfer carries it out, or not yet. Whatever comes between, one tenant trusts it, and what it had in the former one is worth
//! nothing from its first proof in the next.

use super::authority::{Authority, PROFILES, any_tenant, profile, tenants};
use super::device::{Cut, Device, PowerCut};
use super::figures::Figures;
use super::platform::PLATFORM;
use super::random::Random;
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::Token;
use wardein_domain::{DeviceId, DeviceState, TenantId, Verdict};
use wardein_engine::{AcceptOrder, Subject, TokenAsk, TransferOrder};

/// What a device was until it agreed on keys with another tenant.
pub(crate) struct Left {
    pub(crate) name: DeviceName,
    /// A login there that it never showed, where it could make one.
    pub(crate) token: Option<Token>,
}

pub(crate) fn id(number: usize) -> DeviceId {
    format!("pump-{number}").parse().unwrap()
}

/// The administrators of two tenants agree on a device, or on nothing.
pub(crate) async fn give(
    authority: &mut Authority,
    number: usize,
    figures: &mut Figures,
    random: &mut Random,
) {
    let Some(tenant) = authority.home_of(number).await else { return };
    let from = DeviceName { tenant, device: id(number) };
    let to = loop {
        let to = any_tenant(random);
        if to != from.tenant {
            break to;
        }
    };
    let before = authority.engine.now();
    let lifetime = 3_600 + random.below(30 * 86_400);
    let offer = async |authority: &Authority| {
        let order =
            TransferOrder { device: from.clone(), to: to.clone(), lifetime, reason: "sold".parse().unwrap() };
        authority.engine.offer_transfer(&authority.admin, order).await
    };
    match authority.insist(offer).await {
        Ok(_) => figures.count("transfers offered"),
        Err(error) if error.code.as_str() == "transfer-open" => {
            return withdraw(authority, from, figures).await;
        }
        Err(error) => return figures.wrong(format!("offering {}: {error}", from.device)),
    }
    if random.chance(150) {
        return figures.count("transfers that nobody accepted at once");
    }
    let (name, ..) = PROFILES[number % PROFILES.len()];
    let accept = async |authority: &Authority| {
        let order =
            AcceptOrder { tenant: to.clone(), from: from.clone(), device: None, profile: profile(name) };
        authority.engine.accept_transfer(&authority.admin, order).await
    };
    match authority.insist(accept).await {
        Ok(_) => figures.count("transfers accepted"),
        Err(error) if error.code.as_str() == "transfer-expired" && authority.has_jumped_since(before) => {}
        // It was enrolled again where it had left, so that the record that awaited it there waits for nobody.
        Err(error) if error.code.as_str() == "already-enrolled" && authority.has_enrolled_again => {
            figures.count("transfers whose id was taken by what an ended one had left");
            return withdraw(authority, from, figures).await;
        }
        Err(error) => figures.wrong(format!("accepting {}: {error}", from.device)),
    }
    if random.chance(150) {
        withdraw(authority, from, figures).await;
    }
}

async fn withdraw(authority: &mut Authority, from: DeviceName, figures: &mut Figures) {
    let withdraw = async |authority: &Authority| {
        let reason = "kept after all".parse().unwrap();
        authority.engine.withdraw_transfer(&authority.admin, from.clone(), reason).await
    };
    match authority.insist(withdraw).await {
        Ok(_) => figures.count("transfers withdrawn"),
        Err(error) if error.code.as_str() == "transfer-agreed" => {
            figures.count("transfers that it was too late to withdraw");
        }
        Err(error) => figures.wrong(format!("withdrawing {}: {error}", from.device)),
    }
}

impl Authority {
    /// The tenant that trusts a device; none where it is quarantined.
    pub(crate) async fn home_of(&mut self, number: usize) -> Option<TenantId> {
        self.trusting(number).await.pop()
    }

    pub(crate) async fn trusting(&mut self, number: usize) -> Vec<TenantId> {
        self.revive().await;
        let mut trusting = Vec::new();
        for tenant in tenants() {
            if self.state(DeviceName { tenant: tenant.clone(), device: id(number) }).await
                == Some(DeviceState::Active)
            {
                trusting.push(tenant);
            }
        }
        trusting
    }

    async fn state(&self, name: DeviceName) -> Option<DeviceState> {
        self.engine.get_device(&self.admin, name).await.ok().map(|device| device.state)
    }

    /// One tenant trusts it, also between its agreement and its arrival; none where a copy was found.
    pub(crate) async fn judge_trust(&mut self, number: usize, is_sole: bool, figures: &mut Figures) {
        let trusting = self.trusting(number).await;
        if trusting.len() > 1 || is_sole && trusting.is_empty() {
            figures.wrong(format!("pump-{number} is trusted by {trusting:?}"));
        }
    }

    /// The first proof in the next tenant was accepted, and so nothing from the former is.
    pub(crate) async fn judge_arrival(&mut self, left: Left, figures: &mut Figures) {
        let Left { name, token } = left;
        figures.count("transfers carried out");
        let state = self.state(name.clone()).await;
        if state != Some(DeviceState::Transferred) {
            figures.wrong(format!("{} of {} went over, and is {state:?}", name.device, name.tenant));
        }
        let subject = Subject::Device(name.device.clone());
        let verdict = self.engine.check(&self.of(&name.tenant).platform, subject).await.unwrap();
        if verdict.verdict != Verdict::NotTrusted {
            figures.wrong(format!("{} of {} went over, and is trusted", name.device, name.tenant));
        }
        let Some(token) = token else { return };
        let ask = TokenAsk { token, platform_nonce: NONCE.to_vec(), idempotency: Digest::of(b"left") };
        let verify = async |authority: &Self| {
            let ask = TokenAsk { token: ask.token.clone(), platform_nonce: NONCE.to_vec(), ..ask };
            authority.engine.verify_token(&authority.of(&name.tenant).platform, ask).await
        };
        if self.insist(verify).await.is_ok() {
            figures.wrong(format!("{} of {} went over, and logged in there", name.device, name.tenant));
        }
    }
}

impl Device {
    /// What it leaves behind if it goes over now.
    pub(crate) fn leave(&mut self, elapsed: u64) -> Result<Left, PowerCut> {
        let name = self.name().clone();
        let clock = Clock { elapsed, wall: None };
        let token = self.step(Cut::Never, |state, _| state.token(clock, PLATFORM.parse().unwrap(), NONCE))?;
        Ok(Left { name, token: token.ok() })
    }
}

const NONCE: &[u8] = b"left";
