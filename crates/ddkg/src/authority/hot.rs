//! The part that every accepted proof changes, apart from the part that it rests on.

use super::record::Generation;
use crate::ledger::Ledger;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use wardein_domain::Purpose;

/// How far one generation was used. It has no key, and no input of a key.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) ledger: Ledger,
    token: u32,
    data: u32,
    file: u32,
}

impl Hot {
    /// Nothing used except as `ledger` says.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, token: 0, data: 0, file: 0 }
    }

    /// The highest epoch in which a key of `purpose` was accepted or opened.
    pub(super) fn highest(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Proof => self.ledger.current(),
            Purpose::Token => self.token,
            Purpose::Data => self.data,
            Purpose::File => self.file,
            // What was answered by names moves no tree.
            Purpose::Service => 0,
        }
    }

    /// Records that a key of `epoch` was accepted or opened. For proofs the ledger does.
    pub(super) fn reach(&mut self, purpose: Purpose, epoch: u32) {
        let highest = match purpose {
            Purpose::Proof | Purpose::Service => return,
            Purpose::Token => &mut self.token,
            Purpose::Data => &mut self.data,
            Purpose::File => &mut self.file,
        };
        *highest = epoch.max(*highest);
    }

    /// [`Hot::LEN`] bytes.
    pub(super) fn put(&self, out: &mut impl Sink) {
        self.ledger.put(out);
        out.u64(self.ledger.readmitted_ms());
        [self.token, self.data, self.file].into_iter().for_each(|highest| out.u32(highest));
    }

    /// The inverse of [`Hot::put`], for a generation that it is of.
    pub(super) fn read(reader: &mut Reader<'_>, generation: &Generation) -> Result<Self, DecodeError> {
        let ledger = Ledger::read(reader)?;
        let mut hot = Self::new(ledger.with_readmitted_ms(reader.u64("readmitted")?));
        for purpose in [Purpose::Token, Purpose::Data, Purpose::File] {
            let highest = reader.u32("highest epoch")?;
            if highest != 0 && !generation.trees.contains_key(&purpose) {
                return Err(Problem::NotCanonical("is given without a tree").of("highest epoch"));
            }
            hot.reach(purpose, highest);
        }
        Ok(hot)
    }

    /// Bytes of [`Hot::put`].
    pub(super) const LEN: usize = Ledger::LEN + 8 + 3 * 4;
}
