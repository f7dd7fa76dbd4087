//! `CaService`.

use super::world::{NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::v1::create_ca_request::Scope;
use wardein_client::{number, v1};
use wardein_domain::Method;

const NO_CA: (Code, &str, &str) = (Code::NotFound, "ca-unknown", "no CA");
const DENIED: (Code, &str, &str) = (Code::PermissionDenied, "role-denied", "may not call");

fn order(tenant: &str, state: &str) -> v1::CreateCaRequest {
    let scope = match tenant {
        "-" => Scope::Shared(v1::SharedCa {}),
        tenant => Scope::Tenant(tenant.into()),
    };
    let (state, algorithm) = (number::<v1::CaState>(state), number::<v1::CaAlgorithm>("p256"));
    v1::CreateCaRequest { scope: Some(scope), state, algorithm }
}

impl World {
    async fn ca(&self, tenant: &str, state: &str) -> String {
        let made = self.admin.cas().create_ca(order(tenant, state)).await.unwrap().into_inner();
        made.ca.unwrap().id
    }

    async fn shared(&self) -> String {
        let found = self.admin.cas().list_cas(v1::ListCasRequest::default()).await.unwrap().into_inner();
        found.cas.into_iter().find(|ca| ca.tenant.is_empty()).unwrap().id
    }
}

/// Ids that are none.
fn no_ids() -> [(&'static str, String); 5] {
    let zeros = |count| "0".repeat(count);
    [
        ("no id", String::new()),
        ("half an id", zeros(20)),
        ("an id and a half", zeros(60)),
        ("upper case", "A".repeat(40)),
        ("not hex", "x".repeat(40)),
    ]
}

#[tokio::test]
async fn list_cas() {
    let world = World::new().await;
    world.ca("other", "active").await;
    let good = || v1::ListCasRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let (by, own) = (&world.admin, &world.tenant_admin);
    let rows = [
        ("no tenant's name", by, v1::ListCasRequest { tenant: "T".into(), ..good() }, malformed("tenant")),
        ("no such tenant", by, v1::ListCasRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", own, v1::ListCasRequest { tenant: "other".into(), ..good() }, NO_TENANT),
        (
            "a token of nothing",
            by,
            v1::ListCasRequest { page_token: vec![7; 9], ..good() },
            malformed("page_token"),
        ),
        (
            "a long token",
            by,
            v1::ListCasRequest { page_token: vec![7; 5_000], ..good() },
            malformed("page_token"),
        ),
        ("a station", &world.station, good(), DENIED),
    ];
    world.refuses(Method::ListCas, rows).await;
    let seen = own.cas().list_cas(v1::ListCasRequest::default()).await.unwrap().into_inner().cas;
    assert_eq!(seen.len(), 1, "not that of the other tenant");
}

#[tokio::test]
async fn create_ca() {
    let world = World::new().await;
    let by = &world.admin;
    world.ca("other", "active").await;
    world.ca("other", "next").await;
    let exists = (Code::AlreadyExists, "ca-exists", "has a CA");
    let rows = [
        ("nothing", by, v1::CreateCaRequest::default(), malformed("scope")),
        ("no tenant's name", by, order("T", "active"), malformed("tenant")),
        ("no tenant", by, order("", "active"), malformed("tenant")),
        ("no such tenant", by, order("nowhere", "active"), NO_TENANT),
        ("no state", by, v1::CreateCaRequest { state: 0, ..order("t", "active") }, malformed("state")),
        ("no such state", by, v1::CreateCaRequest { state: 77, ..order("t", "active") }, malformed("state")),
        ("retired from the start", by, order("t", "retired"), malformed("state")),
        (
            "no algorithm",
            by,
            v1::CreateCaRequest { algorithm: 0, ..order("t", "active") },
            malformed("algorithm"),
        ),
        (
            "no such algorithm",
            by,
            v1::CreateCaRequest { algorithm: 77, ..order("t", "active") },
            malformed("algorithm"),
        ),
        ("a second shared one", by, order("-", "active"), exists),
        ("a second one of a tenant", by, order("other", "active"), exists),
        ("a second next one", by, order("other", "next"), exists),
        (
            "one that follows none",
            by,
            order("t", "next"),
            (Code::FailedPrecondition, "ca-state", "no active"),
        ),
        ("a tenant's administrator", &world.tenant_admin, order("t", "active"), DENIED),
        ("an auditor", &world.auditor, order("t", "active"), DENIED),
    ];
    world.refuses(Method::CreateCa, rows).await;
}

#[tokio::test]
async fn switch_ca() {
    let world = World::new().await;
    let (by, retired) = (&world.admin, world.ca("-", "next").await);
    by.cas().retire_ca(v1::RetireCaRequest { id: retired.clone() }).await.unwrap();
    let named = |id: &str| v1::SwitchCaRequest { id: id.into() };
    for (what, id) in no_ids() {
        world.refuses(Method::SwitchCa, [(what, by, named(&id), malformed("id"))]).await;
    }
    let rows = [
        ("none", by, named(&"0".repeat(40)), NO_CA),
        ("one that is retired", by, named(&retired), (Code::FailedPrecondition, "ca-state", "is retired")),
        ("a tenant's administrator", &world.tenant_admin, named(&retired), DENIED),
    ];
    world.refuses(Method::SwitchCa, rows).await;
}

#[tokio::test]
async fn retire_ca() {
    let world = World::new().await;
    let (by, former, next) = (&world.admin, world.shared().await, world.ca("-", "next").await);
    by.cas().switch_ca(v1::SwitchCaRequest { id: next.clone() }).await.unwrap();
    let named = |id: &str| v1::RetireCaRequest { id: id.into() };
    for (what, id) in no_ids() {
        world.refuses(Method::RetireCa, [(what, by, named(&id), malformed("id"))]).await;
    }
    let not_now = |word| (Code::FailedPrecondition, "ca-state", word);
    let rows = [
        ("none", by, named(&"0".repeat(40)), NO_CA),
        ("the active one", by, named(&next), not_now("switch to another one first")),
        ("one whose certificates are valid", by, named(&former), not_now("may be valid until")),
        ("a tenant's administrator", &world.tenant_admin, named(&former), DENIED),
    ];
    world.refuses(Method::RetireCa, rows).await;
}

#[tokio::test]
async fn distrust_ca() {
    let world = World::new().await;
    let (by, shared) = (&world.admin, world.shared().await);
    let named = |id: &str| v1::DistrustCaRequest { id: id.into(), reason: "it leaked".into() };
    for (what, id) in no_ids() {
        world.refuses(Method::DistrustCa, [(what, by, named(&id), malformed("id"))]).await;
    }
    let because = |reason: &str| v1::DistrustCaRequest { reason: reason.into(), ..named(&shared) };
    let rows = [
        ("none", by, named(&"0".repeat(40)), NO_CA),
        ("no reason", by, because(""), malformed("reason")),
        ("a long reason", by, because(&"x".repeat(257)), malformed("reason")),
        ("a tenant's administrator", &world.tenant_admin, named(&shared), DENIED),
        ("an auditor", &world.auditor, named(&shared), DENIED),
    ];
    world.refuses(Method::DistrustCa, rows).await;
}

#[tokio::test]
async fn request_ca_certificate() {
    let world = World::new().await;
    let (by, retired) = (&world.admin, world.ca("-", "next").await);
    by.cas().retire_ca(v1::RetireCaRequest { id: retired.clone() }).await.unwrap();
    let named = |id: &str| v1::RequestCaCertificateRequest { id: id.into() };
    for (what, id) in no_ids() {
        world.refuses(Method::RequestCaCertificate, [(what, by, named(&id), malformed("id"))]).await;
    }
    let rows = [
        ("none", by, named(&"0".repeat(40)), NO_CA),
        ("one that is retired", by, named(&retired), (Code::FailedPrecondition, "ca-state", "is retired")),
        ("a tenant's administrator", &world.tenant_admin, named(&world.shared().await), DENIED),
        ("an auditor", &world.auditor, named(&world.shared().await), DENIED),
    ];
    world.refuses(Method::RequestCaCertificate, rows).await;
}

#[tokio::test]
async fn import_ca_chain() {
    let world = World::new().await;
    let (by, shared) = (&world.admin, world.shared().await);
    let listed = by.cas().list_cas(v1::ListCasRequest::default()).await.unwrap().into_inner().cas;
    let own = listed[0].der.clone();
    let of = |id: &str, certificates: Vec<Vec<u8>>| v1::ImportCaChainRequest { id: id.into(), certificates };
    for (what, id) in no_ids() {
        world.refuses(Method::ImportCaChain, [(what, by, of(&id, vec![]), malformed("id"))]).await;
    }
    let chain = |word| (Code::InvalidArgument, "ca-chain", word);
    let rows = [
        ("none", by, of(&"0".repeat(40), vec![]), NO_CA),
        ("no certificate", by, of(&shared, vec![]), chain("2 to 6")),
        ("one", by, of(&shared, vec![own.clone()]), chain("2 to 6")),
        ("too many", by, of(&shared, vec![own.clone(); 7]), chain("2 to 6")),
        ("nothing", by, of(&shared, vec![vec![]; 2]), chain("certificate 1")),
        ("no certificate in DER", by, of(&shared, vec![own.clone(), vec![7; 99]]), chain("certificate 2")),
        ("too long", by, of(&shared, vec![own.clone(), vec![7; 9_000]]), chain("8192")),
        ("its own, twice", by, of(&shared, vec![own.clone(); 2]), chain("certificate")),
        ("a tenant's administrator", &world.tenant_admin, of(&shared, vec![own.clone(); 2]), DENIED),
        ("an auditor", &world.auditor, of(&shared, vec![own.clone(); 2]), DENIED),
    ];
    world.refuses(Method::ImportCaChain, rows).await;
}
