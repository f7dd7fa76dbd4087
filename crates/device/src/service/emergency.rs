//! The code for emergencies (DDKG-1 §7.2): made at a contact, good once, replaced at the next contact after somebody was shown it or used it.
//!
//! The device accepts a code from before it tells the authority of it: a reply that is lost leaves nobody with a code that opens nothing.

use super::codes::{Admission, CodeRefused, Key};
use super::moment::Moment;
use crate::authority::Authority;
use crate::error::Error;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use wardein_crypto::{Entropy, MacKey, Secret, Tag, hex};
use wardein_ddkg::EmergencyCode;
use wardein_ddkg::message::{Admitted, EmergencyReport, ServiceKey};
use wardein_domain::{ErrorCode, Purpose, ServiceScope};

/// A code that lets somebody in. A digest with a salt is enough of it: nobody tries 2⁷⁵ codes, however fast the function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    key: Key,
    /// 32 random bytes, hex.
    salt: String,
    /// HMAC-SHA-256 of the digits under the salt, hex.
    digest: String,
}

impl Held {
    fn is(&self, code: &EmergencyCode) -> bool {
        let read = |text| hex::decode_array::<32>(text);
        let (Some(salt), Some(digest)) = (read(&self.salt), read(&self.digest)) else { return false };
        MacKey::new(Secret::copied_from(&salt)).verify(code.expose(), &Tag(digest)).is_ok()
    }
}

impl From<ServiceKey> for Key {
    fn from(ServiceKey { generation, epoch, number }: ServiceKey) -> Self {
        Self { generation, epoch, number }
    }
}

impl From<Key> for ServiceKey {
    fn from(Key { generation, epoch, number }: Key) -> Self {
        Self { generation, epoch, number }
    }
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// Tells the authority which code the device has and which were used; makes one where there is none, and another where the authority asks
    /// for it. Whether the device has one now: only where it agreed on keys for codes.
    pub async fn emergency_code(&mut self) -> Result<bool, Error> {
        if !self.keys().2.purposes().contains(Purpose::Service) {
            return Ok(false);
        }
        // The second time where the first code was shown, or the authority does not know its key; no more.
        for _ in 0..3 {
            let codes = self.keys().0.files().codes()?;
            let Some(held) = codes.emergency.last() else {
                self.make_emergency_code()?;
                continue;
            };
            let used: Vec<_> =
                codes.used.iter().take(EmergencyReport::MAX_USED).map(|key| (*key).into()).collect();
            let report = EmergencyReport { current: held.key.into(), used };
            match self.report_emergency(&report.encode()).await {
                Ok(body) => {
                    let told = &report.used;
                    self.forget_told(told)?;
                    match body[..] {
                        [1, 0] => return Ok(true),
                        [1, 1] => self.make_emergency_code()?,
                        _ => return Err(Error::Fault("reading the authority's answer about codes")),
                    }
                }
                // It does not know this key: it was restored from a backup, or the device agreed on others before it told.
                Err(Error::Refused(refused)) if refused.is(ErrorCode::Malformed) => {
                    self.make_emergency_code()?
                }
                // An earlier authority.
                Err(Error::Refused(refused)) if refused.is(ErrorCode::ActionUnknown) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Fault("agreeing on a code for emergencies"))
    }

    /// Makes the next code, and keeps its digest beside that of the last: either may be the one that the authority shows.
    fn make_emergency_code(&mut self) -> Result<(), Error> {
        let (directory, config, state, clock, entropy) = self.keys();
        let (name, code) = directory.save(config, state.emergency_code(clock)?)?;
        let salt: [u8; 32] = entropy.array().map_err(|_| Error::Fault("the source of randomness"))?;
        let digest = MacKey::new(Secret::copied_from(&salt)).tag(code.expose());
        let key = Key::from(ServiceKey::from(&name));
        let held = Held { key, salt: hex::encode(&salt), digest: hex::encode(&digest.0) };
        let mut codes = directory.files().codes()?;
        codes.emergency.push(held);
        // The one before the last is on record as replaced, or was never told.
        let first = codes.emergency.len().saturating_sub(2);
        codes.emergency.drain(..first);
        directory.save_codes(&codes)
    }

    /// Both are on record now: the uses, and the last code in the place of the one before.
    fn forget_told(&mut self, told: &[ServiceKey]) -> Result<(), Error> {
        let directory = self.keys().0;
        let mut codes = directory.files().codes()?;
        let before = codes.clone();
        codes.used.retain(|used| !told.contains(&(*used).into()));
        let first = codes.emergency.len().saturating_sub(1);
        codes.emergency.drain(..first);
        if codes == before { Ok(()) } else { directory.save_codes(&codes) }
    }

    /// Lets in who has the code for emergencies, once.
    pub fn break_glass(&mut self, code: &str, now: &Moment) -> Result<Admission, Error> {
        let directory = self.keys().0;
        let mut codes = directory.files().codes()?;
        codes.require_unlocked(now)?;
        if codes.emergency.is_empty() {
            return Err(CodeRefused::NoEmergencyCode.into());
        }
        let code = EmergencyCode::parse(code.as_bytes()).map_err(|_| CodeRefused::Malformed)?;
        codes.take_try(now);
        directory.save_codes(&codes)?;
        let Some(at) = codes.emergency.iter().position(|held| held.is(&code)) else {
            return Err(CodeRefused::Wrong { left: codes.left() }.into());
        };
        // Used, and to be told, in one write: it is good never again. Who has the latest has it from the authority, which has replaced the one
        // before.
        let used = codes.emergency.drain(..=at).next_back();
        let key = used.ok_or(Error::Fault("finding a code that was there"))?.key;
        codes.used.push(key);
        codes.end();
        directory.save_codes(&codes)?;
        let scope: ServiceScope = SCOPE.parse().map_err(|_| Error::Fault("naming a scope"))?;
        let Key { generation, epoch, number } = key;
        let id = format!("{generation}.{epoch}.{number}");
        Ok(Admission { id, by: Admitted::Emergency(key.into()), scope, until: now.after(LENGTH) })
    }
}

/// What who comes in by it may do: the program of this scope runs, or a shell.
const SCOPE: &str = "emergency";

/// Seconds for which.
const LENGTH: u64 = 4 * 3_600;
