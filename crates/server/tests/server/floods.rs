//! Callers that are refused as fast as they can call.

use crate::common::{Served, issue};
use wardein_client::{Refusal, v1};
use wardein_domain::Role;

#[tokio::test]
async fn a_revoked_identity_makes_a_bounded_number_of_audit_entries() {
    let mut served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let auditor = served.connect(Some(issue(&admin, Role::Auditor).await)).await.unwrap();
    let listed = admin.admin().list_operators(v1::ListOperatorsRequest::default()).await.unwrap();
    let serial =
        listed.into_inner().operators.into_iter().find(|one| one.role() == v1::Role::Auditor).unwrap().serial;
    let revoke = v1::RevokeOperatorRequest { serial, reason: "test".into(), with_issued: false };
    admin.admin().revoke_operator(revoke).await.unwrap();
    let before = served.entries().await;
    for _ in 0..300 {
        let refused = auditor.admin().get_status(v1::GetStatusRequest {}).await.unwrap_err();
        assert_eq!(Refusal::from(refused).code, "operator-revoked");
    }
    assert_eq!(served.entries().await - before, 60);
    // The stop leaves the number.
    served.stop().unwrap();
    assert_eq!(served.entries().await - before, 61);
}

impl Served {
    async fn entries(&self) -> u64 {
        wardein_port::Store::head(&self.store).await.unwrap().last_audit
    }
}
