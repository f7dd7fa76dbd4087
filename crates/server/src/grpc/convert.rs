//! Wire types to domain types and back. Each field from outside becomes a domain type here, once, or is refused by its name and
//! bound.

use std::fmt;
use std::str::FromStr;
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_engine::{Error, Page};
use wardein_port::MAX_KEY;
use wardein_proto::{Duration, Message, Timestamp, time, v1};

/// The fault of a field.
pub(crate) fn wrong(field: &str, why: impl fmt::Display) -> Error {
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

/// A list that is asked for in pages.
pub(crate) trait Listed: Message {
    /// Which list it is.
    const NAME: &'static str;

    /// Takes the size and the token of the page out of the request: its filter is left.
    fn take_page(&mut self) -> (u32, Vec<u8>);
}

macro_rules! listed {
    ($($request:ident)*) => {
        $(impl Listed for v1::$request {
            const NAME: &'static str = stringify!($request);

            fn take_page(&mut self) -> (u32, Vec<u8>) {
                (std::mem::take(&mut self.page_size), std::mem::take(&mut self.page_token))
            }
        })*
    };
}

listed! {
    ListBearerTokensRequest ListCasRequest ListCertificatesRequest ListDeedsRequest ListDeviceHistoryRequest ListDevicesRequest
    ListEndorsementKeysRequest ListGrantsRequest ListOperatorsRequest ListProposalsRequest ListSubjectsRequest ListTenantsRequest
    ListEmergencyUsesRequest ListTransfersRequest ListVisitsRequest PreviewTrustPolicyRequest
}

/// The list that a token belongs to: a method and its filter.
#[derive(Clone, Copy)]
pub(crate) struct List([u8; Self::LEN]);

impl List {
    const LEN: usize = 8;

    /// The token of the next page, or none at the end. A page of another list refuses it (AIP-158): its rows would be skipped
    /// in silence.
    pub(crate) fn token(self, next: Option<Vec<u8>>) -> Vec<u8> {
        next.map(|next| [&self.0[..], &next].concat()).unwrap_or_default()
    }
}

/// Which page of a list is asked for. It takes page and token out of the request.
pub(crate) fn page<R: Listed>(request: &mut R) -> Result<(List, Page), Error> {
    let (size, token) = request.take_page();
    let filter = Digest::of(&[R::NAME.as_bytes(), &request.encode_to_vec()].concat());
    let [a, b, c, d, e, f, g, h, ..] = filter.0;
    let list = List([a, b, c, d, e, f, g, h]);
    let after = match at_most("page_token", token, List::LEN + MAX_KEY)? {
        token if token.is_empty() => None,
        token => match token.strip_prefix(&list.0) {
            Some(after) if !after.is_empty() => Some(after.to_vec()),
            _ => {
                return Err(wrong(
                    "page_token",
                    "is of another list; all else stays as it was from page to page",
                ));
            }
        },
    };
    Ok((list, Page { size: page_size(size), after }))
}

/// A page has fewer items than were asked for, rather than none (AIP-158).
pub(crate) fn page_size(size: u32) -> usize {
    match size as usize {
        0 => DEFAULT_PAGE,
        size => size.min(Page::MAX),
    }
}

/// A Unix millisecond that must be there.
pub(crate) fn millisecond(field: &str, given: Option<&Timestamp>) -> Result<u64, Error> {
    let given = given.ok_or_else(|| wrong(field, "is missing"))?;
    time::whole_ms(given).map_err(|why| wrong(field, why))
}

/// A Unix second that may be unset.
pub(crate) fn second_optional(field: &str, given: Option<&Timestamp>) -> Result<Option<u64>, Error> {
    given.map(|given| Ok(millisecond(field, Some(given))? / 1000)).transpose()
}

/// A span in seconds that may be unset.
pub(crate) fn span_optional(field: &str, given: Option<&Duration>) -> Result<Option<u64>, Error> {
    given.map(|given| time::whole_seconds(given).map_err(|why| wrong(field, why))).transpose()
}

/// Text that may be absent, as the wire has it.
pub(super) fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

const DEFAULT_PAGE: usize = 100;

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

    fn grants(tenant: &str, page_size: u32, page_token: Vec<u8>) -> v1::ListGrantsRequest {
        v1::ListGrantsRequest { tenant: tenant.into(), page_size, page_token }
    }

    #[test]
    fn pages_at_their_bounds() {
        assert_eq!(page(&mut grants("t", 0, Vec::new())).unwrap().1.size, 100);
        assert_eq!(page(&mut grants("t", 1001, Vec::new())).unwrap().1.size, 1000);
        let (list, first) = page(&mut grants("t", 1000, Vec::new())).unwrap();
        assert_eq!((first.size, first.after), (1000, None));
        assert!(list.token(None).is_empty());
        let longest = list.token(Some(vec![7; MAX_KEY]));
        assert_eq!(page(&mut grants("t", 1, longest.clone())).unwrap().1.after, Some(vec![7; MAX_KEY]));
        for bad in [[&longest[..], &[7]].concat(), vec![1], list.0.to_vec()] {
            assert!(page(&mut grants("t", 1, bad)).err().unwrap().message.starts_with("page_token: "));
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let token = page(&mut grants("t", 3, Vec::new())).unwrap().0.token(Some(vec![7]));
        // Another size is fine, another filter or method is not.
        assert!(page(&mut grants("t", 5, token.clone())).is_ok());
        assert!(page(&mut grants("u", 3, token.clone())).is_err());
        let mut other =
            v1::ListEndorsementKeysRequest { tenant: "t".into(), page_size: 3, page_token: token };
        assert!(page(&mut other).is_err());
    }

    #[test]
    fn times_and_spans_are_judged_by_their_field() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        assert_eq!(millisecond("wall_time", at(7).as_ref()).unwrap(), 7_000);
        assert_eq!(second_optional("seen_before", None).unwrap(), None);
        assert_eq!(second_optional("seen_before", at(7).as_ref()).unwrap(), Some(7));
        assert_eq!(millisecond("wall_time", None).unwrap_err().message, "wall_time: is missing");
        assert_eq!(
            second_optional("seen_before", at(-1).as_ref()).unwrap_err().message,
            "seen_before: is before 1970"
        );
        let half = Duration { seconds: 1, nanos: 5 };
        assert_eq!(span_optional("period", Some(&half)).unwrap_err().message, "period: takes whole seconds");
    }
}
