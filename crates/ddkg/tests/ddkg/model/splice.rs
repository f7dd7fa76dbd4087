//! Messages forged from the parts of those that were seen.
//!
//! The mac covers everything a proof says, so an attacker without a key can only put parts of seen messages together. Every proof
//! is tried with each of its fields, and its mac, taken from every other: the record must not change.

use super::authority::{Proof, Record};
use super::config::Config;
use super::world::World;
use wardein_ddkg::AuthorityTime;

/// Whether the authority takes any splice, or changes by one.
pub(crate) fn is_taken(world: &World, config: &Config) -> bool {
    let Some(record) = &world.record else { return false };
    let time = world.time(0);
    let proofs: Vec<Proof> = (0..world.sent.len()).map(|id| world.proof(id)).collect();
    proofs.iter().any(|one| {
        proofs
            .iter()
            .any(|other| splices(one, other).into_iter().any(|proof| takes(record, &proof, time, config)))
    })
}

fn takes(record: &Record, proof: &Proof, time: AuthorityTime, config: &Config) -> bool {
    let mut tried = record.clone();
    tried.verify(proof, time, config).is_ok() || tried != *record
}

/// `one` with single fields of `other`, and with numbers next to its own. Its mac fits none of them.
fn splices(one: &Proof, other: &Proof) -> Vec<Proof> {
    let (a, b) = (one.claim, other.claim);
    let changed = [
        Proof { generation: other.generation, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { epoch: b.epoch, ..a }, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { number: b.number, ..a }, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { number: a.number + 1, ..a }, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { issued_ms: b.issued_ms, ..a }, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { is_ordered: !a.is_ordered, ..a }, ..*one },
        Proof { claim: wardein_ddkg::model::Claim { mark: b.mark, ..a }, ..*one },
    ];
    changed.map(|proof| Proof { key: None, ..proof }).into()
}
