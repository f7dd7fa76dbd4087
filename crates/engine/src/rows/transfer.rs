//! The rows of a device's transfer to another tenant.
//!
//! One says how far it is, at the device as the giving tenant has it. It stays when the transfer has ended, so that the device is
//! found where it went, and no generation is given twice to one that comes back. Two others lead to it from the receiving tenant,
//! until then.

use super::{column, device_key, parse_device_key, tenant_prefix};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, ProfileName, Reason, TenantId, TransferState, UnixSeconds};
use wardein_port::Table;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransferRow {
    #[serde(with = "column")]
    pub(crate) state: TransferState,
    /// The receiving tenant.
    #[serde(with = "column")]
    pub(crate) to: TenantId,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
    #[serde(with = "column")]
    pub(crate) offered_at: UnixSeconds,
    /// Until when it may be accepted.
    #[serde(with = "column")]
    pub(crate) expires: UnixSeconds,
    /// None before it was accepted.
    pub(crate) accepted: Option<AcceptedRow>,
    /// While it is agreed: the generation in the giving tenant that agreed. Once it is complete: the highest one that the device had
    /// there.
    pub(crate) last_generation: u64,
}

/// What the receiving tenant chose.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcceptedRow {
    /// The device's id there.
    #[serde(with = "column")]
    pub(crate) device: DeviceId,
    #[serde(with = "column")]
    pub(crate) profile: ProfileName,
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    /// Who accepted.
    pub(crate) by: String,
}

impl TransferRow {
    /// The device as the receiving tenant has it, once that has accepted.
    pub(crate) fn arriving(&self) -> Option<DeviceName> {
        let accepted = self.accepted.as_ref()?;
        Some(DeviceName { tenant: self.to.clone(), device: accepted.device.clone() })
    }

    /// Whether the offer can be accepted no longer, and never was.
    pub(crate) fn has_expired(&self, now: UnixSeconds) -> bool {
        self.state == TransferState::Offered && self.expires < now
    }

    /// Whether it stands in the way of another.
    pub(crate) fn is_open(&self, now: UnixSeconds) -> bool {
        match self.state {
            TransferState::Offered => !self.has_expired(now),
            TransferState::Accepted | TransferState::Agreed => true,
            TransferState::Complete | TransferState::Withdrawn => false,
        }
    }
}

/// What a row of the table is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferKey {
    /// The transfer of this device, which its tenant gives: a [`TransferRow`].
    Of(DeviceName),
    /// A transfer to this tenant: a [`Link`](super::Link) to it.
    To(TenantId),
    /// The id that an accepted transfer keeps free for the device: a link to it.
    Awaited(DeviceName),
}

/// `tenant ‖ 0 ‖ 'o' ‖ device`.
pub(crate) fn transfer_key(from: &DeviceName) -> Vec<u8> {
    [&tenant_prefix(&from.tenant)[..], &[OF], from.device.as_str().as_bytes()].concat()
}

/// `receiving tenant ‖ 0 ‖ 'i' ‖ giving tenant ‖ 0 ‖ device`.
pub(crate) fn incoming_key(to: &TenantId, from: &DeviceName) -> Vec<u8> {
    [&tenant_prefix(to)[..], &[TO], &device_key(from)].concat()
}

/// `receiving tenant ‖ 0 ‖ 't' ‖ device`.
pub(crate) fn awaited_key(name: &DeviceName) -> Vec<u8> {
    [&tenant_prefix(&name.tenant)[..], &[AWAITED], name.device.as_str().as_bytes()].concat()
}

/// The inverse of [`transfer_key`], [`incoming_key`] and [`awaited_key`].
pub(crate) fn parse_transfer_key(key: &[u8]) -> Result<TransferKey, Error> {
    let damaged = || super::damaged(Table::Transfer, "has a damaged key");
    let end = key.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let (prefix, rest) = key.split_at_checked(end + 1).ok_or_else(damaged)?;
    let (kind, rest) = rest.split_first().ok_or_else(damaged)?;
    let name = |rest: &[u8]| parse_device_key(&[prefix, rest].concat()).map_err(|_| damaged());
    Ok(match *kind {
        OF => TransferKey::Of(name(rest)?),
        AWAITED => TransferKey::Awaited(name(rest)?),
        TO => {
            let text = prefix.get(..end).and_then(|tenant| std::str::from_utf8(tenant).ok());
            TransferKey::To(text.and_then(|text| text.parse().ok()).ok_or_else(damaged)?)
        }
        _ => return Err(damaged()),
    })
}

const OF: u8 = b'o';
const TO: u8 = b'i';
const AWAITED: u8 = b't';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;

    #[test]
    fn keys_come_back() {
        let name =
            |tenant: &str| DeviceName { tenant: tenant.parse().unwrap(), device: "pump-1".parse().unwrap() };
        let (from, to) = (name("klinik"), name("lab"));
        assert_eq!(parse_transfer_key(&transfer_key(&from)).unwrap(), TransferKey::Of(from.clone()));
        assert_eq!(parse_transfer_key(&awaited_key(&to)).unwrap(), TransferKey::Awaited(to.clone()));
        let incoming = incoming_key(&to.tenant, &from);
        assert_eq!(parse_transfer_key(&incoming).unwrap(), TransferKey::To(to.tenant));
        for damaged in [&b""[..], b"lab", b"lab\0", b"lab\0x", b"\0opump", b"lab\0o", b"LAB\0i"] {
            assert!(parse_transfer_key(damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn an_offer_ends_with_its_second_and_what_was_accepted_does_not() {
        let mut row = row();
        row.accepted = None;
        row.state = TransferState::Offered;
        assert!(row.is_open(UnixSeconds::new(9)) && !row.is_open(UnixSeconds::new(10)));
        row.state = TransferState::Accepted;
        assert!(row.is_open(UnixSeconds::new(10)));
        row.state = TransferState::Withdrawn;
        assert!(!row.is_open(UnixSeconds::new(1)));
    }

    #[test]
    fn the_bytes_of_a_row_never_change() {
        assert_eq!(hex::encode(&encode(&row()).unwrap()), GOLDEN);
        let read: TransferRow = decode(Table::Transfer, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(read, row());
    }

    fn row() -> TransferRow {
        TransferRow {
            state: TransferState::Agreed,
            to: "lab".parse().unwrap(),
            reason: "sold".parse().unwrap(),
            offered_at: UnixSeconds::new(7),
            expires: UnixSeconds::new(9),
            accepted: Some(AcceptedRow {
                device: "pump-1".parse().unwrap(),
                profile: "default".parse().unwrap(),
                at: UnixSeconds::new(8),
                by: "lab/admin".into(),
            }),
            last_generation: 3,
        }
    }

    const GOLDEN: &str = "0203036c616204736f6c640709010670756d702d310764656661756c7408096c61622f61646d696e03";
}
