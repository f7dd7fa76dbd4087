//! The yardstick: tonic's server with the generated services, whose handlers give a ready answer and do nothing else.
//!
//! TLS, runtimes and connections are those of the authority, so that the only difference is the authority's work for a call.

use crate::authority::Authority;
use futures_util::{Stream, StreamExt};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming, async_trait};
use wardein_crypto::P256SigningKey;
use wardein_proto::v1;
use wardein_proto::v1::device_service_server::{DeviceService, DeviceServiceServer};
use wardein_proto::v1::trust_service_server::{TrustService, TrustServiceServer};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Its answers, the same for everyone. For one with a receipt it makes a signature too, over as many bytes, and throws it away.
#[derive(Clone)]
pub(crate) struct Echo {
    checked: v1::CheckResponse,
    signed: v1::CheckResponse,
    batch: v1::CheckStreamResponse,
    proved: v1::ProveResponse,
    certified: v1::ProveResponse,
    key: Arc<P256SigningKey>,
}

#[async_trait]
impl TrustService for Echo {
    async fn check(&self, asked: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        if asked.get_ref().receipt.is_none() {
            return Ok(Response::new(self.checked.clone()));
        }
        self.key.sign(self.signed.receipt.as_bytes()).unwrap();
        Ok(Response::new(self.signed.clone()))
    }

    type CheckStreamStream = Answers<v1::CheckStreamResponse>;

    async fn check_stream(
        &self,
        asked: Request<Streaming<v1::CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        let batch = self.batch.clone();
        Ok(Response::new(asked.into_inner().map(move |asked| asked.map(|_| batch.clone())).boxed()))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_subjects(
        &self,
        _: Request<v1::ListSubjectsRequest>,
    ) -> Result<Response<v1::ListSubjectsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn verify_token(
        &self,
        _: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn release_key(
        &self,
        _: Request<v1::ReleaseKeyRequest>,
    ) -> Result<Response<v1::ReleaseKeyResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn release_file_keys(
        &self,
        _: Request<v1::ReleaseFileKeysRequest>,
    ) -> Result<Response<v1::ReleaseFileKeysResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn open(&self, _: Request<v1::OpenRequest>) -> Result<Response<v1::OpenResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

#[async_trait]
impl DeviceService for Echo {
    async fn get_challenge(
        &self,
        _: Request<v1::GetChallengeRequest>,
    ) -> Result<Response<v1::GetChallengeResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn prove(&self, asked: Request<v1::ProveRequest>) -> Result<Response<v1::ProveResponse>, Status> {
        let is_certificate = asked.get_ref().action == "certificate";
        let reply = if is_certificate { &self.certified } else { &self.proved };
        Ok(Response::new(reply.clone()))
    }

    async fn prove_by_signature(
        &self,
        _: Request<v1::ProveBySignatureRequest>,
    ) -> Result<Response<v1::ProveBySignatureResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn confirm_enrollment(
        &self,
        _: Request<v1::ConfirmEnrollmentRequest>,
    ) -> Result<Response<v1::ConfirmEnrollmentResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

impl Echo {
    pub(crate) fn new(
        checked: v1::CheckResponse,
        signed: v1::CheckResponse,
        batch: v1::CheckStreamResponse,
        proved: v1::ProveResponse,
        certified: v1::ProveResponse,
    ) -> Self {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        let key = Arc::new(P256SigningKey::from_pkcs8(&document).unwrap());
        Self { checked, signed, batch, proved, certified, key }
    }

    /// Serves on `workers` threads with a runtime each, until the process ends. A port a thread, so that the client deals its
    /// connections out evenly, as the authority does by itself.
    pub(crate) fn start(self, authority: &Authority, workers: usize) -> Vec<SocketAddr> {
        let tls = TlsAcceptor::from(Arc::new(configuration(authority)));
        let worker = |_| {
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let (echo, tls) = (self.clone(), tls.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(echo.serve(listener, tls));
            });
            address
        };
        (0..workers).map(worker).collect()
    }

    async fn serve(self, listener: StdListener, tls: TlsAcceptor) {
        let (ready, incoming) = mpsc::channel(16);
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let stream = tls.accept(stream).await.unwrap();
                drop(ready.send(io::Result::Ok(Taken(stream))).await);
            }
        });
        let served = tonic::transport::Server::builder()
            .max_concurrent_streams(256)
            .add_service(DeviceServiceServer::new(self.clone()))
            .add_service(TrustServiceServer::new(self))
            .serve_with_incoming(ReceiverStream::new(incoming));
        served.await.unwrap();
    }
}

/// As the edge has it: TLS 1.3, the hybrid group first, operators' certificates by the infrastructure CA.
fn configuration(authority: &Authority) -> ServerConfig {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    let provider = Arc::new(CryptoProvider { kx_groups, ..default_provider() });
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(authority.infrastructure_ca.clone())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone());
    let chain = authority.twin.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(authority.twin.key.expose().to_vec()));
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    configuration.ticketer = Ticketer::new().unwrap();
    configuration
}

/// tonic asks every connection for what it knows of its peer.
struct Taken(TlsStream<TcpStream>);

impl Connected for Taken {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Taken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
