//! A device: what it computes with, what its flash holds, and how it misjudges the time.

use super::authority::Authority;
use super::gifts::{Left, id};
use super::random::Random;
use wardein_crypto::{P256VerifyingKey, SystemEntropy};
use wardein_ddkg::device::{DeviceError, DeviceState, Enrolling, Unsaved};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_domain::TenantId;
use wardein_engine::EnrollOrder;

/// Where in a step the power goes. What was in memory is gone then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    BeforeWrite,
    AfterWrite,
}

/// The power went.
pub(crate) struct PowerCut;

pub(crate) struct Device {
    pub(crate) state: DeviceState,
    flash: Vec<u8>,
    pub(crate) measured: AttributeDigests,
    /// Seconds by which its wall clock is wrong, to either side.
    pub(crate) clock_error: i64,
    /// What the last reply said.
    pub(crate) is_rekey_due: bool,
    pub(crate) is_transfer_due: bool,
    /// Where it was until it agreed on keys with another tenant.
    pub(crate) left: Option<Left>,
    /// Whether its attributes changed since the authority was last copied.
    pub(crate) has_changed: bool,
    /// Whether they changed between the copy and the restore, so that the authority knows the former ones.
    pub(crate) is_ahead: bool,
}

impl Device {
    /// A device that the factory enrolled and confirmed.
    pub(crate) async fn enrolled(
        authority: &Authority,
        tenant: TenantId,
        number: usize,
        profile: &str,
        random: &mut Random,
    ) -> Self {
        let name = DeviceName { tenant, device: id(number) };
        let station = &authority.of(&name.tenant).station;
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let measured = attributes.digests();
        let engine = &authority.engine;
        let identity = P256VerifyingKey(engine.trust_bundle().identity_key);
        let suite = if random.chance(50) { Suite::P256MlKem768 } else { Suite::P256 };
        let mut entropy = SystemEntropy::default();
        let enrolling = Enrolling::begin(identity, suite, name.clone(), attributes, &mut entropy).unwrap();
        let request = enrolling.request();
        let order = EnrollOrder {
            device: request.device.device.clone(),
            suite: suite.number().into(),
            nonce: request.nonce,
            share: request.share.as_bytes().to_vec(),
            attributes: request.attributes.clone(),
            profile: profile.parse().unwrap(),
            model: None,
            udi: None,
        };
        let reply = engine.enroll(station, order).await.unwrap();
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let mut flash = Vec::new();
        let confirmation = state.confirmation().unwrap().save(|bytes| written(&mut flash, bytes.expose()));
        let Ok(confirmation) = confirmation else { panic!("the factory has power") };
        let tag = confirmation.tag.0;
        engine.confirm(station, name.device, tag).await.unwrap();
        let clock_error = random.below(2 * TEN_YEARS) as i64 - TEN_YEARS as i64;
        Self {
            state,
            flash,
            measured,
            clock_error,
            is_rekey_due: false,
            is_transfer_due: false,
            left: None,
            has_changed: false,
            is_ahead: false,
        }
    }

    /// Who it is by its keys.
    pub(crate) fn name(&self) -> &DeviceName {
        self.state.device()
    }

    /// Another holder of what the flash holds now, numbers that were reserved there included.
    pub(crate) fn copied(&self) -> Self {
        Self {
            state: DeviceState::restore(&self.flash, 0).unwrap(),
            flash: self.flash.clone(),
            measured: self.measured.clone(),
            clock_error: self.clock_error,
            is_rekey_due: self.is_rekey_due,
            is_transfer_due: self.is_transfer_due,
            left: None,
            has_changed: self.has_changed,
            is_ahead: self.is_ahead,
        }
    }

    /// Restarts from the contents of the flash.
    pub(crate) fn restart(&mut self) {
        self.state = DeviceState::restore(&self.flash, 0).unwrap();
        (self.is_rekey_due, self.is_transfer_due) = (false, false);
    }

    /// Does `step` and saves what it changed, as the agent does, unless the power goes.
    pub(crate) fn step<M>(
        &mut self,
        cut: Cut,
        step: impl for<'a> FnOnce(&'a mut DeviceState, &AttributeDigests) -> Result<Unsaved<'a, M>, DeviceError>,
    ) -> Result<Result<M, DeviceError>, PowerCut> {
        let Self { state, flash, measured, .. } = self;
        let saved = match step(state, measured) {
            Err(error) => return Ok(Err(error)),
            Ok(unsaved) => unsaved.save(|bytes| match cut {
                Cut::BeforeWrite => Err(PowerCut),
                Cut::Never | Cut::AfterWrite => written(flash, bytes.expose()),
            }),
        };
        match saved {
            Ok(message) if cut == Cut::Never => Ok(Ok(message)),
            _ => {
                self.restart();
                Err(PowerCut)
            }
        }
    }
}

fn written(flash: &mut Vec<u8>, bytes: &[u8]) -> Result<(), PowerCut> {
    flash.clear();
    flash.extend_from_slice(bytes);
    Ok(())
}

const TEN_YEARS: u64 = 10 * 365 * 86_400;
