//! `DeviceService`. The proof in the request, which the engine judges, identifies the caller.

mod convert;
mod signing;

use crate::devices;
use crate::edge::context::Context;
use crate::grpc::convert::device_name;
use crate::grpc::status::Failed;
use crate::grpc::{Api, reply};
use convert::{confirmation, offer, proof, reply as proved};
use tonic::{Request, Response, Status, async_trait};
use wardein_proto::v1;

#[async_trait]
impl v1::device_service_server::DeviceService for Api {
    async fn get_challenge(
        &self,
        request: Request<v1::GetChallengeRequest>,
    ) -> Result<Response<v1::GetChallengeResponse>, Status> {
        let challenge = async {
            let asked = request.get_ref();
            let device = device_name(&asked.tenant, &asked.device_id)?;
            Ok(offer(devices::challenge(&self.shared, &device).await?))
        };
        reply(challenge.await)
    }

    async fn prove(&self, request: Request<v1::ProveRequest>) -> Result<Response<v1::ProveResponse>, Status> {
        // Not within the async block, whose state would keep all that passes through here.
        let begin = || -> Result<_, Failed> {
            let context = Context::of(&request)?;
            let (proof, body) = proof(request.into_inner())?;
            Ok(devices::prove(&self.shared, context, proof, body))
        };
        let prove = async { Ok(proved(begin()?.await?)) };
        reply(prove.await)
    }

    async fn prove_by_signature(
        &self,
        request: Request<v1::ProveBySignatureRequest>,
    ) -> Result<Response<v1::ProveBySignatureResponse>, Status> {
        let prove = async {
            let context = Context::of(&request)?;
            let (signed, body) = signing::signed(request.into_inner())?;
            let answer = devices::prove_by_signature(&self.shared, &context, &signed, &body).await?;
            Ok(signing::reply(answer))
        };
        reply(prove.await)
    }

    async fn confirm_enrollment(
        &self,
        request: Request<v1::ConfirmEnrollmentRequest>,
    ) -> Result<Response<v1::ConfirmEnrollmentResponse>, Status> {
        let confirm = async {
            let context = Context::of(&request)?;
            let confirmation = confirmation(request.get_ref())?;
            devices::confirm(&self.shared, &context, confirmation).await?;
            Ok(v1::ConfirmEnrollmentResponse {})
        };
        reply(confirm.await)
    }
}
