//! Token Status Lists over plain HTTP (draft-ietf-oauth-status-list §8): they are signed, and nothing in them is secret.

use super::file;
use super::router::Served;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
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
    let (head, is_known) = file::head(&file.tag, file.made_at, StatusListFile::TTL, &headers);
    let head = head.header(header::VARY, "accept, accept-encoding");
    let response = match (is_known, takes_gzip(&headers)) {
        (true, _) => head.body(Body::empty()),
        (false, true) => head
            .header(header::CONTENT_TYPE, JWT)
            .header(header::CONTENT_ENCODING, "gzip")
            .body(file::shared(file, |file| &file.gzip)),
        (false, false) => head.header(header::CONTENT_TYPE, JWT).body(file::shared(file, |file| &file.token)),
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
