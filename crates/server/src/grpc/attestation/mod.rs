//! `AttestationService`.

mod convert;
mod pcrs;

use crate::edge::context::Context;
use crate::grpc::convert::{at_most, page, parse};
use crate::grpc::quote::LONGEST_HASH;
use crate::grpc::{Api, reply};
use convert::{digests, endorsement_key, policy, policy_response};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::TenantId;
use wardein_engine::{Caller, Engine};
use wardein_proto::v1;

#[async_trait]
impl v1::attestation_service_server::AttestationService for Api {
    async fn put_key_policy(
        &self,
        request: Request<v1::PutKeyPolicyRequest>,
    ) -> Result<Response<v1::PutKeyPolicyResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (tenant, policy, etag) = policy(request.into_inner().policy)?;
            let engine = &self.shared.engine;
            let policy = engine.put_key_policy(context.caller()?, tenant.clone(), policy, etag).await?;
            Ok(v1::PutKeyPolicyResponse { policy: Some(policy_response(&tenant, &policy)?) })
        };
        reply(put.await)
    }

    async fn get_key_policy(
        &self,
        request: Request<v1::GetKeyPolicyRequest>,
    ) -> Result<Response<v1::GetKeyPolicyResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let tenant: TenantId = parse("tenant", &request.get_ref().tenant)?;
            let policy = self.shared.engine.get_key_policy(context.caller()?, &tenant).await?;
            Ok(v1::GetKeyPolicyResponse { policy: Some(policy_response(&tenant, &policy)?) })
        };
        reply(get.await)
    }

    async fn add_endorsement_keys(
        &self,
        request: Request<v1::AddEndorsementKeysRequest>,
    ) -> Result<Response<v1::AddEndorsementKeysResponse>, Status> {
        let add = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (tenant, digests) = (parse("tenant", &asked.tenant)?, digests(&asked.digests)?);
            let added = self.shared.engine.add_endorsement_keys(context.caller()?, &tenant, &digests).await?;
            Ok(v1::AddEndorsementKeysResponse { added: u32::try_from(added).unwrap_or(u32::MAX) })
        };
        reply(add.await)
    }

    async fn remove_endorsement_keys(
        &self,
        request: Request<v1::RemoveEndorsementKeysRequest>,
    ) -> Result<Response<v1::RemoveEndorsementKeysResponse>, Status> {
        let remove = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (tenant, digests) = (parse("tenant", &asked.tenant)?, digests(&asked.digests)?);
            let removed =
                self.shared.engine.remove_endorsement_keys(context.caller()?, &tenant, &digests).await?;
            Ok(v1::RemoveEndorsementKeysResponse { removed: u32::try_from(removed).unwrap_or(u32::MAX) })
        };
        reply(remove.await)
    }

    async fn list_endorsement_keys(
        &self,
        request: Request<v1::ListEndorsementKeysRequest>,
    ) -> Result<Response<v1::ListEndorsementKeysResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let tenant = parse("tenant", &asked.tenant)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_endorsement_keys(&caller, &tenant, &page).await?;
                Ok(v1::ListEndorsementKeysResponse {
                    keys: found.items.into_iter().map(endorsement_key).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn put_pcr_policy(
        &self,
        request: Request<v1::PutPcrPolicyRequest>,
    ) -> Result<Response<v1::PutPcrPolicyResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (tenant, profile, policy, etag) = pcrs::policy(request.into_inner().policy)?;
            let (engine, caller) = (&self.shared.engine, context.caller()?);
            let set = engine.put_pcr_policy(caller, &tenant, &profile, policy, etag).await?;
            Ok(v1::PutPcrPolicyResponse { policy: set.map(|set| pcrs::set_policy(&tenant, set)) })
        };
        reply(put.await)
    }

    async fn list_pcr_policies(
        &self,
        request: Request<v1::ListPcrPoliciesRequest>,
    ) -> Result<Response<v1::ListPcrPoliciesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let tenant: TenantId = parse("tenant", &request.get_ref().tenant)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_pcr_policies(&caller, &tenant).await?;
                let policies = found.into_iter().map(|set| pcrs::set_policy(&tenant, set)).collect();
                Ok(v1::ListPcrPoliciesResponse { policies })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn approve_pcrs(
        &self,
        request: Request<v1::ApprovePcrsRequest>,
    ) -> Result<Response<v1::ApprovePcrsResponse>, Status> {
        let approve = async {
            let context = Context::of(&request)?;
            let v1::ApprovePcrsRequest { tenant, device_id, digest } = request.into_inner();
            let name = context.device_name(&tenant, &device_id)?;
            let digest = at_most("digest", digest, LONGEST_HASH.len())?;
            self.shared.engine.approve_pcrs(context.caller()?, name, &digest).await?;
            Ok(v1::ApprovePcrsResponse {})
        };
        reply(approve.await)
    }
}
