//! What becomes of each device of a batch.

use super::calls::{Refused, each};
use crate::{Column, Failure, Record};
use serde::Serialize;
use std::collections::BTreeMap;
use wardein_client::{Refusal, v1, word};
use wardein_crypto::Digest;
use wardein_domain::{DeviceId, ErrorCode};

/// What became of one device.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    pub(super) device_id: String,
    /// The state that it was found in; empty if it was not found.
    state: String,
    pub(super) result: Ended,
    /// The stable code of a refusal.
    #[serde(skip_serializing_if = "String::is_empty")]
    code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    /// The proposal that waits for a second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ended {
    /// It is to be changed.
    ToDo,
    Done,
    /// It was so before.
    Already,
    /// It waits for a second person.
    Proposed,
    Failed,
    /// The authority could not be reached: it was not tried, or its answer was lost.
    Left,
}

impl Record for Outcome {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |of| of.device_id.clone()),
        ("state before", |of| of.state.clone()),
        ("result", |of| of.result.word().to_owned()),
        ("code", |of| of.code.clone()),
        ("why", |of| of.message.clone()),
    ];
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::ToDo => "to-do",
            Self::Done => "done",
            Self::Already => "already",
            Self::Proposed => "proposed",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }

    /// Whether there is something left to do.
    fn is_open(self) -> bool {
        matches!(self, Self::Proposed | Self::Failed | Self::Left)
    }
}

impl Outcome {
    /// Whether the authority could not be reached for it.
    pub(super) fn is_unreached(&self) -> bool {
        self.code == Refusal::TRANSPORT
    }

    fn refuse(&mut self, refused: Refused) {
        let Refused { code, message, proposal } = refused;
        self.result = match code.as_str() {
            Refusal::TRANSPORT => Ended::Left,
            code if code == ErrorCode::ApprovalRequired.as_str() => Ended::Proposed,
            _ => Ended::Failed,
        };
        (self.code, self.message, self.proposal) = (code, message, proposal);
    }
}

/// Each device, in byte order of their ids.
#[derive(Debug)]
pub(super) struct Outcomes(BTreeMap<DeviceId, Outcome>);

impl Outcomes {
    /// Before anything is changed: of a device that `is_so` already, nothing is to do.
    pub(super) fn found(
        devices: BTreeMap<DeviceId, Result<v1::Device, Refused>>,
        is_so: impl Fn(&v1::Device) -> bool,
    ) -> Self {
        let outcome = |(id, answer): (DeviceId, Result<v1::Device, Refused>)| {
            let mut outcome = Outcome {
                device_id: id.to_string(),
                state: String::new(),
                result: Ended::ToDo,
                code: String::new(),
                message: String::new(),
                proposal: None,
            };
            match answer {
                Ok(device) => {
                    outcome.state = word::<v1::DeviceState>(device.state);
                    outcome.result = if is_so(&device) { Ended::Already } else { Ended::ToDo };
                }
                Err(refused) => outcome.refuse(refused),
            }
            (id, outcome)
        };
        Self(devices.into_iter().map(outcome).collect())
    }

    /// The devices that are to be changed.
    pub(super) fn to_do(&self) -> Vec<DeviceId> {
        let to_do = self.0.iter().filter(|(_, of)| of.result == Ended::ToDo);
        to_do.map(|(id, _)| id.clone()).collect()
    }

    /// Makes the call for each device of `to_do`, and `ended` with each. Where the authority cannot be reached, no more are begun.
    pub(super) async fn carry_out<F>(
        &mut self,
        to_do: &[DeviceId],
        call: impl Fn(&DeviceId) -> F,
        ended: impl Fn(),
    ) -> Result<(), Failure>
    where
        F: Future<Output = (DeviceId, Result<(), Refused>)> + Send + 'static,
    {
        for id in to_do {
            if let Some(outcome) = self.0.get_mut(id) {
                outcome.result = Ended::Left;
            }
        }
        each(to_do.iter().map(call), |(id, answer)| {
            ended();
            let Some(outcome) = self.0.get_mut(&id) else { return true };
            match answer {
                Ok(()) => outcome.result = Ended::Done,
                Err(refused) => outcome.refuse(refused),
            }
            outcome.result != Ended::Left
        })
        .await
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in self.0.values() {
            *match outcome.result {
                Ended::ToDo => &mut counts.to_do,
                Ended::Done => &mut counts.done,
                Ended::Already => &mut counts.already,
                Ended::Proposed => &mut counts.proposed,
                Ended::Failed => &mut counts.failed,
                Ended::Left => &mut counts.left,
            } += 1;
        }
        counts
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Outcome> {
        self.0.values().cloned().collect()
    }

    /// Those that something is left to do with.
    pub(super) fn open(&self) -> Vec<Outcome> {
        self.0.values().filter(|of| of.result.is_open()).cloned().collect()
    }
}

/// How many devices ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    to_do: usize,
    done: usize,
    already: usize,
    proposed: usize,
    failed: usize,
    pub(super) left: usize,
}

