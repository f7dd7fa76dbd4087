//! Records for tests: those that vectors describe, and one that has all that a record may have.

#[cfg(test)]
mod longest;

#[cfg(test)]
pub(super) use longest::longest;

use super::cold::Cold;
use super::hot::Hot;
use super::recent::Recent;
use super::record::{ConfirmSecret, Enrollment, Generation, Kept, Pending, Record, Replaced, Retired};
use super::uses::TokenUses;
use crate::attribute::{AttributeDigests, Attributes};
use crate::derive::derive;
use crate::key::DeviceName;
use crate::ledger::{Claim, Ledger};
use crate::message::EnrollReply;
use crate::purposes::Purposes;
use crate::suite::{AuthorityShare, Suite};
use crate::tree::{Cover, GenerationRoot};
use alloc::collections::VecDeque;
use alloc::string::String;
use wardein_crypto::{Digest, Secret, Tag};
use wardein_domain::{Purpose, Schedule};

fn secret() -> Secret<32> {
    Secret::copied_from(&[7; 32])
}

fn frontier(purpose: Purpose) -> Cover {
    let mut cover = GenerationRoot::new(secret()).tree(purpose);
    cover.advance(1).expect("a whole tree begins in epoch 0");
    cover
}

fn tree(purpose: Purpose) -> (Purpose, Cover) {
    (purpose, frontier(purpose))
}

fn schedule() -> Schedule {
    Schedule { period: u64::MAX, max_uses: u64::MAX, not_before: u64::MAX }
}

fn generation(number: u64) -> Generation {
    Generation { number, suite: Suite::P256, schedule: schedule(), trees: Purpose::ALL.map(tree).into() }
}

fn hot() -> Hot {
    let mut ledger = Ledger::new(u64::MAX);
    ledger.accept(&Claim { epoch: 1, number: 9, issued_ms: 0, is_ordered: false, mark: [9; 8] });
    let mut hot = Hot::new(ledger);
    Purpose::ALL.into_iter().for_each(|purpose| hot.reach(purpose, u32::MAX));
    hot
}

/// One without attributes whose keys were used in the first epoch only.
pub(super) fn young() -> Record {
    let device =
        DeviceName { tenant: "t".parse().expect("it is a name"), device: "d".parse().expect("it is a name") };
    let first = |purpose| (purpose, GenerationRoot::new(secret()).tree(purpose));
    let active = Generation { trees: Purposes::ENROLLED.iter().map(first).collect(), ..generation(1) };
    let kept = Kept {
        device,
        attributes: Attributes::new().digests(),
        announced: None,
        enrollment: Enrollment::Done(None),
        active,
        pending: None,
        retired: [].into(),
        replaced: [].into(),
        token_uses: TokenUses::default(),
    };
    Record { cold: Cold::stored(kept, 1), hot: hot(), recent: Recent::default() }
}

/// One agreement of a device whose keys were not used yet.
pub(crate) struct Agreement {
    pub(crate) number: u64,
    /// `active`, `pending`, `retired` or `replaced`.
    pub(crate) state: String,
    pub(crate) root: GenerationRoot,
    pub(crate) schedule: Schedule,
}

/// The record of a device with these agreements, of which one is active, the newest first among those of one state.
pub(crate) fn of_agreements(
    device: DeviceName,
    attributes: AttributeDigests,
    confirmed: bool,
    agreements: impl IntoIterator<Item = Agreement>,
) -> Option<Record> {
    let (mut active, mut pending) = (None, None);
    let (mut retired, mut replaced) = (VecDeque::new(), VecDeque::new());
    for Agreement { number, state, root, schedule } in agreements {
        let proof = root.tree(Purpose::Proof);
        let generation = Generation::new(number, Suite::P256, schedule, &root, Purposes::ENROLLED);
        match state.as_str() {
            "active" => active = Some(generation),
            "pending" => pending = Some(Pending { generation, hot: Hot::new(Ledger::new(0)) }),
            "replaced" => replaced.push_back(Replaced { number, proof }),
            "retired" => {
                let sealed = [Purpose::Data, Purpose::File].map(|purpose| (purpose, root.tree(purpose)));
                let (sealed, until) = (sealed.into(), None);
                retired.push_back(Retired { number, schedule, proof: Some(proof), sealed, until });
            }
            _ => return None,
        }
    }
    let confirm = ConfirmSecret { secret: secret(), transcript: Digest([1; 32]) };
    let enrollment = if confirmed { Enrollment::Confirmed(confirm) } else { answered(confirm) };
    let active = active?;
    let (announced, token_uses) = (None, TokenUses::default());
    let kept =
        Kept { device, attributes, announced, enrollment, active, pending, retired, replaced, token_uses };
    Some(Record { cold: Cold::stored(kept, 1), hot: Hot::new(Ledger::new(0)), recent: Recent::default() })
}

/// The record of a device that was answered and has not confirmed, whose generation has this root and this transcript.
pub(crate) fn unconfirmed(device: DeviceName, root: &GenerationRoot, transcript: Digest) -> Record {
    let confirm =
        ConfirmSecret { secret: derive(&root.0, "confirm device", transcript.as_ref()), transcript };
    let mut record = young();
    let kept = record.cold.change();
    (kept.device, kept.enrollment) = (device, answered(confirm));
    record
}

fn answered(confirm: ConfirmSecret) -> Enrollment {
    let share = AuthorityShare::new(Suite::P256, &[4; 65]).expect("a share of suite 1 has 65 bytes");
    let (signature, confirmation) = ([0x30; 70].to_vec(), Tag([0; 32]));
    let reply = EnrollReply { share, generation: 1, schedule: schedule(), signature, confirmation };
    Enrollment::Pending { request: Digest([1; 32]), reply, confirm }
}
