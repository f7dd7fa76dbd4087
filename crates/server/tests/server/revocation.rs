//! Revocation lists and OCSP over plain HTTP, and what malformed requests come to.

use crate::common::Served;
use crate::common::device::TestDevice;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardein_client::{Connection, v1};
use wardein_crypto::{P256SigningKey, danger_sha1_to_name};
use wardein_domain::Role;
use wardein_pki::{CaCertificate, CrlOrder, Csr, Issuing, pem};

/// An authority with a device that is certified.
struct World {
    served: Served,
    admin: Connection,
    leaf: Vec<u8>,
    serial: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }
}

impl World {
    async fn new() -> Self {
        let served = Served::start().await;
        let operators = served.operators().await;
        let of = |wanted| &operators.iter().find(|(role, _)| *role == wanted).unwrap().1;
        let nobody = served.connect(None).await.unwrap();
        let mut device = TestDevice::enrolled(of(Role::Station), "pump-1").await;
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        device.prove(&nobody, "certificate", &Csr::create(&key).unwrap()).await.unwrap();
        let admin = of(Role::TenantAdmin).clone();
        let listed = list(&admin).await;
        Self { served, admin, leaf: listed.der, serial: listed.serial }
    }

    fn ca(&self) -> CaCertificate<Issuing> {
        let bundle = pem::decode_certificates(&self.served.founded.bundle_pem).unwrap();
        CaCertificate::parse(&bundle[1]).unwrap()
    }

    async fn ask(&self, request: &[u8]) -> Answer {
        ask(&self.served, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await
    }

    async fn post(&self, body: &[u8]) -> Answer {
        let head = format!(
            "POST /ocsp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.ask(&[head.as_bytes(), body].concat()).await
    }

    /// The issuing CA's list, once it is there.
    async fn crl(&self, is_wanted: impl Fn(&CrlOrder) -> bool) -> Answer {
        let path = format!("/crl/{}.crl", wardein_crypto::hex::encode(self.ca().key_id()));
        for _ in 0..100 {
            let answer = self.get(&path).await;
            if answer.status == 200 && CrlOrder::read(&answer.body).is_some_and(|list| is_wanted(&list)) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no such list came");
    }

    /// Once it can answer.
    async fn ocsp_is_up(&self) {
        for _ in 0..100 {
            if self.post(&self.request(&self.serial_bytes(), &[])).await.body != error(3) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no responder came");
    }

    fn serial_bytes(&self) -> Vec<u8> {
        wardein_crypto::hex::decode(&self.serial).unwrap()
    }

    /// A CertID of the issuing CA (RFC 6960 §4.1.1) by SHA-1.
    fn cert_id(&self, serial: &[u8]) -> Vec<u8> {
        let ca = self.ca();
        let (name, key) = (issuer_name(&self.leaf), ca.verifying_key().as_bytes().to_vec());
        let (name, key) = (danger_sha1_to_name(&name), danger_sha1_to_name(&key));
        tlv(0x30, &[SHA_1, &tlv(4, &[&name]), &tlv(4, &[&key]), &tlv(2, &[serial])])
    }

    fn request(&self, serial: &[u8], extensions: &[u8]) -> Vec<u8> {
        request(&self.cert_id(serial), extensions)
    }
}

async fn ask(served: &Served, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(served.http).await.unwrap();
    // It may be refused before all of it is sent.
    let _ = socket.write_all(request).await;
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    Answer { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
}

async fn list(admin: &Connection) -> v1::Certificate {
    let asked = v1::ListCertificatesRequest { tenant: "t".into(), ..Default::default() };
    admin.certificates().list_certificates(asked).await.unwrap().into_inner().certificates.remove(0)
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, low @ 0..=0x7f] => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// The content of an element, and the rest.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = match der[1] {
        0x81 => (usize::from(der[2]), &der[3..]),
        0x82 => (usize::from(u16::from_be_bytes([der[2], der[3]])), &der[4..]),
        length => (usize::from(length), &der[2..]),
    };
    rest.split_at(length)
}

/// The DER of a certificate's issuer: behind version, serial and algorithm.
fn issuer_name(certificate: &[u8]) -> Vec<u8> {
    let tbs = element(element(certificate).0).0;
    let (_, rest) = element(tbs);
    let (_, rest) = element(rest);
    let (_, rest) = element(rest);
    let (_, behind) = element(rest);
    rest[..rest.len() - behind.len()].to_vec()
}

fn request(cert_id: &[u8], extensions: &[u8]) -> Vec<u8> {
    let list = tlv(0x30, &[&tlv(0x30, &[cert_id])]);
    tlv(0x30, &[&tlv(0x30, &[&list, extensions])])
}

fn nonce(length: usize) -> Vec<u8> {
    let value = tlv(4, &[&tlv(4, &[&vec![9; length]])]);
    let oid = tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 2]]);
    tlv(0xa2, &[&tlv(0x30, &[&tlv(0x30, &[&oid, &value])])])
}

