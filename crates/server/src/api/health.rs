//! grpc.health.v1: the service takes calls, until it stops.

use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use wardein_domain::Method;

/// What is told of the services' health.
#[derive(Clone)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    pub(crate) async fn start() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set(ServingStatus::Serving).await;
        health
    }

    pub(crate) async fn stop(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    pub(crate) fn add_to(&self, routes: &mut RoutesBuilder) {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        // The name of a service is all that is asked.
        routes.add_service(HealthServer::new(service).max_decoding_message_size(1024));
    }

    async fn set(&self, status: ServingStatus) {
        // The empty name stands for the server as a whole (gRPC health checking protocol).
        self.reporter.set_service_status("", status).await;
        for service in Method::ALL.iter().filter_map(|method| method.path().split('/').nth(1)) {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
