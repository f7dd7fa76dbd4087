//! `StorageService`.

mod backup;
mod convert;
pub(crate) mod deeds;
mod sweep;

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse};
use crate::grpc::status::Failed;
use crate::grpc::{Api, reply};
use backup::{Parts, parts};
use convert::{deed, no_scope, rate};
use deeds::{Shreds, shreds};
use std::sync::Arc;
use sweep::{Progress, swept};
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::TenantId;
use wardein_engine::{Caller, Engine};
use wardein_proto::v1;
use wardein_proto::v1::rotate_storage_key_request::Scope as RotateScope;
use wardein_proto::v1::sweep_request::Scope as SweepScope;

#[async_trait]
impl v1::storage_service_server::StorageService for Api {
    async fn rotate_storage_key(
        &self,
        request: Request<v1::RotateStorageKeyRequest>,
    ) -> Result<Response<v1::RotateStorageKeyResponse>, Status> {
        let rotate = async {
            let context = Context::of(&request)?;
            let tenant: Option<TenantId> = match &request.get_ref().scope {
                Some(RotateScope::Tenant(tenant)) => Some(parse("tenant", tenant)?),
                Some(RotateScope::RootKey(v1::RootKey {})) => None,
                None => return Err(no_scope("tenant or root_key").into()),
            };
            let engine = self.shared.engine.clone();
            let rotate = async move {
                match tenant {
                    Some(tenant) => engine.rotate_tenant_key(context.caller()?, tenant).await,
                    None => engine.rotate_root_key(context.caller()?).await,
                }
            };
            let version = self.finish(rotate).await?;
            Ok(v1::RotateStorageKeyResponse { version })
        };
        reply(rotate.await)
    }

    type SweepStream = Progress;

    async fn sweep(&self, request: Request<v1::SweepRequest>) -> Result<Response<Progress>, Status> {
        let begin = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let v1::SweepRequest { scope, per_second } = request.get_ref();
            let per_second = rate(*per_second)?;
            let tenant = match scope {
                Some(SweepScope::Tenant(tenant)) => Some(parse("tenant", tenant)?),
                Some(SweepScope::AllTenants(v1::AllTenants {})) => None,
                None => return Err(no_scope("tenant or all_tenants").into()),
            };
            let sweep = self.shared.engine.begin_sweep(Some(caller), tenant).await?;
            Ok::<_, Failed>(swept(self.clone(), context, sweep, per_second))
        };
        reply(begin.await)
    }

    type ShredDeviceStream = Shreds;

    async fn shred_device(
        &self,
        request: Request<v1::ShredDeviceRequest>,
    ) -> Result<Response<Shreds>, Status> {
        let shred = async {
            let context = Context::of(&request)?;
            let v1::ShredDeviceRequest { tenant, device_id, reason, per_second } = request.get_ref();
            let name = context.device_name(tenant, device_id)?;
            let (reason, per_second) = (parse("reason", reason)?, rate(*per_second)?);
            let (engine, asking) = (self.shared.engine.clone(), context.clone());
            let begin = async move { engine.begin_shred(asking.caller()?, &name, reason, per_second).await };
            Ok::<_, Failed>(shreds(self.clone(), context, self.finish(begin).await?))
        };
        reply(shred.await)
    }

    async fn list_deeds(
        &self,
        request: Request<v1::ListDeedsRequest>,
    ) -> Result<Response<v1::ListDeedsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let (list, page) = page(&mut request.into_inner())?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_deeds(&caller, page).await?;
                Ok(v1::ListDeedsResponse {
                    deeds: found.items.into_iter().map(deed).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    type BackupStream = Parts;

    async fn backup(&self, request: Request<v1::BackupRequest>) -> Result<Response<Parts>, Status> {
        let begin = async {
            let context = Context::of(&request)?;
            let held = self.shared.limits.backup_held;
            let backup = self.shared.engine.begin_backup(context.caller()?, held).await?;
            Ok(parts(self.clone(), context, backup))
        };
        reply(begin.await)
    }
}
