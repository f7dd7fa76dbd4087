//! `EnrollStream`: each message has its own result, in any order; a failure is a result and stops nothing.
//!
//! At most so many messages are worked on at one time, and no more are read in the meantime: HTTP/2 then holds the station back.
//! It ends with its station: the message that finds the station revoked or expired is refused, and no other is read.
//! When the stream breaks, a commit on its way is applied all the same; its result is lost, and asking again gives it.

use crate::edge::context::Context;
use crate::edge::flood::Kind;
use crate::edge::route::Route;
use crate::grpc::Api;
use crate::grpc::status::{Failed, carried, code_of, status_of, words};
use futures_util::{Stream, StreamExt, stream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::{Status, Streaming};
use wardein_domain::Method;
use wardein_engine::{Error, ErrorCode};
use wardein_proto::v1;
use wardein_proto::v1::enroll_stream_request::Step;
use wardein_proto::v1::enroll_stream_response::Result as Outcome;

/// The results.
pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<v1::EnrollStreamResponse, Status>> + Send>>;

pub(super) fn answers(api: Api, context: Context, messages: Streaming<v1::EnrollStreamRequest>) -> Answers {
    let (in_flight, idle) = (api.shared.limits.stream_in_flight.max(1), api.shared.limits.stream_idle_time);
    let in_hand = Arc::new(AtomicUsize::new(0));
    let (counted, asking) = (in_hand.clone(), (api.clone(), context.clone()));
    let messages = stream::unfold(Some(messages), move |messages| {
        let (counted, (api, context)) = (counted.clone(), asking.clone());
        async move {
            let mut messages = messages?;
            loop {
                return match tokio::time::timeout(idle, messages.message()).await {
                    Ok(Ok(Some(message))) => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let goes_on = api.authenticate(&context).await.is_ok();
                        Some((Ok(message), goes_on.then_some(messages)))
                    }
                    Ok(Ok(None)) => None,
                    Ok(Err(status)) => Some((Err(carried(&status)), None)),
                    // It waits for us, and we do not wait for it.
                    Err(_) if counted.load(Ordering::Relaxed) > 0 => continue,
                    Err(_) => {
                        let error = Error::new(ErrorCode::StreamIdle, "no message came for too long");
                        Some((Err(error), None))
                    }
                };
            }
        }
    });
    let results = messages.map(move |message| {
        let (api, context, in_hand) = (api.clone(), context.clone(), in_hand.clone());
        async move {
            match message {
                Ok(message) => {
                    let answer = api.step(&context, message).await;
                    in_hand.fetch_sub(1, Ordering::Relaxed);
                    Ok(answer)
                }
                Err(error) => {
                    let error = api.shared.record(&context, None, error).await;
                    Err(status_of(&error, &context.call().request_id))
                }
            }
        }
    });
    Box::pin(results.buffer_unordered(in_flight))
}

impl Api {
    async fn step(&self, context: &Context, message: v1::EnrollStreamRequest) -> v1::EnrollStreamResponse {
        let correlation = message.correlation;
        let device = match &message.step {
            Some(Step::Enroll(request)) => context.named("", &request.device_id),
            Some(Step::Confirm(request)) => context.named("", &request.device_id),
            None => None,
        };
        let outcome = match self.try_step(context, message.step).await {
            Ok(outcome) => outcome,
            Err(Failed(error)) => {
                let error = self.shared.record(context, device.as_ref(), error).await;
                self.shared.operators.hold_back(&error).await;
                let request_id = &context.call().request_id;
                let example = || format!("message {correlation} of {request_id}: {}", error.message);
                if self.shared.floods.is_first(Kind::OfOperator(error.code), example) {
                    tracing::info!(
                        request_id,
                        caller = context
                            .0
                            .caller
                            .as_ref()
                            .map(|caller| tracing::field::display(&caller.principal)),
                        correlation,
                        code = error.code.as_str(),
                        error = error.message,
                        "message of a stream refused"
                    );
                }
                Outcome::Failure(v1::Failure {
                    status: code_of(error.kind()) as u32,
                    code: error.code.to_string(),
                    message: words(&error, request_id),
                })
            }
        };
        v1::EnrollStreamResponse { correlation, result: Some(outcome) }
    }

    async fn try_step(&self, context: &Context, step: Option<Step>) -> Result<Outcome, Failed> {
        let caller = context.caller()?;
        // As each call of its own would be judged: a stream may outlive its station's certificate.
        let method = match step {
            Some(Step::Enroll(_)) | None => Method::Enroll,
            Some(Step::Confirm(_)) => Method::Confirm,
        };
        self.shared.operators.turn_of_message(caller.principal.serial, Route::Own(method).cost()).await?;
        self.authenticate(context).await?;
        match step {
            Some(Step::Enroll(request)) => Ok(Outcome::Enrolled(self.enroll_one(caller, request).await?)),
            Some(Step::Confirm(request)) => Ok(Outcome::Confirmed(self.confirm_one(caller, request).await?)),
            None => Err(Error::wrong("step", "is missing; it takes enroll or confirm").into()),
        }
    }
}
