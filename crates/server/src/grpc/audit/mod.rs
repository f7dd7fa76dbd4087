//! `AuditService`.

pub(super) mod convert;

use crate::edge::context::Context;
use crate::grpc::convert::page_size;
use crate::grpc::{Api, reply};
use convert::{entry, filter};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_engine::{Caller, Engine};
use wardein_proto::v1;

#[async_trait]
impl v1::audit_service_server::AuditService for Api {
    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            context.may_be_about(&asked.tenant, &asked.device_id);
            let (first, limit) = (asked.first, page_size(asked.page_size));
            let filter = filter(asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let (entries, next) = engine.list_audit(&caller, filter, first, limit).await?;
                Ok(v1::ListEntriesResponse { entries: entries.into_iter().map(entry).collect(), next })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }
}
