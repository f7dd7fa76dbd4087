//! A device's life: it enrolls, proves, rekeys, logs in and seals, with an authority at the other end of a serial line.
//!
//! Bytes go out and bytes come in. What a firmware must bring of its own is marked: a source of randomness, flash, a clock.
#![no_std]
#![no_main]
extern crate alloc;

use alloc::vec::Vec;
use core::fmt::Debug;
use cortex_m_rt::entry;
use wardein_crypto::{Digest, Entropy, EntropyError, P256VerifyingKey, SecretBytes};
use wardein_ddkg::device::{Clock, DeviceState, Enrolling, Unsaved};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, EnrollReply};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_mcu::figures::measured;
use wardein_mcu::line::Line;
use wardein_mcu::{end, heap};

#[entry]
fn main() -> ! {
    heap::init();
    #[cfg(feature = "figures")]
    if let Some(mut processor) = cortex_m::Peripherals::take() {
        wardein_mcu::figures::begin(&mut processor.SYST);
    }
    let mut line = Line::open();
    let suites = [1, 2].into_iter().filter_map(|number| Suite::from_number(number).ok());
    end(suites.map(|suite| live(suite, &mut line)).all(|outcome| outcome.is_ok()))
}

/// Something failed, and was said where there is text.
struct Failed;

fn failed<E: Debug>(_what: &'static str) -> impl Fn(E) -> Failed {
    move |_error| {
        #[cfg(feature = "text")]
        cortex_m_semihosting::heprintln!("FAILED {}: {:?}", _what, _error);
        Failed
    }
}

fn live(suite: Suite, line: &mut Line) -> Result<(), Failed> {
    #[cfg(feature = "text")]
    cortex_m_semihosting::heprintln!("suite {}", suite.number());
    let random = &mut NotRandom(Digest::of(b"the board has no generator"));
    let mut flash = Flash::default();
    let mut device = enroll(suite, line, &mut flash, random)?;
    for _ in 0..2 {
        prove(&mut device, line, &mut flash, random)?;
    }
    // Memory is lost, flash stays. A hardware counter, where there is one, tells that it is no older image.
    let floor = device.writes();
    drop(device);
    device =
        measured("restore", || DeviceState::restore(flash.0.expose(), floor)).map_err(failed("restore"))?;
    rekey(&mut device, suite, line, &mut flash, random)?;
    prove(&mut device, line, &mut flash, random)?;
    log_in(&mut device, line, &mut flash)?;
    seal(&mut device, line, &mut flash, random)?;
    #[cfg(feature = "text")]
    cortex_m_semihosting::heprintln!("heap in use, at most: {} bytes", heap::most());
    Ok(())
}

fn enroll(
    suite: Suite,
    line: &mut Line,
    flash: &mut Flash,
    random: &mut NotRandom,
) -> Result<DeviceState, Failed> {
    // The key that the device's software pins. This authority gives its own to anyone who asks, since it is new at each run.
    let identity = line.ask(b"identity").try_into().map_err(failed("identity"))?;
    let name = DeviceName {
        tenant: "klinik-nord".parse().map_err(failed("tenant"))?,
        device: "pump-0001".parse().map_err(failed("device id"))?,
    };
    let enrolling = measured("enroll: request", || {
        Enrolling::begin(P256VerifyingKey(identity), suite, name, measure()?, random)
            .map_err(failed("begin"))
            .map(|enrolling| (enrolling.request().encode(), enrolling))
    });
    let (request, enrolling) = enrolling?;
    let reply = line.ask(&request);
    drop(request);
    let mut device = measured("enroll: finish", || {
        let reply = EnrollReply::decode(&reply).map_err(failed("enrollment reply"))?;
        enrolling.finish(&reply, Purposes::ENROLLED).map_err(failed("finish"))
    })?;
    drop(reply);
    let confirmation = measured("enroll: confirmation", || {
        device.confirmation().ok_or(Failed).and_then(|unsaved| flash.save(unsaved)).map(|said| said.encode())
    })?;
    accepted(&line.ask(&confirmation))?;
    Ok(device)
}

