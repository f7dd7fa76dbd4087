//! The metadata of makers' repositories over plain HTTP (TUF 1.0): it is signed, and nothing in it is secret.

use super::file;
use super::router::Served;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use wardein_crypto::{Digest, hex};

/// `GET /tuf/<repository>/<file>`.
pub(super) async fn metadata(
    State(served): State<Served>,
    Path((repository, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    let Ok(repository) = repository.parse() else { return missing() };
    if file.len() > MAX_FILE_NAME {
        return missing();
    }
    let (bytes, made_at) = match served.engine.update_metadata(&repository, &file).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(),
        // Anybody may ask as often as they like: nothing is logged.
        Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n").into_response(),
    };
    // A file with a version in its name never changes; the timestamp has none.
    let max_age = if file == "timestamp.json" { TIMESTAMP_AGE } else { VERSIONED_AGE };
    let (head, is_known) = file::head(&hex::encode(&Digest::of(&bytes).0[..16]), made_at, max_age, &headers);
    let response = match is_known {
        true => head.body(Body::empty()),
        false => head.header(header::CONTENT_TYPE, "application/json").body(Body::from(bytes)),
    };
    response.expect("hex digits, numbers and a date are header values")
}

/// Seconds for which caches may use a timestamp: a recall is heard of soon.
const TIMESTAMP_AGE: u64 = 60;
/// Seconds for which they may use any other file.
const VERSIONED_AGE: u64 = 86_400;
/// The longest name of a file: version and line.
const MAX_FILE_NAME: usize = 64;
