//! `ProvisioningService`.

mod convert;
mod signing;
mod stream;
mod voucher;

use crate::edge::context::Context;
use crate::grpc::convert::parse;
use crate::grpc::status::Failed;
use crate::grpc::words::Answered;
use crate::grpc::{Api, reply};
use convert::{confirmation, order, reply as enrolled};
use stream::{Answers, answers};
use tonic::{Request, Response, Status, Streaming, async_trait};
use wardein_engine::Caller;
use wardein_proto::{time, v1};

impl Api {
    pub(super) async fn enroll_one(
        &self,
        caller: &Caller,
        request: v1::EnrollRequest,
    ) -> Result<v1::EnrollResponse, Failed> {
        let order = order(request)?;
        let reply = self.shared.engine.enroll(caller, order).await?;
        self.shared.metrics.enrolled();
        Ok(enrolled(reply, caller.principal.tenant.as_ref()))
    }

    pub(super) async fn confirm_one(
        &self,
        caller: &Caller,
        request: v1::ConfirmRequest,
    ) -> Result<v1::ConfirmResponse, Failed> {
        let (device, tag) = confirmation(&request)?;
        self.shared.engine.confirm(caller, device, tag).await?;
        Ok(v1::ConfirmResponse {})
    }
}

#[async_trait]
impl v1::provisioning_service_server::ProvisioningService for Api {
    type EnrollStreamStream = Answers;

    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let enroll = async {
            let context = Context::of(&request)?;
            context.may_be_about("", &request.get_ref().device_id);
            self.enroll_one(context.caller()?, request.into_inner()).await
        };
        reply(enroll.await)
    }

    async fn confirm(
        &self,
        request: Request<v1::ConfirmRequest>,
    ) -> Result<Response<v1::ConfirmResponse>, Status> {
        let confirm = async {
            let context = Context::of(&request)?;
            context.may_be_about("", &request.get_ref().device_id);
            self.confirm_one(context.caller()?, request.into_inner()).await
        };
        reply(confirm.await)
    }

    async fn begin_tpm_enrollment(
        &self,
        request: Request<v1::BeginTpmEnrollmentRequest>,
    ) -> Result<Response<v1::BeginTpmEnrollmentResponse>, Status> {
        let begin = async {
            let context = Context::of(&request)?;
            context.may_be_about("", &request.get_ref().device_id);
            let (order, evidence) = signing::evidence(request.into_inner())?;
            Ok(signing::challenge(
                self.shared.engine.begin_tpm_enrollment(context.caller()?, &order, &evidence).await?,
            ))
        };
        reply(begin.await)
    }

    async fn finish_tpm_enrollment(
        &self,
        request: Request<v1::FinishTpmEnrollmentRequest>,
    ) -> Result<Response<v1::FinishTpmEnrollmentResponse>, Status> {
        let finish = async {
            let context = Context::of(&request)?;
            context.may_be_about("", &request.get_ref().device_id);
            let activation = signing::activation(request.into_inner())?;
            let enrolled = self.shared.engine.finish_tpm_enrollment(context.caller()?, activation).await?;
            self.shared.metrics.enrolled();
            Ok(signing::finished(&enrolled))
        };
        reply(finish.await)
    }

    async fn enroll_key(
        &self,
        request: Request<v1::EnrollKeyRequest>,
    ) -> Result<Response<v1::EnrollKeyResponse>, Status> {
        let enroll = async {
            let context = Context::of(&request)?;
            context.may_be_about("", &request.get_ref().device_id);
            let (order, keeper, csr) = signing::key(request.into_inner())?;
            let enrolled = self.shared.engine.enroll_key(context.caller()?, &order, keeper, &csr).await?;
            self.shared.metrics.enrolled();
            Ok(signing::enrolled(&enrolled))
        };
        reply(enroll.await)
    }

    async fn get_station(
        &self,
        request: Request<v1::GetStationRequest>,
    ) -> Result<Response<v1::GetStationResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let own = self.shared.engine.own_operator(context.caller()?).await?;
            let (quota, used, not_after) = (own.quota, own.used, time::at(own.not_after));
            Ok(v1::GetStationResponse { quota, used, not_after })
        };
        reply(get.await)
    }

    async fn get_enrollment(
        &self,
        request: Request<v1::GetEnrollmentRequest>,
    ) -> Result<Response<v1::GetEnrollmentResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let device_id = &request.get_ref().device_id;
            context.may_be_about("", device_id);
            let id = parse("device_id", device_id)?;
            let device = self.shared.engine.enrolled_by_caller(context.caller()?, id).await?;
            Ok(v1::GetEnrollmentResponse {
                state: device.state.wire(),
                generation: device.generation,
                profile: device.profile.to_string(),
                enrolled_at: time::at(device.enrolled_at),
                last_seen: device.last_seen.and_then(time::at),
            })
        };
        reply(get.await)
    }

    async fn make_voucher(
        &self,
        request: Request<v1::MakeVoucherRequest>,
    ) -> Result<Response<v1::MakeVoucherResponse>, Status> {
        let make = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            context.may_be_about(&asked.tenant, &asked.device_id);
            let order = voucher::order(asked)?;
            Ok(voucher::made(self.shared.engine.make_voucher(context.caller()?, order).await?))
        };
        reply(make.await)
    }

    async fn enroll_stream(
        &self,
        request: Request<Streaming<v1::EnrollStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let open = async {
            let context = Context::of(&request)?;
            Ok(answers(self.clone(), context, request.into_inner()))
        };
        reply(open.await)
    }
}
