//! The handlers: what they are handed becomes domain types, the engine decides, its answer becomes wire types.

mod admin;
mod attestation;
mod audit;
mod backup;
mod certificates;
mod device;
mod health;
mod provisioning;
mod storage;
mod stream;
mod to_the_end;
mod trust;

use crate::edge::Shared;
use crate::status::Failed;
use health::Health;
use std::future::Future;
use std::sync::Arc;
use to_the_end::ToTheEnd;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Response, Status};
use wardein_domain::Method;
use wardein_engine::port::{Clock, Store};
use wardein_engine::{Caller, Error};
use wardein_proto::v1;

/// The authority's services.
pub(crate) struct Api<S, C> {
    shared: Arc<Shared<S, C>>,
}

impl<S, C> Clone for Api<S, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Store, C: Clock> Api<S, C> {
    /// Does `work` to its end, whether or not its caller waits for it: a decision that is on its way to the disk must reach the
    /// memory that answers from it, and a refusal must reach the audit log.
    ///
    /// It is no `async fn`: each would keep `work` in its own state and in that of whoever waits for it, for hundreds of calls at a time.
    fn finish<T: Send + 'static>(
        &self,
        caller: Option<(Caller, Method)>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> ToTheEnd<Result<T, Failed>> {
        let shared = self.shared.clone();
        ToTheEnd(Some(Box::pin(self.shared.work.track_future(async move {
            match (work.await, caller) {
                (Ok(done), _) => Ok(done),
                (Err(error), Some((caller, method))) => Err(shared.record(&caller, method, error).await),
                (Err(error), None) => Err(error.into()),
            }
        }))))
    }
}

fn reply<T>(result: Result<T, Failed>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

/// Everything that is served by gRPC.
pub(crate) struct Services<S, C> {
    api: Api<S, C>,
    pub(crate) health: Health,
}

impl<S, C> Clone for Services<S, C> {
    fn clone(&self) -> Self {
        Self { api: self.api.clone(), health: self.health.clone() }
    }
}

pub(crate) async fn services<S: Store, C: Clock>(
    shared: &Arc<Shared<S, C>>,
) -> Result<Services<S, C>, Error> {
    Ok(Services { api: Api { shared: shared.clone() }, health: Health::start().await })
}

macro_rules! add {
    ($routes:ident, $services:ident, $limit:ident: $($module:ident::$server:ident),* $(,)?) => {
        $($routes.add_service(
            v1::$module::$server::new($services.api.clone()).max_decoding_message_size($limit),
        );)*
    };
}

impl<S: Store, C: Clock> Services<S, C> {
    pub(crate) fn routes(&self) -> Routes {
        let mut routes = RoutesBuilder::default();
        let (services, limit) = (self, self.api.shared.limits.message_bytes);
        add!(routes, services, limit:
            admin_service_server::AdminServiceServer,
            attestation_service_server::AttestationServiceServer,
            audit_service_server::AuditServiceServer,
            certificate_service_server::CertificateServiceServer,
            device_service_server::DeviceServiceServer,
            provisioning_service_server::ProvisioningServiceServer,
            storage_service_server::StorageServiceServer,
            trust_service_server::TrustServiceServer,
        );
        self.health.add_to(&mut routes);
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wardein_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1();
        match reflection {
            Ok(service) => drop(routes.add_service(service)),
            // The descriptors are committed and a test reads them.
            Err(error) => tracing::error!(%error, "there is no reflection"),
        }
        routes.routes()
    }
}
