//! Spans of calls, as a collector takes them over OTLP.

use crate::common::{Served, now};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use wardein_client::v1;
use wardein_crypto::hex;
use wardein_server::TraceConfig;

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector, and a service that sends it the spans that operators ask for.
async fn collected() -> (Served, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (send, taken) = mpsc::unbounded_channel();
    let serving = Server::builder()
        .add_service(TraceServiceServer::new(Collector(send)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    let traces = TraceConfig::parse(&format!("http://{address}"), 0).unwrap();
    (Served::with_traces(traces).await, taken)
}

fn traced<T>(message: T, parent: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request
}

fn said(span: &Span, key: &str) -> String {
    let value = span.attributes.iter().find(|attribute| attribute.key == key).unwrap().value.clone();
    match value.unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_collector_gets_the_calls_that_an_operator_traces_and_no_names() {
    let (served, mut taken) = collected().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    // A stranger's wish does not count, and nobody traces the second.
    let stranger = served.connect(None).await.unwrap();
    let foreign = "00-ffffffffffffffffffffffffffffffff-00f067440b4902b7-01";
    let bundle = traced(v1::GetTrustBundleRequest::default(), foreign);
    stranger.certificates().get_trust_bundle(bundle).await.unwrap();
    admin.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067440b4902b7-01";
    let create = || v1::CreateTenantRequest { tenant: "secret-clinic".into() };
    let answer = admin.admin().create_tenant(traced(create(), parent)).await.unwrap();
    let request_id = answer.metadata().get("wardein-request-id").unwrap().to_str().unwrap().to_owned();
    admin.admin().create_tenant(traced(create(), parent)).await.unwrap_err();

    let mut spans = Vec::new();
    while spans.len() < 2 {
        let batch = timeout(Duration::from_secs(10), taken.recv()).await.unwrap().unwrap();
        let text = format!("{batch:?}");
        assert!(!text.contains("secret-clinic") && !text.contains("127.0.0.1"), "{text}");
        let of = batch.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        spans.extend(of.flat_map(|of| of.spans));
    }
    assert_eq!(spans.len(), 2, "{spans:?}");
    for (span, code) in spans.iter().zip(["ok", "tenant-exists"]) {
        assert_eq!(hex::encode(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hex::encode(&span.parent_span_id), "00f067440b4902b7");
        assert_eq!(span.name, "wardein.v1.AdminService/CreateTenant");
        assert_eq!(
            (said(span, "wardein.code").as_str(), said(span, "wardein.role").as_str()),
            (code, "admin")
        );
        assert!(span.start_time_unix_nano < span.end_time_unix_nano && span.status.is_none());
        assert!(span.end_time_unix_nano / 1_000_000_000 + 60 > now());
    }
    assert_eq!(said(&spans[0], "wardein.request_id"), request_id);
    assert_ne!(spans[0].span_id, spans[1].span_id);
}