fn prove(
    device: &mut DeviceState,
    line: &mut Line,
    flash: &mut Flash,
    random: &mut NotRandom,
) -> Result<(), Failed> {
    let ask = device.ask_challenge();
    let offer = line.ask(b"challenge");
    let (proof, in_flight) = measured("prove", || {
        let offer = ChallengeOffer::decode(&offer).map_err(failed("challenge"))?;
        let action = "authenticate".parse().map_err(failed("action"))?;
        let unsaved = device.prove(ask, &offer, &digests()?, action, b"", random).map_err(failed("prove"))?;
        flash.save(unsaved).map(|(proof, in_flight)| (proof.encode(), in_flight))
    })?;
    let reply = line.ask(&proof);
    measured("acknowledge", || {
        let reply = AckedReply::decode(&reply).map_err(failed("reply"))?;
        flash.save(device.acknowledge(in_flight, reply).map_err(failed("acknowledge"))?)
    })?;
    Ok(())
}

fn rekey(
    device: &mut DeviceState,
    suite: Suite,
    line: &mut Line,
    flash: &mut Flash,
    random: &mut NotRandom,
) -> Result<(), Failed> {
    let ask = device.ask_challenge();
    let offer = line.ask(b"challenge");
    let (proof, body, in_flight) = measured("rekey: proof", || {
        let offer = ChallengeOffer::decode(&offer).map_err(failed("challenge"))?;
        let unsaved = device.rekey(ask, &offer, &digests()?, suite, random).map_err(failed("rekey"))?;
        let (proof, body, in_flight) = flash.save(unsaved)?;
        Ok::<_, Failed>((proof.encode(), body.encode(), in_flight))
    })?;
    accepted(&line.ask(&body))?;
    drop(body);
    let reply = line.ask(&proof);
    measured("rekey: acknowledge", || {
        let reply = AckedReply::decode(&reply).map_err(failed("reply"))?;
        flash.save(device.acknowledge(in_flight, reply).map_err(failed("acknowledge"))?)
    })?;
    (device.generation() == 2).then_some(()).ok_or(Failed)
}

fn log_in(device: &mut DeviceState, line: &mut Line, flash: &mut Flash) -> Result<(), Failed> {
    let token = measured("token", || {
        let audience = "platform.example".parse().map_err(failed("audience"))?;
        let unsaved = device.token(CLOCK, audience, b"nonce").map_err(failed("token"))?;
        flash.save(unsaved).map(|token| token.encode())
    })?;
    accepted(&line.ask(&token))
}

fn seal(
    device: &mut DeviceState,
    line: &mut Line,
    flash: &mut Flash,
    random: &mut NotRandom,
) -> Result<(), Failed> {
    let reading = [b'7'; 256];
    let sealed = measured("seal 256 bytes", || {
        let unsaved = device.seal(CLOCK, b"ward 3", &reading, random).map_err(failed("seal"))?;
        flash.save(unsaved)
    })?;
    let opened = measured("open 256 bytes", || device.open(&sealed, b"ward 3")).map_err(failed("open"))?;
    (opened.expose() == reading).then_some(()).ok_or(Failed)?;
    accepted(&line.ask(&sealed.encode()))
}

/// The authority answers with nothing where it took a message that has no answer.
fn accepted(answer: &[u8]) -> Result<(), Failed> {
    answer.is_empty().then_some(()).ok_or(answer).map_err(failed("the authority refused"))
}

/// What the device measures of itself, each time it is asked.
fn measure() -> Result<Attributes, Failed> {
    let mut attributes = Attributes::new();
    for (name, value) in [("firmware", &b"1.4.2"[..]), ("serial", b"A-77")] {
        attributes.insert(name.parse().map_err(failed("attribute"))?, value).map_err(failed("attribute"))?;
    }
    Ok(attributes)
}

fn digests() -> Result<AttributeDigests, Failed> {
    Ok(measure()?.digests())
}

/// A device counts the seconds since the last ack, and gives its wall clock if it has one.
const CLOCK: Clock = Clock { elapsed: 0, wall: None };

/// In the place of flash. What is written must be whole and durable before the message leaves: two sectors in turn, the older one
/// overwritten, and best sealed to the processor.
#[derive(Default)]
struct Flash(SecretBytes);

impl Flash {
    fn save<M>(&mut self, unsaved: Unsaved<'_, M>) -> Result<M, Failed> {
        unsaved.save(|bytes| {
            self.0 = SecretBytes::from_vec(Vec::from(bytes.expose()));
            Ok(())
        })
    }
}

/// In the place of the processor's random number generator, which the emulated board does not have. It gives the same bytes at every
/// start: a device with this has no secrets.
struct NotRandom(Digest);

impl Entropy for NotRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for piece in bytes.chunks_mut(32) {
            self.0 = Digest::of(self.0.as_ref());
            piece.copy_from_slice(&self.0.as_ref()[..piece.len()]);
        }
        Ok(())
    }
}
