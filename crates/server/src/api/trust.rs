//! `TrustService`.

use super::{Api, reply};
use crate::convert::trust::{answer, subject};
use crate::request::Context;
use crate::status::Failed;
use tonic::{Request, Response, Status, async_trait};
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
}
