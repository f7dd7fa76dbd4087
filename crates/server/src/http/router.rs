//! The HTTP resources, by path: GET and HEAD, and for OCSP POST. Nothing can be changed here.

use super::crl::crl;
use super::ocsp;
use super::status::status_list;
use super::tuf;
use crate::edge::metrics::Metrics;
use crate::edge::rate::Addresses;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{Method, StatusCode, header};
use std::sync::Arc;
use tokio::sync::watch;
use wardein_domain::Agreement;
use wardein_engine::Engine;

/// The sources of the answers.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stopping: watch::Receiver<bool>,
    /// OCSP answers that are signed, by address.
    pub(super) signatures: Arc<Addresses>,
    pub(super) ocsp_faults: Arc<ocsp::Faults>,
}

/// To HEAD, a path answers with the headers that GET would have, and no body (RFC 9110 §9.3.2).
pub(super) fn router(served: Served) -> Router {
    Router::new()
        // A process that answers is alive.
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/trust-bundle", get(trust_bundle))
        .route("/spiffe-bundle", get(spiffe_bundle))
        .route("/jwks.json", get(jwks))
        .route("/status/{number}", get(status_list))
        .route("/tuf/{repository}/{file}", get(tuf::metadata))
        .route("/crl/{name}", get(crl))
        .route("/ocsp", post(ocsp::post))
        .route("/ocsp/", post(ocsp::post))
        .route("/ocsp/{*request}", get(ocsp::get))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .with_state(served)
}

/// Ready means: can write. Trust queries are answered all the same. Nothing is logged: gRPC's health logs each change of this, and
/// anyone who reaches the port may ask as often as they like.
async fn ready(State(served): State<Served>) -> Result<&'static str, (StatusCode, String)> {
    let not_ready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why);
    if *served.stopping.borrow() {
        return Err(not_ready("stopping\n".to_owned()));
    }
    let why = |why| not_ready(format!("the store cannot be written to: {why}\n"));
    let in_doubt = !matches!(served.engine.clock_status().agreement, Agreement::Since(_));
    let words = if in_doubt { "ready; the clock is in doubt: wardein clock status\n" } else { "ready\n" };
    served.engine.writable().map(|()| words).map_err(why)
}

async fn metrics(State(served): State<Served>) -> Result<impl IntoResponse, Failure> {
    match served.metrics.render() {
        Ok(text) => Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            Err((StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"))
        }
    }
}

async fn trust_bundle(State(served): State<Served>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], served.engine.trust_bundle().pem)
}

/// SPIFFE Trust Domain and Bundle §4.
async fn spiffe_bundle(State(served): State<Served>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], served.engine.spiffe_bundle())
}

/// The keys that verify signed verdicts (RFC 7517 §8.5.1). The next one is published for a month before it signs, so that an hour is no
/// long time to keep them; who finds none for a signature asks again.
async fn jwks(State(served): State<Served>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "max-age=3600, public, no-transform, must-revalidate"),
    ];
    (headers, served.engine.verdict_jwks())
}

/// No such path, or one that is asked by another method.
async fn nothing(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => (StatusCode::NOT_FOUND, AVAILABLE).into_response(),
        // RFC 9110 §15.5.6.
        _ => {
            let allow = [(header::ALLOW, "GET, HEAD")];
            (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response()
        }
    }
}

const AVAILABLE: &str = "available: /metrics, /healthz, /readyz, /trust-bundle, /spiffe-bundle, /jwks.json, /status/<number>, /tuf/<repository>/<file>, /crl/bundle.pem, /crl/root.crl, /crl/<CA>.crl and /ocsp\n";

type Failure = (StatusCode, &'static str);
