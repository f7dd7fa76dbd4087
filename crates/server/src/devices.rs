//! What devices ask, whichever form their messages have on the wire: gRPC, or bytes by POST. There is one way to a decision.

use crate::edge::Shared;
use crate::edge::context::Context;
use std::sync::Arc;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeAnswer, Confirmation, ProofRequest};
use wardein_domain::Action;
use wardein_engine::{Error, Proved, SignedReply, SignedRequest};

pub(crate) async fn challenge(shared: &Shared, device: &DeviceName) -> Result<ChallengeAnswer, Error> {
    let engine = &shared.engine;
    engine.hear_of(device).await?;
    Ok(ChallengeAnswer { offer: engine.challenge(device)?, quote: engine.quote_asked(device).await? })
}

/// Boxed, so that the caller's future does not keep all that passes through here.
pub(crate) fn prove(
    shared: &Arc<Shared>,
    context: Context,
    request: ProofRequest,
    body: Vec<u8>,
) -> impl Future<Output = Result<Proved, Error>> + Send + use<> {
    let (shared, is_certificate) = (shared.clone(), is_certificate(&request.action));
    Box::pin(async move {
        let answer = shared.engine.prove(context.call(), request, body).await?;
        shared.metrics.proved(is_certificate);
        Ok(answer)
    })
}

pub(crate) async fn prove_by_signature(
    shared: &Shared,
    context: &Context,
    request: &SignedRequest,
    body: &[u8],
) -> Result<SignedReply, Error> {
    let answer = shared.engine.prove_by_signature(context.call(), request, body).await?;
    shared.metrics.proved(is_certificate(&request.action));
    Ok(answer)
}

pub(crate) async fn confirm(
    shared: &Shared,
    context: &Context,
    confirmation: Confirmation,
) -> Result<(), Error> {
    shared.engine.confirm_by_device(context.call(), confirmation).await
}

/// Whether an action issues a certificate (DDKG-1 §8).
fn is_certificate(action: &Action) -> bool {
    action.is_made_key() || action.as_str() == "certificate"
}
