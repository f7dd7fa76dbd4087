//! Sealed data of devices: a platform has a payload opened, or its key or a file's released, which spends the key.

use crate::derive::spent::{self, Spending, Standing};
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Kept, Stop, Tx};
use crate::project::KnownDevice;
use crate::rows::{self, KeysRow, SpentRow};
use std::sync::Arc;
use wardein_crypto::{Digest, SecretBytes};
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::message::{FileStanza, SealedPayload};
use wardein_ddkg::{DeviceName, KeyName, Policy};
use wardein_domain::{
    Actor, DeviceState, ErrorCode, Event, FieldName, Fields, Outcome, Profile, Purpose, Reason, Right,
    UnixSeconds,
};
use wardein_port::{Change, Table};

/// The sealed data that a key is released for.
#[derive(Debug, Clone)]
pub enum Sealed {
    /// A payload whose key has that name.
    Payload(KeyName),
    /// A file that has this stanza.
    File(FileStanza),
}

impl Sealed {
    /// Whose key it is.
    pub fn owner(&self) -> &DeviceName {
        match self {
            Self::Payload(name) => &name.owner,
            Self::File(stanza) => &stanza.name().owner,
        }
    }
}

/// A key to be released.
#[derive(Debug, Clone)]
pub struct ReleaseAsk {
    /// Which.
    pub sealed: Sealed,
    /// Why.
    pub reason: Reason,
    /// The SHA-256 that distinguishes this release from every other.
    pub idempotency: Digest,
}

/// A payload to be opened.
#[derive(Debug, Clone)]
pub struct OpenAsk {
    /// The payload.
    pub sealed: SealedPayload,
    /// The additional data that the device bound to it.
    pub additional: Vec<u8>,
    /// Why.
    pub reason: Reason,
    /// The SHA-256 that distinguishes this opening from every other.
    pub idempotency: Digest,
}

/// A key or a plaintext that a platform is given.
pub struct Unsealed {
    /// The key, or the plaintext.
    pub secret: SecretBytes,
    /// The key that is spent.
    pub key_name: KeyName,
    /// The present state of its device.
    pub state: DeviceState,
}

/// A use of one key.
struct Use<'a> {
    name: &'a KeyName,
    right: Right,
    event: Event,
    reason: &'a Reason,
    spending: Spending<'a>,
}

impl Engine {
    /// The key of a payload or a file, once.
    pub async fn release_key(&self, caller: &Caller, ask: ReleaseAsk) -> Result<Unsealed, Error> {
        let ReleaseAsk { sealed, reason, idempotency } = &ask;
        let (name, right, message) = match sealed {
            Sealed::Payload(name) if name.purpose == Purpose::Data => (name, Right::Data, None),
            Sealed::Payload(name) => {
                let message =
                    "takes a `data` key; the key of a file is released by its stanza, others never leave";
                return Err(Error::wrong(
                    "key_name",
                    format_args!("is of purpose {}; {message}", name.purpose),
                ));
            }
            Sealed::File(stanza) => (stanza.name(), Right::File, Some(Digest::of(stanza.body()))),
        };
        let spending = Spending { caller, idempotency: *idempotency, message };
        let used = Use { name, right, event: Event::KeyReleased, reason, spending };
        self.use_key(used, |record, now, policy| match sealed {
            Sealed::Payload(name) => {
                let (key, spend) = record.release_payload_key(name, now, policy)?;
                Ok((copied(key.expose()), spend.0))
            }
            Sealed::File(stanza) => {
                let (key, spend) = record.unwrap_file_key(stanza, now, policy)?;
                Ok((copied(key.expose()), spend.0))
            }
        })
        .await
    }

