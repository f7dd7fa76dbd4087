//! Where a device is on the status lists: a row by the device, and one by the place, so that neither has two. Both are insert-only, and stay.

use super::{device_key, parse_device_key};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_ddkg::DeviceName;
use wardein_port::Table;

/// The place of a device, at [`status_device_key`].
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) struct StatusPlaceRow {
    /// The number of the list.
    pub(crate) list: u32,
    /// The index on it.
    pub(crate) index: u32,
}

/// The key of a device's row.
pub(crate) fn status_device_key(device: &DeviceName) -> Vec<u8> {
    [&[DEVICE][..], &device_key(device)].concat()
}

/// The key of a place's row, whose value leads to the device.
pub(crate) fn status_place_key(place: StatusPlaceRow) -> Vec<u8> {
    [&[PLACE][..], &place.list.to_be_bytes(), &place.index.to_be_bytes()].concat()
}

/// The device of a row's key; none of a place's.
pub(crate) fn parse_status_key(key: &[u8]) -> Result<Option<DeviceName>, Error> {
    match key {
        [DEVICE, device @ ..] => parse_device_key(device).map(Some),
        [PLACE, ..] => Ok(None),
        _ => Err(super::damaged(Table::StatusEntry, "has a damaged key")),
    }
}

const DEVICE: u8 = 1;
const PLACE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let place = StatusPlaceRow { list: 1, index: 300 };
        let value = encode(&place).unwrap();
        assert_eq!(hex::encode(&value), "0201ac02");
        assert_eq!(decode::<StatusPlaceRow>(Table::StatusEntry, &value).unwrap(), place);
        assert_eq!(hex::encode(&status_place_key(place)), "02000000010000012c");
        let device = DeviceName { tenant: "t".parse().unwrap(), device: "d".parse().unwrap() };
        let key = status_device_key(&device);
        assert_eq!(hex::encode(&key), "01740064");
        assert_eq!(parse_status_key(&key).unwrap(), Some(device));
        assert_eq!(parse_status_key(&status_place_key(place)).unwrap(), None);
        assert!(parse_status_key(b"").is_err() && parse_status_key(&[3]).is_err());
    }
}
