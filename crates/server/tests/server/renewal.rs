//! A platform goes over to its renewed certificate while it calls.

use crate::common::{Served, copied, issue, revoke};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wardein_client::{Connection, Identity, Refusal, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::Role;
use wardein_pki::{Csr, pem};

async fn check(by: &Connection) -> Result<(), Refusal> {
    let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
    by.trust().check(v1::CheckRequest { subject, receipt: None }).await.map(|_| ()).map_err(Refusal::from)
}

#[tokio::test]
async fn a_platform_renews_itself_under_load_and_no_call_fails() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let former = issue(&admin, Role::Platform).await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = |by: Connection| {
        let (stop, answered) = (stop.clone(), answered.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                check(&by).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Refusal>(())
        })
    };
    let goes_on = async || {
        let until = answered.load(Ordering::Relaxed) + 100;
        while answered.load(Ordering::Relaxed) < until {
            tokio::task::yield_now().await;
        }
    };
    let before = load(served.connect(Some(copied(&former))).await.unwrap());
    goes_on().await;

    let by = served.connect(Some(copied(&former))).await.unwrap();
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let renewed = by.admin().renew_operator(v1::RenewOperatorRequest { csr, validity: None }).await.unwrap();
    let certificates = renewed.into_inner().certificate_pem.into_bytes();
    let key = pem::encode_private_key(pkcs8.expose()).unwrap();
    let after = load(served.connect(Some(Identity { certificates, key })).await.unwrap());
    goes_on().await;
    stop.store(true, Ordering::Relaxed);
    before.await.unwrap().expect("the former certificate is good to its end");
    after.await.unwrap().expect("so is the new one");

    // Gone over to the new one, it may have the former revoked.
    check(&by).await.unwrap();
    revoke(&admin, &former).await;
    assert_eq!(check(&by).await.unwrap_err().code, "operator-revoked");
}