    /// The plaintext of a payload, once; its key stays here.
    pub async fn open_payload(&self, caller: &Caller, ask: OpenAsk) -> Result<Unsealed, Error> {
        let OpenAsk { sealed, additional, reason, idempotency } = &ask;
        let message = Some(Digest::of(&sealed.encode()));
        let spending = Spending { caller, idempotency: *idempotency, message };
        let used =
            Use { name: sealed.name(), right: Right::Open, event: Event::PayloadOpened, reason, spending };
        self.use_key(used, |record, now, policy| {
            let (plaintext, spend) = record.open(sealed, additional, now, policy)?;
            Ok((plaintext, spend.0))
        })
        .await
    }

    async fn use_key(
        &self,
        used: Use<'_>,
        take: impl Fn(&mut Record, u64, &Policy) -> Result<(SecretBytes, KeyName), Refusal> + Send + Sync,
    ) -> Result<Unsealed, Error> {
        let owner = &used.name.owner;
        self.require_tenant(used.spending.caller, &owner.tenant)?;
        let judge = |tx: &mut Tx<'_>| self.decide_use(tx, &used, &take).map(|_| ());
        self.transact_on_by(used.spending.caller, owner, judge, |tx| self.decide_use(tx, &used, &take)).await
    }

    fn decide_use(
        &self,
        tx: &mut Tx<'_>,
        used: &Use<'_>,
        take: &impl Fn(&mut Record, u64, &Policy) -> Result<(SecretBytes, KeyName), Refusal>,
    ) -> Result<Decision<Unsealed>, Stop> {
        let Use { name: key_name, right, event, reason, spending } = used;
        let (owner, caller) = (&key_name.owner, spending.caller);
        let now_ms = self.clock.now_ms();
        let now = now_ms / 1000;
        let (known, profile) = self.granted(tx, caller, owner, *right)?;
        let (standing, present) = self.standing(tx, key_name, spending, &profile, UnixSeconds::new(now))?;
        // Regardless of the device's state: its sealed data is its owner's, who learns the state.
        let Held { cold, version, mut keys } =
            self.open_keys(tx, owner)?.ok_or_else(|| Error::no_keys(owner))?;
        let mut kept = None;
        let policy = self.policy_of(&profile);
        let (secret, spend) =
            self.take_key(&mut keys, key_name, &profile, |record| take(record, now, &policy))?;
        let mut change = Change::default();
        change.check(Table::Device, rows::device_key(owner), known.version);
        let delivery = match (standing, present) {
            (Standing::OtherMessage, _) => return self.decide_key_twice(tx, caller, &spend, now_ms),
            (Standing::First, _) => {
                spent::spend(&mut change, &spend, &spending.row(UnixSeconds::new(now)))?;
                self.use_idempotency_key(tx, &mut change, spending, UnixSeconds::new(now))?;
                keys.record.sweep(self.authority_time(now_ms), &policy);
                kept = Some(self.put_keys(tx, &mut change, owner, (cold, version), &mut keys)?);
                "first"
            }
            (Standing::Repeated, _) => "again",
            (Standing::Spent, Some((version, row)))
                if spending.message.is_none() && row.message.is_some() =>
            {
                spent::forget_message(&mut change, &spend, version, row)?;
                "archive"
            }
            (Standing::Spent, _) => "archive",
        };
        let entry = self.entry(caller, *event, target(owner), Outcome::Done);
        let entry = entry
            .with(FieldName::Key, spend.to_string())
            .with(FieldName::Delivery, delivery)
            .with(FieldName::Reason, reason);
        change.record(&entry)?;
        let unsealed = Unsealed { secret, key_name: spend, state: known.state };
        Ok(Decision { keys: kept.map(|cold| Kept { keys, cold }), ..Decision::new(change, unsealed) })
    }

    /// The device that a key is of, and its profile with inherited settings, where the caller was granted the right to it.
    pub(super) fn granted(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        owner: &DeviceName,
        right: Right,
    ) -> Result<(Arc<KnownDevice>, Profile), Stop> {
        let known = self.memory.device(owner).ok_or_else(|| Error::no_device(owner))?;
        self.require_grant(tx, caller, &owner.tenant, right, &known.profile)?;
        let rules = self.memory.rules(&owner.tenant, &known.profile).unwrap_or_default();
        Ok((known, rules.profile))
    }

