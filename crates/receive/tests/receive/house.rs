//! A receiver at work, an authority of the test's own, and a device's side of HTTPS.

use crate::fleet::{Delivery, Device, Fleet, READER_KEY};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wardein_crypto::{Digest, Secret};
use wardein_ddkg::message::FileStanza;
use wardein_domain::DeviceId;
use wardein_files::ReaderKey;
use wardein_receive::{Authority, Identity, KeyError, Limits, Receiver, Server, Settings, Standing};

/// A file's key, and the number under which it was given out.
type Given = ([u8; 16], Option<[u8; 32]>);

/// What the authority says.
pub(crate) struct Says {
    pub(crate) standing: Standing,
    /// Keys of files, by their stanza's body.
    pub(crate) keys: HashMap<Vec<u8>, Given>,
    /// Whether an answer is lost on its way, forever.
    pub(crate) is_lost: bool,
    /// The certificates that it was asked about.
    pub(crate) asked: Vec<Vec<u8>>,
}

/// An authority. Clones share it.
#[derive(Clone)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<Says>>);

impl Fake {
    pub(crate) fn new() -> Self {
        let says =
            Says { standing: Standing::Trusted, keys: HashMap::new(), is_lost: false, asked: Vec::new() };
        Self(Arc::new(Mutex::new(says)))
    }

    pub(crate) fn says(&self, standing: Standing) {
        self.0.lock().unwrap().standing = standing;
    }

    /// It can open what is delivered.
    pub(crate) fn learns(&self, delivery: &Delivery) {
        let sealed = wardein_files::SealedFile::read(delivery.age.as_slice()).unwrap();
        let (body, key) = (sealed.stanza().unwrap().body().to_vec(), delivery.key.as_ref().unwrap());
        self.0.lock().unwrap().keys.insert(body, (*key.expose(), None));
    }
}

impl Authority for Fake {
    async fn standing(&self, _: &DeviceId, certificate: &[u8]) -> Standing {
        let mut says = self.0.lock().unwrap();
        says.asked.push(certificate.to_vec());
        says.standing.clone()
    }

    /// As the authority does: once, and again under the same number.
    async fn release(&self, stanza: &FileStanza, idempotency: &[u8; 32]) -> Result<Secret<16>, KeyError> {
        let (released, is_lost) = {
            let mut says = self.0.lock().unwrap();
            let is_lost = says.is_lost;
            let released = match says.keys.get_mut(stanza.body()) {
                None => Err(KeyError::Refused("grant-missing".to_owned())),
                Some((_, Some(number))) if number != idempotency => {
                    Err(KeyError::Spent("key-spent".to_owned()))
                }
                Some((key, number)) => {
                    *number = Some(*idempotency);
                    Ok(Secret::copied_from(key))
                }
            };
            (released, is_lost)
        };
        if is_lost {
            std::future::pending::<()>().await;
        }
        released
    }
}

/// A receiver that is served.
pub(crate) struct House {
    pub(crate) fleet: Fleet,
    pub(crate) authority: Fake,
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
    certificate: Vec<u8>,
    serving: JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl House {
    pub(crate) async fn begin() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (fleet, authority, directory) = (Fleet::found(), Fake::new(), tempfile::tempdir().unwrap());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let identity = Identity {
            certificate: file("server.pem", made.cert.pem()),
            key: file("server.key", made.signing_key.serialize_pem()),
        };
        let mut settings = settings(&directory.path().join("received"), &fleet);
        change(&mut settings);
        let receiver = Receiver::open(settings, authority.clone()).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(any, identity, 16, receiver).await.unwrap();
        let address = server.address().unwrap();
        let serving = tokio::spawn(server.run(std::future::pending()));
        Self { fleet, authority, directory, address, certificate: made.cert.der().to_vec(), serving }
    }

    /// A connection as a device makes it.
    pub(crate) async fn connect(&self, device: &Device) -> io::Result<TlsStream<TcpStream>> {
        let chain = CertificateDer::pem_slice_iter(device.certificates.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(device.pkcs8.expose().to_vec()));
        self.connect_with(|builder| builder.with_client_auth_cert(chain, key).unwrap()).await
    }

    pub(crate) async fn connect_with(
        &self,
        identify: impl FnOnce(
            rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
        ) -> ClientConfig,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.certificate.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let connector = TlsConnector::from(Arc::new(identify(builder)));
        let stream = TcpStream::connect(self.address).await?;
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// Puts `body` to `path`; the status and the answer.
    pub(crate) async fn put(&self, device: &Device, path: &str, body: &[u8]) -> (u16, String) {
        let head =
            format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send(device, &[head.as_bytes(), body].concat()).await.unwrap()
    }

    /// Sends bytes, and reads the answer; an error where there is none.
    pub(crate) async fn send(&self, device: &Device, bytes: &[u8]) -> io::Result<(u16, String)> {
        let mut stream = self.connect(device).await?;
        stream.write_all(bytes).await?;
        stream.flush().await?;
        answer(&mut stream).await
    }

    /// Delivers both files, the statement first; the last answer.
    pub(crate) async fn deliver(&self, device: &Device, delivery: &Delivery) -> (u16, String) {
        let path = format!("/v1/{}/{}.age", device.name.device, delivery.name);
        let (status, said) = self.put(device, &format!("{path}.sig"), delivery.sig.as_bytes()).await;
        if status != 202 {
            return (status, said);
        }
        self.put(device, &path, &delivery.age).await
    }

    pub(crate) fn received(&self) -> PathBuf {
        self.directory.path().join("received")
    }

    /// A file of a segment.
    pub(crate) fn read(&self, device: &str, segment: &str, file: &str) -> String {
        let path = self.received().join("records").join(device).join(segment).join(file);
        fs::read_to_string(path).unwrap()
    }

    /// The segments of a device.
    pub(crate) fn segments(&self, device: &str) -> Vec<String> {
        names(&self.received().join("records").join(device))
    }

    /// What waits of a device.
    pub(crate) fn waiting(&self, device: &str) -> Vec<String> {
        names(&self.received().join("incoming").join(device))
    }
}

pub(crate) fn settings(directory: &Path, fleet: &Fleet) -> Settings {
    Settings {
        directory: directory.to_owned(),
        tenant: "klinik".parse().unwrap(),
        audiences: vec!["maker".parse().unwrap()],
        roots: vec![fleet.root.clone()],
        reader_key: Some(ReaderKey::parse(READER_KEY).unwrap()),
        limits: Limits::default(),
    }
}

/// The status and the body of an answer.
pub(crate) async fn answer(stream: &mut TlsStream<TcpStream>) -> io::Result<(u16, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok((status, body.to_owned()));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether an answer is a refusal with that status and code.
pub(crate) fn is_refused((status, said): &(u16, String), expected: u16, code: &str) -> bool {
    *status == expected && said.contains(&format!("{{\"code\":\"{code}\",\"message\":\""))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    wardein_crypto::hex::encode(&Digest::of(bytes).0)
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
