//! One connection, from which a client of each service is made.

use crate::calls::{Operator, Platform, Station};
use crate::clock;
use crate::error::ConnectError;
use crate::tls::{Identity, configuration};
use crate::v1::admin_service_client::AdminServiceClient;
use crate::v1::attestation_service_client::AttestationServiceClient;
use crate::v1::audit_service_client::AuditServiceClient;
use crate::v1::certificate_service_client::CertificateServiceClient;
use crate::v1::device_service_client::DeviceServiceClient;
use crate::v1::provisioning_service_client::ProvisioningServiceClient;
use crate::v1::storage_service_client::StorageServiceClient;
use crate::v1::trust_service_client::TrustServiceClient;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// How to reach the authority.
pub struct Settings {
    /// `https://HOST` or `https://HOST:PORT`; without a port, [`Settings::DEFAULT_PORT`]. The authority's certificate must name
    /// the host.
    pub endpoint: String,
    /// The certificates that the authority's must lead to, PEM.
    pub roots: Vec<u8>,
    /// The identity to present; none for a device.
    pub identity: Option<Identity>,
    /// Whether to check the authority's certificate's validity period against the system clock. A device says no: its clock may
    /// be wrong by years, no error of it may lock the device out (DDKG-1 §3.1), and nothing rests on that question, since the
    /// pinned identity key and the device's own keys authenticate every answer. Chain, name and usage are judged all the same.
    pub has_clock: bool,
    /// The most time that reaching the authority may take, handshake included.
    pub connect_timeout: Duration,
    /// The most time that a call may take until its answer begins.
    pub request_timeout: Duration,
}

impl Settings {
    /// The authority's port where the endpoint names none.
    pub const DEFAULT_PORT: u16 = 7443;

    /// Settings with 10 seconds to connect and 30 for a call, with a clock and without an identity.
    pub fn new(endpoint: impl Into<String>, roots: Vec<u8>) -> Self {
        Self {
            endpoint: endpoint.into(),
            roots,
            identity: None,
            has_clock: true,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// A connection, which reconnects by itself when it breaks. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection(Channel);

impl Connection {
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

    /// The underlying channel, for services that are not the authority's own, such as health and reflection.
    pub fn channel(&self) -> Channel {
        self.0.clone()
    }
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident,)*) => {
        impl Connection {
            $($(#[$doc])* pub fn $name(&self) -> $client<Channel> {
                $client::new(self.0.clone()).max_decoding_message_size(MAX_ANSWER)
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
    /// Certificates that were issued.
    certificates: CertificateServiceClient,
    /// Administration.
    admin: AdminServiceClient,
    /// The keys that seal records, and the stored data.
    storage: StorageServiceClient,
    /// Which keys devices may sign with.
    attestation: AttestationServiceClient,
    /// The audit log.
    audit: AuditServiceClient,
}

/// Reaches the authority, so that a wrong endpoint, certificate or key shows here and not at the first call.
pub async fn connect(settings: &Settings) -> Result<Connection, ConnectError> {
    let wrong = || ConnectError::Endpoint(settings.endpoint.clone());
    let uri: Uri = settings.endpoint.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|_| is_plain_https(&uri)).ok_or_else(wrong)?;
    let port = uri.port_u16().unwrap_or(Settings::DEFAULT_PORT);
    // An IPv6 address is in brackets in a URI, and without them everywhere else.
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
    let server = ServerName::try_from(name.clone()).map_err(|_| wrong())?;
    let tls = TlsConnector::from(Arc::new(configuration(
        &settings.roots,
        settings.identity.as_ref(),
        settings.has_clock,
    )?));

    if let Some(identity) = settings.identity.as_ref().filter(|_| settings.has_clock) {
        clock::judge_identity(&settings.roots, identity, clock::now())?;
    }

    let endpoint = Endpoint::from(uri)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER);
    let timeout = settings.connect_timeout;
    let connector = tower::service_fn(move |_: Uri| {
        let (tls, server, name) = (tls.clone(), server.clone(), name.clone());
        async move {
            // tonic's own limit counts the TCP connection alone where the connector is not its own.
            let handshake = async {
                let socket = TcpStream::connect((name.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                tls.connect(server, socket).await
            };
            let elapsed = |_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
            tokio::time::timeout(timeout, handshake).await.map_err(elapsed)?.map(TokioIo::new)
        }
    });
    let reached = endpoint.connect_with_connector(connector).await;
    reached.map(Connection).map_err(|source| {
        clock::of_handshake(&source)
            .unwrap_or_else(|| ConnectError::Unreachable { endpoint: settings.endpoint.clone(), source })
    })
}

fn is_plain_https(uri: &Uri) -> bool {
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    uri.scheme_str() == Some("https")
        && !has_user
        && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
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
