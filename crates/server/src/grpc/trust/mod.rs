//! `TrustService`.

mod batches;
mod convert;
mod file_keys;
mod release;
mod watch;

use crate::edge::context::Context;
use crate::grpc::status::Failed;
use crate::grpc::{Api, reply};
use batches::{Batches, batches};
use convert::{answer, filter, from, listed, receipt, subject};
pub(crate) use convert::{offline, verdict};
use file_keys::{file_keys, file_keys_ask};
use release::{logged_in, open_ask, opened, release_ask, released, token_ask};
use std::sync::Arc;
use std::time::Instant;
use tonic::{Request, Response, Status, Streaming, async_trait};
use wardein_engine::{Caller, Engine, Subject, WatchFrom};
use wardein_proto::v1;
use watch::{Events, events};

#[async_trait]
impl v1::trust_service_server::TrustService for Api {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Result<Response<v1::CheckResponse>, Status> {
        // Nearly always from memory: then nothing is awaited, and no state is kept to wait with.
        let at_hand = || -> Result<_, Failed> {
            let context = Context::of(&request)?;
            let mut request = request.into_inner();
            let ask = receipt(request.receipt.take())?;
            let subject = subject(request)?;
            let found = self.shared.engine.check_in_memory(context.caller()?, &subject)?;
            Ok((context, subject, ask, found))
        };
        let (context, subject, ask, found) = match at_hand() {
            Ok((_, _, None, Some(found))) => return Ok(Response::new(answer(found))),
            Ok(asked) => asked,
            Err(failed) => return reply(Err(failed)),
        };
        // Only what can still be refused is named for the audit log.
        if let Subject::Device(device) = &subject {
            context.may_be_about("", device.as_str());
        }
        let engine = &self.shared.engine;
        let check = Box::pin(async move {
            let found = match found {
                Some(found) => found,
                None => engine.check(context.caller()?, subject.clone()).await?,
            };
            let receipt = match &ask {
                Some(ask) => engine.receipt(&subject, &found, ask).await?,
                None => String::new(),
            };
            Ok(v1::CheckResponse { receipt, ..answer(found) })
        });
        reply(check.await)
    }

    type CheckStreamStream = Batches;

    async fn check_stream(
        &self,
        request: Request<Streaming<v1::CheckStreamRequest>>,
    ) -> Result<Response<Batches>, Status> {
        let open = async {
            let context = Context::of(&request)?;
            let place = self.shared.streams.enter(&context.caller()?.principal)?;
            Ok(batches(self.clone(), context, place, request.into_inner()))
        };
        reply(open.await)
    }

    type WatchStream = Events;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Events>, Status> {
        let came = Instant::now();
        let open = async {
            let context = Context::of(&request)?;
            let caller = context.caller()?;
            let from = from(request.into_inner())?;
            let place = self.shared.streams.enter(&caller.principal)?;
            if from == WatchFrom::Snapshot {
                self.shared.scans.turn(&caller.principal).await?;
            }
            let watch = self.shared.engine.watch(caller, from).await?;
            Ok(events(self.clone(), context, place, watch, came))
        };
        reply(open.await)
    }

    async fn list_subjects(
        &self,
        request: Request<v1::ListSubjectsRequest>,
    ) -> Result<Response<v1::ListSubjectsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let (filter, list, page) = filter(request.into_inner())?;
            let read = async move |engine: Arc<Engine>, caller: Caller| {
                let found = engine.list_subjects(&caller, &filter, page).await?;
                Ok(v1::ListSubjectsResponse {
                    subjects: found.items.into_iter().map(listed).collect(),
                    next_page_token: list.token(found.next),
                })
            };
            Ok(self.scan(&context, read).await?)
        };
        reply(list.await)
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        let verify = async {
            let context = Context::of(&request)?;
            let ask = token_ask(&request.into_inner())?;
            context.is_about(&ask.token.device);
            Ok(logged_in(self.shared.engine.verify_token(context.caller()?, ask).await?))
        };
        reply(verify.await)
    }

    async fn release_key(
        &self,
        request: Request<v1::ReleaseKeyRequest>,
    ) -> Result<Response<v1::ReleaseKeyResponse>, Status> {
        let release = async {
            let context = Context::of(&request)?;
            let ask = release_ask(request.into_inner())?;
            context.is_about(ask.sealed.owner());
            Ok(released(self.shared.engine.release_key(context.caller()?, ask).await?))
        };
        reply(release.await)
    }

    async fn release_file_keys(
        &self,
        request: Request<v1::ReleaseFileKeysRequest>,
    ) -> Result<Response<v1::ReleaseFileKeysResponse>, Status> {
        let release = async {
            let context = Context::of(&request)?;
            let ask = file_keys_ask(request.into_inner())?;
            // A thousand keys take as long as a page of a list, and are on the threads of lists.
            let release =
                async move |engine: Arc<Engine>, caller: Caller| engine.release_file_keys(&caller, ask).await;
            let keys = self.scan(&context, release).await?;
            Ok(file_keys(keys, &context.call().request_id))
        };
        reply(release.await)
    }

    async fn open(&self, request: Request<v1::OpenRequest>) -> Result<Response<v1::OpenResponse>, Status> {
        let open = async {
            let context = Context::of(&request)?;
            let ask = open_ask(request.into_inner())?;
            context.is_about(&ask.sealed.name().owner);
            Ok(opened(self.shared.engine.open_payload(context.caller()?, ask).await?))
        };
        reply(open.await)
    }
}
