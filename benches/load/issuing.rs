//! What issuing certificates is measured by: the signatures alone, and renewals by the certificate itself.

use crate::authority::Authority;
use crate::clients::{cores, runtime};
use futures_util::future::join_all;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_domain::KeyKinds;
use wardein_pki::{DeviceCsr, pem};

/// Certificates a second that verifying a request and signing allow, on all cores, for `time`: nothing else is done for them.
pub(crate) fn signatures(csr: &[u8], time: Duration) -> f64 {
    let end = Instant::now() + time;
    let work = || {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        let (key, mut count) = (P256SigningKey::from_pkcs8(&document).unwrap(), 0_u64);
        let mut tbs = [7; TBS];
        while Instant::now() < end {
            DeviceCsr::parse(csr, KeyKinds::P256).unwrap();
            tbs[..8].copy_from_slice(&count.to_be_bytes());
            key.sign(&tbs).unwrap();
            count += 1;
        }
        count
    };
    let started = Instant::now();
    let count: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    count as f64 / started.elapsed().as_secs_f64()
}

/// Devices that renew by EST: a connection each, and one request at a time on it.
pub(crate) struct Renewals {
    address: SocketAddr,
    devices: Vec<Arc<ClientConfig>>,
    request: Vec<u8>,
}

impl Renewals {
    /// A device for each of `chains`, all of which are for the key of `csr`.
    pub(crate) fn of(authority: &Authority, chains: &[Vec<Vec<u8>>], key: &SecretBytes, csr: &[u8]) -> Self {
        let head = format!(
            "POST /.well-known/est/simplereenroll HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/pkcs10\r\n\
             content-length: {}\r\n\r\n",
            csr.len()
        );
        let mut trusted = RootCertStore::empty();
        for root in pem::decode_certificates(std::str::from_utf8(&authority.roots()).unwrap()).unwrap() {
            trusted.add(CertificateDer::from(root)).unwrap();
        }
        let device = |chain: &Vec<Vec<u8>>| Arc::new(client(trusted.clone(), chain, key));
        let devices = chains.iter().map(device).collect();
        Self { address: authority.est, devices, request: [head.as_bytes(), csr].concat() }
    }

    /// So many certificates; how many a second. Each device has connected before.
    pub(crate) fn renew(&self, certificates: usize) -> f64 {
        let mut threads: Vec<_> = (0..cores()).map(|_| (runtime(), Vec::new())).collect();
        let count = threads.len();
        for (number, device) in self.devices.iter().enumerate() {
            let (runtime, connections) = &mut threads[number % count];
            connections.push(runtime.block_on(connect(self.address, device.clone())));
        }
        let (next, request, started) = (&AtomicUsize::new(0), &self.request[..], Instant::now());
        thread::scope(|scope| {
            for (runtime, connections) in &mut threads {
                scope.spawn(move || {
                    runtime.block_on(join_all(connections.iter_mut().map(|connection| async move {
                        while next.fetch_add(1, Ordering::Relaxed) < certificates {
                            renewed(connection, request).await;
                        }
                    })));
                });
            }
        });
        certificates as f64 / started.elapsed().as_secs_f64()
    }
}

fn client(trusted: RootCertStore, chain: &[Vec<u8>], key: &SecretBytes) -> ClientConfig {
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose().to_vec()));
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain, key)
        .unwrap()
}

async fn connect(address: SocketAddr, device: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(device).connect(name, stream).await.unwrap()
}

/// One request and its whole answer, which must be a certificate.
async fn renewed(connection: &mut TlsStream<TcpStream>, request: &[u8]) {
    connection.write_all(request).await.unwrap();
    connection.flush().await.unwrap();
    let mut read = Vec::with_capacity(4096);
    loop {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "the connection was closed");
        let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&read[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if read.len() == end + 4 + length.parse::<usize>().unwrap() {
            return;
        }
    }
}

/// The certificates in the reply body of the action `certificate`, leaf first.
pub(crate) fn chain(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk() {
        let (der, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        chain.push(der.to_vec());
        body = rest;
    }
    chain
}

/// Bytes of a certificate that are signed: those of a device's have some 500.
const TBS: usize = 500;
