//! A release that each device of the tenant is offered, whenever it asks.

use crate::authority::{Operator, issue};
use wardein_client::{Connection, v1};
use wardein_domain::{Role, TenantId};
use wardein_tuf::{OfferAsk, OfferReply};

/// Has a maker release something, and the tenant take what is released. The connection by the identity that `connected` makes is the site's.
pub(crate) async fn release(
    admin: &Connection,
    tenant: &TenantId,
    connected: impl AsyncFnOnce(Operator) -> Connection,
) {
    let keys = Some(v1::UpdateKeys::default());
    let repository = v1::CreateUpdateRepositoryRequest { name: REPOSITORY.into(), keys: keys.clone() };
    admin.updates().create_update_repository(repository).await.unwrap();
    let line = v1::CreateProductLineRequest {
        repository: REPOSITORY.into(),
        name: LINE.into(),
        paths: vec![format!("{LINE}/*")],
        keys,
        ..v1::CreateProductLineRequest::default()
    };
    admin.updates().create_product_line(line).await.unwrap();
    let release = v1::Release {
        repository: REPOSITORY.into(),
        line: LINE.into(),
        version: 2,
        label: "1.2".into(),
        models: vec![MODEL.into()],
        path: format!("{LINE}/2.img"),
        length: 1 << 30,
        sha256: vec![7; 32],
        ..v1::Release::default()
    };
    admin
        .updates()
        .add_release(v1::AddReleaseRequest { release: Some(release), ..Default::default() })
        .await
        .unwrap();
    let deed = v1::SetReleaseStateRequest {
        repository: REPOSITORY.into(),
        line: LINE.into(),
        version: 2,
        deed: v1::ReleaseDeed::Release.into(),
        reason: "a load".into(),
    };
    admin.updates().set_release_state(deed).await.unwrap();
    let site = connected(issue(admin, tenant, Role::Site).await).await;
    let rules = v1::UpdateRules {
        consent: v1::ConsentRule::NotNeeded.into(),
        time: Some(v1::update_rules::Time::AnyTime(v1::AnyTime {})),
    };
    let rules = v1::PutUpdateRulesRequest {
        rules: Some(rules),
        reason: "a load".into(),
        ..v1::PutUpdateRulesRequest::default()
    };
    site.sites().put_update_rules(rules).await.unwrap();
}

/// The body by which a device asks for the latest release.
pub(crate) fn ask() -> Vec<u8> {
    OfferAsk {
        repository: REPOSITORY.parse().unwrap(),
        line: LINE.parse().unwrap(),
        model: MODEL.parse().unwrap(),
        floor: 0,
        running: 1,
        version: 0,
    }
    .encode()
}

/// Whether it was offered, by the body of the reply.
pub(crate) fn is_offered(body: &[u8]) -> bool {
    matches!(OfferReply::decode(body), Some(OfferReply::Offered(_)))
}

const REPOSITORY: &str = "maker";
const LINE: &str = "pumps";
const MODEL: &str = "pump-3";
