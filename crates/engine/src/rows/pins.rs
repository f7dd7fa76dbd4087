//! The row of the pins of a tenant's platform, at the tenant's name.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::UnixSeconds;
use wardein_pki::{Pin, Pins};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct PinsRow {
    /// It rises with each change.
    pub(crate) epoch: u64,
    pub(crate) current: PinColumn,
    pub(crate) next: Option<PinColumn>,
    pub(crate) recovery: PinColumn,
    #[serde(with = "column")]
    pub(crate) changed_at: UnixSeconds,
}

/// The SHA-256 of a SubjectPublicKeyInfo, and since when every bundle has it.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) struct PinColumn {
    sha256: [u8; 32],
    #[serde(with = "column")]
    pub(crate) since: UnixSeconds,
}

impl PinColumn {
    pub(crate) fn new(pin: Pin, since: UnixSeconds) -> Self {
        Self { sha256: pin.0, since }
    }

    pub(crate) fn pin(self) -> Pin {
        Pin(self.sha256)
    }
}

impl PinsRow {
    pub(crate) fn pins(&self) -> Pins {
        let next = self.next.map(PinColumn::pin);
        Pins { current: self.current.pin(), next, recovery: self.recovery.pin() }
    }

    /// Since when every bundle has that pin; none where the last one has not.
    pub(crate) fn since(&self, pin: Pin) -> Option<UnixSeconds> {
        let all = [Some(self.current), self.next, Some(self.recovery)];
        all.into_iter().flatten().find(|one| one.pin() == pin).map(|one| one.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let pin = |byte| PinColumn::new(Pin([byte; 32]), UnixSeconds::new(300));
        let row = PinsRow {
            epoch: 1_800_000_000,
            current: pin(1),
            next: Some(pin(2)),
            recovery: pin(3),
            changed_at: UnixSeconds::new(300),
        };
        let [one, two, three] = [1, 2, 3].map(|byte| hex::encode(&[byte; 32]) + "ac02");
        let golden = format!("0280a4a7da06{one}01{two}{three}ac02");
        assert_eq!(hex::encode(&encode(&row).unwrap()), golden);
        let read: PinsRow = decode(Table::PlatformPins, &hex::decode(&golden).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), golden);
        assert_eq!(read.since(Pin([2; 32])), Some(UnixSeconds::new(300)));
        assert_eq!(read.since(Pin([4; 32])), None);
    }
}
