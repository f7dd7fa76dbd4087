//! The caller's own ids of a request, logged beside ours: its trace (W3C Trace Context) and its `x-request-id`.

use http::HeaderMap;

/// What the caller calls a request. It is logged and decides nothing.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The trace id of `traceparent`: 32 lower-case hexadecimal digits.
    pub(crate) id: Option<Box<str>>,
    /// What else it says.
    pub(crate) parent: Option<Parent>,
    /// `x-request-id`.
    pub(super) request: Option<Box<str>>,
}

/// The caller's span of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    /// Its id.
    pub(crate) span: [u8; 8],
    /// Whether the caller records its trace (Trace Context §3.2.2.5.1).
    pub(crate) is_sampled: bool,
}

impl Trace {
    /// What is well-formed of it; all else is left out, as the standard asks (Trace Context §3.2).
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        // A look at the few that there are costs a call less than a search for each of two.
        for (name, value) in headers {
            let text = || value.to_str().ok();
            // The first of several is the one.
            match name.as_str() {
                "x-request-id" if found.request.is_none() => {
                    found.request = text().and_then(request_id).map(Into::into);
                }
                "traceparent" if found.id.is_none() => {
                    let parent = text().and_then(trace_parent);
                    found.id = parent.map(|(id, _)| id.into());
                    found.parent = parent.map(|(_, parent)| parent);
                }
                _ => {}
            }
        }
        found
    }
}

fn request_id(id: &str) -> Option<&str> {
    let is_plain = !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then_some(id)
}

/// `version-trace id-parent id-flags`; a version of later may go on after a dash.
fn trace_parent(parent: &str) -> Option<(&str, Parent)> {
    let mut parts = parent.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && is_hex).then_some(part)
    };
    let (version, id, caller, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_zero = |hex: &str| hex.bytes().all(|byte| byte == b'0');
    let is_over = version != "00" || parts.next().is_none();
    if version == "ff" || !is_over || is_zero(id) || is_zero(caller) {
        return None;
    }
    let span = u64::from_str_radix(caller, 16).ok()?.to_be_bytes();
    let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some((id, Parent { span, is_sampled }))
}

const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_up_only_if_it_is_well_formed() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = |is_sampled| Parent { span: 0x00f0_6744_0b49_02b7_u64.to_be_bytes(), is_sampled };
        assert_eq!(trace_parent(&format!("00-{id}-00f067440b4902b7-01")), Some((id, parent(true))));
        assert_eq!(trace_parent(&format!("00-{id}-00f067440b4902b7-02")), Some((id, parent(false))));
        assert_eq!(trace_parent(&format!("01-{id}-00f067440b4902b7-01-more")), Some((id, parent(true))));
        for bad in [
            "",
            "00",
            &format!("ff-{id}-00f067440b4902b7-01"),
            &format!("00-{id}-00f067440b4902b7-01-more"),
            &format!("00-{}-00f067440b4902b7-01", id.to_ascii_uppercase()),
            &format!("00-{}-00f067440b4902b7-01", "0".repeat(32)),
            &format!("00-{id}-0000000000000000-01"),
            &format!("00-{id}\n-00f067440b4902b7-01"),
        ] {
            assert_eq!(trace_parent(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_id_that_would_fill_the_log_is_left_out() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", id.parse().unwrap());
            Trace::of(&headers).request
        };
        assert_eq!(of("visit-7").as_deref(), Some("visit-7"));
        assert_eq!((of(&"x".repeat(MAX_ID + 1)), of("a b"), of("")), (None, None, None));
    }
}
