//! The HTTP port: metrics, health, readiness and the trust bundle. It takes GET and HEAD, and changes nothing.

use crate::edge::metrics::Metrics;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use wardein_engine::Engine;

/// Serves until the task is ended; it says that it is not ready from the stop on.
pub(crate) async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (engine, metrics, stopping) = (engine.clone(), metrics.clone(), stopping.clone());
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let is_stopping = *stopping.borrow();
                let response =
                    respond(request.method(), request.uri().path(), &engine, &metrics, is_stopping);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), answer);
            // What goes wrong on a connection concerns its peer alone.
            drop(tokio::time::timeout(CONNECTION_TIME, connection).await);
            drop(place);
        });
    }
}

fn respond(
    method: &Method,
    path: &str,
    engine: &Engine,
    metrics: &Metrics,
    is_stopping: bool,
) -> Response<Full<Bytes>> {
    // To HEAD, hyper sends the headers that GET would have, and no body (RFC 9110 §9.3.2).
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        // RFC 9110 §15.5.6.
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        // Alive is whoever answers.
        "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" if is_stopping => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n"),
        "/readyz" => match engine.writable() {
            Ok(()) => answer(StatusCode::OK, TEXT, "ready\n"),
            Err(why) => {
                tracing::error!(why, "not ready");
                answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the store cannot be written to\n")
            }
        },
        "/metrics" => match metrics.render() {
            Ok(text) => answer(StatusCode::OK, "text/plain; version=0.0.4", text),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be rendered");
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "internal error\n")
            }
        },
        "/trust-bundle" => {
            answer(StatusCode::OK, "application/x-pem-file", engine.trust_bundle().pem.clone().into_bytes())
        }
        _ => answer(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz, /readyz and /trust-bundle\n"),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const CONNECTIONS: usize = 64;
const HEADER_TIME: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(300);
