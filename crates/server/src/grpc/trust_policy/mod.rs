//! `TrustPolicyService`.

mod convert;

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional};
use crate::grpc::words::Answered;
use crate::grpc::{Api, reply};
use convert::{Given, change, effective, own, policy};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::{ProfileName, TenantId};
use wardein_engine::{Caller, DeviceTrust, Engine};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::trust_policy_service_server::TrustPolicyService for Api {
    async fn replace_verdict_key(
        &self,
        request: Request<v1::ReplaceVerdictKeyRequest>,
    ) -> Result<Response<v1::ReplaceVerdictKeyResponse>, Status> {
        let replace = async {
            let context = Context::of(&request)?;
            let v1::ReplaceVerdictKeyRequest { reason, with_next } = request.get_ref();
            let reason = parse("reason", reason)?;
            let engine = &self.shared.engine;
            let key_id = engine.replace_verdict_key(context.caller()?, reason, *with_next).await?;
            Ok(v1::ReplaceVerdictKeyResponse { key_id })
        };
        reply(replace.await)
    }

    async fn get_trust_policy(
        &self,
        request: Request<v1::GetTrustPolicyRequest>,
    ) -> Result<Response<v1::GetTrustPolicyResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let tenant: TenantId = parse("tenant", &asked.tenant)?;
            let profile: Option<ProfileName> = parse_optional("profile", &asked.profile)?;
            let engine = &self.shared.engine;
            let view = engine.get_trust_policy(context.caller()?, &tenant, profile.as_ref()).await?;
            Ok(v1::GetTrustPolicyResponse {
                policy: Some(own(&tenant, profile.as_ref(), &view)),
                effective: view.effective.as_ref().map(|set| effective(&tenant, set)),
            })
        };
        reply(get.await)
    }

    async fn put_trust_policy(
        &self,
        request: Request<v1::PutTrustPolicyRequest>,
    ) -> Result<Response<v1::PutTrustPolicyResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let Given { tenant, profile, policy, etag } = policy(request.into_inner().policy)?;
            // The first one that looks at ages has many rows read.
            let put = async move |engine: Arc<Engine>, caller: Caller| {
                let view = engine.put_trust_policy(&caller, &tenant, profile.as_ref(), policy, etag).await?;
                Ok(v1::PutTrustPolicyResponse {
                    policy: Some(own(&tenant, profile.as_ref(), &view)),
                    effective: view.effective.as_ref().map(|set| effective(&tenant, set)),
                })
            };
            Ok(self.scan(&context, put).await?)
        };
        reply(put.await)
    }

    async fn preview_trust_policy(
        &self,
        request: Request<v1::PreviewTrustPolicyRequest>,
    ) -> Result<Response<v1::PreviewTrustPolicyResponse>, Status> {
        let preview = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let Given { tenant, profile, policy, .. } = policy(asked.policy)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found =
                    engine.preview_trust_policy(&caller, &tenant, profile.as_ref(), policy, page).await?;
                Ok(v1::PreviewTrustPolicyResponse {
                    changes: found.changes.items.into_iter().map(change).collect(),
                    looked_at: found.looked_at,
                    next_page_token: list.token(found.changes.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(preview.await)
    }

    async fn get_device_trust(
        &self,
        request: Request<v1::GetDeviceTrustRequest>,
    ) -> Result<Response<v1::GetDeviceTrustResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let name = context.device_name(&asked.tenant, &asked.device_id)?;
            let DeviceTrust { judgment, policy } =
                self.shared.engine.device_trust(context.caller()?, &name)?;
            Ok(v1::GetDeviceTrustResponse {
                verdict: judgment.verdict.wire(),
                reasons: judgment.reasons.iter().map(|reason| reason.wire()).collect(),
                valid_until: judgment.valid_until.and_then(time::at),
                policy: policy.map(|set| effective(&name.tenant, &set)),
            })
        };
        reply(get.await)
    }
}
