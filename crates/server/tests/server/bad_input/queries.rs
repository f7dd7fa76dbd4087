//! `TrustService`, `CertificateService` and `AuditService`.

use super::world::{NO_SERIAL, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use v1::check_request::Subject;
use v1::check_result::Result as Outcome;
use v1::watch_request::From;
use v1::watch_response::Event;
use wardein_client::{Timestamp, v1};
use wardein_crypto::{Digest, P256SigningKey, hex};
use wardein_domain::{Method, Role};
use wardein_pki::{Csr, pem};

/// A device `pump-1`, and its certificate with the serial.
async fn certified(world: &World) -> (Vec<u8>, String) {
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    device.prove(&world.nobody, "certificate", &csr).await.unwrap();
    let asked = v1::ListCertificatesRequest { tenant: "t".into(), ..Default::default() };
    let listed = world.admin.certificates().list_certificates(asked).await.unwrap().into_inner().certificates;
    (listed[0].der.clone(), listed[0].serial.clone())
}

#[tokio::test]
async fn check() {
    let world = World::new().await;
    let (der, _) = certified(&world).await;
    let (by, ask) = (&world.platform, |subject| v1::CheckRequest { subject: Some(subject), receipt: None });
    let device = |id: &str| ask(Subject::DeviceId(id.into()));
    let certificate = |der: &[u8]| ask(Subject::Certificate(der.to_vec()));
    let spiffe = |id: &str| ask(Subject::SpiffeId(id.into()));
    let receipt = |audience: &str, nonce| v1::CheckRequest {
        receipt: Some(v1::ReceiptRequest { audience: audience.into(), nonce: vec![7; nonce] }),
        ..device("pump-1")
    };
    let no_der = (Code::InvalidArgument, "certificate-malformed", "certificate");
    let rows = [
        ("nothing", by, v1::CheckRequest { subject: None, receipt: None }, malformed("subject")),
        ("no device", by, device(""), malformed("device_id")),
        ("129 bytes", by, device(&"d".repeat(129)), malformed("device_id")),
        ("a path", by, device("../other/pump-1"), malformed("device_id")),
        ("no certificate", by, certificate(b""), no_der),
        ("no DER", by, certificate(&[0x30, 0x80]), no_der),
        ("a certificate that is cut off", by, certificate(&der[..der.len() - 1]), no_der),
        ("8193 bytes", by, certificate(&[0x30; 8193]), malformed("certificate")),
        ("no SPIFFE id", by, spiffe("pump-1"), malformed("spiffe_id")),
        (
            "an operator's id",
            by,
            spiffe("spiffe://wardein.test/operator/platform/t/one"),
            malformed("spiffe_id"),
        ),
        ("another's domain", by, spiffe("spiffe://elsewhere.test/t/pump-1"), malformed("spiffe_id")),
        ("another's tenant", by, spiffe("spiffe://wardein.test/other/pump-1"), malformed("spiffe_id")),
        ("2049 bytes", by, spiffe(&"s".repeat(2049)), malformed("spiffe_id")),
        ("no serial", by, ask(Subject::Serial(String::new())), malformed("serial")),
        ("a serial of letters", by, ask(Subject::Serial("no".into())), malformed("serial")),
        ("no fingerprint", by, ask(Subject::Fingerprint(String::new())), malformed("fingerprint")),
        ("a SHA-1", by, ask(Subject::Fingerprint("0".repeat(40))), malformed("fingerprint")),
        ("65 digits", by, ask(Subject::Fingerprint("0".repeat(65))), malformed("fingerprint")),
        ("64 letters", by, ask(Subject::Fingerprint("g".repeat(64))), malformed("fingerprint")),
        ("a receipt for nobody", by, receipt("", 8), malformed("receipt.audience")),
        ("a receipt for 257 bytes", by, receipt(&"a".repeat(257), 8), malformed("receipt.audience")),
        ("an audience that JSON escapes", by, receipt("a\"b", 8), malformed("receipt.audience")),
        ("a nonce of 7 bytes", by, receipt("a", 7), malformed("receipt.nonce")),
        ("a nonce of 65 bytes", by, receipt("a", 65), malformed("receipt.nonce")),
    ];
    world.refuses(Method::Check, rows).await;
}

#[tokio::test]
async fn watch() {
    let world = World::new().await;
    let (by, ask) = (&world.platform, |from| v1::WatchRequest { from: Some(from) });
    let revision = |bytes: &[u8]| ask(From::Revision(bytes.to_vec()));
    let mut events = by.trust().watch(ask(From::Snapshot(v1::FromSnapshot {}))).await.unwrap().into_inner();
    let good = loop {
        let event = events.message().await.unwrap().unwrap().event.unwrap();
        if let Event::SnapshotEnd(v1::SnapshotEnd { revision, .. }) = event {
            break revision;
        }
    };
    let (mut ahead, mut foreign) = (good.clone(), good.clone());
    *ahead.last_mut().unwrap() = 0xff;
    foreign[1] ^= 1;
    let out_of_range = |code, word| (Code::OutOfRange, code, word);
    let rows = [
        ("nothing", by, v1::WatchRequest { from: None }, malformed("from")),
        ("no revision", by, revision(b""), malformed("revision")),
        ("a revision that is cut off", by, revision(&good[1..]), malformed("revision")),
        ("a longer one", by, revision(&[&good[..], b"!"].concat()), malformed("revision")),
        ("one from the future", by, revision(&ahead), out_of_range("revision-ahead", "snapshot")),
        ("another authority's", by, revision(&foreign), out_of_range("revision-foreign", "snapshot")),
    ];
    world.refuses(Method::Watch, rows).await;
}

#[tokio::test]
async fn check_stream() {
    let world = World::new().await;
    let ids = |count: usize| v1::CheckStreamRequest { device_ids: vec!["pump-1".into(); count] };
    world
        .refuses(Method::CheckStream, [("1025 ids", &world.platform, ids(1_025), malformed("device_ids"))])
        .await;
    // What is wrong with one id is its own failure.
    let bad = ["", "../other/pump-1", &"d".repeat(129)].map(str::to_owned);
    let request = v1::CheckStreamRequest { device_ids: bad.to_vec() };
    let asked = world.platform.trust().check_stream(tokio_stream::iter([request])).await.unwrap();
    let answer = asked.into_inner().message().await.unwrap().unwrap();
    for (number, result) in answer.results.into_iter().enumerate() {
        let Some(Outcome::Failure(failure)) = result.result else { panic!("{result:?}") };
        assert_eq!((failure.status, failure.code.as_str()), (3, "malformed"));
        assert!(failure.message.starts_with(&format!("device_ids[{number}]: ")), "{}", failure.message);
    }
}

/// A device is the same by its id, its certificate, the SPIFFE id in it, its serial number and its fingerprint, and the answers have a
/// revision.
#[tokio::test]
async fn a_device_by_each_of_its_names() {
    let world = World::new().await;
    let (der, serial) = certified(&world).await;
    let check = async |subject| {
        let request = v1::CheckRequest { subject: Some(subject), receipt: None };
        world.platform.trust().check(request).await.unwrap().into_inner()
    };
    let subjects = || {
        let id = "spiffe://wardein.test/t/pump-1".to_owned();
        let (serial, der) = (serial.clone(), der.clone());
        let device = Subject::DeviceId("pump-1".into());
        let digest = hex::encode(&Digest::of(&der).0);
        // As OpenSSL prints it.
        let pairs: Vec<_> =
            digest.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        let openssl = Subject::Fingerprint(pairs.join(":").to_uppercase());
        let fingerprint = Subject::Fingerprint(digest);
        [
            device,
            Subject::Certificate(der),
            Subject::SpiffeId(id),
            Subject::Serial(serial),
            fingerprint,
            openssl,
        ]
    };
    let mut revision = 0;
    for (state, verdict) in [("active", v1::Verdict::Trusted), ("suspended", v1::Verdict::NotTrusted)] {
        world.set_state("pump-1", state).await;
        for subject in subjects() {
            let answer = check(subject.clone()).await;
            assert_eq!((answer.verdict(), &*answer.device_id), (verdict, "pump-1"), "{subject:?}");
            assert!(answer.revision >= revision, "{subject:?}");
            revision = answer.revision;
        }
        revision += 1;
    }
    let unknown = check(Subject::Serial(format!("{:032x}", u128::MAX >> 1))).await;
    let reasons: Vec<_> = unknown.reasons().collect();
    assert_eq!(reasons, [v1::Reason::NoSuchDevice, v1::Reason::CertificateUnknown]);
}

/// Of what is another tenant's, and of what is not the authority's, a platform learns nothing: that is an answer, no refusal.
#[tokio::test]
async fn what_is_foreign_is_unknown() {
    let world = World::new().await;
    let (der, _) = certified(&world).await;
    let foreign = {
        let order = super::world::order(Role::Platform, "other", "one", 0);
        world.served.connect(Some(crate::common::issue_as(&world.admin, order).await)).await.unwrap()
    };
    let root = pem::decode_certificates(&world.served.founded.infrastructure_pem).unwrap().remove(0);
    let mut forged = der.clone();
    *forged.last_mut().unwrap() ^= 1;
    let before = world.rows().await;
    for (what, by, subject) in [
        ("another tenant's device", &foreign, Subject::DeviceId("pump-1".into())),
        ("another tenant's certificate", &foreign, Subject::Certificate(der)),
        ("no device's certificate", &world.platform, Subject::Certificate(root)),
        ("a forged certificate", &world.platform, Subject::Certificate(forged)),
        ("no such device", &world.platform, Subject::DeviceId("pump-9".into())),
    ] {
        let request = v1::CheckRequest { subject: Some(subject), receipt: None };
        let answer = by.trust().check(request).await.expect(what).into_inner();
        assert_eq!(answer.verdict(), v1::Verdict::Unknown, "{what}");
        assert_eq!((answer.device_id.as_str(), answer.state), ("", 0), "{what}");
    }
    assert!(world.rows().await == before);
}

#[tokio::test]
async fn list_certificates() {
    let world = World::new().await;
    certified(&world).await;
    let good = || v1::ListCertificatesRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let by = &world.admin;
    let rows = [
        (
            "no tenant",
            by,
            v1::ListCertificatesRequest { tenant: String::new(), ..good() },
            malformed("tenant"),
        ),
        (
            "no device's id",
            by,
            v1::ListCertificatesRequest { device_id: "a b".into(), ..good() },
            malformed("device_id"),
        ),
        (
            "a long token",
            by,
            v1::ListCertificatesRequest { page_token: vec![1; 513], ..good() },
            malformed("page_token"),
        ),
        (
            "the token of another tenant's list",
            by,
            v1::ListCertificatesRequest { page_token: b"other\0pump-1\0".to_vec(), ..good() },
            malformed("page_token"),
        ),
        ("no such tenant", by, v1::ListCertificatesRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
    ];
    world.refuses(Method::ListCertificates, rows).await;
}

#[tokio::test]
async fn revoke_certificate() {
    let world = World::new().await;
    let (_, serial) = certified(&world).await;
    let operator = world.serial(Role::Station, "t", "one").await;
    let good = || v1::RevokeCertificateRequest {
        tenant: "t".into(),
        serial: serial.clone(),
        reason: "lost".into(),
        code: 1,
    };
    let with = |serial: &str| v1::RevokeCertificateRequest { serial: serial.into(), ..good() };
    let (by, unknown) = (&world.admin, (Code::NotFound, "certificate-unknown", "no certificate"));
    let rows = [
        (
            "no tenant",
            by,
            v1::RevokeCertificateRequest { tenant: String::new(), ..good() },
            malformed("tenant"),
        ),
        ("no serial", by, with(""), malformed("serial")),
        ("a long serial", by, with(&"4".repeat(33)), malformed("serial")),
        ("no digits", by, with(&"g".repeat(32)), malformed("serial")),
        (
            "no reason",
            by,
            v1::RevokeCertificateRequest { reason: String::new(), ..good() },
            malformed("reason"),
        ),
        (
            "a long reason",
            by,
            v1::RevokeCertificateRequest { reason: "x".repeat(257), ..good() },
            malformed("reason"),
        ),
        ("no such certificate", by, with(NO_SERIAL), unknown),
        ("an operator's", by, with(&operator), unknown),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        (
            "another's certificate under its own tenant",
            &world.foreign,
            v1::RevokeCertificateRequest { tenant: "other".into(), ..good() },
            unknown,
        ),
        (
            "no such tenant",
            by,
            v1::RevokeCertificateRequest { tenant: "nowhere".into(), ..good() },
            NO_TENANT,
        ),
        ("no such code", by, v1::RevokeCertificateRequest { code: 2, ..good() }, malformed("code")),
        ("a code below zero", by, v1::RevokeCertificateRequest { code: -1, ..good() }, malformed("code")),
        ("removeFromCRL", by, v1::RevokeCertificateRequest { code: 8, ..good() }, malformed("code")),
        (
            "a number of more than a byte",
            by,
            v1::RevokeCertificateRequest { code: 257, ..good() },
            malformed("code"),
        ),
        ("an auditor", &world.auditor, good(), (Code::PermissionDenied, "role-denied", "RevokeCertificate")),
    ];
    world.refuses(Method::RevokeCertificate, rows).await;
}

#[tokio::test]
async fn release_certificate() {
    let world = World::new().await;
    let (_, serial) = certified(&world).await;
    let good = || v1::ReleaseCertificateRequest {
        tenant: "t".into(),
        serial: serial.clone(),
        reason: "found".into(),
    };
    let with = |serial: &str| v1::ReleaseCertificateRequest { serial: serial.into(), ..good() };
    let (by, unknown) = (&world.admin, (Code::NotFound, "certificate-unknown", "no certificate"));
    let revoke = v1::RevokeCertificateRequest {
        tenant: "t".into(),
        serial: serial.clone(),
        reason: "lost".into(),
        code: v1::RevocationReason::KeyCompromise.into(),
    };
    world.admin.certificates().revoke_certificate(revoke).await.unwrap();
    let no_reason = v1::ReleaseCertificateRequest { reason: String::new(), ..good() };
    let elsewhere = v1::ReleaseCertificateRequest { tenant: "other".into(), ..good() };
    let rows = [
        (
            "no tenant",
            by,
            v1::ReleaseCertificateRequest { tenant: String::new(), ..good() },
            malformed("tenant"),
        ),
        ("no serial", by, with(""), malformed("serial")),
        ("no reason", by, no_reason, malformed("reason")),
        ("no such certificate", by, with(NO_SERIAL), unknown),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("another's certificate under its own tenant", &world.foreign, elsewhere, unknown),
        (
            "one that is revoked for good",
            by,
            good(),
            (Code::FailedPrecondition, "certificate-revoked-for-good", "for good"),
        ),
        ("an auditor", &world.auditor, good(), (Code::PermissionDenied, "role-denied", "ReleaseCertificate")),
    ];
    world.refuses(Method::ReleaseCertificate, rows).await;
}

#[tokio::test]
async fn revoke_issued() {
    use v1::revoke_issued_request::Issued;
    let world = World::new().await;
    certified(&world).await;
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let good = || v1::RevokeIssuedRequest {
        issued: Some(Issued::InTenant("t".into())),
        since: at(1),
        until: at(2),
        code: 1,
        reason: "lost".into(),
    };
    let device = |tenant: &str, device: &str| {
        let of = v1::IssuedToDevice { tenant: tenant.into(), device_id: device.into() };
        v1::RevokeIssuedRequest { issued: Some(Issued::ToDevice(of)), ..good() }
    };
    let tenant =
        |tenant: &str| v1::RevokeIssuedRequest { issued: Some(Issued::InTenant(tenant.into())), ..good() };
    let by_ca = |id: &str| {
        let of = v1::IssuedByCa { id: id.into() };
        v1::RevokeIssuedRequest { issued: Some(Issued::ByCa(of)), ..good() }
    };
    let no_ca = "00".repeat(20);
    let by = &world.admin;
    let rows = [
        ("of nobody", by, v1::RevokeIssuedRequest { issued: None, ..good() }, malformed("issued")),
        ("no tenant", by, tenant(""), malformed("in_tenant")),
        ("no such tenant", by, tenant("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("a device of no tenant", by, device("", "one"), malformed("tenant")),
        ("no device", by, device("t", ""), malformed("device_id")),
        ("no such device", by, device("t", "nobody"), (Code::NotFound, "device-unknown", "nobody")),
        ("no CA", by, by_ca(""), malformed("id")),
        ("no such CA", by, by_ca(&no_ca), (Code::NotFound, "ca-unknown", "no CA")),
        ("no beginning", by, v1::RevokeIssuedRequest { since: None, ..good() }, malformed("since")),
        ("no end", by, v1::RevokeIssuedRequest { until: None, ..good() }, malformed("until")),
        ("before 1970", by, v1::RevokeIssuedRequest { since: at(-1), ..good() }, malformed("since")),
        (
            "an end before the beginning",
            by,
            v1::RevokeIssuedRequest { since: at(3), ..good() },
            malformed("span"),
        ),
        ("no such code", by, v1::RevokeIssuedRequest { code: 7, ..good() }, malformed("code")),
        ("a hold", by, v1::RevokeIssuedRequest { code: 6, ..good() }, malformed("code")),
        ("no reason", by, v1::RevokeIssuedRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "the CA's, by an administrator of a tenant",
            &world.foreign,
            by_ca(&no_ca),
            (Code::PermissionDenied, "role-insufficient", "only an operator of the authority"),
        ),
        ("an auditor", &world.auditor, good(), (Code::PermissionDenied, "role-denied", "RevokeIssued")),
    ];
    world.refuses(Method::RevokeIssued, rows).await;
}

/// It asks for nothing of anybody: a request with fields that nobody knows is answered as any other, and changes nothing.
#[tokio::test]
async fn get_trust_bundle() {
    let world = World::new().await;
    let (before, last) = (world.rows().await, world.entries(1).await.len());
    let unheard = v1::CreateTenantRequest { tenant: "unheard".into() };
    let message = prost::Message::encode_to_vec(&unheard);
    super::world::send(&world.nobody, Method::GetTrustBundle, Some(message)).await.unwrap();
    assert!(world.rows().await == before);
    // That of the first reading.
    assert_eq!(world.entries(1).await.len(), last + 1);
}

#[tokio::test]
async fn list_entries() {
    let world = World::new().await;
    let good = || v1::ListEntriesRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let by = &world.admin;
    let rows = [
        (
            "no tenant's name",
            by,
            v1::ListEntriesRequest { tenant: "T".into(), ..good() },
            malformed("tenant"),
        ),
        (
            "no device's id",
            by,
            v1::ListEntriesRequest { device_id: "a/b".into(), ..good() },
            malformed("device_id"),
        ),
        (
            "a device of no tenant",
            by,
            v1::ListEntriesRequest { tenant: String::new(), device_id: "pump-1".into(), ..good() },
            malformed("tenant"),
        ),
        (
            "a time that is none",
            by,
            v1::ListEntriesRequest { since: Some(Timestamp { seconds: -1, nanos: 0 }), ..good() },
            malformed("since"),
        ),
        (
            "an end that is none",
            by,
            v1::ListEntriesRequest { until: Some(Timestamp { seconds: 1, nanos: -1 }), ..good() },
            malformed("until"),
        ),
        ("a long actor", by, v1::ListEntriesRequest { actor: "a".repeat(257), ..good() }, malformed("actor")),
        (
            "an event of two lines",
            by,
            v1::ListEntriesRequest { event: "device\nenroll".into(), ..good() },
            malformed("event"),
        ),
        (
            "an outcome with a space",
            by,
            v1::ListEntriesRequest { outcome: "not ok".into(), ..good() },
            malformed("outcome"),
        ),
        ("no such tenant", by, v1::ListEntriesRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        (
            "another's tenant, by an auditor",
            &world.auditor,
            v1::ListEntriesRequest { tenant: "other".into(), ..good() },
            NO_TENANT,
        ),
    ];
    world.refuses(Method::ListEntries, rows).await;
    let beyond = v1::ListEntriesRequest { first: u64::MAX, ..good() };
    let answer = world.admin.audit().list_entries(beyond).await.unwrap().into_inner();
    assert!(answer.entries.is_empty() && answer.next == 0, "{answer:?}");
}

#[tokio::test]
async fn list_subjects() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2", "pump-3"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    world.set_state("pump-2", "suspended").await;
    let good = || v1::ListSubjectsRequest { page_size: 1, ..Default::default() };
    let first = world.platform.trust().list_subjects(good()).await.unwrap().into_inner();
    let token = || first.next_page_token.clone();
    let by = &world.platform;
    let rows = [
        ("no such state", by, v1::ListSubjectsRequest { state: 77, ..good() }, malformed("state")),
        (
            "no profile's name",
            by,
            v1::ListSubjectsRequest { profile: "A".into(), ..good() },
            malformed("profile"),
        ),
        ("a long model", by, v1::ListSubjectsRequest { model: "m".repeat(65), ..good() }, malformed("model")),
        (
            "another list's token",
            by,
            v1::ListSubjectsRequest { state: 2, page_token: token(), ..good() },
            malformed("page_token"),
        ),
        ("a station", &world.station, good(), (Code::PermissionDenied, "role-denied", "ListSubjects")),
    ];
    world.refuses(Method::ListSubjects, rows).await;

    let all = v1::ListSubjectsRequest { page_token: token(), page_size: 9, ..Default::default() };
    let rest = by.trust().list_subjects(all).await.unwrap().into_inner();
    let ids: Vec<_> = [first.subjects, rest.subjects].concat().into_iter().map(|one| one.device_id).collect();
    assert_eq!(ids, ["pump-1", "pump-2", "pump-3"]);
    let state = v1::DeviceState::Suspended;
    let out = v1::ListSubjectsRequest { state: state.into(), ..Default::default() };
    let out = by.trust().list_subjects(out).await.unwrap().into_inner().subjects;
    assert_eq!((out.len(), &*out[0].device_id, out[0].state()), (1, "pump-2", state));
    // Another tenant's platform sees its own devices: none.
    let order = super::world::order(Role::Platform, "other", "one", 0);
    let other = world.served.connect(Some(crate::common::issue_as(&world.admin, order).await)).await.unwrap();
    let none = other.trust().list_subjects(good()).await.unwrap().into_inner();
    assert!(none.subjects.is_empty() && none.next_page_token.is_empty());
}
