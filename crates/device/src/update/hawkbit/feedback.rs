//! What a client says of an action: `POST …/deploymentBase/ID/feedback` (hawkBit DDI v1, DdiActionFeedback).

use serde::Deserialize;

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feedback {
    /// Nothing has changed.
    GoesOn,
    /// All of it is written; SWUpdate says so before it restarts the device, and closes the action after the first start.
    Written,
    /// The action is closed, and went well.
    Succeeded,
    /// It is closed, and did not; or the client does not want it.
    Failed,
}

impl Feedback {
    /// The longest that is read: SWUpdate adds lines of its log.
    pub(super) const MAX_LEN: usize = 256 << 10;

    /// Of the body. `None` where it is not feedback.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let Message { status } = serde_json::from_slice(body).ok()?;
        let is_written =
            status.result.progress.is_some_and(|progress| 0 < progress.of && progress.of <= progress.cnt);
        Some(match (status.execution, status.result.finished) {
            (Execution::Closed, Finished::Success) => Self::Succeeded,
            (Execution::Closed, _) | (Execution::Canceled | Execution::Rejected, _) => Self::Failed,
            (Execution::Proceeding, Finished::None) if is_written => Self::Written,
            // `failure` while it goes on is a chunk's: the client closes the action, or tries again.
            _ => Self::GoesOn,
        })
    }
}

#[derive(Deserialize)]
struct Message {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    execution: Execution,
    result: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    finished: Finished,
    #[serde(default)]
    progress: Option<Progress>,
}

#[derive(Deserialize)]
struct Progress {
    cnt: u64,
    of: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Execution {
    Closed,
    Proceeding,
    Canceled,
    Scheduled,
    Rejected,
    Resumed,
    Download,
    Downloaded,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Finished {
    Success,
    Failure,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_swupdate_says_is_read_and_nothing_else() {
        let of = |execution: &str, finished: &str, cnt: u64, of: u64| {
            let text = format!(
                "{{\"id\": 7, \"time\": \"20261130T195103\", \"status\": {{ \"result\": {{ \"progress\": {{ \"cnt\": {cnt}, \"of\": {of} }}, \
                 \"finished\": \"{finished}\" }}, \"execution\": \"{execution}\", \"details\": [ \"said\" ] }} }}"
            );
            Feedback::read(text.as_bytes())
        };
        assert_eq!(of("proceeding", "none", 0, 1), Some(Feedback::GoesOn));
        // The lines of its log, without progress.
        assert_eq!(of("proceeding", "none", 0, 0), Some(Feedback::GoesOn));
        assert_eq!(of("proceeding", "none", 1, 1), Some(Feedback::Written));
        assert_eq!(of("proceeding", "failure", 1, 1), Some(Feedback::GoesOn));
        assert_eq!(of("closed", "success", 0, 0), Some(Feedback::Succeeded));
        for (execution, finished) in
            [("closed", "failure"), ("closed", "none"), ("rejected", "none"), ("canceled", "success")]
        {
            assert_eq!(of(execution, finished, 1, 1), Some(Feedback::Failed), "{execution} {finished}");
        }
        assert_eq!(of("open", "success", 1, 1), None);
        assert_eq!(of("closed", "maybe", 1, 1), None);
        let short = br#"{"status":{"execution":"closed","result":{"finished":"success"}}}"#;
        assert_eq!(Feedback::read(short), Some(Feedback::Succeeded));
        let twice =
            br#"{"status":{"execution":"closed","execution":"closed","result":{"finished":"success"}}}"#;
        let deep = [b"{\"details\":".as_slice(), &[b'['; 100_000]].concat();
        for bad in [b"".as_slice(), b"{}", b"null", b"{\"status\":{}}", b"\xff", twice, &deep] {
            assert_eq!(Feedback::read(bad), None);
        }
    }
}
