//! Revocation lists over plain HTTP: they are signed, and nothing in them is secret.

use super::file;
use super::router::Served;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
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
    let max_age = file.next_update.saturating_sub(now).min(MAX_AGE);
    let (head, is_known) = file::head(&file.tag, file.this_update, max_age, headers);
    let response = match is_known {
        true => head.body(Body::empty()),
        false => head.header(header::CONTENT_TYPE, content_type).body(file::shared(file, |file| &file.bytes)),
    };
    response.expect("a tag of hex digits, numbers and a date are header values")
}

/// RFC 2585 §4.2.
const DER: &str = "application/pkix-crl";
const PEM: &str = "application/x-pem-file";

/// Seconds.
const MAX_AGE: u64 = 300;
