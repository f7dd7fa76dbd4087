//! Spans on their way to the collector, in batches. What it does not take is lost, and counted: traces are not records.

use super::attribute;
use crate::edge::metrics::Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

/// Delivers spans, forever. Those that wait when the service stops are lost.
pub(crate) async fn deliver(mut spans: mpsc::Receiver<Span>, collector: SocketAddr, metrics: &Metrics) {
    let mut client = TraceServiceClient::new(channel(collector));
    let mut is_taken = true;
    loop {
        let mut batch = Vec::new();
        if spans.recv_many(&mut batch, BATCH).await == 0 {
            return std::future::pending().await;
        }
        // Those that come soon go with it.
        tokio::time::sleep(GATHER).await;
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        let count = batch.len() as u64;
        let lost = match client.export(request(batch)).await {
            Ok(answer) => {
                let rejected = answer.into_inner().partial_success.map_or(0, |part| part.rejected_spans);
                if !is_taken {
                    tracing::info!(%collector, "the collector of traces takes spans again");
                }
                is_taken = true;
                u64::try_from(rejected).unwrap_or(0).min(count)
            }
            Err(status) => {
                if is_taken {
                    let error = status.message();
                    tracing::warn!(%collector, error, "the collector of traces takes nothing; spans are lost until it does");
                }
                is_taken = false;
                count
            }
        };
        metrics.spans_lost(lost);
    }
}

/// It connects when it is used, and again after each loss.
fn channel(collector: SocketAddr) -> Channel {
    // An address and a port are an authority of a URI (RFC 3986, section 3.2).
    let endpoint = Endpoint::from_shared(format!("http://{collector}")).expect("an address is a URI");
    endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy()
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let resource = Resource {
        attributes: vec![attribute("service.name", "wardein"), attribute("service.version", version)],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "wardein".to_owned(),
        version: version.to_owned(),
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let of_resource = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }
}

/// The most spans of a message, some 300 KiB.
const BATCH: usize = 512;

/// How long spans are gathered.
const GATHER: Duration = Duration::from_millis(500);

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
