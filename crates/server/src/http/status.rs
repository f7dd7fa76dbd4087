//! Token Status Lists over plain HTTP (draft-ietf-oauth-status-list §8): they are signed, and nothing in them is secret.

use super::crl::http_date;
use super::router::Served;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use wardein_engine::StatusListFile;

/// `GET /status/<number>`.
pub(super) async fn status_list(
    State(served): State<Served>,
    Path(number): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // A list of another time (§8.4) is on no record.
    if uri.query().is_some() {
        return (StatusCode::NOT_IMPLEMENTED, "only the present list is served\n").into_response();
    }
    if !takes_jwt(&headers) {
        return (StatusCode::NOT_ACCEPTABLE, "available: application/statuslist+jwt\n").into_response();
    }
    // Its one spelling.
    let number = number.parse::<u32>().ok().filter(|parsed| parsed.to_string() == number);
    let Some(file) = number.and_then(|number| served.engine.status_list(number)) else {
        return (StatusCode::NOT_FOUND, "there is no such list\n").into_response();
    };
    let tag = format!("\"{}\"", file.tag);
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::VARY, "accept, accept-encoding")
        .header(header::LAST_MODIFIED, http_date(file.made_at))
        .header(
            header::CACHE_CONTROL,
            format!("max-age={}, public, no-transform, must-revalidate", StatusListFile::TTL),
        );
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let response = match (is_known, takes_gzip(&headers)) {
        (true, _) => response.status(StatusCode::NOT_MODIFIED).body(Body::empty()),
        (false, true) => response
            .header(header::CONTENT_TYPE, JWT)
            .header(header::CONTENT_ENCODING, "gzip")
            .body(Body::from(Bytes::copy_from_slice(&file.gzip))),
        (false, false) => {
            response.header(header::CONTENT_TYPE, JWT).body(Body::from(Bytes::copy_from_slice(&file.token)))
        }
    };
    response.expect("hex digits, numbers and a date are header values")
}

/// Whether a JWT is among what the asker takes: it asks for a CWT, or for all.
fn takes_jwt(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    accepted.peek().is_none()
        || accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|one| {
            let kind = one.split(';').next().unwrap_or_default().trim();
            ["*/*", "application/*", JWT].iter().any(|taken| kind.eq_ignore_ascii_case(taken))
        })
}

/// Whether `gzip` is named, and not refused by `q=0` (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

const JWT: &str = "application/statuslist+jwt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_read_as_http_has_it() {
        let with = |name, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        assert!(takes_jwt(&HeaderMap::new()) && !takes_gzip(&HeaderMap::new()));
        for (accept, takes) in [
            ("application/statuslist+jwt", true),
            ("application/statuslist+cwt, application/statuslist+jwt;q=0.5", true),
            ("*/*", true),
            ("application/statuslist+cwt", false),
            ("text/html", false),
        ] {
            assert_eq!(takes_jwt(&with(header::ACCEPT, accept)), takes, "{accept}");
        }
        for (coding, takes) in [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            assert_eq!(takes_gzip(&with(header::ACCEPT_ENCODING, coding)), takes, "{coding}");
        }
    }
}
