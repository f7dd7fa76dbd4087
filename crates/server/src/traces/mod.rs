//! Traces: a span for each call that is sampled, delivered over OTLP (OpenTelemetry Protocol, gRPC) to a collector on this machine.
//!
//! What: which calls are sampled, and what their spans say. Why here: the edge knows the caller's trace and how the call ended.
//! What it does not do: no tenant, operator, device or address is in a span, since those who read traces may not see them; the
//! request id leads to the log, which has them.

mod deliver;

pub(crate) use deliver::deliver;

use crate::edge::route::Route;
use crate::edge::trace::Trace;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use wardein_crypto::{Entropy, EntropyError, SystemEntropy, hex};
use wardein_domain::Role;
use wardein_engine::{Error, ErrorKind};
use wardein_port::{Clock, SystemClock};

/// Where traces go, and of which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceConfig {
    collector: SocketAddr,
    one_in: u32,
}

/// A setting of traces is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It is not of that form.
    #[error(
        "collector: write it as http://127.0.0.1:4317, the address and port at which a collector takes OTLP over gRPC"
    )]
    Form,
    /// Others could read what is sent there, and answer in its place.
    #[error("collector: {0} is not on this machine; have a collector here, which sends on over TLS")]
    Elsewhere(SocketAddr),
}

impl TraceConfig {
    /// Traces for a `collector` such as `http://127.0.0.1:4317`, which is on this machine: they are sent in the clear. An operator
    /// that traces a call itself says whether it is sampled; of all other calls one in `one_in` is, and none where that is 0.
    pub fn parse(collector: &str, one_in: u32) -> Result<Self, TraceError> {
        let address = collector.strip_prefix("http://").ok_or(TraceError::Form)?.trim_end_matches('/');
        let collector = match address.strip_prefix("localhost:") {
            Some(port) => {
                SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| TraceError::Form)?))
            }
            None => address.parse().map_err(|_| TraceError::Form)?,
        };
        if !collector.ip().is_loopback() {
            return Err(TraceError::Elsewhere(collector));
        }
        Ok(Self { collector, one_in })
    }

    pub(crate) fn collector(&self) -> SocketAddr {
        self.collector
    }
}

/// Where calls leave their spans.
pub(crate) struct Spans {
    out: mpsc::Sender<Span>,
    one_in: u64,
    counted: AtomicU64,
}

/// A call that has ended.
pub(crate) struct Called<'a> {
    pub(crate) route: Route,
    pub(crate) trace: &'a Trace,
    pub(crate) request_id: &'a str,
    /// Of the operator that called, where one did.
    pub(crate) role: Option<Role>,
    pub(crate) error: Option<&'a Error>,
    pub(crate) code: &'static str,
    pub(crate) took: Duration,
}

impl Spans {
    /// Spans, and what comes out at the other end.
    pub(crate) fn begin(config: &TraceConfig) -> (Self, mpsc::Receiver<Span>) {
        let (out, spans) = mpsc::channel(WAITING);
        (Self { out, one_in: config.one_in.into(), counted: AtomicU64::new(0) }, spans)
    }

    /// Leaves the span of a call that is sampled; whether it was not lost. No call waits for its span.
    pub(crate) fn called(&self, called: &Called<'_>) -> bool {
        if !self.is_sampled(called) {
            return true;
        }
        span(called).is_ok_and(|span| self.out.try_send(span).is_ok())
    }

    /// A stranger's word on sampling does not count: it would fill the collector.
    fn is_sampled(&self, Called { trace, role, .. }: &Called<'_>) -> bool {
        match trace.parent {
            Some(parent) if role.is_some() => parent.is_sampled,
            _ if self.one_in == 0 => false,
            _ => self.counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in),
        }
    }
}