/// An answer without a signature, of that status.
fn error(status: u8) -> Vec<u8> {
    vec![0x30, 3, 0x0a, 1, status]
}

/// The first byte of the status of a certificate: it follows the CertID.
fn status_of(answer: &[u8], cert_id: &[u8]) -> u8 {
    let at =
        answer.windows(cert_id.len()).position(|window| window == cert_id).expect("its CertID is repeated");
    answer[at + cert_id.len()]
}

const SHA_1: &[u8] = &[0x30, 9, 6, 5, 0x2b, 14, 3, 2, 26, 5, 0];
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;

#[tokio::test]
async fn lists_are_served_with_what_caches_need_and_change_when_something_is_revoked() {
    let world = World::new().await;
    let empty = world.crl(|list| list.revoked.is_empty()).await;
    assert_eq!(empty.header("content-type"), "application/pkix-crl");
    assert_eq!(empty.header("cache-control"), "max-age=300, public, no-transform, must-revalidate");
    assert!(empty.header("last-modified").ends_with(" GMT"));
    let tag = empty.header("etag").to_owned();
    let path = format!("/crl/{}.crl", wardein_crypto::hex::encode(world.ca().key_id()));
    let known = async |tag: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: {tag}\r\n\r\n");
        world.ask(request.as_bytes()).await.status
    };
    assert_eq!(known(&tag).await, 304);
    assert_eq!(known(&format!("\"other\", W/{tag}")).await, 304);
    assert_eq!(known("\"other\"").await, 200);
    let revoke = v1::RevokeCertificateRequest {
        tenant: "t".into(),
        serial: world.serial.clone(),
        reason: "lost".into(),
        code: v1::RevocationReason::KeyCompromise.into(),
    };
    world.admin.certificates().revoke_certificate(revoke).await.unwrap();
    let listed = list(&world.admin).await;
    assert_eq!(listed.state(), v1::CertificateState::Revoked);
    assert_eq!(listed.revocation_reason(), v1::RevocationReason::KeyCompromise);
    let full = world.crl(|list| list.revoked.len() == 1).await;
    assert_ne!(full.header("etag"), tag);
    assert_eq!(known(&tag).await, 200);
    let bundle = world.get("/crl/bundle.pem").await;
    assert_eq!((bundle.status, bundle.header("content-type")), (200, "application/x-pem-file"));
    let text = String::from_utf8(bundle.body).unwrap();
    assert_eq!(text.matches("-----BEGIN X509 CRL-----").count(), 2, "the root's and the CA's");
    let root = world.get("/crl/root.crl").await;
    assert_eq!(CrlOrder::read(&root.body).unwrap().revoked, []);
    let metrics = String::from_utf8(world.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("wardein_crl_entries 1"), "{metrics}");
    assert!(metrics.contains("wardein_crl_ends_in_seconds 60"), "{metrics}");
}

#[tokio::test]
async fn what_is_not_a_list_is_not_found() {
    let world = World::new().await;
    world.crl(|_| true).await;
    for name in [
        "",
        "x",
        ".crl",
        "root",
        "bundle.crl",
        "0000000000000000000000000000000000000000.crl",
        "..%2f..%2fetc%2fpasswd",
        &format!("{}.crl", "0".repeat(4_000)),
        &wardein_crypto::hex::encode(world.ca().key_id()),
        &format!("{}.crl", wardein_crypto::hex::encode(world.ca().key_id()).to_uppercase()),
    ] {
        assert_eq!(world.get(&format!("/crl/{name}")).await.status, 404, "{name}");
    }
    for path in ["/crl/root.crl", "/crl/bundle.pem"] {
        let request = format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(world.ask(request.as_bytes()).await.status, 405);
    }
}

