//! EST over TLS 1.2 and 1.3: what is answered, in which form, and what is refused with which status.

use crate::common::Served;
use crate::common::device::TestDevice;
use crate::common::http1::{Answer, Http1};
use crate::common::raw::{client, connect_as, tls_to};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use std::time::Duration;
use wardein_client::{Connection, Identity, time, v1};
use wardein_crypto::{P256SigningKey, SecretBytes, hex};
use wardein_domain::Role;
use wardein_pki::est::{Lines, certs_only, encode};
use wardein_pki::{Csr, pem};
use wardein_server::{Limits, Rate};

const CACERTS: &str = "/.well-known/est/cacerts";
const ENROLL: &str = "/.well-known/est/simpleenroll";
const REENROLL: &str = "/.well-known/est/simplereenroll";
const KEYGEN: &str = "/.well-known/est/serverkeygen";
const CSRATTRS: &str = "/.well-known/est/csrattrs";
const PKCS10: &str = "content-type: application/pkcs10";

struct World {
    served: Served,
    station: Connection,
    admin: Connection,
    nobody: Connection,
}

impl World {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        Self::of(Served::with(limits, 0).await).await
    }

    async fn of(served: Served) -> Self {
        let operators = served.operators().await;
        let of = |wanted| operators.iter().find(|(role, _)| *role == wanted).unwrap().1.clone();
        let (station, admin) = (of(Role::Station), of(Role::TenantAdmin));
        let nobody = served.connect(None).await.unwrap();
        Self { served, station, admin, nobody }
    }

    /// A device that is certified for that key by a proof, as it shows itself in a handshake.
    async fn holder(&self, id: &str, key: &Key) -> Identity {
        let mut device = TestDevice::enrolled(&self.station, id).await;
        device.prove(&self.nobody, "certificate", &key.csr()).await.unwrap();
        key.identity(&self.certificates().await.last().unwrap().der)
    }

    /// Those on record, the latest last.
    async fn certificates(&self) -> Vec<v1::Certificate> {
        let list = v1::ListCertificatesRequest { tenant: "t".into(), ..Default::default() };
        let listed = self.admin.certificates().list_certificates(list).await.unwrap().into_inner();
        let mut certificates = listed.certificates;
        certificates.sort_by_key(|one| time::seconds(one.not_after));
        certificates
    }

    /// A voucher, as Basic carries it.
    async fn voucher(&self, id: &str) -> String {
        let make =
            v1::MakeVoucherRequest { device_id: id.into(), lifetime: time::span(600), ..Default::default() };
        let made = self.station.provisioning().make_voucher(make).await.unwrap().into_inner();
        basic(&format!("{}/{id}:wardein-voucher-{}", made.tenant, hex::encode(&made.secret)))
    }

    async fn connect(&self, identity: Option<&Identity>) -> Http1 {
        let to = (self.served.est, &[&TLS13, &TLS12][..]);
        Http1::over(tls_to(&self.served, to, "127.0.0.1", identity, &["http/1.1"]).await.unwrap())
    }

    async fn post(&self, identity: Option<&Identity>, path: &str, lines: &[&str], body: &[u8]) -> Answer {
        let mut http = self.connect(identity).await;
        http.send(request(path, lines, body)).await;
        http.answer().await
    }
}

/// What is wrong, who asks, where, with which lines and which body, and the status and the code.
type Row<'a> = (&'a str, Option<&'a Identity>, &'a str, Vec<&'a str>, Vec<u8>, (u16, &'a str));

/// A key, with what is made of it.
struct Key(SecretBytes);

impl Key {
    fn new() -> Self {
        Self(P256SigningKey::generate_pkcs8().unwrap())
    }

    fn csr(&self) -> Vec<u8> {
        Csr::create(&P256SigningKey::from_pkcs8(&self.0).unwrap()).unwrap()
    }

