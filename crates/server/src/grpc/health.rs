//! grpc.health.v1: the services are serving while the store takes changes, until the stop. A balancer sends nobody to an
//! authority that refuses every enrollment and proof.

use std::collections::BTreeSet;
use std::time::Duration;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use wardein_domain::Method;
use wardein_engine::Engine;

/// The services' health, as their watchers hear it.
#[derive(Clone)]
pub(crate) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Every service is known, and none is serving before [`Health::follow`].
    pub(crate) async fn start() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set(ServingStatus::NotServing).await;
        health
    }

    /// Tells whether the store takes changes, now and at every change of that, forever. Asking has a store that failed try
    /// again.
    pub(crate) async fn follow(&self, engine: &Engine) {
        let mut last = None;
        loop {
            let found = engine.writable();
            let is_writable = found.is_ok();
            // Watchers hear of changes alone.
            if last != Some(is_writable) {
                match found {
                    Ok(()) => {
                        tracing::info!("the store accepts changes: serving");
                        self.set(ServingStatus::Serving).await;
                    }
                    Err(why) => {
                        tracing::error!(why, "the store accepts no changes: not serving");
                        self.set(ServingStatus::NotServing).await;
                    }
                }
                last = Some(is_writable);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn stop(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    pub(crate) fn add_to(&self, routes: &mut RoutesBuilder) {
        let service = HealthService::from_health_reporter(self.reporter.clone());
        routes.add_service(HealthServer::new(service));
    }

    async fn set(&self, status: ServingStatus) {
        // The empty name means the server as a whole (gRPC health checking protocol).
        self.reporter.set_service_status("", status).await;
        // Each once: a watcher is told each time that its service is set, also to what it was.
        let services = Method::ALL.iter().filter_map(|method| method.path().split('/').nth(1));
        for service in services.collect::<BTreeSet<_>>() {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