#[tokio::test]
async fn a_certificate_is_good_then_on_hold_then_good_then_revoked() {
    let world = World::new().await;
    world.ocsp_is_up().await;
    let id = world.cert_id(&world.serial_bytes());
    let plain = request(&id, &[]);
    let ask = async |what: &str, expected: u8| {
        // From those that were signed ahead, and with a nonce.
        for _ in 0..2 {
            let answer = world.post(&plain).await;
            assert_eq!(status_of(&answer.body, &id), expected, "{what}");
            let answer = world.post(&request(&id, &nonce(32))).await;
            assert_eq!(status_of(&answer.body, &id), expected, "{what}, with a nonce");
        }
    };
    ask("at first", GOOD).await;
    let set = async |state: v1::DeviceState| {
        let request = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: "pump-1".into(),
            state: state.into(),
            reason: "by chance".into(),
            ..Default::default()
        };
        world.admin.admin().set_device_state(request).await.unwrap();
    };
    set(v1::DeviceState::Suspended).await;
    ask("suspended", REVOKED).await;
    let held = list(&world.admin).await;
    assert_eq!(held.state(), v1::CertificateState::OnHold);
    assert_eq!(held.revocation_reason(), v1::RevocationReason::CertificateHold);
    set(v1::DeviceState::Active).await;
    ask("resumed", GOOD).await;
    assert_eq!(list(&world.admin).await.state(), v1::CertificateState::Good);
    let revoke = v1::RevokeCertificateRequest {
        tenant: "t".into(),
        serial: world.serial.clone(),
        reason: "lost".into(),
        code: v1::RevocationReason::KeyCompromise.into(),
    };
    world.admin.certificates().revoke_certificate(revoke).await.unwrap();
    ask("revoked", REVOKED).await;
}

#[tokio::test]
async fn get_and_post_answer_alike_and_say_what_may_be_kept() {
    let world = World::new().await;
    world.ocsp_is_up().await;
    let id = world.cert_id(&world.serial_bytes());
    let plain = request(&id, &[]);
    let posted = world.post(&plain).await;
    assert_eq!(posted.header("content-type"), "application/ocsp-response");
    let text = base64(&plain);
    let escaped = text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    for path in [text.clone(), escaped, text.trim_end_matches('=').to_owned(), format!("/{text}")] {
        let got = world.get(&format!("/ocsp/{path}")).await;
        assert_eq!((got.status, &got.body), (200, &posted.body), "{path}");
        assert_eq!(got.header("cache-control"), "max-age=300, public, no-transform, must-revalidate");
        assert!(got.header("etag").len() == 66 && got.header("expires").ends_with(" GMT"), "{}", got.head);
    }
    let with_nonce = world.post(&request(&id, &nonce(32))).await;
    assert_eq!(with_nonce.header("cache-control"), "no-store");
    assert!(with_nonce.body.windows(34).any(|window| window == tlv(4, &[&[9; 32]])));
}

#[tokio::test]
async fn what_cannot_be_answered_has_its_status_and_nothing_more() {
    let world = World::new().await;
    world.ocsp_is_up().await;
    let id = world.cert_id(&world.serial_bytes());
    let mut stranger = id.clone();
    stranger[15] ^= 1;
    for (what, body, expected) in [
        ("nothing", vec![], error(1)),
        ("no request", b"status?".to_vec(), error(1)),
        ("an empty nonce", request(&id, &nonce(0)), error(1)),
        ("a long nonce", request(&id, &nonce(129)), error(1)),
        ("bytes after it", [&request(&id, &[])[..], &[0]].concat(), error(1)),
        ("another issuer", request(&stranger, &[]), error(6)),
        ("another issuer, with a nonce", request(&stranger, &nonce(16)), error(6)),
    ] {
        let answer = world.post(&body).await;
        assert_eq!((answer.status, &answer.body), (200, &expected), "{what}");
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
        let got = world.get(&format!("/ocsp/{}", base64(&body))).await;
        assert!(body.is_empty() || (got.status, &got.body) == (200, &expected), "{what}");
    }
    let with_lost_slash = base64(&request(&id, &[])).replacen("//", "/", 1);
    let got = world.get(&format!("/ocsp/{with_lost_slash}")).await;
    assert_eq!(status_of(&got.body, &id), GOOD);
    for serial in [&[5][..], &[0x41; 16], &[0x80; 20]] {
        let asked = world.request(serial, &[]);
        let answer = world.post(&asked).await;
        assert_eq!(status_of(&answer.body, &world.cert_id(serial)), UNKNOWN);
    }
    // An operator's certificate is of another CA.
    assert_eq!(world.post(&vec![0x30; 4_097]).await.status, 413);
    assert_eq!(world.get(&format!("/ocsp/{}", "A".repeat(14_000))).await.status, 200);
    assert_eq!(world.get("/ocsp").await.status, 404);
    let put = b"PUT /ocsp HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(world.ask(put).await.status, 405);
}

