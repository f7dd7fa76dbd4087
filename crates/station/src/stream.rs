//! The station's side of an enrollment stream: many devices, one stream, each answer to the one that asked.

use crate::{Error, Line};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use wardein_client::v1::enroll_stream_request::Step;
use wardein_client::v1::enroll_stream_response::Result as Answer;
use wardein_client::{self as client, v1};
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_device::{CallError, Refused, Station};
use wardein_domain::TenantId;

/// A stream to the authority, shared by the stations of all devices.
pub(crate) struct Stream {
    sender: mpsc::Sender<v1::EnrollStreamRequest>,
    waiting: Waiting,
    next: AtomicU64,
}

/// Who waits for which answer; `None` once the stream has ended, and no answer comes any more.
type Waiting = Arc<Mutex<Result<HashMap<u64, oneshot::Sender<Answer>>, String>>>;

impl Stream {
    /// Opens the stream. Answers are taken up by a task of the runtime.
    pub(crate) async fn open(authority: &client::Station) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel(ROOM);
        let mut answers = authority.enroll_stream(ReceiverStream::new(receiver)).await?;
        let waiting: Waiting = Arc::new(Mutex::new(Ok(HashMap::new())));
        let waiters = waiting.clone();
        tokio::spawn(async move {
            let end = loop {
                match answers.next().await {
                    Ok(Some(v1::EnrollStreamResponse { correlation, result: Some(result) })) => {
                        let mut waiters = waiters.lock().unwrap_or_else(PoisonError::into_inner);
                        let waiter = waiters.as_mut().ok().and_then(|waiters| waiters.remove(&correlation));
                        if let Some(waiter) = waiter {
                            // One that is not waited for any more has given up, and asks again.
                            drop(waiter.send(result));
                        }
                    }
                    Ok(Some(_)) => break "the authority sent an answer without a result".to_owned(),
                    Ok(None) => break "the authority ended the stream".to_owned(),
                    Err(refusal) => break refusal.to_string(),
                }
            };
            // Dropping the senders wakes who waits.
            *waiters.lock().unwrap_or_else(PoisonError::into_inner) = Err(end);
        });
        Ok(Self { sender, waiting, next: AtomicU64::new(1) })
    }

    async fn ask(&self, step: Step) -> Result<Answer, CallError> {
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        match &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(waiting) => drop(waiting.insert(correlation, answer)),
            Err(end) => return Err(CallError::Unreachable(end.clone())),
        }
        let message = v1::EnrollStreamRequest { correlation, step: Some(step) };
        // An end of the stream shows below.
        drop(self.sender.send(message).await);
        answered.await.map_err(|_| {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            CallError::Unreachable(waiting.as_ref().err().cloned().unwrap_or_default())
        })
    }
}

/// One device's station, on a stream.
pub(crate) struct StreamStation<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) line: &'a Line,
}

impl Station for StreamStation<'_> {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        match self.stream.ask(Step::Enroll(self.line.vouched().enroll(request))).await? {
            Answer::Enrolled(reply) => wardein_device::enrolled(request.share.suite(), reply),
            other => Err(unexpected(other)),
        }
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        match self.stream.ask(Step::Confirm(wardein_device::confirm(confirmation))).await? {
            Answer::Confirmed(_) => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}

fn unexpected(answer: Answer) -> CallError {
    match answer {
        Answer::Failure(v1::Failure { code, message, .. }) => {
            CallError::Refused(Refused { code, message, ..Refused::default() })
        }
        Answer::Enrolled(_) | Answer::Confirmed(_) => CallError::Malformed("answers another question".into()),
    }
}

/// Messages that wait to be sent.
const ROOM: usize = 64;
