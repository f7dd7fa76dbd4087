//! `TrustService`.

use super::{Api, reply};
use crate::convert::release::{logged_in, open_ask, opened, release_ask, released, token_ask};
use crate::convert::trust::{answer, subject};
use crate::request::Context;
use crate::status::Failed;
use tonic::{Request, Response, Status, async_trait};
use wardein_domain::Method;
use wardein_engine::port::{Clock, Store};
use wardein_proto::v1;

#[async_trait]
impl<S: Store, C: Clock> v1::trust_service_server::TrustService for Api<S, C> {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        // From memory; a task of its own would cost more than the answer.
        let check = || -> Result<_, Failed> {
            let context = Context::of(&request)?;
            let subject = subject(request.into_inner())?;
            Ok(answer(self.shared.engine.check(context.caller()?, subject)?))
        };
        reply(check())
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        let verify = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let ask = token_ask(&request.into_inner())?;
            let (engine, by) = (self.shared.engine.clone(), caller.clone());
            let work = async move { engine.verify_token(&by, ask).await };
            Ok(logged_in(self.finish(Some((caller, Method::VerifyToken)), work).await?))
        };
        reply(verify.await)
    }

    async fn release_key(
        &self,
        request: Request<v1::ReleaseKeyRequest>,
    ) -> Result<Response<v1::ReleaseKeyResponse>, Status> {
        let release = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let ask = release_ask(request.into_inner())?;
            let (engine, by) = (self.shared.engine.clone(), caller.clone());
            let work = async move { engine.release_key(&by, ask).await };
            Ok(released(&self.finish(Some((caller, Method::ReleaseKey)), work).await?))
        };
        reply(release.await)
    }

    async fn open(&self, request: Request<v1::OpenRequest>) -> Result<Response<v1::OpenResponse>, Status> {
        let open = async {
            let caller = Context::of(&request)?.caller()?.clone();
            let ask = open_ask(request.into_inner())?;
            let (engine, by) = (self.shared.engine.clone(), caller.clone());
            let work = async move { engine.open_payload(&by, ask).await };
            Ok(opened(&self.finish(Some((caller, Method::Open)), work).await?))
        };
        reply(open.await)
    }
}
