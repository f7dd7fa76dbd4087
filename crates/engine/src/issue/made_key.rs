//! Keys that the authority makes for devices that cannot (DDKG-1 §8.2, RFC 7030 §4.4). They are on no record: a device that does not hear
//! the answer asks for another.

use crate::kernel::{Engine, Error};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wardein_crypto::{KeyAlgorithm, SecretBytes, Signer, SigningKey};
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, KeyKind};
use wardein_pki::SubjectKey;

/// A key that was made for a device.
pub struct MadeKey {
    /// PKCS#8, DER.
    pub pkcs8: SecretBytes,
    /// Its public half.
    pub key: SubjectKey,
}

/// Where such keys come from.
pub trait KeySource: Send + Sync {
    /// A fresh key of that kind, or why there is none.
    fn take(&self, kind: KeyKind) -> Result<MadeKey, Error>;
}

/// The source of an engine's made keys, once there is one, and who had some.
#[derive(Default)]
pub(crate) struct MadeKeys {
    source: OnceLock<Arc<dyn KeySource>>,
    /// By device: the first second of an hour, and the keys since. Of this process: a restart begins again.
    taken: Mutex<HashMap<DeviceName, (u64, u32)>>,
}

impl MadeKeys {
    /// Counts a key for a device, unless it had all that it may have within the hour.
    fn count(&self, name: &DeviceName, now: u64) -> Result<(), Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= FORGET_AT {
            taken.retain(|_, (since, _)| is_within(*since, now));
        }
        let (since, count) = taken.entry(name.clone()).or_insert((now, 0));
        if !is_within(*since, now) {
            (*since, *count) = (now, 0);
        }
        if *count >= MADE_KEYS_AN_HOUR {
            let message = format_args!(
                "{MADE_KEYS_AN_HOUR} keys were made for the device within an hour; it may have another later"
            );
            return Err(Error::new(ErrorCode::MadeKeyQuota, message));
        }
        *count += 1;
        Ok(())
    }
}

/// Whether the hour that began then is not over; one that is to come began before the clock was set back.
fn is_within(since: u64, now: u64) -> bool {
    now.checked_sub(since).is_some_and(|passed| passed < HOUR)
}

impl Engine {
    /// Says where keys for devices come from. Until then none are made; a second source is not taken.
    pub fn make_keys_by(&self, source: Arc<dyn KeySource>) {
        let _first = self.made_keys.source.set(source);
    }

    /// A key for a device that may have it.
    pub(crate) fn make_key(&self, kind: KeyKind, name: &DeviceName) -> Result<MadeKey, Error> {
        let source = self.made_keys.source.get().ok_or_else(|| {
            let message = "no keys are made for devices here; the device makes its own, or an administrator sets made_keys";
            Error::new(ErrorCode::NotSupported, message)
        })?;
        // Before it is taken: who asks for what is not ready counts as well.
        self.made_keys.count(name, self.now())?;
        source.take(kind)
    }
}

impl MadeKey {
    /// Makes one: of RSA it takes some tenths of a second, or seconds.
    pub fn make(kind: KeyKind) -> Result<Self, Error> {
        let algorithm = match kind {
            KeyKind::P256 => KeyAlgorithm::P256,
            KeyKind::P384 => KeyAlgorithm::P384,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 => KeyAlgorithm::Rsa3072,
            KeyKind::Rsa4096 => {
                let message =
                    "keys of RSA with 4096 bits are not made here; ask for one of 3072, or on P-256";
                return Err(Error::new(ErrorCode::CsrKeyNotAccepted, message));
            }
        };
        let pkcs8 = match kind {
            KeyKind::Rsa2048 => SigningKey::generate_rsa_2048_pkcs8(),
            _ => SigningKey::generate_pkcs8(algorithm),
        };
        let pkcs8 = pkcs8.map_err(|_| Error::internal("a key could not be made"))?;
        let signer = SigningKey::from_pkcs8(algorithm.signature(), &pkcs8)
            .map_err(|_| Error::internal("a key that was made is damaged"))?;
        let key = SubjectKey::from(signer.verifying_key());
        Ok(Self { pkcs8, key })
    }
}

/// The most keys for one device within an hour: as many as certificates of a few minutes need, and a fraction of those of RSA that are made.
const MADE_KEYS_AN_HOUR: u32 = 30;

/// Seconds.
const HOUR: u64 = 3_600;

/// Devices at which those whose hour is over are forgotten.
const FORGET_AT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_so_many_within_an_hour_and_another_its_own() {
        let (made, name) = (MadeKeys::default(), |device: &str| DeviceName {
            tenant: "klinik".parse().unwrap(),
            device: device.parse().unwrap(),
        });
        let count = |device: &str, now| made.count(&name(device), now).map_err(|error| error.code);
        for begin in [1_000, 1_000 + HOUR] {
            for second in 0..u64::from(MADE_KEYS_AN_HOUR) {
                count("a", begin + second).unwrap();
            }
            assert_eq!(count("a", begin + HOUR - 1), Err(ErrorCode::MadeKeyQuota));
            count("b", begin).unwrap();
        }
        count("a", 10).unwrap();
        // What is over is not kept for long.
        for device in 0..FORGET_AT {
            count(&format!("d{device}"), 1_000).unwrap();
        }
        count("late", 1_000 + HOUR).unwrap();
        assert_eq!(made.taken.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_key_is_of_the_kind_that_was_asked_for() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Rsa3072] {
            assert_eq!(MadeKey::make(kind).unwrap().key.kind(), kind);
        }
        assert_eq!(MadeKey::make(KeyKind::Rsa4096).err().unwrap().code, ErrorCode::CsrKeyNotAccepted);
    }
}
