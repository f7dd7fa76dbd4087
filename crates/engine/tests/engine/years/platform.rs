//! The platform: devices log in to it, and it has their payloads opened, each once.

use super::authority::Authority;
use super::device::{Cut, Device, PowerCut};
use super::figures::Figures;
use super::random::Random;
use super::restore::Spent;
use wardein_crypto::{Digest, SystemEntropy};
use wardein_ddkg::device::Clock;
use wardein_engine::{Error, OpenAsk, TokenAsk};

/// A device that was just acknowledged logs in and hands over a payload, sealed by its wrong clock. Nobody may use either again.
pub(crate) async fn visit(
    authority: &mut Authority,
    device: &mut Device,
    now: u64,
    figures: &mut Figures,
    random: &mut Random,
) -> Result<(), PowerCut> {
    let clock = Clock { elapsed: 0, wall: now.checked_add_signed(device.clock_error) };
    let nonce = random.next().to_be_bytes();
    let name = device.name().clone();
    let made = device.step(Cut::Never, |state, _| state.token(clock, PLATFORM.parse().unwrap(), &nonce))?;
    let Ok(token) = made else { return Ok(()) };
    let token_ask = |attempt: &[u8]| TokenAsk {
        token: token.clone(),
        platform_nonce: nonce.to_vec(),
        idempotency: Digest::of(&[&token.encode()[..], attempt].concat()),
    };
    // A platform whose reply was lost asks the same again.
    let verify = async |authority: &Authority, attempt: &[u8]| {
        authority.engine.verify_token(&authority.of(&name.tenant).platform, token_ask(attempt)).await
    };
    let before = authority.engine.now();
    let first = authority.insist(async |authority| verify(authority, b"first").await).await;
    let second = authority.insist(async |authority| verify(authority, b"second").await).await;
    if authority.has_jumped_since(before) {
        figures.count("logins over which a start believed a wrong clock");
        return Ok(());
    }
    judge(&name.device, "logins", first, second, figures);

    let mut entropy = SystemEntropy::default();
    let made =
        device.step(Cut::Never, |state, _| state.seal(clock, b"log", b"pump is well", &mut entropy))?;
    let sealed = made.unwrap();
    let ask = |attempt: &[u8]| OpenAsk {
        sealed: sealed.clone(),
        additional: b"log".to_vec(),
        reason: "support".parse().unwrap(),
        idempotency: Digest::of(&[&sealed.encode()[..], attempt].concat()),
    };
    let open = async |authority: &Authority, attempt: &[u8]| {
        authority.engine.open_payload(&authority.of(&name.tenant).platform, ask(attempt)).await
    };
    let first = authority.insist(async |authority| open(authority, b"first").await).await;
    let second = authority.insist(async |authority| open(authority, b"second").await).await;
    if authority.has_jumped_since(before) {
        figures.count("openings over which a start believed a wrong clock");
        return Ok(());
    }
    let is_spent = first.is_ok();
    judge(&name.device, "payloads opened", first, second, figures);
    if is_spent {
        let (token, open) = (token_ask(b"first"), ask(b"first"));
        authority.spent.push(Spent(name.tenant.clone(), token, open));
    }
    Ok(())
}

fn judge<T>(
    device: &impl std::fmt::Display,
    what: &'static str,
    first: Result<T, Error>,
    second: Result<T, Error>,
    figures: &mut Figures,
) {
    match first {
        Ok(_) => figures.count(what),
        // Somebody rotated since the device was acknowledged.
        Err(error) if error.code.as_str() == "rekey-required" => figures.refused(error.code.as_str()),
        Err(error) => figures.wrong(format!("{device}: {what}: {error}")),
    }
    if second.is_ok() {
        figures.wrong(format!("{device}: {what}: a key was used twice"));
    }
}

pub(crate) const PLATFORM: &str = "iot";
