//! `ReaderService`.

use super::updates::denied;
use super::world::{NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::v1;
use wardein_domain::Method;

const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const NO_PROFILE: (Code, &str, &str) = (Code::NotFound, "profile-unknown", "profile");

#[tokio::test]
async fn list_readers() {
    let world = World::new().await;
    let of = |tenant: &str, profile: &str| v1::ListReadersRequest {
        tenant: tenant.into(),
        profile: profile.into(),
    };
    let rows = [
        ("no tenant", &world.admin, of("", "default"), malformed("tenant")),
        ("a bad name", &world.admin, of("A B", "default"), malformed("tenant")),
        ("one that is not there", &world.admin, of("nowhere", "default"), NO_TENANT),
        ("another's", &world.auditor, of("other", "default"), NO_TENANT),
        ("no profile", &world.auditor, of("", ""), malformed("profile")),
        ("a profile that is not there", &world.auditor, of("", "nothing"), NO_PROFILE),
        ("a release manager", &world.release_manager, of("", "default"), denied("ListReaders")),
        ("a site", &world.site, of("", "default"), denied("ListReaders")),
        ("a station", &world.station, of("", "default"), denied("ListReaders")),
    ];
    world.refuses(Method::ListReaders, rows).await;
}

#[tokio::test]
async fn add_reader() {
    let world = World::new().await;
    let admin = &world.admin;
    let tenant = "t".to_owned();
    let good = || v1::Reader { name: "hospital".into(), key: KEY.into(), not_before: None, until: None };
    let add = |reader: v1::Reader| v1::AddReaderRequest {
        tenant: tenant.clone(),
        profile: "default".into(),
        reader: Some(reader),
        reason: "x".into(),
    };
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let key = |key: &str| add(v1::Reader { key: key.into(), ..good() });
    let rows = [
        ("nothing", admin, v1::AddReaderRequest::default(), malformed("tenant")),
        (
            "no profile",
            admin,
            v1::AddReaderRequest { profile: String::new(), ..add(good()) },
            malformed("profile"),
        ),
        ("no reader", admin, v1::AddReaderRequest { reader: None, ..add(good()) }, malformed("reader")),
        ("no name", admin, add(v1::Reader { name: String::new(), ..good() }), malformed("reader.name")),
        ("a bad name", admin, add(v1::Reader { name: "A b".into(), ..good() }), malformed("reader.name")),
        ("no key", admin, key(""), malformed("reader.key")),
        ("a private key", admin, key("AGE-SECRET-KEY-1"), malformed("reader.key")),
        ("a key with a letter changed", admin, key(&KEY.replace("ql3", "ql4")), malformed("reader.key")),
        ("a key in capitals", admin, key(&KEY.to_uppercase()), malformed("reader.key")),
        (
            "before 1970",
            admin,
            add(v1::Reader { not_before: at(-1), ..good() }),
            malformed("reader.not_before"),
        ),
        ("an end before its begin", admin, add(v1::Reader { until: at(1), ..good() }), malformed("until")),
        (
            "no reason",
            admin,
            v1::AddReaderRequest { reason: String::new(), ..add(good()) },
            malformed("reason"),
        ),
        (
            "a profile that is not there",
            admin,
            v1::AddReaderRequest { profile: "nothing".into(), ..add(good()) },
            NO_PROFILE,
        ),
        ("a site", &world.site, add(good()), denied("AddReader")),
        ("a station", &world.station, add(good()), denied("AddReader")),
    ];
    world.refuses(Method::AddReader, rows).await;
}

#[tokio::test]
async fn remove_reader() {
    let world = World::new().await;
    let admin = &world.admin;
    let good = v1::RemoveReaderRequest {
        tenant: "t".into(),
        profile: "default".into(),
        name: "nobody".into(),
        reason: "x".into(),
    };
    let unknown = (Code::NotFound, "reader-unknown", "no reader");
    let rows = [
        ("nothing", admin, v1::RemoveReaderRequest::default(), malformed("tenant")),
        (
            "no name",
            admin,
            v1::RemoveReaderRequest { name: String::new(), ..good.clone() },
            malformed("name"),
        ),
        (
            "no reason",
            admin,
            v1::RemoveReaderRequest { reason: String::new(), ..good.clone() },
            malformed("reason"),
        ),
        ("a reader that is not there", admin, good.clone(), unknown),
        ("a site", &world.site, good.clone(), denied("RemoveReader")),
        ("an auditor", &world.auditor, good, denied("RemoveReader")),
    ];
    world.refuses(Method::RemoveReader, rows).await;
}

#[tokio::test]
async fn put_sealing() {
    let world = World::new().await;
    let admin = &world.admin;
    let good = v1::PutSealingRequest {
        tenant: "t".into(),
        profile: "default".into(),
        seal_for: v1::SealFor::Readers.into(),
        reason: "x".into(),
    };
    let missing = (Code::FailedPrecondition, "readers-missing", "no reader");
    let rows = [
        ("nothing", admin, v1::PutSealingRequest::default(), malformed("tenant")),
        (
            "an unsaid word",
            admin,
            v1::PutSealingRequest { seal_for: 0, ..good.clone() },
            malformed("seal_for"),
        ),
        (
            "an unheard one",
            admin,
            v1::PutSealingRequest { seal_for: 9, ..good.clone() },
            malformed("seal_for"),
        ),
        (
            "no reason",
            admin,
            v1::PutSealingRequest { reason: String::new(), ..good.clone() },
            malformed("reason"),
        ),
        ("no reader to seal for", admin, good.clone(), missing),
        ("a site", &world.site, good.clone(), denied("PutSealing")),
        ("an auditor", &world.auditor, good, denied("PutSealing")),
    ];
    world.refuses(Method::PutSealing, rows).await;
}
