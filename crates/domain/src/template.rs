//! Texts in which `{device}`, `{tenant}` and `{profile}` are replaced by a device's own.

use crate::name::{DeviceId, ProfileName, TenantId};
use alloc::borrow::ToOwned;
use alloc::string::String;

/// The text with its places filled.
pub(crate) fn filled(text: &str, tenant: &TenantId, device: &DeviceId, profile: &ProfileName) -> String {
    let values = [tenant.as_str(), device.as_str(), profile.as_str()];
    // No name of these has a brace, so that inserted text is never replaced.
    let put = |text: String, (place, value): (&str, &str)| text.replace(place, value);
    PLACES.into_iter().zip(values).fold(text.to_owned(), put)
}

/// The first character, and its offset in bytes, that belongs to no place and is not allowed beside one.
pub(crate) fn stray(text: &str, allowed: fn(char) -> bool) -> Option<(usize, char)> {
    let mut position = 0;
    while let Some(c) = text.get(position..).and_then(|rest| rest.chars().next()) {
        let place = PLACES.into_iter().find(|place| text[position..].starts_with(place));
        if place.is_none() && (!allowed(c) || matches!(c, '{' | '}')) {
            return Some((position, c));
        }
        position += place.map_or(c.len_utf8(), str::len);
    }
    None
}

pub(crate) const DEVICE: &str = "{device}";
pub(crate) const TENANT: &str = "{tenant}";
const PLACES: [&str; 3] = [TENANT, DEVICE, "{profile}"];
