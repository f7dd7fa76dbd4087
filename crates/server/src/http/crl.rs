//! Revocation lists over plain HTTP: they are signed, and nothing in them is secret.

use super::router::Served;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use wardein_crypto::hex;
use wardein_engine::CrlFile;

/// `<key identifier of the CA, 40 hex digits>.crl`, `root.crl`, or `bundle.pem`.
pub(super) async fn crl(
    State(served): State<Served>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let engine = &served.engine;
    let (found, content_type) = match name.as_str() {
        "bundle.pem" => (engine.crl_bundle(), PEM),
        "root.crl" => (engine.root_crl(), DER),
        name => match name.strip_suffix(".crl").and_then(hex::decode_array) {
            Some(ca) if engine.has_crl(&ca) => (engine.crl(&ca), DER),
            _ => return (StatusCode::NOT_FOUND, "no CA here has this list\n").into_response(),
        },
    };
    match found {
        Some(file) => answer(file, content_type, engine.now(), &headers),
        // Made in the first seconds after a start; of a root whose key is elsewhere, never.
        None => {
            let later = [(header::RETRY_AFTER, "5")];
            (StatusCode::SERVICE_UNAVAILABLE, later, "this list is not made yet\n").into_response()
        }
    }
}

fn answer(file: Arc<CrlFile>, content_type: &str, now: u64, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.tag);
    // Lists are made again within seconds of a revocation: caches ask soon, and never use one that has ended (RFC 9111 §5.2.2).
    let age = file.next_update.saturating_sub(now).min(MAX_AGE);
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, format!("max-age={age}, public, no-transform, must-revalidate"))
        .header(header::LAST_MODIFIED, http_date(file.this_update));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let response = match is_known {
        true => response.status(StatusCode::NOT_MODIFIED).body(Body::empty()),
        false => response
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(Bytes::from_owner(Owned(file)))),
    };
    response.expect("a tag of hex digits, numbers and a date are header values")
}

/// A Unix second as HTTP has it (RFC 9110 §5.6.7).
pub(super) fn http_date(second: u64) -> String {
    // The last second that it can say, at the end of the year 9999.
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second.min(253_402_300_799)))
}

/// The bytes of a list, without a copy for each download.
struct Owned(Arc<CrlFile>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// RFC 2585 §4.2.
const DER: &str = "application/pkix-crl";
const PEM: &str = "application/x-pem-file";

/// Seconds.
const MAX_AGE: u64 = 300;
