//! One connection, from which a client of each service is made.

use crate::calls::{Operator, Platform, Station};
use crate::cause::unreached;
use crate::directory::Source;
use crate::error::ConnectError;
use crate::v1::admin_service_client::AdminServiceClient;
use crate::v1::approval_service_client::ApprovalServiceClient;
use crate::v1::attestation_service_client::AttestationServiceClient;
use crate::v1::audit_service_client::AuditServiceClient;
use crate::v1::bearer_token_service_client::BearerTokenServiceClient;
use crate::v1::ca_service_client::CaServiceClient;
use crate::v1::certificate_service_client::CertificateServiceClient;
use crate::v1::device_service_client::DeviceServiceClient;
use crate::v1::invitation_service_client::InvitationServiceClient;
use crate::v1::provisioning_service_client::ProvisioningServiceClient;
use crate::v1::reader_service_client::ReaderServiceClient;
use crate::v1::service_access_service_client::ServiceAccessServiceClient;
use crate::v1::site_service_client::SiteServiceClient;
use crate::v1::storage_service_client::StorageServiceClient;
use crate::v1::trust_policy_service_client::TrustPolicyServiceClient;
use crate::v1::trust_service_client::TrustServiceClient;
use crate::v1::update_service_client::UpdateServiceClient;
use crate::v1::webhook_service_client::WebhookServiceClient;
use crate::way::{Settings, Way};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection, which reconnects by itself when it breaks. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What calls that begin now go over.
    channel: RwLock<Channel>,
    /// Where its identity is from, if it may be replaced.
    source: Option<Source>,
}

impl Connection {
    fn new(channel: Channel) -> Self {
        Self(Arc::new(Shared { channel: RwLock::new(channel), source: None }))
    }

    /// The same with a directory that its identity is from.
    pub(crate) fn with_source(self, source: Source) -> Self {
        let channel = RwLock::new(self.channel());
        Self(Arc::new(Shared { channel, source: Some(source) }))
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// Has calls that begin from now on go where those of `other` do.
    pub(crate) fn replace(&self, other: &Self) {
        *self.0.channel.write().unwrap_or_else(PoisonError::into_inner) = other.channel();
    }

    /// As a factory's station.
    pub fn station(&self) -> Station {
        Station(self.clone())
    }

    /// As a platform.
    pub fn platform(&self) -> Platform {
        Platform(self.clone())
    }

    /// As an administrator or auditor.
    pub fn operator(&self) -> Operator {
        Operator(self.clone())
    }

    /// The underlying channel, for services that are not the authority's own, such as health and reflection. It stays with the identity that
    /// it was made with, as the generated clients do that are made of it.
    pub fn channel(&self) -> Channel {
        self.0.channel.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)*) => {
        impl Connection {
            $($(#[$doc])* pub fn $name(&self) -> $client<Channel> {
                $client::new(self.channel()).max_decoding_message_size(MAX_ANSWER)
            })*
        }
    };
}

services! {
    /// The calls of stations.
    provisioning: ProvisioningServiceClient,
    /// The calls of devices.
    device: DeviceServiceClient,
    /// The calls of platforms.
    trust: TrustServiceClient,
    /// The CAs that certify devices.
    cas: CaServiceClient,
    /// Certificates that were issued.
    certificates: CertificateServiceClient,
    /// Administration.
    admin: AdminServiceClient,
    /// Tokens for who has no identity yet.
    invitations: InvitationServiceClient,
    /// Bearer tokens of platforms.
    bearer_tokens: BearerTokenServiceClient,
    /// The keys that seal records, and the stored data.
    storage: StorageServiceClient,
    /// Which keys devices may sign with.
    attestation: AttestationServiceClient,
    /// By which rules devices are trusted.
    trust_policies: TrustPolicyServiceClient,
    /// Makers' updates.
    updates: UpdateServiceClient,
    /// What tenants decide on updates of their devices.
    sites: SiteServiceClient,
    /// What two people decide.
    approvals: ApprovalServiceClient,
    /// Technicians' visits.
    service_access: ServiceAccessServiceClient,
    /// Readers of files.
    readers: ReaderServiceClient,
    /// Webhooks.
    webhooks: WebhookServiceClient,
    /// The audit log.
    audit: AuditServiceClient,
}

/// Reaches the authority, so that a wrong endpoint, certificate or key shows here and not at the first call.
pub async fn connect(settings: &Settings) -> Result<Connection, ConnectError> {
    let (way, uri) = Way::new(settings, b"h2")?;
    reach(settings, way, uri).await
}

/// Reaches it that way.
pub(crate) async fn reach(settings: &Settings, way: Way, uri: Uri) -> Result<Connection, ConnectError> {
    let endpoint = Endpoint::from(uri)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER);
    let connector = tower::service_fn(move |_: Uri| {
        let way = way.clone();
        // tonic's own limit counts the TCP connection alone where the connector is not its own.
        async move { way.go().await.map(TokioIo::new) }
    });
    let reached = endpoint.connect_with_connector(connector).await;
    reached.map(Connection::new).map_err(|error| unreached(&settings.endpoint, error))
}

// An audit or device list of 1000 entries, each of at most some kilobytes.
const MAX_ANSWER: usize = 16 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::MaterialError;

    #[tokio::test]
    async fn an_endpoint_is_https_with_a_host_and_nothing_else() {
        for endpoint in [
            "",
            "localhost",
            "http://localhost",
            "https://u@localhost",
            "https://localhost/path",
            "https://a b",
        ] {
            let refused = connect(&Settings::new(endpoint, Vec::new())).await;
            assert!(matches!(refused, Err(ConnectError::Endpoint(_))), "{endpoint}");
        }
        for endpoint in ["https://localhost", "https://127.0.0.1:1", "https://[::1]:7443/"] {
            let refused = connect(&Settings::new(endpoint, Vec::new())).await;
            assert!(matches!(refused, Err(ConnectError::Material(MaterialError::Roots))), "{endpoint}");
        }
    }

    #[tokio::test]
    async fn an_authority_that_says_nothing_is_given_up_in_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let mut settings = Settings::new(endpoint, root.cert.pem().into_bytes());
        settings.connect_timeout = Duration::from_millis(100);
        assert!(matches!(connect(&settings).await, Err(ConnectError::Unreachable { .. })));
    }
}
