//! A signed file that is made again from time to time: what caches are told of it (RFC 9110 §8.8, RFC 9111 §5.2.2).

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::response::Builder;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The head of an answer with a file of that tag, made at that Unix second, which caches may use for `max_age` seconds; and whether the
/// asker has that very file.
pub(super) fn head(tag: &str, made_at: u64, max_age: u64, headers: &HeaderMap) -> (Builder, bool) {
    let tag = format!("\"{tag}\"");
    // Files are made again within seconds of a change: caches ask soon, and never use one that has ended.
    let head = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, format!("max-age={max_age}, public, no-transform, must-revalidate"))
        .header(header::LAST_MODIFIED, http_date(made_at));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    if is_known { (head.status(StatusCode::NOT_MODIFIED), true) } else { (head, false) }
}

/// A Unix second as HTTP has it (RFC 9110 §5.6.7).
pub(super) fn http_date(second: u64) -> String {
    // The last second that it can say, at the end of the year 9999.
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second.min(253_402_300_799)))
}

/// The bytes of a file, without a copy for each download.
pub(super) fn shared<T: Send + Sync + 'static>(file: Arc<T>, bytes: fn(&T) -> &[u8]) -> Body {
    Body::from(Bytes::from_owner(Owned(file, bytes)))
}

struct Owned<T>(Arc<T>, fn(&T) -> &[u8]);

impl<T> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        (self.1)(&self.0)
    }
}
