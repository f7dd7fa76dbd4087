//! Tokens, payloads, file keys and challenges for technicians, the device's part (specification, sections 3.1, 7 and 7.1).

use super::error::DeviceError;
use super::state::{DeviceState, Standing, Unsaved};
use crate::code::{EmergencyCode, ServiceChallenge, ServiceCode};
use crate::key::{KeyName, NumberKey};
use crate::message::{CarriedProtocol, FileStanza, MAX_PLAINTEXT, SealedPayload, Token, VisitProtocol};
use crate::progress::Uses;
use crate::wire::Problem;
use alloc::vec::Vec;
use wardein_crypto::{Entropy, Secret, SecretBytes, Tag};
use wardein_domain::{Audience, Purpose, ServiceScope};

/// The device's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds that a monotonic clock counted since the last ack, or since the restart where that was later.
    pub elapsed: u64,
    /// The wall clock in Unix seconds, if there is one. It may be wrong by years.
    pub wall: Option<u64>,
}

impl DeviceState {
    /// A token for logging in to `audience`, with the nonce that the platform gave, at most 64 bytes, or none.
    pub fn token(
        &mut self,
        clock: Clock,
        audience: Audience,
        platform_nonce: &[u8],
    ) -> Result<Unsaved<'_, Token>, DeviceError> {
        Token::check_nonce(platform_nonce)?;
        if !matches!(self.standing, Standing::Proven) {
            return Err(DeviceError::ProveFirst);
        }
        let issued_at = self.known_time.saturating_add(clock.elapsed);
        let (name, key) = self.take_key(Purpose::Token, issued_at)?;
        let mut token = Token {
            device: name.owner,
            generation: name.generation,
            epoch: name.epoch,
            number: name.number,
            audience,
            platform_nonce: Vec::from(platform_nonce),
            issued_at,
            mac: Tag([0; 32]),
        };
        token.mac = key.token_mac().tag(&token.transcript());
        Ok(self.unsaved(token))
    }

    /// Seals `plaintext`, at most 16 MiB, under a key that is used for nothing else; `additional` is bound to it.
    pub fn seal(
        &mut self,
        clock: Clock,
        additional: &[u8],
        plaintext: &[u8],
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, SealedPayload>, DeviceError> {
        // Judged before a number is taken.
        for (field, length) in [("plaintext", plaintext.len()), ("additional data", additional.len())] {
            if length > MAX_PLAINTEXT {
                return Err(Problem::Length { length, min: 0, max: MAX_PLAINTEXT }.of(field).into());
            }
        }
        let nonce = entropy.array()?;
        let (name, key) = self.take_key(Purpose::Data, self.sealing_time(clock))?;
        let sealed = SealedPayload::seal(name, &key.payload(), nonce, additional, plaintext)?;
        Ok(self.unsaved(sealed))
    }

    /// Opens a payload that this device sealed, as long as its epoch's secret is not erased.
    pub fn open(&self, sealed: &SealedPayload, additional: &[u8]) -> Result<SecretBytes, DeviceError> {
        let key = self.own_key(sealed.name())?.payload();
        sealed.open(&key, additional).map_err(|_| DeviceError::OpenFailed)
    }

    /// The key of an age file that this device sealed, as long as its epoch's secret is not erased.
    pub fn unwrap_file_key(&self, stanza: &FileStanza) -> Result<Secret<16>, DeviceError> {
        let key = self.own_key(stanza.name())?.file_wrap();
        stanza.unwrap_with(&key).map_err(|_| DeviceError::OpenFailed)
    }

    /// The key of that name, which this device has used.
    fn own_key(&self, name: &KeyName) -> Result<NumberKey, DeviceError> {
        if name.owner != self.device || name.generation != self.generation {
            return Err(DeviceError::KeyGone);
        }
        let tree = self.trees.get(&name.purpose).ok_or(DeviceError::PurposeNotKept(name.purpose))?;
        let epoch_secret = tree.cover.epoch_secret(name.epoch).map_err(|_| DeviceError::KeyGone)?;
        Ok(epoch_secret.key(name.number))
    }

    /// Wraps the key of an age file for the authority.
    pub fn wrap_file_key(
        &mut self,
        clock: Clock,
        file_key: &Secret<16>,
    ) -> Result<Unsaved<'_, FileStanza>, DeviceError> {
        let (name, key) = self.take_key(Purpose::File, self.sealing_time(clock))?;
        let stanza = FileStanza::wrap(name, &key.file_wrap(), file_key);
        Ok(self.unsaved(stanza))
    }

    /// A challenge for a technician who is to be let in for `scope`. Its key is used for nothing else.
    pub fn service_challenge(
        &mut self,
        clock: Clock,
        scope: &ServiceScope,
    ) -> Result<Unsaved<'_, ServiceChallenge>, DeviceError> {
        let time = self.known_time.saturating_add(clock.elapsed);
        let (name, key) = self.take_key(Purpose::Service, time)?;
        Ok(self.unsaved(ServiceChallenge::new(&name, &key, scope)))
    }

    /// Checks the code that answers a challenge of this device. That it is the answer to the last one, in time, for the first time and
    /// after few wrong ones is the caller's to see to.
    pub fn check_service_code(
        &self,
        challenge: &ServiceChallenge,
        scope: &ServiceScope,
        code: &ServiceCode,
    ) -> Result<(), DeviceError> {
        let key = self.own_key(&challenge.key_name(self.device.clone()))?;
        code.verify(challenge, &self.device, &key, scope).map_err(|_| DeviceError::CodeWrong)
    }

    /// The next code for emergencies, with the name of its key.
    pub fn emergency_code(
        &mut self,
        clock: Clock,
    ) -> Result<Unsaved<'_, (KeyName, EmergencyCode)>, DeviceError> {
        let time = self.known_time.saturating_add(clock.elapsed);
        let (name, key) = self.take_key(Purpose::Service, time)?;
        Ok(self.unsaved((name, EmergencyCode::of(&key))))
    }

    /// The protocol of a session as it goes by a file.
    pub fn carry_protocol(
        &mut self,
        clock: Clock,
        protocol: VisitProtocol,
    ) -> Result<Unsaved<'_, CarriedProtocol>, DeviceError> {
        let time = self.known_time.saturating_add(clock.elapsed);
        let (name, key) = self.take_key(Purpose::Service, time)?;
        let protocol = VisitProtocol { device: name.owner.clone(), ..protocol };
        Ok(self.unsaved(CarriedProtocol::new(&name, &key, protocol)))
    }

    /// The later of known time and wall clock.
    fn sealing_time(&self, clock: Clock) -> u64 {
        self.known_time.saturating_add(clock.elapsed).max(clock.wall.unwrap_or(0))
    }

    /// The next key of `purpose` at Unix second `time`. Nodes that can yield an earlier epoch are erased.
    fn take_key(&mut self, purpose: Purpose, time: u64) -> Result<(KeyName, NumberKey), DeviceError> {
        let (schedule, owner, generation) = (self.schedule, self.device.clone(), self.generation);
        let tree = self.tree(purpose)?;
        let mut uses = Uses { epoch: tree.cover.first(), taken: tree.taken };
        let exhausted = || DeviceError::Exhausted(purpose);
        let epoch = uses.take(&schedule, schedule.due(time)).ok_or_else(exhausted)?;
        let before = (tree.cover.first(), tree.numbers.reserved());
        let number = tree.numbers.take().ok_or_else(exhausted)?;
        tree.cover.advance(epoch).map_err(|_| exhausted())?;
        tree.taken = uses.taken;
        let key = tree.cover.epoch_secret(epoch).map_err(|_| exhausted())?.key(number);
        let must_save = before != (tree.cover.first(), tree.numbers.reserved());
        self.is_dirty |= must_save;
        Ok((KeyName { owner, generation, purpose, epoch, number }, key))
    }
}
