//! Wire types to domain types and back. Each field from outside becomes a domain type here, once, or is refused by its name and
//! bound.

use std::fmt;
use std::str::FromStr;
use wardein_ddkg::DeviceName;
use wardein_engine::{Error, Page};

/// The fault of a field.
pub(super) fn wrong(field: &str, why: impl fmt::Display) -> Error {
    Error::wrong(field, why)
}

/// A field that must be there.
pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(field: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| wrong(field, error))
}

/// A field that may be empty.
pub(crate) fn parse_optional<T: FromStr<Err: fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<Option<T>, Error> {
    (!text.is_empty()).then(|| parse(field, text)).transpose()
}

pub(crate) fn device_name(tenant: &str, device: &str) -> Result<DeviceName, Error> {
    Ok(DeviceName { tenant: parse("tenant", tenant)?, device: parse("device_id", device)? })
}

/// A field of exactly 32 bytes.
pub(crate) fn bytes32(field: &str, bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| wrong(field, format_args!("has {} bytes; it takes 32", bytes.len())))
}

pub(crate) fn at_most(field: &str, bytes: Vec<u8>, max: usize) -> Result<Vec<u8>, Error> {
    match bytes.len() {
        length if length > max => {
            Err(wrong(field, format_args!("has {length} bytes; it takes at most {max}")))
        }
        _ => Ok(bytes),
    }
}

pub(crate) fn page(size: u32, token: Vec<u8>) -> Result<Page, Error> {
    let token = at_most("page_token", token, MAX_TOKEN)?;
    Ok(Page { size: page_size(size), after: (!token.is_empty()).then_some(token) })
}

/// A page has fewer items than were asked for, rather than none (AIP-158).
pub(crate) fn page_size(size: u32) -> usize {
    match size as usize {
        0 => DEFAULT_PAGE,
        size => size.min(Page::MAX),
    }
}

/// Text that may be absent, as the wire has it.
pub(super) fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

const DEFAULT_PAGE: usize = 100;
// The longest key of a row.
const MAX_TOKEN: usize = wardein_port::MAX_KEY;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::TenantId;

    #[test]
    fn an_error_names_the_field_and_the_bound() {
        let error = parse::<TenantId>("tenant", &"t".repeat(64)).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("malformed", "tenant: tenant has 64 bytes; it takes 1 to 63")
        );
        assert_eq!(bytes32("mac", &[0; 31]).unwrap_err().message, "mac: has 31 bytes; it takes 32");
        assert_eq!(
            device_name("t", "").unwrap_err().message,
            "device_id: device id has 0 bytes; it takes 1 to 128"
        );
    }

    #[test]
    fn pages_at_their_bounds() {
        assert_eq!(page(0, Vec::new()).unwrap().size, 100);
        assert_eq!(page(1000, vec![1]).unwrap().after, Some(vec![1]));
        assert_eq!(page(1001, Vec::new()).unwrap().size, 1000);
        assert!(page(1, vec![0; MAX_TOKEN]).is_ok());
        assert!(page(1, vec![0; MAX_TOKEN + 1]).unwrap_err().message.starts_with("page_token: has"));
    }
}
