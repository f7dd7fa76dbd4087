//! The handlers: requests become domain types, the engine decides, its answer becomes wire types.

mod admin;
mod approval;
mod attestation;
mod audit;
mod bearer_token;
mod ca;
mod certificate;
pub(crate) mod convert;
mod device;
mod health;
mod invitation;
pub(crate) mod panic;
mod provisioning;
pub(crate) mod quote;
mod reader;
mod service_access;
mod site;
pub(crate) mod status;
pub(crate) mod storage;
mod trust;
mod trust_policy;
mod update;
mod webhook;
pub(crate) mod wiped;
mod words;

use crate::edge::Shared;
use crate::edge::context::Context;
pub(crate) use convert::wrong;
use health::Health;
use status::Failed;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Response, Status};
pub(crate) use trust::{offline as trust_offline, verdict as trust_verdict};
use wardein_domain::Method;
use wardein_engine::{Caller, Engine, Error};
use wardein_proto::v1;
use wiped::Wiping;

/// The authority's services.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
}

impl Api {
    /// Does a deed of several steps to its end, whether or not its caller waits for it. A single decision needs no such care: its
    /// commit depends on nobody.
    async fn finish<T: Send + 'static>(
        &self,
        deed: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let died = |_| Err(Error::internal("a deed panicked"));
        self.shared.work.spawn(deed).await.unwrap_or_else(died)
    }

    /// Whether the caller may still call: a stream is judged before each of its parts.
    async fn authenticate(&self, context: &Context) -> Result<(), Error> {
        self.shared.engine.authenticate(&context.caller()?.principal).await
    }
}

impl Api {
    /// Reads many rows for an operator, when it is its tenant's turn, on a thread beside those that serve: reading and converting a page
    /// of a thousand takes as long as hundreds of trust queries.
    async fn scan<T, R>(
        &self,
        context: &Context,
        read: impl FnOnce(Arc<Engine>, Caller) -> R + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, Error>>,
    {
        let (engine, caller) = (self.shared.engine.clone(), context.caller()?.clone());
        let place = self.shared.scans.enter(&caller.principal).await?;
        let runtime = Handle::current();
        let reading = tokio::task::spawn_blocking(move || {
            let found = runtime.block_on(read(engine, caller));
            // Kept until here: a caller that hangs up makes no room for the next before its read is over.
            drop(place);
            found
        });
        reading.await.unwrap_or_else(|_| Err(Error::internal("a read panicked")))
    }
}

fn reply<T>(result: Result<T, Failed>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

/// Everything that is served by gRPC.
#[derive(Clone)]
pub(crate) struct Services {
    api: Api,
    pub(crate) health: Health,
}

pub(crate) async fn services(shared: &Arc<Shared>) -> Result<Services, Error> {
    Ok(Services { api: Api { shared: shared.clone() }, health: Health::start().await })
}

/// The methods whose replies hold a secret.
const SECRETS: [&str; 9] = [
    Method::ReleaseKey.path(),
    Method::ReleaseFileKeys.path(),
    Method::Open.path(),
    Method::CreateInvitation.path(),
    Method::MakeVoucher.path(),
    Method::CreateBearerToken.path(),
    Method::PutWebhook.path(),
    Method::AnswerChallenge.path(),
    Method::ShowEmergencyCode.path(),
];

macro_rules! add {
    ($routes:ident, $services:ident: $($module:ident::$server:ident),* $(,)?) => {
        $($routes.add_service(v1::$module::$server::new($services.api.clone()));)*
    };
}

impl Services {
    /// The services behind the edge, which has bounded each message by its method.
    pub(crate) fn routes(&self) -> Routes {
        let mut routes = RoutesBuilder::default();
        let services = self;
        add!(routes, services:
            admin_service_server::AdminServiceServer,
            approval_service_server::ApprovalServiceServer,
            attestation_service_server::AttestationServiceServer,
            audit_service_server::AuditServiceServer,
            ca_service_server::CaServiceServer,
            certificate_service_server::CertificateServiceServer,
            device_service_server::DeviceServiceServer,
            reader_service_server::ReaderServiceServer,
            site_service_server::SiteServiceServer,
            storage_service_server::StorageServiceServer,
            trust_policy_service_server::TrustPolicyServiceServer,
            update_service_server::UpdateServiceServer,
        );
        let trust = v1::trust_service_server::TrustServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: trust, paths: &SECRETS });
        let invitations = v1::invitation_service_server::InvitationServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: invitations, paths: &SECRETS });
        let bearer_tokens =
            v1::bearer_token_service_server::BearerTokenServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: bearer_tokens, paths: &SECRETS });
        let service_access =
            v1::service_access_service_server::ServiceAccessServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: service_access, paths: &SECRETS });
        let webhooks = v1::webhook_service_server::WebhookServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: webhooks, paths: &SECRETS });
        let provisioning =
            v1::provisioning_service_server::ProvisioningServiceServer::new(services.api.clone());
        routes.add_service(Wiping { service: provisioning, paths: &SECRETS });
        self.health.add_to(&mut routes);
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(wardein_proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // The details of a refusal are google.rpc's: without these a client that reflects shows their bytes.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        // Python's reflection client and older ones speak v1alpha alone.
        match (described().build_v1(), described().build_v1alpha()) {
            (Ok(service), Ok(alpha)) => drop(routes.add_service(service).add_service(alpha)),
            // The descriptors are committed and a test reads them.
            (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "there is no reflection"),
        }
        routes.routes().prepare()
    }
}
