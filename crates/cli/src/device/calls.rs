//! Calls about many devices, some at a time.

use crate::Failure;
use std::time::Duration;
use tokio::task::JoinSet;
use wardein_client::{Operator, Refusal, v1};
use wardein_crypto::hex;
use wardein_domain::DeviceId;

/// What a call was refused with.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// The stable code, or [`Refusal::TRANSPORT`].
    pub(super) code: String,
    pub(super) message: String,
    /// The id of the proposal that waits for a second person, in hex.
    pub(super) proposal: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, proposal, .. } = refusal;
        Self { code, message, proposal: proposal.map(|id| hex::encode(&id)) }
    }
}

/// The change of one device.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// It is set to a state.
    State(v1::SetDeviceStateRequest),
    /// It is asked for new keys.
    Rotation(v1::RotateKeysRequest),
}

/// Makes the calls, and hands the answers over as they come. It begins no more once `answered` says so; those under way end first.
pub(super) async fn each<T: Send + 'static>(
    mut calls: impl Iterator<Item: Future<Output = T> + Send + 'static>,
    mut answered: impl FnMut(T) -> bool,
) -> Result<(), Failure> {
    let (mut under_way, mut goes_on) = (JoinSet::new(), true);
    loop {
        while goes_on
            && under_way.len() < AT_ONCE
            && let Some(call) = calls.next()
        {
            under_way.spawn(call);
        }
        match under_way.join_next().await {
            None => return Ok(()),
            Some(answer) => goes_on &= answered(answer.map_err(Failure::failed)?),
        }
    }
}

/// A device as the authority has it.
pub(super) async fn found(
    operator: Operator,
    id: DeviceId,
    request: v1::GetDeviceRequest,
) -> (DeviceId, Result<v1::Device, Refused>) {
    let mut pauses = PAUSES.iter();
    loop {
        match operator.get_device(request.clone()).await {
            Ok(answer) => return (id, Ok(answer.device.unwrap_or_default())),
            Err(refusal) => match pause(&refusal, &mut pauses) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return (id, Err(refusal.into())),
            },
        }
    }
}

/// Changes a device. Asking again is safe.
pub(super) async fn changed(operator: Operator, id: DeviceId, call: Call) -> (DeviceId, Result<(), Refused>) {
    let mut pauses = PAUSES.iter();
    loop {
        let answer = match &call {
            Call::State(request) => operator.set_device_state(request.clone()).await.map(|_| ()),
            Call::Rotation(request) => operator.rotate_keys(request.clone()).await.map(|_| ()),
        };
        match answer {
            Ok(()) => return (id, Ok(())),
            Err(refusal) => match pause(&refusal, &mut pauses) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return (id, Err(refusal.into())),
            },
        }
    }
}

/// How long to wait before the same call again, where it may then succeed.
fn pause<'a>(refusal: &Refusal, pauses: &mut impl Iterator<Item = &'a Duration>) -> Option<Duration> {
    let is_worth_it = refusal.may_retry();
    let least = pauses.next().filter(|_| is_worth_it)?;
    Some(refusal.retry_after.map_or(*least, |asked| asked.clamp(*least, LONGEST)))
}

/// How many calls are under way at a time: an operator's rate is shared with all else that it does.
const AT_ONCE: usize = 8;

/// Before the second attempt, the third and the fourth.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_are_called_some_at_a_time_and_no_more_once_it_is_enough() {
        let mut seen = Vec::new();
        each((0..20).map(|n| async move { n }), |n| {
            seen.push(n);
            true
        })
        .await
        .unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        let mut count = 0;
        each((0..1_000).map(|n| async move { n }), |_| {
            count += 1;
            false
        })
        .await
        .unwrap();
        assert_eq!(count, AT_ONCE, "those under way end, and no other begins");
    }
}
