//! The station's side of an enrollment stream: many devices, one stream, each answer to the one that asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use wardein_cli::{Failure, Line, Session};
use wardein_client::v1::enroll_stream_request::Step;
use wardein_client::v1::enroll_stream_response::Result as Answer;
use wardein_client::{Refusal, v1};
use wardein_crypto::Tag;
use wardein_ddkg::AuthorityShare;
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_device::{CallError, Refused, Station};
use wardein_domain::{AttributeName, Schedule, TenantId};

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
    pub(crate) async fn open(session: &Session) -> Result<Self, Failure> {
        let (sender, receiver) = mpsc::channel(ROOM);
        let opened = session.connection.provisioning().enroll_stream(ReceiverStream::new(receiver)).await;
        let mut answers = opened.map_err(Failure::of_call)?.into_inner();
        let waiting: Waiting = Arc::new(Mutex::new(Ok(HashMap::new())));
        let waiters = waiting.clone();
        tokio::spawn(async move {
            let end = loop {
                match answers.message().await {
                    Ok(Some(v1::EnrollStreamResponse { correlation, result: Some(result) })) => {
                        let mut waiters = waiters.lock().unwrap_or_else(PoisonError::into_inner);
                        let waiter = waiters.as_mut().ok().and_then(|waiters| waiters.remove(&correlation));
                        if let Some(waiter) = waiter {
                            // One that is not waited for any more has given up, and asks anew.
                            drop(waiter.send(result));
                        }
                    }
                    Ok(Some(_)) => break "the authority sent an answer without a result".to_owned(),
                    Ok(None) => break "the authority ended the stream".to_owned(),
                    Err(status) => break Refusal::from(status).to_string(),
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
        let Line { profile, model, udi, attributes, .. } = self.line;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let answer = self.stream.ask(Step::Enroll(v1::EnrollRequest {
            device_id: request.device.device.to_string(),
            suite: request.share.suite().number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: measured(attributes),
            profile: text(profile.as_ref().map(|profile| profile.as_str())),
            model: text(model.as_ref().map(|model| model.as_str())),
            udi: text(udi.as_ref().map(|udi| udi.as_str())),
        }));
        match answer.await? {
            Answer::Enrolled(reply) => judge(request, reply),
            other => Err(unexpected(other)),
        }
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let request = v1::ConfirmRequest {
            device_id: confirmation.device.device.to_string(),
            device_confirmation: confirmation.tag.0.to_vec(),
        };
        match self.stream.ask(Step::Confirm(request)).await? {
            Answer::Confirmed(_) => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}

fn measured(attributes: &BTreeMap<AttributeName, String>) -> Vec<v1::Attribute> {
    let attribute = |(name, value): (&AttributeName, &String)| v1::Attribute {
        name: name.to_string(),
        value: value.clone().into_bytes(),
    };
    attributes.iter().map(attribute).collect()
}

fn judge(request: &EnrollRequest, reply: v1::EnrollResponse) -> Result<(TenantId, EnrollReply), CallError> {
    let malformed =
        |field: &str, why: &dyn std::fmt::Display| CallError::Malformed(format!("{field}: {why}"));
    let schedule = reply.schedule.ok_or_else(|| malformed("schedule", &"is missing"))?;
    let confirmation = reply.authority_confirmation.as_slice().try_into();
    let parsed = EnrollReply {
        share: AuthorityShare::new(request.share.suite(), &reply.authority_share)
            .map_err(|error| malformed("authority_share", &error))?,
        generation: reply.generation,
        schedule: Schedule {
            period: schedule.period,
            max_uses: schedule.max_uses,
            not_before: schedule.not_before,
        },
        signature: reply.signature,
        confirmation: Tag(confirmation.map_err(|_| malformed("authority_confirmation", &"is not 32 bytes"))?),
    };
    let tenant = reply.tenant.parse().map_err(|error| malformed("tenant", &error))?;
    // Through the message's own decoder, which knows every bound.
    let parsed = EnrollReply::decode(&parsed.encode()).map_err(|error| malformed("reply", &error))?;
    Ok((tenant, parsed))
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
