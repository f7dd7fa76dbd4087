//! The record that has all that one may have.

use super::super::cold::Cold;
use super::super::recent::Recent;
use super::super::record::{
    ConfirmSecret, Enrollment, Kept, MAX_REPLACED, MAX_RETIRED, Pending, RETIRED_PROOFS, Record, Replaced,
    Retired,
};
use super::super::uses::{MAX_COUNTED, TokenUses};
use super::{frontier, generation, hot, schedule, secret, tree};
use crate::attribute::{Attributes, MAX_ATTRIBUTES};
use crate::key::DeviceName;
use alloc::format;
use alloc::string::String;
use wardein_crypto::Digest;
use wardein_domain::{AttributeName, DeviceId, Purpose, TenantId};

fn name(letter: char, length: usize) -> String {
    String::from(letter).repeat(length)
}

fn retired(number: u64) -> Retired {
    let proof = (number < RETIRED_PROOFS as u64).then(|| frontier(Purpose::Proof));
    let sealed = [Purpose::Data, Purpose::File].map(tree).into();
    Retired { number: number + 1, schedule: schedule(), proof, sealed, until: Some(u64::MAX) }
}

/// Nothing that a record may have is missing.
pub(in super::super) fn longest() -> Record {
    let mut attributes = Attributes::new();
    for number in 0..MAX_ATTRIBUTES {
        let name = format!("{number:02}{}", name('a', AttributeName::MAX_LEN - 2));
        attributes.insert(name.parse().unwrap(), b"").unwrap();
    }
    let tenant = name('t', TenantId::MAX_LEN).parse().unwrap();
    let device = DeviceName { tenant, device: name('d', DeviceId::MAX_LEN).parse().unwrap() };
    let confirm = ConfirmSecret { secret: secret(), transcript: Digest([1; 32]) };
    let replaced = |number| Replaced { number, proof: frontier(Purpose::Proof) };
    let mut token_uses = TokenUses::default();
    (0..MAX_COUNTED as u32).for_each(|epoch| token_uses.add(epoch, 0));
    let kept = Kept {
        device,
        attributes: attributes.digests(),
        announced: Some(attributes.digests()),
        enrollment: Enrollment::Confirmed(confirm),
        active: generation(100),
        pending: Some(Pending { generation: generation(101), hot: hot() }),
        retired: (0..MAX_RETIRED as u64).map(retired).collect(),
        replaced: (1..=MAX_REPLACED as u64).map(replaced).collect(),
        token_uses,
    };
    Record { cold: Cold::stored(kept, u64::MAX), hot: hot(), recent: Recent::default() }
}
