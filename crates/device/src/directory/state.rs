//! The file of the DDKG state, and that of the key which it is sealed under, where it is.

use super::{Directory, Files, SEALED_KEY, STATE};
use crate::at_rest::{self, Content, StateKey};
use crate::config::Config;
use crate::error::Error;
use wardein_crypto::{Digest, SecretBytes};
use wardein_ddkg::device::{DeviceState, Unsaved};

impl Files {
    /// The DDKG state of `config`'s device; `None` where it is not enrolled. Where it is sealed, the TPM is asked for its key the
    /// first time.
    pub fn state(&self, config: &Config) -> Result<Option<DeviceState>, Error> {
        let Some(bytes) = self.read(STATE, MAX_STATE)? else { return Ok(None) };
        let bytes = self.opened(config, bytes)?;
        // There is no rollback counter on this hardware that we know of, hence 0: the authority tells an old image (DDKG-1 §5).
        let state = DeviceState::restore(bytes.expose(), 0)
            .map_err(|error| self.damaged(STATE, error, STATE_DAMAGED))?;
        if *state.device() != config.device {
            let found = format!("it is of {}/{}", state.device().tenant, state.device().device);
            return Err(self.damaged(STATE, found, "put device.toml or the state back that belongs here"));
        }
        Ok(Some(state))
    }

    /// The state in `bytes`, sealed where `config` says so and not sealed where it does not. What lay on flash once in the clear is not
    /// protected by sealing it later, so that takes an enrollment, with keys that never lay there.
    fn opened(&self, config: &Config, bytes: SecretBytes) -> Result<SecretBytes, Error> {
        let wrong = |why: &str| Err(Error::Config { field: "sealed_by", why: why.into() });
        match (&config.sealed_by, at_rest::is_sealed(bytes.expose())) {
            (None, false) => Ok(bytes),
            (None, true) => wrong(NOT_CONFIGURED),
            (Some(_), false) => wrong(NOT_SEALED),
            (Some(_), true) => self
                .state_key(config)?
                .open(&config.device, Content::State, bytes.expose())
                .ok_or_else(|| {
                    let why = "it was changed, or sealed for another device or under another key";
                    self.damaged(STATE, why, STATE_DAMAGED)
                }),
        }
    }

    /// What the state is sealed under, as the TPM opens it.
    pub(super) fn state_key(&self, config: &Config) -> Result<&StateKey, Error> {
        if let Some(key) = self.state_key.get() {
            return Ok(key);
        }
        let tcti = config.sealed_by.as_deref().ok_or(Error::Fault("sealing by no TPM"))?;
        let file = self.read(STATE_KEY, MAX_STATE_KEY)?;
        let file = file.ok_or_else(|| self.damaged(STATE_KEY, "it is missing", STATE_KEY_DAMAGED))?;
        let key = StateKey::unseal(tcti, file.expose(), &self.path.join(STATE_KEY))?;
        Ok(self.state_key.get_or_init(|| key))
    }

    /// A secret as it is stored: sealed, where `config` has the state sealed.
    pub(crate) fn seal_secret(
        &self,
        config: &Config,
        content: Content,
        secret: SecretBytes,
    ) -> Result<SecretBytes, Error> {
        if config.sealed_by.is_none() {
            return Ok(secret);
        }
        self.state_key(config)?.seal(&config.device, content, &secret).map(SecretBytes::from_vec)
    }

    /// The inverse of [`Files::seal_secret`]; `None` where it is sealed and does not open.
    #[cfg(feature = "files")]
    pub(crate) fn open_secret(
        &self,
        config: &Config,
        content: Content,
        stored: SecretBytes,
    ) -> Result<Option<SecretBytes>, Error> {
        if config.sealed_by.is_none() {
            return Ok(Some(stored));
        }
        Ok(self.state_key(config)?.open(&config.device, content, stored.expose()))
    }

    /// What tells this state from every other; `None` where there is none, or it cannot be read.
    pub(super) fn state_digest(&self) -> Option<Digest> {
        let bytes = self.read(STATE, MAX_STATE).ok()??;
        Some(Digest::of(bytes.expose()))
    }
}

impl Directory {
    /// Saves the state that a message rests on where it must be saved, and gives the message.
    /// It is sealed where `config` says so.
    pub fn save<M>(&self, config: &Config, unsaved: Unsaved<'_, M>) -> Result<M, Error> {
        unsaved.save(|state| {
            if config.sealed_by.is_none() {
                return self.write(STATE, state.expose(), 0o600);
            }
            let sealed = self.files.state_key(config)?.seal(&config.device, Content::State, state)?;
            self.write(STATE, &sealed, 0o600)
        })
    }

    /// Sees to it that there is a key that the TPM opens, where `config` has the state sealed: made once, durable, and opened before
    /// anything rests on it. Only an enrollment makes one, for a state that is not there yet or is given up.
    pub(crate) fn state_key_or_new(&self, config: &Config) -> Result<(), Error> {
        let Some(tcti) = config.sealed_by.as_deref() else { return Ok(()) };
        if self.files.read(STATE_KEY, MAX_STATE_KEY)?.is_none() {
            // What was sealed under one that is gone opens no more.
            self.remove(SEALED_KEY)?;
            self.write(STATE_KEY, &StateKey::make(tcti)?, 0o600)?;
        }
        self.files.state_key(config).map(|_| ())
    }
}

const STATE_KEY: &str = "state.key";
const MAX_STATE: usize = DeviceState::MAX_LEN + at_rest::OVERHEAD;
const MAX_STATE_KEY: usize = 4 << 10;
const STATE_DAMAGED: &str = "do not restore an old copy, it would look like a clone; have an administrator let the device \
                             enroll again, remove the file and run: wardein-device enroll";
const STATE_KEY_DAMAGED: &str = "without it nobody opens the state; have an administrator let the device enroll again, remove \
                                 the file state and run: wardein-device enroll";
const NOT_CONFIGURED: &str = "is missing, and the state is sealed by a TPM; put it back as it was. To do without, have an \
                              administrator let the device enroll again and run: wardein-device enroll --again";
const NOT_SEALED: &str = "the state is not sealed: that is chosen when the device is enrolled. Leave it out; or have an administrator \
                          let the device enroll again and run: wardein-device enroll --again";
