//! `DeviceService`. The proof in the request, which the engine judges, identifies the caller.

mod convert;
mod signing;

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
            let engine = &self.shared.engine;
            Ok(offer(engine.challenge(&device)?, engine.quote_asked(&device).await?))
        };
        reply(challenge.await)
    }

    async fn prove(&self, request: Request<v1::ProveRequest>) -> Result<Response<v1::ProveResponse>, Status> {
        // Not within the async block, whose state would keep all that passes through here.
        let begin = || -> Result<_, Failed> {
            let context = Context::of(&request)?;
            let (proof, body) = proof(request.into_inner())?;
            let is_certificate = proof.action.as_str() == CERTIFICATE;
            let engine = self.shared.engine.clone();
            let work = async move { engine.prove(context.call(), proof, body).await };
            Ok((Box::pin(work), is_certificate))
        };
        let prove = async {
            let (work, is_certificate) = begin()?;
            let answer = work.await?;
            self.shared.metrics.proved(is_certificate);
            Ok(proved(answer))
        };
        reply(prove.await)
    }

    async fn prove_by_signature(
        &self,
        request: Request<v1::ProveBySignatureRequest>,
    ) -> Result<Response<v1::ProveBySignatureResponse>, Status> {
        let prove = async {
            let context = Context::of(&request)?;
            let (signed, body) = signing::signed(request.into_inner())?;
            let is_certificate = signed.action.as_str() == CERTIFICATE;
            let engine = &self.shared.engine;
            let answer = engine.prove_by_signature(context.call(), &signed, &body).await?;
            self.shared.metrics.proved(is_certificate);
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
            self.shared.engine.confirm_by_device(context.call(), confirmation).await?;
            Ok(v1::ConfirmEnrollmentResponse {})
        };
        reply(confirm.await)
    }
}

/// The action that issues a certificate (DDKG-1 §8).
const CERTIFICATE: &str = "certificate";