    /// How a use of a key relates to the record, and the row of the key if it is spent. One that is spent is refused, unless the
    /// profile archives it.
    pub(super) fn standing(
        &self,
        tx: &Tx<'_>,
        key_name: &KeyName,
        spending: &Spending<'_>,
        profile: &Profile,
        now: UnixSeconds,
    ) -> Result<(Standing, Option<(u64, SpentRow)>), Stop> {
        let present = self.spent(tx, key_name)?;
        let spent = present.as_ref().map(|(_, row)| row);
        let is_of_caller = self.is_spent_by(tx, spent, spending.caller)?;
        let standing = spending.standing(spent, is_of_caller, now);
        if standing == Standing::Spent && !profile.archives(key_name.purpose) {
            return Err(spent_error(key_name).into());
        }
        Ok((standing, present))
    }

    /// What `take` has of a device's keys, by the rules of an authority that was restored.
    pub(super) fn take_key<T>(
        &self,
        keys: &mut KeysRow,
        key_name: &KeyName,
        profile: &Profile,
        take: impl FnOnce(&mut Record) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        if keys.is_stale(key_name.generation, self.authority.restored_at) {
            self.judge_stale(keys, key_name, profile.archives(key_name.purpose))?;
        }
        let taken = take(&mut keys.record);
        taken.map_err(|refusal| of_platform(self.refusal(refusal, keys, key_name.generation)))
    }

    /// Puts on record that one key was used for two messages which are both right.
    pub(super) async fn alarm_key_twice(&self, caller: &Caller, key_name: &KeyName) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let alarm = |tx: &mut Tx<'_>| self.decide_key_twice::<()>(tx, caller, key_name, now_ms);
        match self.transact_by(caller, alarm).await {
            Err(error) if error.code != ErrorCode::CloneSuspected => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// One key was used for two messages, and both are right: two holders of the device's state.
    pub(crate) fn decide_key_twice<T>(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        key_name: &KeyName,
        now_ms: u64,
    ) -> Result<Decision<T>, Stop> {
        let evidence = Fields::default()
            .with(FieldName::Key, key_name.to_string())
            .with(FieldName::Operator, Actor::from(&caller.principal));
        let change = self.clone_alarm(tx, &caller.call, &key_name.owner, now_ms, "key-twice", evidence)?;
        Ok(Decision::refused(change, key_twice()))
    }
}

pub(super) fn key_twice() -> Error {
    let message = "two holders of the device's state speak: one key was used for two messages";
    Error::new(ErrorCode::CloneSuspected, message)
}

pub(super) fn copied(secret: &[u8]) -> SecretBytes {
    let mut copy = SecretBytes::with_capacity(secret.len());
    copy.extend(secret);
    copy
}

impl Error {
    /// The device's keys are gone.
    pub(crate) fn no_keys(name: &DeviceName) -> Self {
        let message = format_args!(
            "no keys of device {} are kept; data sealed under them cannot be opened",
            name.device
        );
        Self::new(ErrorCode::KeysGone, message)
    }
}

pub(crate) fn spent_error(name: &KeyName) -> Error {
    let (code, next) = match name.purpose {
        Purpose::Token => (ErrorCode::TokenSpent, "have the device make another token"),
        Purpose::Proof | Purpose::Data | Purpose::File | Purpose::Service => {
            (ErrorCode::KeySpent, "it is given out once")
        }
    };
    Error::new(code, format_args!("{name} was already spent; {next}"))
}

/// A refusal of a platform's message. It is not the platform that fails to authenticate: its certificate is good.
pub(crate) fn of_platform(error: Error) -> Error {
    let code = match error.code {
        ErrorCode::MacWrong => ErrorCode::MessageMacWrong,
        ErrorCode::GenerationUnknown => ErrorCode::MessageGenerationUnknown,
        ErrorCode::GenerationRetired => ErrorCode::MessageGenerationRetired,
        code => code,
    };
    Error { code, ..error }
}