    fn identity(&self, der: &[u8]) -> Identity {
        let certificates = pem::encode_certificates([der]).unwrap().into_bytes();
        Identity { certificates, key: pem::encode_private_key(self.0.expose()).unwrap() }
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    encode(bytes, Lines::Of64).expose().to_vec()
}

fn basic(pair: &str) -> String {
    format!(
        "authorization: Basic {}",
        String::from_utf8(encode(pair.as_bytes(), Lines::One).expose().to_vec()).unwrap()
    )
}

fn request(path: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let lines = [&["host: localhost", &length], lines].concat().join("\r\n");
    [format!("POST {path} HTTP/1.1\r\n{lines}\r\n\r\n").as_bytes(), body].concat()
}

/// What is in an answer, DER.
fn decoded(answer: &Answer) -> Vec<u8> {
    wardein_pki::est::decode_base64(std::str::from_utf8(&answer.body).unwrap()).unwrap()
}

#[tokio::test]
async fn the_cas_certificates_are_for_anybody_by_tls_1_2_and_1_3() {
    let world = World::new().await;
    for version in [&TLS12, &TLS13] {
        for alpn in [&["http/1.1"][..], &[]] {
            let to = (world.served.est, &[version][..]);
            let stream = tls_to(&world.served, to, "127.0.0.1", None, alpn).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
            let mut http = Http1::over(stream);
            http.send(format!("GET {CACERTS} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            let answer = http.answer().await;
            assert_eq!(answer.said(), (200, "ok"));
            // What clients insist on, whatever the RFC says: facts that others measured.
            assert_eq!(answer.header("content-type"), "application/pkcs7-mime; smime-type=certs-only");
            assert_eq!(answer.header("content-transfer-encoding"), "base64");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            assert_eq!((answer.header("transfer-encoding"), answer.header("content-encoding")), ("", ""));
            assert!(answer.head_len() < 512, "{}", answer.head_len());
            let text = std::str::from_utf8(&answer.body).unwrap();
            assert!(text.ends_with('\n') && text.lines().rev().skip(1).all(|line| line.len() == 64));
            let bundle = pem::decode_certificates(&world.served.founded.bundle_pem).unwrap();
            assert_eq!(decoded(&answer), certs_only(bundle.iter().map(Vec::as_slice)));
            http.send(format!("HEAD {CACERTS} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert_eq!(http.head().await.said(), (200, "ok"));
            http.send(format!("GET {CSRATTRS} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert_eq!(http.head().await.said(), (204, "ok"));
        }
    }
    let h2 = tls_to(&world.served, (world.served.est, &[&TLS13]), "127.0.0.1", None, &["h2"]).await;
    assert!(h2.is_err(), "HTTP/2 is not spoken here");
}

#[tokio::test]
async fn a_certificate_renews_itself_and_the_answer_is_it_alone() {
    let world = World::new().await;
    let key = Key::new();
    let identity = world.holder("pump-1", &key).await;
    let text = base64(&key.csr());
    let (pem_text, other) = (pem::encode_request(&key.csr()).unwrap(), Key::new());
    for (path, lines, body) in [
        (REENROLL, &[PKCS10][..], text.clone()),
        (ENROLL, &[PKCS10, "content-transfer-encoding: base64"], text.clone()),
        (REENROLL, &["content-type: application/pkcs10; charset=x"], pem_text.into_bytes()),
        (REENROLL, &[PKCS10], key.csr()),
        (REENROLL, &[PKCS10], base64(&other.csr())),
        // A voucher renews nothing.
        (REENROLL, &[PKCS10, "authorization: Basic !"], text.clone()),
    ] {
        let answer = world.post(Some(&identity), path, lines, &body).await;
        assert_eq!(answer.said(), (200, "ok"), "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), "application/pkcs7-mime; smime-type=certs-only");
        let found = decoded(&answer);
        let all = world.certificates().await;
        assert!(all.iter().any(|one| certs_only([&one.der[..]]) == found), "it is on record, and alone");
    }
    assert_eq!(world.certificates().await.len(), 7);
}

#[tokio::test]
async fn a_voucher_gives_the_first_certificate_and_the_same_again() {
    let world = World::new().await;
    let (voucher, key) = (world.voucher("pump-1").await, Key::new());
    let text = base64(&key.csr());
    let first = world.post(None, ENROLL, &[PKCS10, &voucher], &text).await;
    assert_eq!(first.said(), (200, "ok"), "{}", String::from_utf8_lossy(&first.body));
    let again = world.post(None, ENROLL, &[PKCS10, &voucher], &text).await;
    assert_eq!(again.body, first.body);
    let spent = world.post(None, ENROLL, &[PKCS10, &voucher], &base64(&Key::new().csr())).await;
    assert_eq!(
        (spent.said(), spent.header("www-authenticate")),
        ((401, "voucher-invalid"), "Basic realm=\"wardein\"")
    );
    assert_eq!(world.certificates().await.len(), 1);
    // From now on by the certificate.
    let identity = key.identity(&world.certificates().await[0].der);
    assert_eq!(world.post(Some(&identity), REENROLL, &[PKCS10], &text).await.said(), (200, "ok"));
    // A voucher counts before a certificate that is not ours.
    let voucher = world.voucher("pump-2").await;
    let maker = world.served.admin();
    assert_eq!(world.post(Some(&maker), ENROLL, &[PKCS10, &voucher], &text).await.said(), (200, "ok"));
    world.served.clock.pass(601);
    let late = world.voucher("pump-3").await;
    world.served.clock.pass(601);
    assert_eq!(world.post(None, ENROLL, &[PKCS10, &late], &text).await.said(), (401, "voucher-invalid"));
}

#[tokio::test]
async fn what_is_wrong_has_its_status_and_its_code_and_nothing_is_issued() {
    let world = World::new().await;
    let key = Key::new();
    let identity = world.holder("pump-1", &key).await;
    let text = base64(&key.csr());
    let mut unsigned = Key::new().csr();
    *unsigned.last_mut().unwrap() ^= 1;
    let voucher = world.voucher("pump-2").await;
    let other = voucher.replace("authorization: Basic d", "authorization: Basic e");
    let (mine, nobody) = (Some(&identity), None);
    let operator = world.served.admin();
    let rows: Vec<Row<'_>> = vec![
        ("no credentials", nobody, ENROLL, vec![PKCS10], text.clone(), (401, "est-unauthenticated")),
        (
            "no certificate",
            nobody,
            REENROLL,
            vec![PKCS10, &voucher],
            text.clone(),
            (401, "est-unauthenticated"),
        ),
        (
            "another scheme",
            nobody,
            ENROLL,
            vec![PKCS10, "authorization: Bearer x"],
            text.clone(),
            (401, "est-unauthenticated"),
        ),
        (
            "no voucher",
            nobody,
            ENROLL,
            vec![PKCS10, "authorization: Basic eDp5"],
            text.clone(),
            (401, "voucher-invalid"),
        ),
        (
            "bad Basic",
            nobody,
            ENROLL,
            vec![PKCS10, "authorization: Basic !!"],
            text.clone(),
            (401, "voucher-invalid"),
        ),
        ("another's", nobody, ENROLL, vec![PKCS10, &other], text.clone(), (401, "voucher-invalid")),
        ("an operator's", Some(&operator), REENROLL, vec![PKCS10], text.clone(), (403, "holder-unknown")),
        ("bad base64", mine, REENROLL, vec![PKCS10], b"!!!!".to_vec(), (400, "est-body")),
        ("bad base64 first", nobody, ENROLL, vec![PKCS10], b"!!!!".to_vec(), (400, "est-body")),
        ("no body", mine, REENROLL, vec![PKCS10], vec![], (400, "est-body")),
        ("no request", mine, REENROLL, vec![PKCS10], base64(b"what?"), (400, "csr-malformed")),
        (
            "more than one",
            mine,
            REENROLL,
            vec![PKCS10],
            base64(&[key.csr(), vec![0]].concat()),
            (400, "csr-trailing-bytes"),
        ),
        ("no signature", mine, REENROLL, vec![PKCS10], base64(&unsigned), (400, "csr-signature")),
        ("no signature", nobody, ENROLL, vec![PKCS10, &voucher], base64(&unsigned), (400, "csr-signature")),
        ("a long one", mine, REENROLL, vec![PKCS10], base64(&vec![0x30; 5000]), (400, "csr-too-long")),
        (
            "another type",
            mine,
            REENROLL,
            vec!["content-type: text/plain"],
            text.clone(),
            (415, "not-supported"),
        ),
        ("no type", mine, REENROLL, vec![], text.clone(), (415, "not-supported")),
        (
            "compressed",
            mine,
            REENROLL,
            vec![PKCS10, "content-encoding: gzip"],
            text.clone(),
            (415, "not-supported"),
        ),
        ("a read path", mine, CACERTS, vec![PKCS10], text.clone(), (405, "not-supported")),
        ("no keys are made", mine, KEYGEN, vec![PKCS10], text.clone(), (501, "not-supported")),
        ("no path", mine, "/.well-known/est/fullcmc", vec![PKCS10], text.clone(), (404, "method-unknown")),
        (
            "a label",
            mine,
            "/.well-known/est/t/simpleenroll",
            vec![PKCS10],
            text.clone(),
            (404, "method-unknown"),
        ),
        (
            "a query",
            mine,
            "/.well-known/est/simpleenroll?x",
            vec![PKCS10],
            text.clone(),
            (404, "method-unknown"),
        ),
        ("another's port", mine, "/v1/device/challenge", vec![PKCS10], text.clone(), (404, "method-unknown")),
    ];
    for (what, identity, path, lines, body, wanted) in rows {
        let mut http = world.connect(identity).await;
        http.send(request(path, &lines, &body)).await;
        let answer = http.answer().await;
        assert_eq!(answer.said(), wanted, "{what}: {}", String::from_utf8_lossy(&answer.body));
        let basic = if wanted.0 == 401 { "Basic realm=\"wardein\"" } else { "" };
        assert_eq!(answer.header("www-authenticate"), basic, "{what}");
        // Bouncy Castle's client fails where a 401 has a body.
        let (words, kind) = if wanted.0 == 401 { ("", "") } else { (wanted.1, "text/plain") };
        assert_eq!(
            (answer.body.starts_with(words.as_bytes()), answer.body.is_empty()),
            (true, words.is_empty()),
            "{what}"
        );
        assert_eq!(answer.header("content-type"), kind, "{what}");
    }
    assert_eq!(world.certificates().await.len(), 1);
    // By its head alone: nothing of the body came.
    let mut http = world.connect(mine).await;
    http.send(format!("POST {REENROLL} HTTP/1.1\r\nhost: x\r\n{PKCS10}\r\ncontent-length: 65537\r\n\r\n"))
        .await;
    assert_eq!(http.answer().await.said(), (413, "too-large"));
    let mut http = world.connect(None).await;
    http.send(format!("GET {ENROLL} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let answer = http.answer().await;
    assert_eq!((answer.said(), answer.header("allow")), ((405, "not-supported"), "POST"));
    http.send(format!(
        "POST {ENROLL} HTTP/1.1\r\nhost: x\r\n{PKCS10}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!(http.answer().await.said(), (411, "not-supported"));
    http.is_closed().await;
}

#[tokio::test]
async fn another_devices_certificate_and_one_that_is_over_are_refused() {
    let world = World::new().await;
    let (key, foreign) = (Key::new(), World::new().await);
    let identity = world.holder("pump-1", &key).await;
    let text = base64(&key.csr());
    let stranger = foreign.holder("pump-1", &key).await;
    assert_eq!(world.post(Some(&stranger), REENROLL, &[PKCS10], &text).await.said(), (403, "holder-unknown"));
    let set = |state: v1::DeviceState| v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: "pump-1".into(),
        state: state.into(),
        reason: "test".into(),
        ..Default::default()
    };
    world.admin.admin().set_device_state(set(v1::DeviceState::Suspended)).await.unwrap();
    let answer = world.post(Some(&identity), REENROLL, &[PKCS10], &text).await;
    assert_eq!(answer.said(), (403, "suspended"));
    world.admin.admin().set_device_state(set(v1::DeviceState::Active)).await.unwrap();
    assert_eq!(world.certificates().await.len(), 1);
    world.served.clock.pass(86_401);
    assert_eq!(world.post(Some(&identity), REENROLL, &[PKCS10], &text).await.said(), (403, "holder-expired"));
}

/// A session that is resumed would bring the certificate along without showing it, whatever happened to it meanwhile.
#[tokio::test]
async fn each_connection_shows_its_certificate_and_none_is_resumed() {
    let world = World::new().await;
    let key = Key::new();
    let identity = world.holder("pump-1", &key).await;
    let text = base64(&key.csr());
    for version in [&TLS12, &TLS13] {
        let client = Arc::new(client(&world.served, &[version], Some(&identity), &["http/1.1"]));
        for turn in 0..3 {
            let stream = connect_as(&client, world.served.est, "127.0.0.1").await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "connection {turn}");
            let mut http = Http1::over(stream);
            http.send(request(REENROLL, &[PKCS10], &text)).await;
            assert_eq!(http.answer().await.said(), (200, "ok"));
        }
    }
    let client = Arc::new(client(&world.served, &[&TLS13], Some(&identity), &["http/1.1"]));
    let renew = async || {
        let mut http = Http1::over(connect_as(&client, world.served.est, "127.0.0.1").await.unwrap());
        http.send(request(REENROLL, &[PKCS10], &text)).await;
        http.answer().await.said().1.to_owned()
    };
    assert_eq!(renew().await, "ok");
    let shown = pem::decode_certificates(std::str::from_utf8(&identity.certificates).unwrap()).unwrap();
    let certificates = world.certificates().await;
    let serial = certificates.into_iter().find(|one| one.der == shown[0]).unwrap().serial;
    let revoke = v1::RevokeCertificateRequest {
        tenant: "t".into(),
        serial,
        reason: "lost".into(),
        ..Default::default()
    };
    world.admin.certificates().revoke_certificate(revoke).await.unwrap();
    assert_eq!(renew().await, "holder-revoked");
}

#[tokio::test]
async fn a_key_is_made_where_that_is_set_and_for_who_may_have_it() {
    let world = World::of(Served::with_made_keys(1).await).await;
    let example = base64(&Key::new().csr());
    let nobody = world.post(None, KEYGEN, &[PKCS10], &example).await;
    assert_eq!(nobody.said(), (401, "est-unauthenticated"));
    let voucher = world.voucher("pump-1").await;
    let wrong = world.post(None, KEYGEN, &[PKCS10, &voucher], b"MAA=").await;
    assert_eq!(wrong.said(), (400, "csr-malformed"));
    let answer = world.post(None, KEYGEN, &[PKCS10, &voucher], &example).await;
    assert_eq!(answer.said(), (200, "ok"), "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), "multipart/mixed; boundary=wardein-est");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let parts: Vec<_> = text.split("--wardein-est").filter_map(|part| part.split_once("\r\n\r\n")).collect();
    let [(of_key, key), (of_certificate, certificate)] = parts[..] else { panic!("{text}") };
    assert!(of_key.contains("Content-Type: application/pkcs8\r\nContent-Transfer-Encoding: base64"));
    assert!(of_certificate.contains("Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n"));
    let read = |text: &str| wardein_pki::est::decode_base64(text).unwrap();
    let leaf = world.certificates().await.remove(0).der;
    assert_eq!(read(certificate), certs_only([&leaf[..]]));
    // With both it renews.
    let made = Key(SecretBytes::from_vec(read(key)));
    let identity = made.identity(&leaf);
    assert_eq!(
        world.post(Some(&identity), REENROLL, &[PKCS10], &base64(&made.csr())).await.said(),
        (200, "ok")
    );
    assert_eq!(world.post(Some(&identity), KEYGEN, &[PKCS10], &example).await.said(), (200, "ok"));
    let spent = world.post(None, KEYGEN, &[PKCS10, &voucher], &example).await;
    assert_eq!(spent.said(), (401, "voucher-invalid"));
    assert_eq!(world.certificates().await.len(), 3);
}

#[tokio::test]
async fn what_is_bounded_for_devices_is_bounded_here() {
    let limits = Limits {
        open: Rate { per_second: 1, burst: 3 },
        open_body_time: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let mut http = world.connect(None).await;
    http.send(format!("POST {ENROLL} HTTP/1.1\r\nhost: x\r\n{PKCS10}\r\ncontent-length: 5\r\n\r\nMA")).await;
    assert_eq!(http.answer().await.said(), (503, "request-timeout"));
    let mut codes = Vec::new();
    for _ in 0..4 {
        let mut http = world.connect(None).await;
        http.send(format!("GET {CACERTS} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let answer = http.answer().await;
        codes.push((answer.status, answer.header("retry-after").to_owned()));
    }
    assert!(codes.contains(&(429, "1".to_owned())), "{codes:?}");
}