/// As the conventions for RPC have it (OpenTelemetry Semantic Conventions, RPC server spans).
fn span(called: &Called<'_>) -> Result<Span, EntropyError> {
    let Called { route, trace, request_id, role, error, code, took } = called;
    let mut entropy = SystemEntropy::default();
    // Only an operator's own trace is gone on with.
    let parent = trace.parent.filter(|_| role.is_some());
    let known = trace.id.as_deref().filter(|_| parent.is_some()).and_then(hex::decode);
    let trace_id = match known {
        Some(id) => id,
        None => entropy.array::<16>()?.to_vec(),
    };
    let name = route.path().trim_start_matches('/');
    let (service, method) = name.split_once('/').unwrap_or((name, ""));
    let role = role.map_or("none", Role::as_str);
    let attributes = [
        ("rpc.system", if matches!(route, Route::Est(_)) { "est" } else { "grpc" }),
        ("rpc.service", service),
        ("rpc.method", method),
        ("wardein.code", code),
        ("wardein.role", role),
        ("wardein.request_id", request_id),
    ];
    let is_fault =
        error.is_some_and(|error| matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable));
    let ended = SystemClock.wall_ms().saturating_mul(1_000_000);
    Ok(Span {
        trace_id,
        span_id: entropy.array::<8>()?.to_vec(),
        parent_span_id: parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
        name: name.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: ended.saturating_sub(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
        end_time_unix_nano: ended,
        attributes: attributes.map(|(key, value)| attribute(key, value)).into(),
        status: is_fault.then(|| Status { code: StatusCode::Error.into(), message: String::new() }),
        ..Span::default()
    })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The most spans that wait, some 600 bytes each.
const WAITING: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use wardein_domain::Method;

    fn trace(flags: &str) -> Trace {
        let mut headers = HeaderMap::new();
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067440b4902b7-{flags}");
        headers.insert("traceparent", parent.parse().unwrap());
        Trace::of(&headers)
    }

    fn called<'a>(trace: &'a Trace, role: Option<Role>) -> Called<'a> {
        Called {
            route: Route::Own(Method::Check),
            trace,
            request_id: "r-1",
            role,
            error: None,
            code: "ok",
            took: Duration::from_millis(7),
        }
    }

    #[test]
    fn an_operator_says_what_is_sampled_and_a_stranger_does_not() {
        let config = |one_in| TraceConfig::parse("http://127.0.0.1:4317", one_in).unwrap();
        let (none, _none) = Spans::begin(&config(0));
        let (third, _third) = Spans::begin(&config(3));
        let (sampled, not_sampled, nothing) = (trace("01"), trace("00"), Trace::default());
        for (trace, role, in_none, in_third) in [
            (&sampled, Some(Role::Platform), 6, 6),
            (&not_sampled, Some(Role::Platform), 0, 0),
            (&nothing, Some(Role::Platform), 0, 2),
            (&sampled, None, 0, 2),
            (&not_sampled, None, 0, 2),
        ] {
            let count = |spans: &Spans| (0..6).filter(|_| spans.is_sampled(&called(trace, role))).count();
            assert_eq!((count(&none), count(&third)), (in_none, in_third), "{trace:?} {role:?}");
        }
    }

    #[test]
    fn a_span_goes_on_with_an_operators_trace_and_no_other() {
        let trace = trace("01");
        let of = span(&called(&trace, Some(Role::Platform))).unwrap();
        assert_eq!(hex::encode(&of.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hex::encode(&of.parent_span_id), "00f067440b4902b7");
        assert_eq!(of.name, "wardein.v1.TrustService/Check");
        assert_eq!(of.end_time_unix_nano - of.start_time_unix_nano, 7_000_000);
        let of = span(&called(&trace, None)).unwrap();
        assert_ne!(hex::encode(&of.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(of.parent_span_id.is_empty() && of.trace_id.len() == 16 && of.span_id.len() == 8);
    }

    #[test]
    fn a_queue_that_is_full_holds_up_no_call() {
        let (spans, _not_taken) = Spans::begin(&TraceConfig::parse("http://[::1]:4317", 1).unwrap());
        let nothing = Trace::default();
        let kept = (0..WAITING + 10).filter(|_| spans.called(&called(&nothing, None))).count();
        assert_eq!(kept, WAITING);
    }

    #[test]
    fn a_collector_is_on_this_machine() {
        for good in ["http://127.0.0.1:4317", "http://[::1]:4317", "http://localhost:4317/"] {
            assert!(TraceConfig::parse(good, 0).is_ok(), "{good}");
        }
        for elsewhere in ["http://192.0.2.7:4317", "http://0.0.0.0:4317", "http://[2001:db8::1]:4317"] {
            assert!(matches!(TraceConfig::parse(elsewhere, 0), Err(TraceError::Elsewhere(_))), "{elsewhere}");
        }
        for bad in [
            "",
            "127.0.0.1:4317",
            "https://127.0.0.1:4317",
            "http://127.0.0.1",
            "http://a:1",
            "http://localhost:x",
        ] {
            assert_eq!(TraceConfig::parse(bad, 0), Err(TraceError::Form), "{bad}");
        }
    }
}
