//! `AdminService`.

mod batches;
mod clock;
pub(crate) mod convert;
mod grants;
mod keys;
mod profiles;
mod transfers;

use crate::edge::context::Context;
use crate::grpc::audit::convert::entry;
use crate::grpc::convert::{millisecond, page, parse, parse_optional, span_optional, wrong};
use crate::grpc::{Api, reply};
use batches::{batch_order, in_batch};
use convert::{device, filter, operator, order, settable_state, tenant};
use grants::{grant, grant_order, grant_to_remove};
use profiles::{profile_put, profile_response, profile_set};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use transfers::{accept_order, transfer, transfer_order, withdrawal};
use wardein_domain::TenantId;
use wardein_engine::{Caller, Engine, RotationScope};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::admin_service_server::AdminService for Api {
    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::CreateTenantResponse>, Status> {
        let create = async {
            let context = Context::of(&request)?;
            let id = parse("tenant", &request.get_ref().tenant)?;
            let created = self.shared.engine.create_tenant(context.caller()?, id).await?;
            Ok(v1::CreateTenantResponse { tenant: Some(tenant(created)) })
        };
        reply(create.await)
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_tenants(&caller, page).await?;
                Ok(v1::ListTenantsResponse {
                    tenants: found.items.into_iter().map(tenant).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn issue_operator(
        &self,
        request: Request<v1::IssueOperatorRequest>,
    ) -> Result<Response<v1::IssueOperatorResponse>, Status> {
        let issue = async {
            let context = Context::of(&request)?;
            let order = order(request.into_inner())?;
            let (certificate_pem, issued) =
                self.shared.engine.issue_operator(context.caller()?, order).await?;
            Ok(v1::IssueOperatorResponse { certificate_pem, operator: Some(operator(issued)) })
        };
        reply(issue.await)
    }

    async fn renew_operator(
        &self,
        request: Request<v1::RenewOperatorRequest>,
    ) -> Result<Response<v1::RenewOperatorResponse>, Status> {
        let renew = async {
            let context = Context::of(&request)?;
            let v1::RenewOperatorRequest { csr, validity } = request.into_inner();
            let validity = span_optional("validity", validity.as_ref())?.unwrap_or(0);
            let (engine, caller) = (&self.shared.engine, context.caller()?);
            let (certificate_pem, renewed) = engine.renew_operator(caller, &csr, validity).await?;
            Ok(v1::RenewOperatorResponse { certificate_pem, operator: Some(operator(renewed)) })
        };
        reply(renew.await)
    }

    async fn list_operators(
        &self,
        request: Request<v1::ListOperatorsRequest>,
    ) -> Result<Response<v1::ListOperatorsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let tenant = parse_optional("tenant", &asked.tenant)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_operators(&caller, tenant, page).await?;
                Ok(v1::ListOperatorsResponse {
                    operators: found.items.into_iter().map(operator).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn revoke_operator(
        &self,
        request: Request<v1::RevokeOperatorRequest>,
    ) -> Result<Response<v1::RevokeOperatorResponse>, Status> {
        let revoke = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (serial, reason) = (parse("serial", &asked.serial)?, parse("reason", &asked.reason)?);
            let (engine, caller) = (&self.shared.engine, context.caller()?);
            let revoked = engine.revoke_operator(caller, serial, reason, asked.with_issued).await?;
            Ok(v1::RevokeOperatorResponse { revoked })
        };
        reply(revoke.await)
    }

    async fn put_profile(
        &self,
        request: Request<v1::PutProfileRequest>,
    ) -> Result<Response<v1::PutProfileResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (tenant, name, put) = profile_put(request.into_inner())?;
            let put = self.shared.engine.put_profile(context.caller()?, tenant.clone(), name, put).await?;
            Ok(v1::PutProfileResponse { profile: Some(profile_set(&tenant, put)) })
        };
        reply(put.await)
    }

    async fn list_profiles(
        &self,
        request: Request<v1::ListProfilesRequest>,
    ) -> Result<Response<v1::ListProfilesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let tenant: TenantId = parse("tenant", &request.get_ref().tenant)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_profiles(&caller, tenant.clone()).await?;
                let effective =
                    found.iter().map(|one| profile_response(&tenant, &one.name, one.effective.fields()));
                let effective = effective.collect();
                let set = found.into_iter().map(|one| profile_set(&tenant, one));
                Ok(v1::ListProfilesResponse { profiles: set.collect(), effective })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let name = context.device_name(&asked.tenant, &asked.device_id)?;
            let found = self.shared.engine.get_device(context.caller()?, name).await?;
            Ok(v1::GetDeviceResponse { device: Some(device(found)) })
        };
        reply(get.await)
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            let (tenant, filter, list, page) = filter(asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_devices(&caller, tenant, &filter, page).await?;
                Ok(v1::ListDevicesResponse {
                    devices: found.items.into_iter().map(device).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn set_device_state(
        &self,
        request: Request<v1::SetDeviceStateRequest>,
    ) -> Result<Response<v1::SetDeviceStateResponse>, Status> {
        let set = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let name = context.device_name(&asked.tenant, &asked.device_id)?;
            let state = settable_state(asked.state)?;
            let reason = parse("reason", &asked.reason)?;
            let caller = in_batch(context.caller()?, &asked.batch)?;
            let changed = self.shared.engine.set_device_state(&caller, name, state, reason).await?;
            Ok(v1::SetDeviceStateResponse { device: Some(device(changed)) })
        };
        reply(set.await)
    }

    async fn begin_batch(
        &self,
        request: Request<v1::BeginBatchRequest>,
    ) -> Result<Response<v1::BeginBatchResponse>, Status> {
        let begin = async {
            let context = Context::of(&request)?;
            let order = batch_order(request.get_ref())?;
            self.shared.engine.begin_batch(context.caller()?, &order).await?;
            Ok(v1::BeginBatchResponse {})
        };
        reply(begin.await)
    }

    async fn readmit_device(
        &self,
        request: Request<v1::ReadmitDeviceRequest>,
    ) -> Result<Response<v1::ReadmitDeviceResponse>, Status> {
        let readmit = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            let name = context.device_name(&asked.tenant, &asked.device_id)?;
            let reason = parse("reason", &asked.reason)?;
            let readmitted =
                self.shared.engine.readmit_device(context.caller()?, name, asked.enroll_anew, reason).await?;
            Ok(v1::ReadmitDeviceResponse { device: Some(device(readmitted)) })
        };
        reply(readmit.await)
    }

    async fn transfer_device(
        &self,
        request: Request<v1::TransferDeviceRequest>,
    ) -> Result<Response<v1::TransferDeviceResponse>, Status> {
        let offer = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let order = transfer_order(context.device_name(&asked.tenant, &asked.device_id)?, asked)?;
            let offered = self.shared.engine.offer_transfer(context.caller()?, order).await?;
            Ok(v1::TransferDeviceResponse { transfer: Some(transfer(offered)) })
        };
        reply(offer.await)
    }

    async fn accept_transfer(
        &self,
        request: Request<v1::AcceptTransferRequest>,
    ) -> Result<Response<v1::AcceptTransferResponse>, Status> {
        let accept = async {
            let context = Context::of(&request)?;
            let order = accept_order(request.get_ref())?;
            let accepted = self.shared.engine.accept_transfer(context.caller()?, order).await?;
            Ok(v1::AcceptTransferResponse { transfer: Some(transfer(accepted)) })
        };
        reply(accept.await)
    }

    async fn withdraw_transfer(
        &self,
        request: Request<v1::WithdrawTransferRequest>,
    ) -> Result<Response<v1::WithdrawTransferResponse>, Status> {
        let withdraw = async {
            let context = Context::of(&request)?;
            let (device, reason) = withdrawal(request.get_ref())?;
            let withdrawn = self.shared.engine.withdraw_transfer(context.caller()?, device, reason).await?;
            Ok(v1::WithdrawTransferResponse { transfer: Some(transfer(withdrawn)) })
        };
        reply(withdraw.await)
    }

    async fn list_transfers(
        &self,
        request: Request<v1::ListTransfersRequest>,
    ) -> Result<Response<v1::ListTransfersResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let tenant: TenantId = parse("tenant", &asked.tenant)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_transfers(&caller, tenant, page).await?;
                Ok(v1::ListTransfersResponse {
                    transfers: found.items.into_iter().map(transfer).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn list_device_history(
        &self,
        request: Request<v1::ListDeviceHistoryRequest>,
    ) -> Result<Response<v1::ListDeviceHistoryResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let name = context.device_name(&asked.tenant, &asked.device_id)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.device_history(&caller, &name, page).await?;
                Ok(v1::ListDeviceHistoryResponse {
                    entries: found.items.into_iter().map(|item| entry((0, item))).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        let rotate = async {
            let context = Context::of(&request)?;
            let asked = request.into_inner();
            if let Some(v1::rotate_keys_request::Scope::DeviceId(device)) = &asked.scope {
                context.may_be_about(&asked.tenant, device);
            }
            let tenant: TenantId = parse("tenant", &asked.tenant)?;
            let scope = keys::scope(asked.scope.as_ref())?;
            let reason = parse("reason", &asked.reason)?;
            let caller = in_batch(context.caller()?, &asked.batch)?;
            if caller.call.batch.is_some() && !matches!(scope, RotationScope::Device(_)) {
                return Err(wrong("batch", "takes device_id").into());
            }
            let (engine, required) = (&self.shared.engine, asked.required);
            let rotated_at = engine.rotate_keys(&caller, tenant, scope, required, reason).await?;
            Ok(v1::RotateKeysResponse { rotated_at: time::at(rotated_at) })
        };
        reply(rotate.await)
    }

    async fn get_key_status(
        &self,
        request: Request<v1::GetKeyStatusRequest>,
    ) -> Result<Response<v1::GetKeyStatusResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            context.may_be_about(&asked.tenant, &asked.device_id);
            let tenant = parse("tenant", &asked.tenant)?;
            let (profile, device) = keys::subject(asked)?;
            let found = self.shared.engine.key_status(context.caller()?, tenant, profile, device).await?;
            Ok(keys::status(found))
        };
        reply(get.await)
    }

    async fn add_grant(
        &self,
        request: Request<v1::AddGrantRequest>,
    ) -> Result<Response<v1::AddGrantResponse>, Status> {
        let add = async {
            let context = Context::of(&request)?;
            let (order, names) = grant_order(request.get_ref().grant.as_ref())?;
            let added = self.shared.engine.add_grant(context.caller()?, order, names).await?;
            Ok(v1::AddGrantResponse { grant: Some(grant(added)) })
        };
        reply(add.await)
    }

    async fn list_grants(
        &self,
        request: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let tenant = parse("tenant", &asked.tenant)?;
            let (list, page) = page(&mut asked)?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_grants(&caller, tenant, page).await?;
                Ok(v1::ListGrantsResponse {
                    grants: found.items.into_iter().map(grant).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn remove_grant(
        &self,
        request: Request<v1::RemoveGrantRequest>,
    ) -> Result<Response<v1::RemoveGrantResponse>, Status> {
        let remove = async {
            let context = Context::of(&request)?;
            let (order, reason) = grant_to_remove(request.get_ref())?;
            self.shared.engine.remove_grant(context.caller()?, order, reason).await?;
            Ok(v1::RemoveGrantResponse {})
        };
        reply(remove.await)
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let status = async {
            let context = Context::of(&request)?;
            // An operator of a tenant learns nothing of the others, not even how much they do.
            let sees_all = context.caller()?.principal.tenant.is_none();
            let status = self.shared.engine.status().await?;
            Ok(v1::GetStatusResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                trust_domain: status.trust_domain.to_string(),
                store: self.shared.store_name.to_owned(),
                time: time::at(status.time),
                started_at: time::at(status.started_at),
                audit_entries: sees_all.then_some(status.audit_entries),
                root_key: sees_all.then(|| keys::storage_key(status.root_key)),
                last_backup_at: status.last_backup.filter(|_| sees_all).and_then(time::at),
            })
        };
        reply(status.await)
    }

    async fn get_clock(
        &self,
        request: Request<v1::GetClockRequest>,
    ) -> Result<Response<v1::GetClockResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            clock::of_the_authority(context.caller()?)?;
            let acceptance = self.shared.engine.would_accept().ok();
            let left_behind = match acceptance {
                Some(acceptance) if acceptance.is_new_era && request.get_ref().count => {
                    let to = clock::second(acceptance.to_ms);
                    let count = move |engine: Arc<Engine>, _| async move { engine.left_behind(to).await };
                    Some(self.scan(&context, count).await?)
                }
                _ => None,
            };
            Ok(clock::response(self.shared.engine.clock_status(), acceptance, left_behind))
        };
        reply(get.await)
    }

    async fn accept_clock(
        &self,
        request: Request<v1::AcceptClockRequest>,
    ) -> Result<Response<v1::AcceptClockResponse>, Status> {
        let accept = async {
            let context = Context::of(&request)?;
            let wall_ms = millisecond("wall_time", request.get_ref().wall_time.as_ref())?;
            let accepted = self.shared.engine.accept_clock(context.caller()?, wall_ms).await?;
            Ok(v1::AcceptClockResponse { acceptance: Some(clock::acceptance(accepted)) })
        };
        reply(accept.await)
    }
}
