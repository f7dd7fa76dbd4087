//! Deeds of several steps that are under way.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, pages, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{time as wire, v1, word};

/// `wardein key deeds`.
#[derive(Debug, Args)]
pub(crate) struct DeedsArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Deed {
    kind: String,
    tenant: String,
    device_id: String,
    step: String,
    devices: u64,
    tenant_key: u32,
    root_key: u32,
    begun_at: u64,
    actor: String,
    request_id: String,
}

impl From<v1::Deed> for Deed {
    fn from(deed: v1::Deed) -> Self {
        let v1::Deed { kind, tenant, device_id, progress, actor, request_id, begun_at } = deed;
        let v1::DeedProgress { step, devices, tenant_key, root_key } = progress.unwrap_or_default();
        let (kind, step) = (word::<v1::DeedKind>(kind), word::<v1::DeedStep>(step));
        let begun_at = wire::seconds(begun_at);
        Self { kind, tenant, device_id, step, devices, tenant_key, root_key, begun_at, actor, request_id }
    }
}

impl Record for Deed {
    const COLUMNS: &'static [Column<Self>] = &[
        ("deed", |deed| deed.kind.clone()),
        ("tenant", |deed| deed.tenant.clone()),
        ("device", |deed| deed.device_id.clone()),
        ("step", |deed| deed.step.clone()),
        ("devices swept", |deed| deed.devices.to_string()),
        ("begun", |deed| time::at(deed.begun_at)),
        ("by", |deed| deed.actor.clone()),
        ("request", |deed| deed.request_id.clone()),
    ];
}

pub(super) async fn list(args: DeedsArgs, out: Output) -> Result<(), Failure> {
    let session: Session = args.connect.open().await?;
    let operator = session.operator();
    let deeds = pages::all(async |page_size, page_token| {
        let request = v1::ListDeedsRequest { page_size, page_token };
        let page = operator.list_deeds(request).await?;
        Ok((page.deeds, page.next_page_token))
    });
    let deeds: Vec<_> = deeds.await?.into_iter().map(Deed::from).collect();
    out.list("deeds", &deeds)
}