impl Counts {
    /// How many are so already, and how many cannot be found: behind the question.
    pub(super) fn beside(self, done: &str) -> String {
        let already = (self.already > 0).then(|| format!("; {} already {done}", self.already));
        let unknown = (self.failed > 0).then(|| format!("; {} not found", self.failed));
        already.into_iter().chain(unknown).collect()
    }

    /// Such as `598 suspended, 2 already, 1 failed`.
    pub(super) fn words(self, done: &str) -> String {
        let counts = [
            (self.to_do, "to do"),
            (self.done, done),
            (self.already, "already"),
            (self.proposed, "waiting for a second person (wardein approval list)"),
            (self.failed, "failed"),
            (self.left, "not reached"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        if words.is_empty() { "no devices".to_owned() } else { words.join(", ") }
    }
}

/// SHA-256 over ids in byte order, each with a line feed: `LC_ALL=C sort -u | sha256sum`.
pub(super) fn digest_of(ids: &[DeviceId]) -> Digest {
    Digest::of(ids.iter().map(|id| format!("{id}\n")).collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::hex;

    fn refused(code: &str, proposal: Option<&str>) -> Refused {
        let (code, message) = (code.to_owned(), "why".to_owned());
        Refused { code, message, proposal: proposal.map(str::to_owned) }
    }

    fn device(id: &str, state: v1::DeviceState) -> (DeviceId, Result<v1::Device, Refused>) {
        let device = v1::Device { device_id: id.to_owned(), state: state.into(), ..Default::default() };
        (id.parse().unwrap(), Ok(device))
    }

    fn fleet() -> Outcomes {
        let unknown = ("z-unknown".parse().unwrap(), Err(refused("device-unknown", None)));
        let devices = [
            device("a", v1::DeviceState::Active),
            device("b", v1::DeviceState::Suspended),
            device("c", v1::DeviceState::Active),
            device("d", v1::DeviceState::Revoked),
            unknown,
        ];
        Outcomes::found(devices.into(), |device| device.state() == v1::DeviceState::Suspended)
    }

    fn ends(outcomes: &Outcomes) -> Vec<(String, &'static str)> {
        outcomes.all().into_iter().map(|of| (of.device_id, of.result.word())).collect()
    }

    #[tokio::test]
    async fn what_is_so_already_is_not_called_and_each_other_ends_as_it_was_answered() {
        let mut outcomes = fleet();
        let to_do = outcomes.to_do();
        assert_eq!(to_do.iter().map(DeviceId::as_str).collect::<Vec<_>>(), ["a", "c", "d"]);
        assert_eq!(outcomes.counts().beside("suspended"), "; 1 already suspended; 1 not found");
        let call = |id: &DeviceId| {
            let id = id.clone();
            let answer = match id.as_str() {
                "a" => Ok(()),
                "c" => Err(refused(ErrorCode::ApprovalRequired.as_str(), Some("07"))),
                _ => Err(refused(ErrorCode::TransitionNotAllowed.as_str(), None)),
            };
            async move { (id, answer) }
        };
        outcomes.carry_out(&to_do, call, || {}).await.unwrap();
        let expected =
            [("a", "done"), ("b", "already"), ("c", "proposed"), ("d", "failed"), ("z-unknown", "failed")];
        assert_eq!(ends(&outcomes), expected.map(|(id, end)| (id.to_owned(), end)));
        let open: Vec<_> = outcomes.open().into_iter().map(|of| of.device_id).collect();
        assert_eq!(open, ["c", "d", "z-unknown"], "what can be run again");
        assert_eq!(outcomes.open()[0].proposal.as_deref(), Some("07"));
        assert_eq!(
            outcomes.counts().words("suspended"),
            "1 suspended, 1 already, 1 waiting for a second person (wardein approval list), 2 failed"
        );
    }

    #[tokio::test]
    async fn where_the_authority_goes_away_the_rest_is_left_and_none_counts_as_done() {
        let devices = (0..100).map(|n| device(&format!("d-{n:03}"), v1::DeviceState::Active)).collect();
        let mut outcomes = Outcomes::found(devices, |_| false);
        let to_do = outcomes.to_do();
        let call = |id: &DeviceId| {
            let id = id.clone();
            let answer = if id.as_str() < "d-010" { Ok(()) } else { Err(refused(Refusal::TRANSPORT, None)) };
            async move { (id, answer) }
        };
        outcomes.carry_out(&to_do, call, || {}).await.unwrap();
        let counts = outcomes.counts();
        assert_eq!((counts.done, counts.left), (10, 90));
        assert_eq!(outcomes.open().len(), 90);
    }

    #[test]
    fn the_digest_is_that_of_sorted_lines() {
        let ids: Vec<DeviceId> = ["pump-1", "pump-2"].iter().map(|id| id.parse().unwrap()).collect();
        // printf 'pump-2\npump-1\n' | LC_ALL=C sort -u | sha256sum
        assert_eq!(
            hex::encode(&digest_of(&ids).0),
            "0f6b861e639e5b803453d39408638c14e494315b55759c781d692df464271740"
        );
    }
}