#[tokio::test]
async fn who_asks_for_many_signatures_is_asked_to_come_later_and_others_are_answered() {
    let world = World::new().await;
    world.ocsp_is_up().await;
    let id = world.cert_id(&world.serial_bytes());
    let (plain, nonced) = (request(&id, &[]), request(&id, &nonce(8)));
    world.post(&plain).await;
    let is_put_off = async |what: &str, request: &[u8]| {
        for _ in 0..5_000 {
            if world.post(request).await.body == error(3) {
                return;
            }
        }
        panic!("{what}: none of 5,000 was put off");
    };
    is_put_off("with a nonce", &nonced).await;
    // Nor are answers kept about what nobody issued.
    is_put_off("of an unknown serial", &world.request(&[5], &[])).await;
    assert_eq!(status_of(&world.post(&plain).await.body, &id), GOOD);
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// A receipt names a place on a list, which follows within a second and is served as the draft has it.
#[tokio::test]
async fn a_status_list_follows_a_suspension_within_a_second() {
    let served = Served::serve(wardein_server::Limits::default(), crate::common::now(), 0, |ports| {
        wardein_engine::Ports { revocation_url: Some("http://pki.example".parse().unwrap()), ..ports }
    })
    .await;
    let operators = served.operators().await;
    let of = |wanted| &operators.iter().find(|(role, _)| *role == wanted).unwrap().1;
    TestDevice::enrolled(of(Role::Station), "pump-1").await;
    let get = async |headers: &str| {
        let (path, headers) = headers.split_once('|').unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        ask(&served, request.as_bytes()).await
    };
    let present = async || get("/status/0|").await;
    let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
    let receipt = Some(v1::ReceiptRequest { audience: "iot".into(), nonce: vec![7; 16] });
    let answer = of(Role::Platform).trust().check(v1::CheckRequest { subject, receipt }).await.unwrap();
    assert_eq!(answer.into_inner().receipt.split('.').count(), 3);
    let until = async |is_there: &dyn Fn(&Answer) -> bool| {
        let started = std::time::Instant::now();
        loop {
            let list = present().await;
            if is_there(&list) {
                return (list, started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(10), "it did not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (list, _) = until(&|list| list.status == 200).await;
    assert_eq!(list.header("content-type"), "application/statuslist+jwt");
    assert_eq!(list.header("cache-control"), "max-age=60, public, no-transform, must-revalidate");
    let tag = list.header("etag").to_owned();
    assert_eq!(get(&format!("/status/0|If-None-Match: {tag}\r\n")).await.status, 304);
    let zipped = get("/status/0|Accept-Encoding: gzip\r\n").await;
    assert_eq!((zipped.header("content-encoding"), &zipped.body[..2]), ("gzip", &[0x1f, 0x8b][..]));
    assert_eq!(get("/status/0|Accept: application/statuslist+cwt\r\n").await.status, 406);
    assert_eq!(get("/status/0?time=1790000000|").await.status, 501);
    for other in
        ["/status/1|", "/status/00|", "/status/+0|", "/status/-1|", "/status/4294967296|", "/status/a|"]
    {
        assert_eq!(get(other).await.status, 404, "{other}");
    }
    let suspend = v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: "pump-1".into(),
        state: v1::DeviceState::Suspended.into(),
        reason: "test".into(),
        ..Default::default()
    };
    of(Role::TenantAdmin).admin().set_device_state(suspend).await.unwrap();
    let (_, took) = until(&|list| list.header("etag") != tag).await;
    assert!(took < Duration::from_secs(1), "it took {took:?}");
}
