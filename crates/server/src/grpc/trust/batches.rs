//! `CheckStream`: a batch of questions a message, and its answers, one message after the other.

use super::convert::verdict_on;
use crate::edge::context::Context;
use crate::edge::streams::StreamPlace;
use crate::grpc::Api;
use crate::grpc::convert::wrong;
use crate::grpc::status::{carried, code_of, status_of, words};
use futures_util::{Stream, stream};
use std::pin::Pin;
use tonic::{Status, Streaming};
use v1::check_result::Result as Outcome;
use wardein_domain::DeviceId;
use wardein_engine::{Error, ErrorCode};
use wardein_proto::{time, v1};

/// The answers.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<v1::CheckStreamResponse, Status>> + Send>>;

/// The next message is read when the answer before was taken: HTTP/2 holds a caller back that asks faster than it reads.
pub(super) fn batches(
    api: Api,
    context: Context,
    place: StreamPlace,
    messages: Streaming<v1::CheckStreamRequest>,
) -> Batches {
    let asked = Some((api, context, place, messages));
    Box::pin(stream::unfold(asked, |asked| async move {
        let (api, context, place, mut messages) = asked?;
        let idle = api.shared.limits.stream_idle_time;
        let stop = &mut api.shared.stop.subscribe();
        let message = tokio::select! {
            biased;
            message = tokio::time::timeout(idle, messages.message()) => message,
            _ = stop.wait_for(|is_stopping| *is_stopping) => Ok(Err(Status::from(stopping()))),
        };
        let answer = match message {
            Ok(Ok(None)) => return None,
            Ok(Ok(Some(message))) => api.batch(&context, message).await,
            Ok(Err(status)) => Err(carried(&status)),
            Err(_) => Err(Error::new(ErrorCode::StreamIdle, "nothing was asked for too long")),
        };
        match answer {
            Ok(answer) => Some((Ok(answer), Some((api, context, place, messages)))),
            Err(error) => {
                let error = api.shared.record(&context, None, error).await;
                Some((Err(status_of(&error, &context.call().request_id)), None))
            }
        }
    }))
}

impl Api {
    async fn batch(
        &self,
        context: &Context,
        message: v1::CheckStreamRequest,
    ) -> Result<v1::CheckStreamResponse, Error> {
        let asked = message.device_ids;
        if asked.len() > MAX {
            let message = format_args!("there are {}; it takes at most {MAX}", asked.len());
            return Err(wrong("device_ids", message));
        }
        let caller = context.caller()?;
        let cost = 1 + u32::try_from(asked.len() / VERDICTS_OF_A_QUERY).unwrap_or(u32::MAX);
        self.shared.operators.turn_of_message(caller.principal.serial, cost).await?;
        let mut batch = self.shared.engine.batch(caller).await?;
        let judge = |(number, id): (usize, String)| match id.parse::<DeviceId>() {
            // The id that came is the one that goes.
            Ok(device) => Outcome::Verdict(verdict_on(id, &batch.verdict(device))),
            Err(error) => {
                let error = wrong(&format!("device_ids[{number}]"), error);
                Outcome::Failure(failure(&error, &context.call().request_id))
            }
        };
        let results = asked.into_iter().enumerate().map(judge);
        let results = results.map(|result| v1::CheckResult { result: Some(result) }).collect();
        let (decided_at, revision) = (time::at(batch.decided_at()), batch.revision());
        Ok(v1::CheckStreamResponse { results, decided_at, revision })
    }
}

pub(super) fn failure(error: &Error, request_id: &str) -> v1::Failure {
    v1::Failure {
        status: code_of(error.kind()) as u32,
        code: error.code.to_string(),
        message: words(error, request_id),
    }
}

fn stopping() -> crate::grpc::status::Failed {
    Error::new(ErrorCode::Stopping, "the service is stopping; open the stream again once it is up").into()
}

/// How many questions a message has at most.
const MAX: usize = 1_024;

/// How many verdicts of a batch take as long as a query by itself, transport included.
const VERDICTS_OF_A_QUERY: usize = 64;
